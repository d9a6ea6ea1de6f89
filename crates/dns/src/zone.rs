//! Step 3 of a query: from a name and a type to what the zones hold there.
//!
//! All names of all zones stand in one table; every name between an owner and its apex is there too,
//! perhaps empty (an empty non-terminal, RFC 4592 §2.2.2), so the first ancestor that the table has
//! is the closest encloser.
//!
//! Gateway hostnames follow the Gateway API: a wildcard covers every depth below its suffix, the
//! longest suffix wins, an exact hostname goes first. A static name that has no address of its own
//! does not take A and AAAA from a wildcard gateway: a TXT record for domain validation must not
//! turn a service off. Static records among themselves keep RFC 4592.

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, BinEncodable as _};
use meridian_model::{ClusterId, GatewayId};

use crate::denial::Denial;
use crate::limits::CNAME_DEPTH;
use crate::name::QueryName;
use crate::names::{Looked, Names};
use crate::plain::push_record;
use crate::transfer::Transferred;

//----------- ZoneTable ------------------------------------------------------

/// The names of all zones.
pub(crate) struct ZoneTable {
    pub(crate) names: Names,
    /// By the number of the name.
    pub(crate) nodes: Vec<Node>,
    pub(crate) zones: Vec<Apex>,
    /// By gateway.
    pub(crate) steers: Vec<Steers>,
}

/// For which types a gateway's hostnames have steered answers, beside A and AAAA.
#[derive(Clone, Copy, Default)]
pub(crate) struct Steers {
    /// HTTPS (RFC 9460).
    pub(crate) https: bool,
    /// All: some endpoint is a CNAME, which holds for every type.
    pub(crate) any_type: bool,
}

/// What a zone needs for its negative answers.
pub(crate) struct Apex {
    /// As written in replies that cannot take it from the question.
    pub(crate) name: Name,
    /// How many labels the apex has.
    pub(crate) labels: usize,
    pub(crate) soa: RrSet,
    /// The TTL of the SOA in negative answers: min(SOA TTL, MINIMUM) (RFC 2308 §3).
    pub(crate) negative_ttl: u32,
    /// That record of negative answers.
    pub(crate) denial: Denial,
    /// Present where somebody may have all of the zone.
    pub(crate) transferred: Option<Transferred>,
}

/// One name, in one cache line.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Node {
    /// Index of its zone.
    pub(crate) zone: u32,
    pub(crate) sets: Vec<RrSet>,
    /// The gateway that has this very name among its hostnames.
    pub(crate) gateway: Option<GatewayId>,
    /// The gateway and cluster that this is the test name of.
    pub(crate) site: Option<(GatewayId, ClusterId)>,
    /// The wildcard gateway that covers this name.
    pub(crate) covered_by: Option<GatewayId>,
    /// The wildcard gateway that covers the names below this one.
    pub(crate) below: Option<GatewayId>,
    /// The node of `*` below this name.
    pub(crate) wildcard: Option<u32>,
    /// The name with the delegation that this one is at or below, or with the DNAME that it is below.
    pub(crate) cut: Option<u32>,
}

/// The records of one owner and type.
#[derive(Clone)]
pub(crate) struct RrSet {
    pub(crate) record_type: RecordType,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<RData>,
    /// The records at the name of the question, ready to be sent, where they are the same behind every question. With how
    /// many they are.
    pub(crate) encoded: Option<(u16, Box<[u8]>)>,
}

