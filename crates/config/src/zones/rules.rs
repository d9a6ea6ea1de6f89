//! What the records of zones need of each other: CNAME, delegation, glue, size.

use std::collections::{HashMap, HashSet};

use meridian_model::DomainName;

use super::Zones;
use super::contents::{Contents, Set};
use super::presentation::name_in;
use super::types::RecordType;
use crate::findings::{Findings, Spot};
use crate::issue::quote;
use crate::limits;

/// What a record takes in a message beside its data: a pointer to its owner, type, class, TTL and
/// length (RFC 1035 §4.1.3).
const RECORD_HEAD_OCTETS: usize = 12;

/// Checks every zone.
pub(crate) fn check(zones: &Zones, findings: &Findings<'_>) {
    for (index, contents) in zones.contents.iter().enumerate() {
        let Some(contents) = contents else { continue };
        check_nameservers(contents, zones, findings);
        check_zone_above(contents, zones, findings);
        check_circles(contents, |name| zones.of(name) == Some(index), findings);
        let glue = glue_names(contents);
        for set in &contents.sets {
            check_size(set, findings);
            if set.record_type == RecordType::CNAME {
                check_cname(set, contents, findings);
            }
            match contents.cut_above(&set.owner) {
                Some(cut) => check_under_cut(set, cut, &glue, findings),
                None if set.record_type == RecordType::DS => {
                    let found = format!("no NS records of {}", set.owner);
                    findings.mistake(&set.spot, "NS records at a name with DS (RFC 4035 §2.4)", found);
                }
                None => {}
            }
            check_aliases(set, zones, findings);
            check_dname(set, contents, findings);
            if set.record_type == RecordType::NS {
                check_delegation(set, contents, |name| zones.of(name) == Some(index), findings);
            }
        }
    }
}

/// The zone's own servers: each once, and with an address where it is ours to give.
fn check_nameservers(contents: &Contents, zones: &Zones, findings: &Findings<'_>) {
    let mut seen = HashSet::new();
    for server in &contents.nameservers {
        let name = &server.value;
        if !seen.insert(name) {
            findings.mistake(
                &server.spot,
                "each name server once",
                format_args!("{} again", quote(name.as_str())),
            );
        }
        let Some(home) = zones.of(name).and_then(|index| zones.contents.get(index)?.as_ref()) else {
            continue;
        };
        // Below a delegation of another zone its servers know the address.
        let elsewhere = home.apex != contents.apex && home.cut_above(name).is_some();
        if !elsewhere && !home.has_address(name) {
            let expected = format_args!("an A or AAAA record of {name} in the zone {}", home.apex);
            findings.mistake(&server.spot, expected, instead(home, name, &server.spot, findings));
        }
    }
}

/// What a name has that has no address.
fn instead(contents: &Contents, name: &DomainName, from: &Spot, findings: &Findings<'_>) -> String {
    match contents.alias(name) {
        Some(alias) => format!("a CNAME in line {}", findings.line_seen(&alias.spot, from)),
        None => "none".into(),
    }
}

/// What names a host must not name an alias (RFC 2181 §10.3, RFC 2782). Name servers are looked at
/// with their addresses.
fn check_aliases(set: &Set, zones: &Zones, findings: &Findings<'_>) {
    // The octets before the host's name.
    let before = match set.record_type {
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return,
    };
    for (wire, spot) in &set.data {
        let Some(name) = wire.get(before..).and_then(name_in) else { continue };
        let home = zones.of(&name).and_then(|index| zones.contents.get(index)?.as_ref());
        if let Some(alias) = home.and_then(|home| home.alias(&name)) {
            let line = findings.line_seen(&alias.spot, spot);
            let expected = format_args!("a host with addresses in {} (RFC 2181 §10.3)", set.record_type);
            findings.mistake(spot, expected, format_args!("{name}, an alias by its CNAME in line {line}"));
        }
    }
}

/// The names whose addresses may stand at or below a delegation.
fn glue_names(contents: &Contents) -> HashSet<DomainName> {
    let delegations = contents.sets.iter().filter(|set| set.record_type == RecordType::NS);
    let targets = delegations.flat_map(|set| set.names().map(|(name, _)| name));
    targets.chain(contents.nameservers.iter().map(|server| server.value.clone())).collect()
}

fn check_size(set: &Set, findings: &Findings<'_>) {
    let octets: usize = set.data.iter().map(|(wire, _)| wire.len() + RECORD_HEAD_OCTETS).sum();
    if octets > limits::RECORD_SET_OCTETS {
        let expected = format!(
            "{} records of {} that fit into a message ({} octets)",
            set.record_type,
            set.owner,
            limits::RECORD_SET_OCTETS
        );
        findings.mistake(&set.spot, expected, format_args!("{octets} octets"));
    }
}

