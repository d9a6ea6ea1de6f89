//! Records: owner, TTL, class, type and data (RFC 1035 §5.1).

use meridian_model::DomainName;

use super::lexer::LineColumn;
use super::{Owner, Reader, Scope, Words, spot, ttl};
use crate::findings::{Spot, Spotted};
use crate::issue::quote;
use crate::limits;
use crate::zones::contents::{Head, OWNER, absolute, owner_doubt};
use crate::zones::presentation::{Token, name_in};
use crate::zones::rdata::{self, Wrong};
use crate::zones::types::{RecordType, parse_number, type_names};

/// What stands before the data of a record.
struct Front {
    ttl: Option<Spotted<u32>>,
    record_type: Spotted<Kind>,
}

/// A type that a zone file may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Which only a file has.
    Soa,
    Other(RecordType),
}

impl Reader<'_, '_> {
    /// A record; `None` where nothing more of the zone is read. `continues`: its owner is the last one's.
    pub(super) fn record(
        &mut self,
        mut words: Words<'_, '_>,
        continues: bool,
        scope: &mut Scope,
    ) -> Option<()> {
        let (_, place) = words.first()?;
        let Some(left) = self.budget.records.checked_sub(1) else {
            let expected = format!("at most {} records in all zone files", limits::ZONE_FILES_RECORDS);
            self.mistake(scope, place, &self.paths.syntax, expected, "one more");
            self.whole = false;
            return None;
        };
        self.budget.records = left;
        if !continues {
            let (word, at) = words.take()?;
            scope.owner = self.owner(word, at, scope).map_or(Owner::Unreadable, Owner::Name);
        } else if matches!(scope.owner, Owner::None) {
            let expected = "the owner of the first record of a file";
            self.mistake(scope, place, &self.paths.name, expected, "a space");
            scope.owner = Owner::Unreadable;
        }
        if self.parts(words, place, scope).is_none() {
            self.whole = false;
        }
        Some(())
    }

    /// All of a record behind its owner; `None` after reporting what is wrong with it.
    fn parts(&mut self, mut words: Words<'_, '_>, owner_at: LineColumn, scope: &mut Scope) -> Option<()> {
        let front = self.front(&mut words, owner_at, scope)?;
        let Spotted { value: kind, spot: type_spot } = front.record_type;
        let ttl = front.ttl.or_else(|| self.inherited_ttl(&type_spot, scope));
        let data_at =
            words.first().map_or(type_spot.clone(), |(_, at)| spot(scope.file, at, &self.paths.data));
        let data_spot = Spot { place: data_at.place, path: self.paths.data.clone() };
        let owner = match &scope.owner {
            Owner::Name(owner) => Some(owner.clone()),
            Owner::None | Owner::Unreadable => None,
        };
        let record_type = match kind {
            Kind::Soa => {
                self.soa_spot.get_or_insert(type_spot.clone());
                return self.soa(words, &data_spot, &type_spot, (owner?, ttl?.value), scope);
            }
            Kind::Other(record_type) => record_type,
        };
        let wire = self.data(record_type, words, &data_spot, scope)?;
        let head = Head {
            owner: owner?,
            record_type,
            ttl: ttl?,
            spot: spot(scope.file, owner_at, &self.paths.name),
        };
        self.put(head, wire, data_spot, type_spot)
    }

    /// Where a record goes: into the contents, or to the name servers of the zone.
    fn put(&mut self, head: Head, wire: Box<[u8]>, data_spot: Spot, type_spot: Spot) -> Option<()> {
        if !(self.belongs)(&head.owner) {
            return self.below_another(&head);
        }
        if head.record_type != RecordType::NS {
            return self.contents.put(head, [(wire, data_spot)], self.findings);
        }
        if head.owner == self.contents.apex {
            return self.nameserver(head, &wire, data_spot);
        }
        let may = self.contents.may_delegate(&head, &type_spot, self.findings);
        may.then_some(()).and_then(|()| self.contents.put(head, [(wire, data_spot)], self.findings))
    }

    /// A record of a name that lies in another zone of this server. What delegates that zone stands
    /// here too, and is true; the answer is the other zone's.
    fn below_another(&self, head: &Head) -> Option<()> {
        let delegates = [RecordType::NS, RecordType::A, RecordType::AAAA].contains(&head.record_type);
        if !delegates {
            let expected = format_args!("a name of the zone {}", self.contents.apex);
            let found = format_args!("{}, which belongs to a zone of its own", head.owner);
            self.findings.mistake(&head.spot, expected, found);
        }
        Some(())
    }

    /// An NS record of the apex.
    fn nameserver(&mut self, head: Head, wire: &[u8], spot: Spot) -> Option<()> {
        let first = self.nameservers_ttl.get_or_insert_with(|| head.ttl.clone());
        if first.value != head.ttl.value {
            let line = self.findings.line_seen(&first.spot, &head.ttl.spot);
            let expected = format!(
                "the ttl {} of the NS records of {} in line {line} (RFC 2181 §5.2)",
                first.value, head.owner
            );
            self.findings.mistake(&head.ttl.spot, expected, head.ttl.value);
        }
        if self.contents.nameservers.len() == limits::NAMESERVERS {
            let expected = format!("at most {} NS records of {}", limits::NAMESERVERS, head.owner);
            self.findings.mistake(&spot, expected, "one more");
            return None;
        }
        let Some(name) = name_in(wire).filter(|name| DomainName::parse(name.as_str()).is_ok()) else {
            let expected = "the name of a server, of letters, digits and hyphens";
            self.findings.mistake(&spot, expected, "other characters");
            return None;
        };
        self.contents.nameservers.push(Spotted { value: name, spot });
        Some(())
    }

