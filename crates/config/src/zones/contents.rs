//! What is in a zone beside its SOA and apex NS: entries gathered into RRsets.

use std::collections::HashMap;

use meridian_model::{DomainName, Hostname, RecordSet};

use super::presentation::{self, name_in};
use super::rdata;
use super::records::RecordSpec;
use super::types::RecordType;
use crate::findings::{Findings, Spot, Spotted};
use crate::issue::quote;

/// Records of a set up to which its doubles are looked for one by one: most sets have a few, and a table of
/// all takes as much memory again.
const SMALL_SET: usize = 16;

/// For messages.
pub(crate) const OWNER: &str = "a name: relative, \"@\", or absolute with a final dot";

/// The absolute form of a name: without a final dot it is relative to `origin` (RFC 1035 §5.1).
///
/// # Errors
/// Says what is wrong with the name.
pub(crate) fn absolute(text: &str, origin: &DomainName) -> Result<DomainName, String> {
    let wire = presentation::name(text, origin)?;
    DomainName::from_wire(&wire).ok_or_else(|| "no name".to_owned())
}

/// What is in a zone.
pub(crate) struct Contents {
    pub(crate) apex: DomainName,
    /// The NS records of the apex, whose TTL agrees.
    pub(crate) nameservers: Vec<Spotted<DomainName>>,
    pub(crate) sets: Vec<Set>,
    by_owner: HashMap<DomainName, Vec<usize>>,
    /// Where each record of the larger sets stands, to point at from its double.
    records: HashMap<(usize, Box<[u8]>), Spot>,
    /// Some name is delegated away.
    delegates: bool,
    /// Some name has a DNAME.
    redirects: bool,
}

