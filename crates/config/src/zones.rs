//! `[[zones]]`: reading, and building with every check that needs more than one key.

mod contents;
mod file;
mod parameters;
mod presentation;
mod rdata;
mod records;
mod rules;
mod transfer;
mod types;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use meridian_model::{DomainName, Hostname, Soa, Transfer, Zone};
use schemars::{Schema, json_schema};
use toml::de::DeValue;

use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::issue::{any_of, quote};
use crate::keys::Keys;
use crate::kinds::{At, FilePath, List, Parsed, Sections, Whole};
use crate::limits;
use crate::reader::{Cursor, Kind, Many, Table};
use crate::schema::Given;

use contents::Contents;
pub(crate) use contents::{Set, absolute};
use file::Budget;
pub(crate) use rdata::to_wire;
use records::RecordSpec;
use transfer::{TransferSpec, TransferTable};
pub(crate) use types::{RecordType, type_names};

/// Seconds of the SOA and NS records: a day would outlive a mistake, an hour costs little.
const TTL_DEFAULT: u32 = 3600;
/// Seconds of negative answers: a name that appears should be seen within a minute.
const NEGATIVE_TTL_DEFAULT: u32 = 60;

/// A domain name; absolute with or without its final dot.
pub(crate) const DOMAIN_NAME: Parsed<DomainName> = Parsed {
    what: "a domain name",
    pattern: forms::NAME,
    parse: |text| DomainName::parse(text).map_err(|error| error.to_string()),
};

/// SOA timers for secondaries (RIPE-203), in seconds. Without zone transfer nobody acts on them.
const REFRESH: u32 = 86400;
const RETRY: u32 = 7200;
const EXPIRE: u32 = 3_600_000;

const HOSTMASTER: Parsed<DomainName> = Parsed {
    what: "a mailbox as a domain name",
    pattern: forms::NAME,
    parse: |text| {
        if text.contains('@') {
            return Err("write a dot for the @, as in hostmaster.example".into());
        }
        DomainName::parse(text).map_err(|error| error.to_string())
    },
};

/// A TTL in seconds.
pub(crate) const TTL: Whole<u32> = Whole { min: 0, max: limits::TTL_SECONDS, unit: "seconds" };

//----------- ZoneSpec -------------------------------------------------------

/// A zone as written.
pub(crate) struct ZoneSpec {
    name: Option<Spotted<DomainName>>,
    apex: ApexSpec,
    records: Vec<RecordSpec>,
    transfer: Option<TransferSpec>,
}

/// Where the SOA and the apex NS records come from.
enum ApexSpec {
    Keys(KeysSpec),
    /// From a zone file; `None` where an issue says why its path is none.
    File(Option<Spotted<PathBuf>>),
}

/// The keys of a zone without a file.
struct KeysSpec {
    nameservers: Option<Vec<Spotted<DomainName>>>,
    hostmaster: Option<DomainName>,
    ttl: u32,
    negative_ttl: u32,
    serial: Option<u32>,
}

/// Reads `[[zones]]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Many<ZoneSpec> {
    let read = |table: &mut Table<'_>| read_zone(table, file);
    root.many("zones", &Sections { header: "[[zones]]", min: 0, max: limits::ZONES, read })
}

fn read_zone(table: &mut Table<'_>, file: &Path) -> ZoneSpec {
    table.cases(|| vec![vec![Given::Present("file")], vec![Given::Absent("file")]]);
    let records = Sections { header: "[[zones.records]]", min: 0, max: limits::RECORDS, read: records::read };
    ZoneSpec {
        name: table.required("name", &At(DOMAIN_NAME)),
        apex: if table.has("file") { read_file(table, file) } else { read_keys(table) },
        records: table.many("records", &records).list,
        transfer: table.optional("transfer", &TransferTable),
    }
}

