//! What of a zone that may be transferred is steered: the records, and a number that tells one content from another.
//!
//! A steered name has what a client without a known place would get now, with its shortest TTL: whoever serves
//! the copy learns later what has changed. That a wildcard gateway covers names below others that exist is
//! written out, as RFC 4592 would not say so.
//!
//! The number is a sum over the names, so that a new view costs what has changed: the names of the gateways whose answer to
//! such a client is another.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};
use meridian_model::{ClusterId, GatewayId};
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;

use crate::select::Asker;
use crate::steered::{Outcome, of_gateway, of_site};
use crate::transfer::{Content, Transferred};
use crate::view::View;
use crate::zone::{Node, RrSet, ZoneTable};

/// The types for which a gateway's hostname has records of its own.
const STEERED_TYPES: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::HTTPS];

/// By type.
type ByType<T> = [T; STEERED_TYPES.len()];

//----------- Digests --------------------------------------------------------

/// What tells a view's contents from others, kept from view to view.
#[derive(Clone, Default)]
pub(crate) struct Digests {
    /// By gateway: a hash of what it gives; 0 for nothing, and where no zone asks.
    gateways: Vec<ByType<u64>>,
    /// By zone that may be transferred: the sum over all that is steered.
    sums: Vec<u64>,
}

impl Digests {
    /// Of a view. `before`: those of one with the same ground, and the gateways (by index) that may give something else.
    pub(crate) fn new(view: &View, before: Option<(&Self, &[usize])>) -> Self {
        let zones = || transferred(view).map(|zone| &zone.steered);
        if zones().next().is_none() {
            return Self::default();
        }
        let all: Vec<usize>;
        let (mut digests, changed) = match before {
            Some((before, changed)) => (before.clone(), changed),
            None => {
                all = (0..view.ground().catalog().gateways().len()).collect();
                let gateways = vec![ByType::default(); all.len()];
                (Self { gateways, sums: zones().map(|zone| zone.start(view)).collect() }, &all[..])
            }
        };
        for &at in changed {
            let Some(known) = digests.gateways.get_mut(at).filter(|_| zones().any(|zone| zone.has(at)))
            else {
                continue;
            };
            let now = gateway_digest(view, GatewayId::from_index(at));
            if now != *known {
                let before = std::mem::replace(known, now);
                for (zone, sum) in zones().zip(&mut digests.sums) {
                    *sum = zone.changed(*sum, at, &before, &now);
                }
            }
        }
        digests
    }
}

impl View {
    /// Every zone that may be transferred, in the order in which [`View::with_serials`] takes serials.
    #[must_use]
    pub fn contents(&self) -> Vec<Content> {
        let content = |(zone, &sum): (&Transferred, &u64)| {
            let mut hasher = SipHasher24::new();
            hasher.write_u64(zone.steered.fixed);
            hasher.write_u64(sum);
            zone.content(hasher.finish())
        };
        transferred(self).zip(&self.digests().sums).map(content).collect()
    }
}

fn transferred(view: &View) -> impl Iterator<Item = &Transferred> {
    view.zones().zones.iter().filter_map(|apex| apex.transferred.as_ref())
}

/// A hash of what a gateway gives to nobody in particular, by type.
fn gateway_digest(view: &View, gateway: GatewayId) -> ByType<u64> {
    STEERED_TYPES.map(|question_type| {
        let Some(set) = of_type(view, gateway, question_type) else { return 0 };
        let mut hasher = SipHasher24::new();
        digest(&mut hasher, &set);
        hasher.finish()
    })
}

/// Adds an RRset to a hash, without the serial.
fn digest(hasher: &mut SipHasher24, set: &RrSet) {
    hasher.write_u16(set.record_type.into());
    hasher.write_u32(set.ttl);
    for data in &set.data {
        let octets = match data {
            RData::SOA(soa) => {
                let mut soa = soa.clone();
                soa.serial = 0;
                RData::SOA(soa).to_bytes()
            }
            data => data.to_bytes(),
        };
        let octets = octets.unwrap_or_default();
        hasher.write_usize(octets.len());
        hasher.write(&octets);
    }
}

//----------- Steered --------------------------------------------------------

/// What of a zone is steered, without what it gives.
pub(crate) struct Steered {
    /// A hash of all that is not.
    fixed: u64,
    /// By gateway, with a hash of the owner.
    parts: Vec<(u64, Part)>,
    /// The test names, which give the same whatever the verdicts are.
    sites: Vec<u32>,
}

impl Steered {
    /// Of these names.
    pub(crate) fn new(table: &ZoneTable, nodes: &[u32]) -> Self {
        let mut fixed = SipHasher24::new();
        let (mut parts, mut sites) = (Vec::new(), Vec::new());
        for &number in nodes {
            let Some(node) = table.nodes.get(number as usize) else { continue };
            fixed.write(table.names.wire(number));
            for set in &node.sets {
                digest(&mut fixed, set);
            }
            if node.site.is_some() {
                sites.push(number);
            }
            parts.extend(Part::all(table, number).into_iter().map(|part| (part.key(table, number), part)));
        }
        parts.sort_unstable_by_key(|(key, part)| (part.gateway, *key));
        Self { fixed: fixed.finish(), parts, sites }
    }

    /// The sum where no gateway gives anything: that of the test names.
    fn start(&self, view: &View) -> u64 {
        let sites = self.sites.iter().map(|&number| {
            let mut hasher = SipHasher24::new();
            for (owner, set) in steered(view, number) {
                hasher.write(&owner.to_bytes().unwrap_or_default());
                digest(&mut hasher, &set);
            }
            hasher.finish()
        });
        sites.fold(0, u64::wrapping_add)
    }

