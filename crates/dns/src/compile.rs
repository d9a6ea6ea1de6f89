//! From a catalog to the table of names.

use std::collections::HashMap;

use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, Restrict};
use meridian_model::{Catalog, DomainName, Endpoint, Gateway, GatewayId, Hostname, RecordSet, Soa, Zone};
use thiserror::Error;

use crate::denial::Denial;
use crate::name::to_name;
use crate::names::Names;
use crate::outlooks::clusters_of;
use crate::transfer::Transferred;
use crate::zone::{Apex, Node, RrSet, Steers, ZoneTable};

/// The label above all test names of a zone.
const SITE: &str = "site";

/// Why a catalog cannot be served. `config` lets no such catalog through.
#[derive(Debug, Error)]
pub enum CompileError {
    /// RDATA that does not decode as its type.
    #[error("{owner} TYPE{record_type}: RDATA does not decode: {cause}")]
    Rdata {
        /// The owner of the record.
        owner: DomainName,
        /// The RR type's number.
        record_type: u16,
        /// What the decoder says.
        cause: String,
    },
    /// A name that the message library does not take.
    #[error("{name}: not a name: {cause}")]
    Name {
        /// The name.
        name: DomainName,
        /// What the library says.
        cause: String,
    },
    /// The names of all zones are over 4 GiB.
    #[error("too many names: over 4 GiB of them")]
    TooManyNames,
    /// A hostname or record outside of all zones.
    #[error("{name}: in none of the zones")]
    NoZone {
        /// The name.
        name: DomainName,
    },
}

impl ZoneTable {
    /// Puts every name of a catalog into one table.
    pub(crate) fn compile(catalog: &Catalog) -> Result<Self, CompileError> {
        let steers = catalog.gateways().iter().map(steers).collect();
        let mut table = Self { names: Names::default(), nodes: Vec::new(), zones: Vec::new(), steers };
        // Parents before children, so that a child zone's names end at its own apex.
        let mut zones: Vec<&Zone> = catalog.zones().iter().collect();
        zones.sort_by_key(|zone| zone.name.labels().count());
        let apexes: HashMap<&DomainName, u32> =
            zones.iter().zip(0..).map(|(zone, i)| (&zone.name, i)).collect();
        let hostnames = hostnames_by_zone(catalog, &apexes)?;
        for (zone, index) in zones.iter().zip(0..) {
            let serial =
                zone.soa.serial.unwrap_or_else(|| content_serial(zone, catalog, hostnames.get(&index)));
            table.zone(zone, index, serial)?;
        }
        for zone in &zones {
            // A zone inside another makes the names above it exist there (RFC 8020 §2).
            if let Some(above) = zone.name.parent().filter(|above| has_zone(above, &apexes)) {
                table.insert(&above, &apexes)?;
            }
            for set in &zone.records {
                let node = table.insert(&set.owner, &apexes)?;
                table.nodes[node].sets.push(rr_set(set)?);
            }
        }
        for (gateway, id) in catalog.gateways().iter().zip(0..) {
            for hostname in &gateway.hostnames {
                let node = table.insert(hostname.name(), &apexes)?;
                match hostname {
                    Hostname::Exact(_) => table.nodes[node].gateway = Some(GatewayId::from_index(id)),
                    Hostname::Wildcard(_) => table.nodes[node].below = Some(GatewayId::from_index(id)),
                }
            }
        }
        table.sites(catalog, &zones, &hostnames, &apexes)?;
        table.inherit();
        table.transfers(&zones);
        Ok(table)
    }

    /// Notes what is needed to transfer the zones that may be, after one walk through all names.
    fn transfers(&mut self, zones: &[&Zone]) {
        let mut names: HashMap<u32, Vec<u32>> = zones
            .iter()
            .zip(0..)
            .filter(|(zone, _)| zone.transfer.is_some())
            .map(|(_, at)| (at, Vec::new()))
            .collect();
        if names.is_empty() {
            return;
        }
        for number in self.names.numbers() {
            if let Some(its) = names.get_mut(&self.nodes[number as usize].zone) {
                its.push(number);
            }
        }
        let transferred = zones.iter().zip(0..).filter_map(|(zone, at)| Some((zone, at, names.remove(&at)?)));
        for (slot, (zone, at, nodes)) in transferred.enumerate() {
            let transferred = Transferred::new(self, nodes, slot, zone);
            self.zones[at as usize].transferred = transferred;
        }
    }