    //--- Parts

    /// The owner of a record within the zone.
    fn owner(&mut self, word: Token<'_>, at: LineColumn, scope: &Scope) -> Option<DomainName> {
        let Token { text, quoted } = word;
        let spot = spot(scope.file, at, &self.paths.name);
        let parsed = match quoted {
            true => Err("names stand without quotes".to_owned()),
            false => absolute(text, &scope.origin),
        };
        let owner = match parsed {
            Ok(owner) => owner,
            Err(reason) => {
                self.findings.mistake(&spot, OWNER, format_args!("{}: {reason}", quote(text)));
                return None;
            }
        };
        self.contents.check_within(&owner, text, &spot, self.findings)?;
        if let Some(doubt) = owner_doubt(text, &owner, &scope.origin) {
            self.findings.warn(&spot, doubt);
        }
        Some(owner)
    }

    /// TTL and class in either order, then the type.
    fn front(&mut self, words: &mut Words<'_, '_>, owner_at: LineColumn, scope: &mut Scope) -> Option<Front> {
        let (mut ttl, mut class) = (None, false);
        let mut readable = true;
        loop {
            let Some((Token { text, quoted }, at)) = words.take() else {
                self.mistake(
                    scope,
                    owner_at,
                    &self.paths.record_type,
                    "a type and data",
                    "the end of the record",
                );
                return None;
            };
            if !quoted && ttl.is_none() && text.starts_with(|c: char| c.is_ascii_digit()) {
                let seconds = ttl::parse(text);
                if seconds.is_none() {
                    self.mistake(scope, at, &self.paths.ttl, ttl::EXPECTED, quote(text));
                    readable = false;
                }
                ttl = Some(Spotted {
                    value: seconds.unwrap_or(0),
                    spot: spot(scope.file, at, &self.paths.ttl),
                });
                scope.last_ttl = seconds.or(scope.last_ttl);
            } else if let Some(number) = class_number(text).filter(|_| !quoted && !class) {
                class = true;
                if number != CLASS_IN {
                    self.mistake(scope, at, &self.paths.class, "the class IN", quote(text));
                    readable = false;
                }
            } else {
                let value = self.record_type(text, quoted, at, scope)?;
                let record_type = Spotted { value, spot: spot(scope.file, at, &self.paths.record_type) };
                return readable.then_some(Front { ttl, record_type });
            }
        }
    }

    fn record_type(&self, text: &str, quoted: bool, at: LineColumn, scope: &Scope) -> Option<Kind> {
        if !quoted && ["SOA", "TYPE6"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
            return Some(Kind::Soa);
        }
        let parsed = if quoted { Err(String::new()) } else { RecordType::parse(text) };
        let (expected, found) = match parsed {
            Ok(record_type) => return Some(Kind::Other(record_type)),
            Err(reason) if reason.is_empty() => {
                let names = type_names().join(", ");
                (format!("a record type (SOA, {names}, TYPE with a number)"), quote(text))
            }
            Err(reason) => {
                ("a record type that a zone here may hold".into(), format!("{}: {reason}", quote(text)))
            }
        };
        self.mistake(scope, at, &self.paths.record_type, expected, found);
        None
    }

    /// The TTL of a record that has none of its own.
    fn inherited_ttl(&self, type_spot: &Spot, scope: &Scope) -> Option<Spotted<u32>> {
        let spot = Spot { place: type_spot.place, path: self.paths.ttl.clone() };
        match scope.ttl.or(scope.last_ttl) {
            Some(value) => Some(Spotted { value, spot }),
            None => {
                self.findings.mistake(&spot, "a TTL here, or $TTL above (RFC 2308 §4)", "neither");
                None
            }
        }
    }

    fn data(
        &self,
        record_type: RecordType,
        words: Words<'_, '_>,
        spot: &Spot,
        scope: &Scope,
    ) -> Option<Box<[u8]>> {
        match rdata::tokens_to_wire(record_type, words.words, &scope.origin) {
            Ok(wire) => {
                if let Some(doubt) = rdata::doubt_in(record_type, words.words, &scope.origin) {
                    self.findings.warn(spot, doubt);
                }
                Some(wire)
            }
            Err(Wrong { expected, found }) => {
                self.findings.mistake(spot, expected, found);
                None
            }
        }
    }
}

const CLASS_IN: u16 = 1;

/// The number of a class (RFC 1035 §3.2.4, RFC 3597 §5); `None` for what is no class.
fn class_number(text: &str) -> Option<u16> {
    const NAMES: [(&str, u16); 4] = [("IN", CLASS_IN), ("CS", 2), ("CH", 3), ("HS", 4)];
    let named = NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
    let generic = || {
        let front = text.get(..5).filter(|front| front.eq_ignore_ascii_case("CLASS"))?;
        text.get(front.len()..).filter(|digits| !digits.is_empty()).and_then(parse_number)
    };
    named.or_else(generic)
}