/// "If a CNAME RR is present at a node, no other data should be present" (RFC 1034 §3.6.2).
fn check_cname(set: &Set, contents: &Contents, findings: &Findings<'_>) {
    if set.owner == contents.apex {
        let expected = "a name below the apex for a CNAME: the apex has SOA and NS (RFC 1912 §2.4)";
        findings.mistake(&set.spot, expected, format_args!("the apex {}", contents.apex));
    }
    if let Some((_, second)) = set.data.get(1) {
        let expected = format_args!("one CNAME of {} (RFC 2181 §10.1)", set.owner);
        findings.mistake(second, expected, "a second");
    }
    if let Some(other) = contents.at(&set.owner).find(|other| other.record_type != RecordType::CNAME) {
        let (kind, line) = (other.record_type, findings.line_seen(&other.spot, &set.spot));
        let expected = format_args!("no other records beside the CNAME of {} (RFC 2181 §10.1)", set.owner);
        findings.mistake(&set.spot, expected, format_args!("{kind} in line {line}"));
    }
}

/// What a DNAME needs of what is beside it, and what is below one (RFC 6672 §2.3, §2.4, §3.3).
fn check_dname(set: &Set, contents: &Contents, findings: &Findings<'_>) {
    if let Some(dname) = contents.dname_above(&set.owner) {
        let line = findings.line_seen(&dname.spot, &set.spot);
        let expected =
            format_args!("no records below {}, redirected by the DNAME in line {line}", dname.owner);
        findings.mistake(&set.spot, expected, format_args!("{} of {}", set.record_type, set.owner));
    }
    if set.record_type != RecordType::DNAME {
        return;
    }
    if set.owner.is_wildcard() {
        let found = "DNAME at a wildcard, which redirects nothing for certain (RFC 6672 §3.3)";
        findings.mistake(&set.spot, "DNAME at a name without a wildcard", found);
    }
    if let Some((_, second)) = set.data.get(1) {
        let expected = format_args!("one DNAME of {} (RFC 6672 §2.4)", set.owner);
        findings.mistake(second, expected, "a second");
    }
}

/// A zone of its own below a DNAME of another would be hidden by it.
fn check_zone_above(contents: &Contents, zones: &Zones, findings: &Findings<'_>) {
    let above = contents.apex.parent().and_then(|above| zones.contents.get(zones.of(&above)?)?.as_ref());
    if let Some(dname) = above.and_then(|above| above.dname_above(&contents.apex)) {
        let expected = format_args!("no zone below {}, which this DNAME redirects", dname.owner);
        findings.mistake(&dname.spot, expected, format_args!("the zone {}", contents.apex));
    }
}

/// Below a delegation the zone says nothing but where the servers are.
fn check_under_cut(set: &Set, cut: &Set, glue: &HashSet<DomainName>, findings: &Findings<'_>) {
    let allowed = match set.record_type {
        RecordType::NS | RecordType::DS => set.owner == cut.owner,
        RecordType::A | RecordType::AAAA => glue.contains(&set.owner),
        _ => false,
    };
    if !allowed {
        let line = findings.line_seen(&cut.spot, &set.spot);
        let expected = format_args!(
            "only DS, and addresses of its name servers, at or below {}, delegated in line {line}",
            cut.owner
        );
        findings.mistake(&set.spot, expected, format_args!("{} of {}", set.record_type, set.owner));
    }
}

/// Servers that only this zone can find need their addresses in it.
fn check_delegation(
    set: &Set,
    contents: &Contents,
    belongs: impl Fn(&DomainName) -> bool,
    findings: &Findings<'_>,
) {
    for (name, spot) in set.names() {
        if !belongs(&name) {
            continue;
        }
        // Below another delegation its servers know the address.
        let elsewhere = contents.cut_above(&name).is_some_and(|cut| cut.owner != set.owner);
        if !elsewhere && !contents.has_address(&name) {
            let expected = format_args!("an A or AAAA record of {name} in this zone (glue)");
            findings.mistake(spot, expected, instead(contents, &name, spot, findings));
        }
    }
}

/// Delegations that lead to each other and have no addresses keep resolvers busy and nobody finds them
/// (TsuNAME): of each one server must be found by an address here, by another delegation, or elsewhere.
fn check_circles(contents: &Contents, belongs: impl Fn(&DomainName) -> bool, findings: &Findings<'_>) {
    let cuts: Vec<&Set> = contents.sets.iter().filter(|set| set.record_type == RecordType::NS).collect();
    let mut is_found = vec![false; cuts.len()];
    // By the delegation that leads to one of their servers.
    let mut waiting: HashMap<&DomainName, Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (at, set) in cuts.iter().enumerate() {
        for (name, _) in set.names() {
            match contents.cut_above(&name) {
                _ if !belongs(&name) || contents.has_address(&name) => found.push(at),
                Some(cut) => waiting.entry(&cut.owner).or_default().push(at),
                // What is missing there is reported as missing glue.
                None => found.push(at),
            }
        }
    }
    while let Some(at) = found.pop() {
        if let Some((is_found, set)) = is_found.get_mut(at).zip(cuts.get(at))
            && !std::mem::replace(is_found, true)
        {
            found.extend(waiting.remove(&set.owner).unwrap_or_default());
        }
    }
    let lost = cuts.iter().zip(is_found).filter(|(_, is_found)| !is_found).map(|(set, _)| set);
    for set in lost {
        // One within itself has missing glue, which is reported.
        let others = |name: DomainName| contents.cut_above(&name).is_some_and(|cut| cut.owner != set.owner);
        if set.names().any(|(name, _)| others(name)) {
            let expected = format_args!("a name server of {} that can be found", set.owner);
            findings.mistake(&set.spot, expected, "only such as need this delegation to be found");
        }
    }
}