/// What the zones hold for a question.
#[derive(Clone, Copy)]
pub(crate) enum Found<'t> {
    /// The name is in none of our zones.
    NotOurs,
    /// The zone has no such name (NXDOMAIN).
    NoName { zone: &'t Apex },
    /// The name is there without this type (NODATA).
    NoData { zone: &'t Apex },
    /// Records that are the same for all.
    Static { zone: &'t Apex, set: &'t RrSet },
    /// The name is another name's alias.
    Alias { set: &'t RrSet },
    /// Records that depend on who asks.
    Steered { zone: &'t Apex, gateway: GatewayId },
    /// The addresses of one cluster of a gateway.
    Site { zone: &'t Apex, gateway: GatewayId, site: ClusterId },
    /// All names below one are other names' aliases: the labels of that one, and its DNAME.
    Redirected { owner_labels: usize, set: &'t RrSet },
    /// The name lies in a zone that is delegated away; with that zone's name and NS records.
    Delegated { owner_labels: usize, set: &'t RrSet },
    /// A question for all types (RFC 8482).
    AnyType,
}

impl ZoneTable {
    /// Looks a question up. Its cost grows with the labels of the name and with nothing else. `looked`: what somebody
    /// who has looked at the names has seen.
    pub(crate) fn find(&self, name: &QueryName, looked: Looked, question_type: RecordType) -> Found<'_> {
        let guess = looked.guess().filter(|&guess| self.names.is(guess, name.ancestor(0)));
        let guessed = guess.and_then(|guess| Some((0, self.nodes.get(guess.number() as usize)?)));
        let least = usize::from(looked.is_absent());
        let Some((skipped, node)) = guessed.or_else(|| self.closest(name, least)) else {
            return Found::NotOurs;
        };
        let Some(zone) = self.zones.get(node.zone as usize) else {
            return Found::NotOurs;
        };
        if let Some(found) = self.elsewhere(name, node, question_type) {
            return found;
        }
        if skipped == 0 {
            return self.at(node, zone, question_type);
        }
        if let Some(set) = node.set(RecordType::DNAME) {
            // RFC 6672 §3.2: before a wildcard, which is data of this name.
            return Found::Redirected { owner_labels: name.label_count() - skipped, set };
        }
        self.below(node, zone, question_type)
    }

    /// What stands at the end of a chain of aliases, and the names that it goes through (RFC 1034 §4.3.2).
    /// The end of one that is too long, or a loop, is an alias.
    pub(crate) fn follow(&self, name: &QueryName, question_type: RecordType) -> (Found<'_>, Vec<Name>) {
        let mut found = self.find(name, Looked::NOT, question_type);
        let mut passed: Vec<Name> = Vec::new();
        let mut owner = name.to_name();
        while let Some(target) = owner.and_then(|owner| found.target(&owner))
            && let Some(next) = QueryName::from_name(&target)
            && passed.len() <= CNAME_DEPTH
            && !passed.contains(&target)
        {
            passed.push(target.clone());
            owner = Some(target);
            found = self.find(&next, Looked::NOT, question_type);
        }
        (found, passed)
    }

    /// The zone of exactly this name, with its index.
    pub(crate) fn apex(&self, name: &QueryName) -> Option<(usize, &Apex)> {
        let index =
            self.node(name.ancestor(0)).filter(|node| node.set(RecordType::SOA).is_some())?.zone as usize;
        Some((index, self.zones.get(index)?))
    }

    /// The node of the name itself, or of its closest encloser, with the labels skipped to get there: `least` or more.
    fn closest(&self, name: &QueryName, least: usize) -> Option<(usize, &Node)> {
        (least..=name.label_count()).find_map(|skip| Some((skip, self.node(name.ancestor(skip))?)))
    }

    /// The name itself, or the nearest above it that exists; `None` outside our zones.
    pub(crate) fn encloser<'n>(&self, name: &'n QueryName) -> Option<&'n [u8]> {
        self.closest(name, 0).map(|(skipped, _)| name.ancestor(skipped))
    }

    fn node(&self, wire: &[u8]) -> Option<&Node> {
        self.nodes.get(self.names.get(wire)? as usize)
    }

    /// Addresses that belong into the additional section for a name server's name.
    pub(crate) fn addresses(&self, name: &Name) -> impl Iterator<Item = &RrSet> {
        QueryName::from_name(name)
            .and_then(|name| self.node(name.ancestor(0)))
            .into_iter()
            .flat_map(|node| &node.sets)
            .filter(|set| is_address(set.record_type))
    }

    /// A referral, where the name is at or below a cut, or a redirection, where it is below a DNAME. The DS
    /// of a cut is the parent's own (RFC 4035 §3.1.4.1).
    fn elsewhere(&self, name: &QueryName, node: &Node, question_type: RecordType) -> Option<Found<'_>> {
        let cut = self.nodes.get(node.cut? as usize)?;
        if question_type == RecordType::DS
            && self.node(name.ancestor(0)).is_some_and(|at| std::ptr::eq(at, cut))
        {
            return None;
        }
        let owner_labels = (0..=name.label_count())
            .find(|&skip| self.node(name.ancestor(skip)).is_some_and(|at| std::ptr::eq(at, cut)))
            .map(|skip| name.label_count() - skip)?;
        // Where both could be, at the apex, the NS records delegate nothing.
        if let Some(set) = cut.set(RecordType::DNAME) {
            return Some(Found::Redirected { owner_labels, set });
        }
        Some(Found::Delegated { owner_labels, set: cut.set(RecordType::NS)? })
    }

    /// The name exists.
    fn at<'t>(&'t self, node: &'t Node, zone: &'t Apex, question_type: RecordType) -> Found<'t> {
        if question_type == RecordType::ANY {
            let empty = node.sets.is_empty()
                && node.gateway.is_none()
                && node.site.is_none()
                && node.covered_by.is_none();
            return if empty { Found::NoData { zone } } else { Found::AnyType };
        }
        if let Some(found) = node.own(zone, question_type) {
            return found;
        }
        if let Some((gateway, site)) = node.site {
            let asked = is_address(question_type);
            return if asked { Found::Site { zone, gateway, site } } else { Found::NoData { zone } };
        }
        match (node.gateway, node.covered_by) {
            (Some(gateway), _) if self.steers(gateway, question_type) => Found::Steered { zone, gateway },
            (_, Some(gateway)) if !node.has_address() && self.steers(gateway, question_type) => {
                Found::Steered { zone, gateway }
            }
            _ => Found::NoData { zone },
        }
    }

    pub(crate) fn steers(&self, gateway: GatewayId, question_type: RecordType) -> bool {
        let also = self.steers.get(gateway.index()).copied().unwrap_or_default();
        is_address(question_type) || also.any_type || also.https && question_type == RecordType::HTTPS
    }

    /// The name does not exist, `encloser` is its closest ancestor that does.
    fn below<'t>(&'t self, encloser: &'t Node, zone: &'t Apex, question_type: RecordType) -> Found<'t> {
        let wildcard = encloser.wildcard.and_then(|index| self.nodes.get(index as usize));
        if wildcard.is_none() && encloser.below.is_none() {
            return Found::NoName { zone };
        }
        if question_type == RecordType::ANY {
            return Found::AnyType;
        }
        // RFC 4592 §3.3: the wildcard's own records, with the asked name as their owner.
        if let Some(found) = wildcard.and_then(|node| node.own(zone, question_type)) {
            return found;
        }
        match encloser.below {
            Some(gateway)
                if !wildcard.is_some_and(Node::has_address) && self.steers(gateway, question_type) =>
            {
                Found::Steered { zone, gateway }
            }
            _ => Found::NoData { zone },
        }
    }
}