fn read_file(table: &mut Table<'_>, file: &Path) -> ApexSpec {
    for key in ["nameservers", "hostmaster", "ttl", "negative_ttl", "serial"] {
        table.refused(key, "no such key beside file, whose SOA and NS records say it");
    }
    ApexSpec::File(table.required("file", &At(FilePath { file, what: "the path of a zone file" })))
}

fn read_keys(table: &mut Table<'_>) -> ApexSpec {
    let nameservers =
        List { of: At(DOMAIN_NAME), what: "names of servers", min: 1, max: limits::NAMESERVERS };
    table.known("file");
    ApexSpec::Keys(KeysSpec {
        nameservers: table.required("nameservers", &nameservers),
        hostmaster: table.required("hostmaster", &HOSTMASTER),
        ttl: table.or("ttl", TTL_DEFAULT, &TTL),
        negative_ttl: table.or("negative_ttl", NEGATIVE_TTL_DEFAULT, &TTL),
        serial: table.optional("serial", &Whole { min: 0, max: u32::MAX, unit: "" }),
    })
}

/// What the zone must not hold at a name that a gateway steers.
const STEERED: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::CNAME];

impl KeysSpec {
    /// The SOA, and the TTL of the NS records, which go into the contents.
    fn build(self, apex: &DomainName, contents: &mut Contents) -> Option<(Soa, u32)> {
        let Self { nameservers, hostmaster, ttl, negative_ttl, serial } = self;
        contents.nameservers = nameservers.unwrap_or_default();
        let server = contents.nameservers.first().map_or(apex, |server| &server.value);
        let soa = Soa {
            ttl,
            server: server.to_wire(),
            hostmaster: hostmaster?.to_wire(),
            serial,
            refresh: REFRESH,
            retry: RETRY,
            expire: EXPIRE,
            negative_ttl,
        };
        Some((soa, ttl))
    }
}

//----------- Zones ----------------------------------------------------------

/// All zones, with what the checks of gateways need of them.
pub(crate) struct Zones {
    /// `None` where an issue says why.
    pub(crate) zones: Option<Vec<Zone>>,
    /// What is in each, in the same order; `None` for one without a name.
    contents: Vec<Option<Contents>>,
    by_name: HashMap<DomainName, usize>,
    /// The zone files and what they include.
    pub(crate) files: Vec<PathBuf>,
    budget: Budget,
    /// The zones that others lie within.
    parents: HashSet<DomainName>,
    /// Every zone has a name, so that a name outside all of them is outside for sure.
    complete: bool,
}

impl Zones {
    /// Builds every zone and checks it by itself and beside the others.
    pub(crate) fn build(
        specs: Many<ZoneSpec>,
        keys: &Keys,
        has_data_dir: bool,
        findings: &Findings<'_>,
    ) -> Self {
        let Many { list: specs, whole } = specs;
        let by_name = number_zones(&specs, findings);
        let complete = whole && specs.iter().all(|spec| spec.name.is_some());
        let mut all = Self {
            zones: None,
            contents: Vec::new(),
            parents: parents(&by_name),
            by_name,
            complete,
            budget: Budget::default(),
            files: Vec::new(),
        };
        let zones: Vec<Option<Zone>> = {
            let add = |spec: ZoneSpec| {
                all.add(spec, |transfer| transfer.build(keys, has_data_dir, findings), findings)
            };
            specs.into_iter().map(add).collect()
        };
        all.zones = zones.into_iter().collect();
        rules::check(&all, findings);
        all
    }