    /// Adds `<cluster>.<gateway>.site.<zone>` for every gateway with a hostname in the zone.
    fn sites(
        &mut self,
        catalog: &Catalog,
        zones: &[&Zone],
        hostnames: &HostnamesByZone<'_>,
        apexes: &HashMap<&DomainName, u32>,
    ) -> Result<(), CompileError> {
        for (zone, index) in zones.iter().zip(0..) {
            let mut done: Option<GatewayId> = None;
            for &(id, _) in hostnames.get(&index).map_or(&[][..], Vec::as_slice) {
                let gateway = catalog.gateway(id);
                // The hostnames of one gateway stand together.
                if !gateway.site_names || done.replace(id) == Some(id) {
                    continue;
                }
                for cluster in clusters_of(gateway) {
                    let labels = [&*catalog.cluster(cluster).name, &*gateway.name, SITE];
                    let name = DomainName::parse(&format!("{}.{}", labels.join("."), zone.name));
                    // A zone whose name leaves no room for the labels has no test names.
                    if let Ok(name) = name {
                        let node = self.insert(&name, apexes)?;
                        self.nodes[node].site = Some((id, cluster));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a zone's apex with its SOA and NS.
    fn zone(&mut self, zone: &Zone, index: u32, serial: u32) -> Result<(), CompileError> {
        let name = to_name(&zone.name)?;
        let nameservers = zone.nameservers.iter().map(to_name).collect::<Result<Vec<_>, _>>()?;
        let data = RData::SOA(soa_data(zone, serial)?);
        let denial = Denial::new(&name, &data)
            .map_err(|error| CompileError::Name { name: zone.name.clone(), cause: error.to_string() })?;
        let soa = RrSet::new(RecordType::SOA, zone.soa.ttl, vec![data]);
        let servers = nameservers.into_iter().map(|server| RData::NS(NS(server))).collect();
        let servers = RrSet::new(RecordType::NS, zone.nameservers_ttl, servers);
        let node = self.node_index(&zone.name)?;
        self.nodes[node].zone = index;
        self.nodes[node].sets.extend([soa.clone(), servers]);
        self.zones.push(Apex {
            name,
            labels: zone.name.labels().count(),
            soa,
            negative_ttl: zone.soa.ttl.min(zone.soa.negative_ttl),
            denial,
            transferred: None,
        });
        Ok(())
    }

    /// The node of a name, made with all names between it and its apex where they are missing.
    fn insert(
        &mut self,
        name: &DomainName,
        apexes: &HashMap<&DomainName, u32>,
    ) -> Result<usize, CompileError> {
        let mut chain = vec![name.clone()];
        let zone = loop {
            let last = &chain[chain.len() - 1];
            if let Some(zone) = apexes.get(last) {
                break *zone;
            }
            let parent = last.parent().ok_or_else(|| CompileError::NoZone { name: name.clone() })?;
            chain.push(parent);
        };
        let mut node = 0;
        for ancestor in chain.iter().rev() {
            node = self.node_index(ancestor)?;
            self.nodes[node].zone = zone;
        }
        Ok(node)
    }

    /// The node of a name, made where it is missing.
    fn node_index(&mut self, name: &DomainName) -> Result<usize, CompileError> {
        let number = self.names.insert(&name.to_wire()).ok_or(CompileError::TooManyNames)? as usize;
        if number == self.nodes.len() {
            self.nodes.push(Node::default());
        }
        Ok(number)
    }

    /// Gives every node what holds for it because of its ancestors: cuts, DNAMEs and wildcard gateways.
    fn inherit(&mut self) {
        let mut order: Vec<u32> = self.names.numbers().collect();
        order.sort_by_key(|&number| self.names.wire(number).len());
        for number in order {
            let (index, name) = (number as usize, self.names.wire(number));
            let first_label = name.first().map_or(0, |length| usize::from(*length) + 1).min(name.len());
            let parent = self.names.get(&name[first_label..]).map(|parent| parent as usize);
            if &name[..first_label] == b"\x01*"
                && let Some(parent) = parent
            {
                self.nodes[parent].wildcard = Some(number);
            }
            let is_apex = self.nodes[index].set(RecordType::SOA).is_some();
            let above = parent.filter(|_| !is_apex).map(|parent| &self.nodes[parent]);
            let redirects = above.is_some_and(|above| above.set(RecordType::DNAME).is_some());
            let (covered_by, cut) = above.map_or((None, None), |above| (above.below, above.cut));
            let cut = cut.or(parent.filter(|_| redirects).and_then(|parent| u32::try_from(parent).ok()));
            let node = &mut self.nodes[index];
            node.covered_by = covered_by;
            node.below = node.below.or(covered_by);
            let is_cut = !is_apex && node.set(RecordType::NS).is_some();
            node.cut = cut.or(is_cut.then_some(number));
        }
    }
}

fn steers(gateway: &Gateway) -> Steers {
    let is_cname = |endpoint: &Endpoint| endpoint.name.as_ref().is_some_and(|name| name.as_cname);
    Steers { https: gateway.https.is_some(), any_type: gateway.endpoints.iter().any(is_cname) }
}

/// Whether one of the zones holds a name.
fn has_zone(name: &DomainName, apexes: &HashMap<&DomainName, u32>) -> bool {
    std::iter::successors(Some(name.clone()), DomainName::parent).any(|name| apexes.contains_key(&name))
}

type HostnamesByZone<'c> = HashMap<u32, Vec<(GatewayId, &'c Hostname)>>;

fn hostnames_by_zone<'c>(
    catalog: &'c Catalog,
    apexes: &HashMap<&DomainName, u32>,
) -> Result<HostnamesByZone<'c>, CompileError> {
    let mut by_zone = HostnamesByZone::new();
    for (gateway, id) in catalog.gateways().iter().zip(0..) {
        for hostname in &gateway.hostnames {
            let mut name = hostname.name().clone();
            let zone = loop {
                if let Some(zone) = apexes.get(&name) {
                    break *zone;
                }
                name = name.parent().ok_or_else(|| CompileError::NoZone { name: hostname.name().clone() })?;
            };
            by_zone.entry(zone).or_default().push((GatewayId::from_index(id), hostname));
        }
    }
    Ok(by_zone)
}

/// A serial that depends on the zone's content alone: every server of one configuration has the
/// same. FNV-1a, folded to 32 bits.
fn content_serial(zone: &Zone, catalog: &Catalog, hostnames: Option<&Vec<(GatewayId, &Hostname)>>) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |octets: &[u8]| {
        // The end mark keeps "ab","c" from "a","bc".
        for octet in octets.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for name in zone.nameservers.iter().chain([&zone.name]) {
        add(name.as_str().as_bytes());
    }
    let Soa { ttl, server, hostmaster, serial: _, refresh, retry, expire, negative_ttl } = &zone.soa;
    add(server);
    add(hostmaster);
    for number in [*ttl, zone.nameservers_ttl, *refresh, *retry, *expire, *negative_ttl] {
        add(&number.to_be_bytes());
    }
    for set in &zone.records {
        add(set.owner.as_str().as_bytes());
        add(&set.record_type.to_be_bytes());
        add(&set.ttl.to_be_bytes());
        set.data.iter().for_each(|data| add(data));
    }
    // Written out once a gateway: of a million hostnames, hundreds share one.
    let mut of_gateway = (None, Vec::new());
    for (gateway, hostname) in hostnames.into_iter().flatten() {
        add(hostname.to_string().as_bytes());
        if of_gateway.0 != Some(gateway) {
            of_gateway = (Some(gateway), endpoint_texts(catalog.gateway(*gateway)));
        }
        of_gateway.1.iter().for_each(|text| add(text.as_bytes()));
    }
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or(1)
}

/// The hostnames and addresses of a gateway's endpoints.
fn endpoint_texts(gateway: &Gateway) -> Vec<String> {
    let mut all = Vec::new();
    for endpoint in &gateway.endpoints {
        match &endpoint.name {
            // What it resolves to changes by itself, and not on all servers at once.
            Some(name) => all.push(name.name.as_str().to_owned()),
            None => all.extend(endpoint.addresses.iter().map(|address| address.ip.to_string())),
        }
    }
    all
}

fn soa_data(zone: &Zone, serial: u32) -> Result<SOA, CompileError> {
    let Soa { server, hostmaster, refresh, retry, expire, negative_ttl, .. } = &zone.soa;
    let wrong = |cause: String| CompileError::Rdata {
        owner: zone.name.clone(),
        record_type: RecordType::SOA.into(),
        cause,
    };
    let name = |wire: &[u8]| {
        Name::read(&mut BinDecoder::new(wire)).map_err(|error| wrong(format!("a name of it: {error}")))
    };
    let time =
        |seconds: u32| i32::try_from(seconds).map_err(|_| wrong(format!("{seconds} seconds: over 2^31 - 1")));
    let (server, hostmaster) = (name(server)?, name(hostmaster)?);
    Ok(SOA::new(server, hostmaster, serial, time(*refresh)?, time(*retry)?, time(*expire)?, *negative_ttl))
}

fn rr_set(set: &RecordSet) -> Result<RrSet, CompileError> {
    let record_type = RecordType::from(set.record_type);
    let decode = |octets: &[u8]| {
        let length = u16::try_from(octets.len()).map_err(|_| "over 65,535 octets".to_owned())?;
        RData::read(&mut BinDecoder::new(octets), record_type, Restrict::new(length))
            .map_err(|error| error.to_string())
    };
    let data = set.data.iter().map(|octets| decode(octets)).collect::<Result<_, _>>().map_err(|cause| {
        CompileError::Rdata { owner: set.owner.clone(), record_type: set.record_type, cause }
    })?;
    let mut made = RrSet::new(record_type, set.ttl, data);
    made.encode();
    Ok(made)
}