impl Found<'_> {
    /// The name that a name is an alias of, where it is one and the other is not too long.
    pub(crate) fn target(self, owner: &Name) -> Option<Name> {
        match self {
            Self::Alias { set } => match set.data.first()? {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            },
            Self::Redirected { owner_labels, set } => substitute(owner, owner_labels, set),
            _ => None,
        }
    }
}

/// The name below the target of a DNAME that stands for one below its owner, whose labels are counted
/// (RFC 6672 §2.2); `None` where it would be too long.
pub(crate) fn substitute(name: &Name, owner_labels: usize, set: &RrSet) -> Option<Name> {
    // The library has no type for it.
    let RData::Unknown { rdata, .. } = set.data.first()? else { return None };
    let target = Name::read(&mut BinDecoder::new(&rdata.anything)).ok()?;
    let own = name.iter().count().checked_sub(owner_labels)?;
    let mut made = Name::from_labels(name.iter().take(own).chain(target.iter())).ok()?;
    made.set_fqdn(true);
    // As long as a name may be on the wire.
    QueryName::from_name(&made).map(|_| made)
}

/// Types whose data is the same behind every question: no names in it, or such as are never compressed (RFC 9460 §2.2).
/// Others are rarely asked for, or have names that are.
const ALIKE: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::CAA,
    RecordType::TLSA,
    RecordType::SSHFP,
    RecordType::DS,
];

impl RrSet {
    pub(crate) fn new(record_type: RecordType, ttl: u32, data: Vec<RData>) -> Self {
        Self { record_type, ttl, data, encoded: None }
    }

    /// Makes ready what can be.
    pub(crate) fn encode(&mut self) {
        self.encoded = if ALIKE.contains(&self.record_type) { self.records() } else { None };
    }

    fn records(&self) -> Option<(u16, Box<[u8]>)> {
        let mut records = Vec::new();
        for data in &self.data {
            let data = data.to_bytes().ok()?;
            push_record(&mut records, self.record_type.into(), self.ttl, &[&data])?;
        }
        Some((u16::try_from(self.data.len()).ok()?, records.into_boxed_slice()))
    }
}

impl Apex {
    /// The serial that the file gives the zone, or that its content makes.
    pub(crate) fn serial(&self) -> Option<u32> {
        self.soa.data.first().and_then(|data| match data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
    }
}

impl Node {
    pub(crate) fn set(&self, record_type: RecordType) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.record_type == record_type)
    }

    /// The node's own static records for a question, or its alias (RFC 1034 §4.3.2 step 3a).
    fn own<'t>(&'t self, zone: &'t Apex, question_type: RecordType) -> Option<Found<'t>> {
        if let Some(set) = self.set(question_type) {
            return Some(Found::Static { zone, set });
        }
        if [RecordType::RRSIG, RecordType::NSEC].contains(&question_type) {
            // They may stand beside a CNAME (RFC 4034 §3, §4), so that its owner is asked, not its target.
            return None;
        }
        self.set(RecordType::CNAME).map(|set| Found::Alias { set })
    }

    pub(crate) fn has_address(&self) -> bool {
        self.sets.iter().any(|set| is_address(set.record_type))
    }
}

fn is_address(record_type: RecordType) -> bool {
    matches!(record_type, RecordType::A | RecordType::AAAA)
}