    fn add(
        &mut self,
        spec: ZoneSpec,
        transfer_of: impl Fn(TransferSpec) -> Transfer,
        findings: &Findings<'_>,
    ) -> Option<Zone> {
        let index = self.contents.len();
        let ZoneSpec { name, apex, records, transfer } = spec;
        let transfer = transfer.map(transfer_of);
        let Some(name) = name else {
            // Without its name nothing in it has an owner.
            self.contents.push(None);
            return None;
        };
        let mut contents = Contents::new(name.value.clone());
        let apex = match apex {
            ApexSpec::Keys(keys) => keys.build(&name.value, &mut contents),
            ApexSpec::File(file) => {
                file.and_then(|file| self.read_file(&file, index, &mut contents, findings))
            }
        };
        let ttl = apex.as_ref().map_or(TTL_DEFAULT, |(soa, _)| soa.ttl);
        for record in records {
            contents.add(record, ttl, |owner| self.of(owner) == Some(index), findings);
        }
        let records = contents.record_sets();
        let nameservers = contents.nameservers.iter().map(|server| server.value.clone()).collect();
        self.contents.push(Some(contents));
        let (soa, nameservers_ttl) = apex?;
        Some(Zone { name: name.value, soa, nameservers, nameservers_ttl, records, transfer })
    }

    /// Reads a zone file; gives back the SOA and the TTL of the apex NS records.
    fn read_file(
        &mut self,
        file: &Spotted<PathBuf>,
        index: usize,
        contents: &mut Contents,
        findings: &Findings<'_>,
    ) -> Option<(Soa, u32)> {
        let mut budget = std::mem::take(&mut self.budget);
        // Looked for by each owner of a million only where there is something to find.
        let alone = !self.parents.contains(&contents.apex);
        let belongs = |owner: &DomainName| alone || self.of(owner) == Some(index);
        let read = file::read(file, contents, &belongs, &mut budget, findings);
        self.budget = budget;
        self.files.extend(read.files);
        Some((read.soa?, read.nameservers_ttl?))
    }

    /// The zone that a name belongs to: of those it lies within, the one furthest down.
    pub(crate) fn of(&self, name: &DomainName) -> Option<usize> {
        let mut name = Some(name.clone());
        while let Some(candidate) = name {
            if let Some(index) = self.by_name.get(&candidate) {
                return Some(*index);
            }
            name = candidate.parent();
        }
        None
    }

    /// Checks that a hostname can be steered where it is: within a zone, above every delegation and
    /// without addresses of its own.
    pub(crate) fn check_hostname(
        &self,
        hostname: &Spotted<Hostname>,
        gateway: &str,
        findings: &Findings<'_>,
    ) {
        let Spotted { value: hostname, spot } = hostname;
        let Some(zone) = self.of(hostname.name()) else {
            if self.complete {
                let found = format_args!("{}, outside every zone", quote(&hostname.to_string()));
                findings.mistake(spot, self.expected_zone(), found);
            }
            return;
        };
        let Some(Some(contents)) = self.contents.get(zone) else { return };
        if let Some(cut) = contents.cut_above(hostname.name()) {
            let line = findings.line_seen(&cut.spot, spot);
            let expected = format_args!("a hostname above {}, delegated in line {line}", cut.owner);
            findings.mistake(spot, expected, quote(&hostname.to_string()));
        }
        // A wildcard is about the names below its suffix, which may have the DNAME.
        let lowest = match hostname {
            Hostname::Exact(name) => Some(name.clone()),
            Hostname::Wildcard(suffix) => suffix.wildcard(),
        };
        if let Some(dname) = lowest.and_then(|name| contents.dname_above(&name)) {
            let line = findings.line_seen(&dname.spot, spot);
            let expected = format_args!(
                "a hostname that is not below {}, redirected by the DNAME in line {line}",
                dname.owner
            );
            findings.mistake(spot, expected, quote(&hostname.to_string()));
        }
        for set in contents.at_hostname(hostname) {
            if STEERED.contains(&set.record_type) {
                let line = findings.line_seen(spot, &set.spot);
                let expected = format_args!("no {} record at a name that a gateway steers", set.record_type);
                let found = format_args!("{hostname}, a hostname of the gateway {gateway:?} (line {line})");
                findings.mistake(&set.spot, expected, found);
            }
        }
    }