    /// The sum after another, where a gateway (by index) gives something else.
    fn changed(&self, sum: u64, gateway: usize, before: &ByType<u64>, now: &ByType<u64>) -> u64 {
        self.of(gateway).iter().fold(sum, |sum, (key, part)| {
            sum.wrapping_sub(part.digest(*key, before)).wrapping_add(part.digest(*key, now))
        })
    }

    /// Whether a gateway (by index) has a name here.
    fn has(&self, gateway: usize) -> bool {
        !self.of(gateway).is_empty()
    }

    fn of(&self, gateway: usize) -> &[(u64, Part)] {
        let gateway = GatewayId::from_index(gateway);
        let start = self.parts.partition_point(|(_, part)| part.gateway < gateway);
        let rest = self.parts.get(start..).unwrap_or_default();
        &rest[..rest.partition_point(|(_, part)| part.gateway == gateway)]
    }
}

//----------- Part -----------------------------------------------------------

/// What a gateway gives at a name, or at the wildcard below it.
#[derive(Clone, Copy)]
struct Part {
    gateway: GatewayId,
    is_below: bool,
    /// Where no static records of the type stand.
    types: ByType<bool>,
}

impl Part {
    /// All at a name.
    fn all(table: &ZoneTable, number: u32) -> SmallVec<[Self; 2]> {
        let mut all = SmallVec::new();
        let Some(node) = table.nodes.get(number as usize) else { return all };
        // What is delegated away has no steered names, nor has an alias; a test name is of no gateway.
        if node.cut.is_some() || node.set(RecordType::CNAME).is_some() || node.site.is_some() {
            return all;
        }
        let mut add = |gateway, at: Option<&Node>, is_below| {
            let types = STEERED_TYPES.map(|of| at.is_none_or(|node| node.set(of).is_none()));
            all.push(Self { gateway, is_below, types });
        };
        // The wildcard of a wildcard gateway stands with the name above it.
        let is_wildcard = table.names.wire(number).starts_with(b"\x01*");
        let covered = node.covered_by.filter(|_| !node.has_address() && !is_wildcard);
        if let Some(gateway) = node.gateway.or(covered) {
            add(gateway, Some(node), false);
        }
        if let Some(gateway) = node.below {
            let wildcard = node.wildcard.and_then(|number| table.nodes.get(number as usize));
            if !wildcard.is_some_and(|at| at.has_address() || at.set(RecordType::CNAME).is_some()) {
                add(gateway, wildcard, true);
            }
        }
        all
    }

    /// A hash of where it is.
    fn key(&self, table: &ZoneTable, number: u32) -> u64 {
        let mut hasher = SipHasher24::new();
        hasher.write(table.names.wire(number));
        hasher.write_u8(self.is_below.into());
        hasher.finish()
    }

    /// A hash of what it is, from that and what its gateway gives; 0 where that is nothing.
    fn digest(&self, key: u64, gives: &ByType<u64>) -> u64 {
        if *gives == ByType::default() {
            return 0;
        }
        let mut hasher = SipHasher24::new();
        hasher.write_u64(key);
        for (gives, is_free) in gives.iter().zip(self.types) {
            hasher.write_u64(if is_free { *gives } else { 0 });
        }
        hasher.finish()
    }
}

//----------- steered --------------------------------------------------------

/// The steered records at a name, and at the wildcard below it.
pub(crate) fn steered(view: &View, number: u32) -> Vec<(Name, RrSet)> {
    let table = view.zones();
    let Some((owner, node)) = name(table, number).zip(table.nodes.get(number as usize)) else {
        return Vec::new();
    };
    if let Some(site) = node.site.filter(|_| node.cut.is_none() && node.set(RecordType::CNAME).is_none()) {
        return of_site_name(view, site).map(|set| (owner.clone(), set)).collect();
    }
    let mut all: Vec<(Name, RrSet)> = Vec::new();
    for part in Part::all(table, number) {
        let wildcard = || Name::from_ascii("*").ok()?.append_domain(&owner).ok();
        let Some(owner) = (if part.is_below { wildcard() } else { Some(owner.clone()) }) else { continue };
        let types = STEERED_TYPES.into_iter().zip(part.types).filter(|(_, is_free)| *is_free);
        for set in types.filter_map(|(question_type, _)| of_type(view, part.gateway, question_type)) {
            // A CNAME is the answer to every type, and stands once.
            if !all.iter().any(|(at, other)| *at == owner && other.record_type == set.record_type) {
                all.push((owner.clone(), set));
            }
        }
    }
    all
}

/// What a test name gives.
fn of_site_name(view: &View, (gateway, site): (GatewayId, ClusterId)) -> impl Iterator<Item = RrSet> {
    [RecordType::A, RecordType::AAAA].into_iter().filter_map(move |question_type| {
        set(view, gateway, of_site(view, gateway, site, question_type, nobody()))
    })
}

/// What a gateway gives for a type.
fn of_type(view: &View, gateway: GatewayId, question_type: RecordType) -> Option<RrSet> {
    let steers = view.zones().steers(gateway, question_type);
    steers
        .then(|| of_gateway(view, gateway, question_type, nobody()))
        .and_then(|outcome| set(view, gateway, outcome))
}

fn set(view: &View, gateway: GatewayId, outcome: Outcome) -> Option<RrSet> {
    let Outcome::Set(mut set, ..) = outcome else { return None };
    set.ttl = set.ttl.min(view.ground().catalog().gateway(gateway).min_ttl);
    Some(set)
}

/// Who has no place: the one that "default" is for.
fn nobody() -> Asker {
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Asker::alone(nowhere, nowhere, 0)
}

pub(crate) fn name(table: &ZoneTable, number: u32) -> Option<Name> {
    Name::read(&mut BinDecoder::new(table.names.wire(number))).ok()
}
