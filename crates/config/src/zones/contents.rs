//! What is in a zone beside its SOA and apex NS: entries gathered into RRsets.

use std::collections::HashMap;

use meridian_model::{DomainName, Hostname, RecordSet};

use super::presentation::name_in;
use super::rdata;
use super::records::RecordSpec;
use super::types::RecordType;
use crate::findings::{Findings, Spot, Spotted};
use crate::issue::quote;

/// What is in a zone.
pub(crate) struct Contents {
    pub(crate) apex: DomainName,
    pub(crate) nameservers: Vec<Spotted<DomainName>>,
    pub(crate) sets: Vec<Set>,
    by_owner: HashMap<DomainName, Vec<usize>>,
    /// Where each record stands, to point at from its double.
    records: HashMap<(usize, Box<[u8]>), Spot>,
    /// Some name is delegated away.
    delegates: bool,
}

/// The records of one owner and type, gathered from one entry or more.
pub(crate) struct Set {
    pub(crate) owner: DomainName,
    pub(crate) record_type: RecordType,
    ttl: u32,
    /// Its owner's name in the first entry.
    pub(crate) spot: Spot,
    /// The records with the places of their data.
    pub(crate) data: Vec<(Box<[u8]>, Spot)>,
}

impl Set {
    /// The names of its records, for a type whose data begins with one.
    pub(crate) fn names(&self) -> impl Iterator<Item = (DomainName, &Spot)> {
        self.data.iter().filter_map(|(wire, spot)| Some((name_in(wire)?, spot)))
    }
}

impl Contents {
    pub(crate) fn new(apex: DomainName, nameservers: Vec<Spotted<DomainName>>) -> Self {
        Self {
            apex,
            nameservers,
            sets: Vec::new(),
            by_owner: HashMap::new(),
            records: HashMap::new(),
            delegates: false,
        }
    }

    /// Adds an entry, as far as its parts were readable. `belongs` tells whether an owner belongs
    /// to this zone rather than to one below it.
    pub(crate) fn add(
        &mut self,
        spec: RecordSpec,
        ttl_default: u32,
        belongs: impl Fn(&DomainName) -> bool,
        findings: &Findings<'_>,
    ) {
        let RecordSpec { spot, name, record_type, ttl, data } = spec;
        let Some(record_type) = record_type else { return };
        let data = read_data(record_type.value, data, &self.apex, findings);
        let Some(name) = name else { return };
        let Some(owner) = self.owner(&name, belongs, findings) else { return };
        if record_type.value == RecordType::NS && !self.may_delegate(&owner, &record_type.spot, findings) {
            return;
        }
        let ttl = ttl.unwrap_or(Spotted { value: ttl_default, spot: spot.key("ttl") });
        let index = self.set(owner, record_type.value, &ttl, &name.spot, findings);
        for (wire, spot) in data {
            self.add_record(index, wire, spot, findings);
        }
    }

    /// The absolute owner of an entry (RFC 1035 §5.1).
    fn owner(
        &self,
        name: &Spotted<Box<str>>,
        belongs: impl Fn(&DomainName) -> bool,
        findings: &Findings<'_>,
    ) -> Option<DomainName> {
        let text = &*name.value;
        let owner = match text {
            "@" => Ok(self.apex.clone()),
            _ if text.ends_with('.') => DomainName::parse(text),
            _ => self.apex.prepend(text),
        };
        let wrong = |expected: &dyn std::fmt::Display, reason: &dyn std::fmt::Display| {
            findings.mistake(&name.spot, expected, format_args!("{}: {reason}", quote(text)));
            None
        };
        let expected = "a name: relative, \"@\", or absolute with a final dot";
        let owner = match owner {
            Ok(owner) => owner,
            Err(error) => return wrong(&expected, &error),
        };
        if !owner.is_within(&self.apex) {
            return wrong(&format_args!("a name within the zone {}", self.apex), &"outside the zone");
        }
        if !belongs(&owner) {
            return wrong(
                &format_args!("a name of the zone {}", self.apex),
                &format_args!("{owner} belongs to a zone of its own"),
            );
        }
        if let Some(doubt) = doubled_origin(text, &self.apex) {
            findings.warn(&name.spot, doubt);
        }
        Some(owner)
    }

    fn may_delegate(&self, owner: &DomainName, spot: &Spot, findings: &Findings<'_>) -> bool {
        let reason = if *owner == self.apex {
            "NS at the apex: name the zone's servers in its nameservers"
        } else if owner.as_str().starts_with('*') {
            "NS at a wildcard, which delegates nothing (RFC 4592 §4.2)"
        } else {
            return true;
        };
        findings.mistake(spot, "NS at a name below the apex", reason);
        false
    }