/// What the records of an entry have in common.
pub(crate) struct Head {
    pub(crate) owner: DomainName,
    pub(crate) record_type: RecordType,
    pub(crate) ttl: Spotted<u32>,
    /// Where the owner stands.
    pub(crate) spot: Spot,
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
    pub(crate) fn new(apex: DomainName) -> Self {
        Self {
            apex,
            nameservers: Vec::new(),
            sets: Vec::new(),
            by_owner: HashMap::new(),
            records: HashMap::new(),
            delegates: false,
            redirects: false,
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
        let ttl = ttl.unwrap_or(Spotted { value: ttl_default, spot: spot.key("ttl") });
        let head = Head { owner, record_type: record_type.value, ttl, spot: name.spot };
        if record_type.value == RecordType::NS && !self.may_delegate(&head, &record_type.spot, findings) {
            return;
        }
        self.put(head, data, findings);
    }

    /// Adds records whose owner lies in this zone; `None` after reporting that one is there already.
    pub(crate) fn put(
        &mut self,
        head: Head,
        data: impl IntoIterator<Item = (Box<[u8]>, Spot)>,
        findings: &Findings<'_>,
    ) -> Option<()> {
        let index = self.set(head, findings);
        let mut all = Some(());
        for (wire, spot) in data {
            all = self.add_record(index, wire, spot, findings).and(all);
        }
        all
    }

    /// The absolute owner of an entry (RFC 1035 §5.1).
    fn owner(
        &self,
        name: &Spotted<Box<str>>,
        belongs: impl Fn(&DomainName) -> bool,
        findings: &Findings<'_>,
    ) -> Option<DomainName> {
        let text = &*name.value;
        let owner = match absolute(text, &self.apex) {
            Ok(owner) => owner,
            Err(error) => {
                findings.mistake(&name.spot, OWNER, format_args!("{}: {error}", quote(text)));
                return None;
            }
        };
        self.check_within(&owner, text, &name.spot, findings)?;
        if !belongs(&owner) {
            let expected = format_args!("a name of the zone {}", self.apex);
            let found = format_args!("{}: {owner} belongs to a zone of its own", quote(text));
            findings.mistake(&name.spot, expected, found);
            return None;
        }
        if let Some(doubt) = owner_doubt(text, &owner, &self.apex) {
            findings.warn(&name.spot, doubt);
        }
        Some(owner)
    }

    /// `None` after reporting that an owner lies outside.
    pub(crate) fn check_within(
        &self,
        owner: &DomainName,
        text: &str,
        spot: &Spot,
        findings: &Findings<'_>,
    ) -> Option<()> {
        if owner.is_within(&self.apex) {
            return Some(());
        }
        let expected = format_args!("a name within the zone {}", self.apex);
        findings.mistake(spot, expected, format_args!("{}: outside the zone", quote(text)));
        None
    }

    /// Whether NS records may stand at a name, or a report at `spot` that they may not.
    pub(crate) fn may_delegate(&self, head: &Head, spot: &Spot, findings: &Findings<'_>) -> bool {
        let reason = if head.owner == self.apex {
            "NS at the apex: name the zone's servers in its nameservers, or in its file"
        } else if head.owner.is_wildcard() {
            "NS at a wildcard, which delegates nothing (RFC 4592 §4.2)"
        } else {
            return true;
        };
        findings.mistake(spot, "NS at a name below the apex", reason);
        false
    }

    /// The number of the RRset, made at its first entry. All entries agree on the TTL.
    fn set(&mut self, head: Head, findings: &Findings<'_>) -> usize {
        let Head { owner, record_type, ttl, spot } = head;
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
        self.redirects |= record_type == RecordType::DNAME;
        indices.push(index);
        self.sets.push(Set { owner, record_type, ttl: ttl.value, spot, data: Vec::new() });
        index
    }

    fn add_record(
        &mut self,
        index: usize,
        wire: Box<[u8]>,
        spot: Spot,
        findings: &Findings<'_>,
    ) -> Option<()> {
        let set = self.sets.get_mut(index)?;
        let is_small = set.data.len() < SMALL_SET;
        let first = match is_small {
            true => set.data.iter().find(|(other, _)| *other == wire).map(|(_, first)| first),
            false => self.records.get(&(index, wire.clone())),
        };
        if let Some(first) = first {
            let line = findings.line_seen(first, &spot);
            let found = format_args!("a record of {} that line {line} has already", set.owner);
            findings.mistake(&spot, "each record once", found);
            return None;
        }
        set.data.push((wire.clone(), spot.clone()));
        if set.data.len() == SMALL_SET {
            let all = set.data.iter().map(|(wire, spot)| ((index, wire.clone()), spot.clone()));
            self.records.extend(all);
        } else if !is_small {
            self.records.insert((index, wire), spot);
        }
        Some(())
    }

    /// The sets of a name.
    pub(crate) fn at(&self, owner: &DomainName) -> impl Iterator<Item = &Set> {
        self.by_owner.get(owner).into_iter().flatten().filter_map(|index| self.sets.get(*index))
    }

    /// The sets that stand at a hostname itself.
    pub(crate) fn at_hostname(&self, hostname: &Hostname) -> impl Iterator<Item = &Set> {
        let owner = match hostname {
            Hostname::Exact(name) => Some(name.clone()),
            Hostname::Wildcard(suffix) => suffix.wildcard(),
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

    /// The CNAME of a name.
    pub(crate) fn alias(&self, owner: &DomainName) -> Option<&Set> {
        self.at(owner).find(|set| set.record_type == RecordType::CNAME)
    }

    /// The DNAME that a name lies below, of which there is the one furthest up (RFC 6672 §2.3).
    pub(crate) fn dname_above(&self, name: &DomainName) -> Option<&Set> {
        let mut highest = None;
        let mut name = if self.redirects && *name != self.apex { name.parent() } else { None };
        while let Some(candidate) = name.filter(|name| name.is_within(&self.apex)) {
            highest = self.at(&candidate).find(|set| set.record_type == RecordType::DNAME).or(highest);
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

/// What is allowed of an owner and hardly meant.
pub(crate) fn owner_doubt(text: &str, owner: &DomainName, origin: &DomainName) -> Option<String> {
    let starred = owner.labels().skip(usize::from(owner.is_wildcard())).any(|label| label.contains('*'));
    let starred = starred.then(|| {
        format!("{}: a \"*\" covers other names only as the whole first label (RFC 4592 §2.1.1)", quote(text))
    });
    starred.or_else(|| doubled_origin(text, origin))
}

/// The commonest slip in zones: an absolute name without its final dot.
pub(crate) fn doubled_origin(name: &str, origin: &DomainName) -> Option<String> {
    let length = name.len().checked_sub(origin.as_str().len()).filter(|_| !origin.is_root())?;
    let (front, back) = name.split_at_checked(length)?;
    if !back.eq_ignore_ascii_case(origin.as_str()) {
        return None;
    }
    let doubled = front.is_empty() || front.ends_with('.');
    doubled.then(|| format!("{} means {name}.{origin}; is its final dot missing?", quote(name)))
}