    /// Checks that no records stand beside what a gateway makes of itself at its hostnames: HTTPS
    /// records, or a CNAME, which stands alone (RFC 2181 §10.1).
    pub(crate) fn check_alone(
        &self,
        hostnames: &[Spotted<Hostname>],
        https: bool,
        cname: bool,
        findings: &Findings<'_>,
    ) {
        for Spotted { value: hostname, spot } in hostnames.iter().filter(|_| https || cname) {
            let Some(Some(contents)) = self.of(hostname.name()).and_then(|zone| self.contents.get(zone))
            else {
                continue;
            };
            if cname && *hostname == Hostname::Exact(contents.apex.clone()) {
                let expected = "a hostname below the apex for answer = \"cname\": the apex has SOA and NS";
                findings.mistake(spot, expected, quote(&hostname.to_string()));
            }
            for set in contents.at_hostname(hostname) {
                // Those that no gateway has beside it are reported already, and so is a delegation.
                let reported = STEERED.contains(&set.record_type) || set.record_type == RecordType::NS;
                let beside_cname = cname && !reported;
                let expected = match set.record_type {
                    _ if beside_cname => {
                        "beside the CNAME of a gateway with answer = \"cname\" (RFC 2181 §10.1)"
                    }
                    RecordType::HTTPS if https => "at a name whose gateway makes its own, by its key https",
                    _ => continue,
                };
                let expected = format_args!("no {} record {expected}", set.record_type);
                let found =
                    format_args!("{hostname}, a hostname in line {}", findings.line_seen(spot, &set.spot));
                findings.mistake(&set.spot, expected, found);
            }
        }
    }

    /// The name that a name of ours is an alias of.
    pub(crate) fn alias_of(&self, name: &DomainName) -> Option<DomainName> {
        let contents = self.contents.get(self.of(name)?)?.as_ref()?;
        let alias = contents.alias(name)?;
        alias.names().next().map(|(target, _)| target)
    }

    /// The name of a zone by its number.
    pub(crate) fn apex(&self, zone: usize) -> Option<&DomainName> {
        self.contents.get(zone)?.as_ref().map(|contents| &contents.apex)
    }

    /// All RRsets but the SOA and NS records of the zones themselves.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &Set> {
        self.contents.iter().flatten().flat_map(|contents| &contents.sets)
    }

    fn expected_zone(&self) -> String {
        let zones = self.contents.iter().flatten();
        let names: Vec<&str> = zones.take(limits::LISTED_NAMES).map(|zone| zone.apex.as_str()).collect();
        match names.as_slice() {
            [] => "a hostname within a zone, and there is no [[zones]]".into(),
            names => format!("a hostname within a zone ({})", any_of(names)),
        }
    }
}

/// The zones that others lie within.
fn parents(by_name: &HashMap<DomainName, usize>) -> HashSet<DomainName> {
    let above = |name: &DomainName| std::iter::successors(name.parent(), DomainName::parent);
    by_name.keys().flat_map(above).filter(|name| by_name.contains_key(name)).collect()
}

/// The zones by name, reporting names that stand twice.
fn number_zones(specs: &[ZoneSpec], findings: &Findings<'_>) -> HashMap<DomainName, usize> {
    let mut by_name: HashMap<DomainName, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        let Some(name) = &spec.name else { continue };
        let first = *by_name.entry(name.value.clone()).or_insert(index);
        if let Some(first) = specs.get(first).and_then(|spec| spec.name.as_ref()).filter(|_| first != index) {
            let line = findings.line(&first.spot);
            let found = format_args!("{}: the zone in line {line} has it", quote(name.value.as_str()));
            findings.mistake(&name.spot, "a name that no other zone has", found);
        }
    }
    by_name
}

//----------- Data -----------------------------------------------------------

/// The data of a record: a list of texts.
pub(crate) struct Data;

impl Kind for Data {
    type Value = Spotted<Box<str>>;

    fn expected(&self) -> String {
        "record data as a text, such as \"192.0.2.1\" or \"10 mail.example.\"".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Self::Value> {
        match cursor.value {
            DeValue::String(text) => Some(Spotted { value: Box::from(&**text), spot: cursor.spot.clone() }),
            _ => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "description": self.expected() })
    }
}