    /// The number of the RRset, made at its first entry. All entries agree on the TTL.
    fn set(
        &mut self,
        owner: DomainName,
        record_type: RecordType,
        ttl: &Spotted<u32>,
        spot: &Spot,
        findings: &Findings<'_>,
    ) -> usize {
        let indices = self.by_owner.entry(owner.clone()).or_default();
        let present =
            |index: &&usize| self.sets.get(**index).is_some_and(|set| set.record_type == record_type);
        if let Some(index) = indices.iter().find(present).copied() {
            if let Some(first) = self.sets.get(index).filter(|first| first.ttl != ttl.value) {
                let expected = format!(
                    "the ttl {} of the {record_type} records of {owner} in line {} (RFC 2181 §5.2)",
                    first.ttl,
                    findings.line_seen(&first.spot, &ttl.spot),
                );
                findings.mistake(&ttl.spot, expected, ttl.value);
            }
            return index;
        }
        let index = self.sets.len();
        self.delegates |= record_type == RecordType::NS;
        indices.push(index);
        self.sets.push(Set { owner, record_type, ttl: ttl.value, spot: spot.clone(), data: Vec::new() });
        index
    }

    fn add_record(&mut self, index: usize, wire: Box<[u8]>, spot: Spot, findings: &Findings<'_>) {
        let Some(set) = self.sets.get_mut(index) else { return };
        if let Some(first) = self.records.get(&(index, wire.clone())) {
            let line = findings.line_seen(first, &spot);
            let found = format_args!("a record of {} that line {line} has already", set.owner);
            findings.mistake(&spot, "each record once", found);
            return;
        }
        self.records.insert((index, wire.clone()), spot.clone());
        set.data.push((wire, spot));
    }

    /// The sets of a name.
    pub(crate) fn at(&self, owner: &DomainName) -> impl Iterator<Item = &Set> {
        self.by_owner.get(owner).into_iter().flatten().filter_map(|index| self.sets.get(*index))
    }

    /// The sets that stand at a hostname itself.
    pub(crate) fn at_hostname(&self, hostname: &Hostname) -> impl Iterator<Item = &Set> {
        let owner = match hostname {
            Hostname::Exact(name) => Some(name.clone()),
            Hostname::Wildcard(suffix) => suffix.prepend("*").ok(),
        };
        let indices = owner.and_then(|owner| self.by_owner.get(&owner)).into_iter().flatten();
        indices.filter_map(|index| self.sets.get(*index))
    }

    /// The NS set of a name that is delegated away.
    pub(crate) fn cut(&self, owner: &DomainName) -> Option<&Set> {
        self.at(owner).find(|set| set.record_type == RecordType::NS)
    }

    /// The delegation that a name lies at or below: the one furthest up, where a server stops.
    pub(crate) fn cut_above(&self, name: &DomainName) -> Option<&Set> {
        let mut highest = None;
        let mut name = self.delegates.then(|| name.clone());
        while let Some(candidate) = name.filter(|name| *name != self.apex) {
            highest = self.cut(&candidate).or(highest);
            name = candidate.parent();
        }
        highest
    }

    /// Whether the zone holds an address of a name.
    pub(crate) fn has_address(&self, owner: &DomainName) -> bool {
        self.at(owner).any(|set| matches!(set.record_type, RecordType::A | RecordType::AAAA))
    }

    /// The RRsets as a catalog holds them; those that lost every record to an issue are left out.
    pub(crate) fn record_sets(&self) -> Vec<RecordSet> {
        let full = self.sets.iter().filter(|set| !set.data.is_empty());
        full.map(|set| RecordSet {
            owner: set.owner.clone(),
            record_type: set.record_type.0,
            ttl: set.ttl,
            data: set.data.iter().map(|(wire, _)| wire.clone()).collect(),
        })
        .collect()
    }
}

//----------- Data -----------------------------------------------------------

fn read_data(
    record_type: RecordType,
    data: Vec<Spotted<Box<str>>>,
    apex: &DomainName,
    findings: &Findings<'_>,
) -> Vec<(Box<[u8]>, Spot)> {
    let mut read = Vec::with_capacity(data.len());
    for Spotted { value: text, spot } in data {
        match rdata::to_wire(record_type, &text, apex) {
            Ok(wire) => {
                if let Some(doubt) = rdata::doubt(record_type, &text, apex) {
                    findings.warn(&spot, doubt);
                }
                read.push((wire, spot));
            }
            Err(rdata::Wrong { expected, found }) => findings.mistake(&spot, expected, found),
        }
    }
    read
}

/// The commonest slip in zones: an absolute name without its final dot.
pub(crate) fn doubled_origin(name: &str, origin: &DomainName) -> Option<String> {
    let front = name.to_ascii_lowercase();
    let front = front.strip_suffix(origin.as_str()).filter(|_| !origin.is_root())?;
    let doubled = front.is_empty() || front.ends_with('.');
    doubled.then(|| format!("{} means {name}.{origin}; is its final dot missing?", quote(name)))
}
