//! What a probe asks a name server, and what it wants of the answer.

use meridian_model::{Check, DnsCheck, DnsTransport, DomainName};
use schemars::{Schema, json_schema};
use serde_json::json;
use toml::de::DeValue;

use crate::findings::Spotted;
use crate::forms;
use crate::kinds::{At, Choice, Flag, List, Section, Text};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};
use crate::zones::{DOMAIN_NAME, RecordType, to_wire, type_names};

/// What most are asked for.
const RECORD_DEFAULT: u16 = RecordType::A.0;
/// As resolvers ask first.
const TRANSPORT_DEFAULT: DnsTransport = DnsTransport::Udp;
/// An answer, if only that there is no such record.
const RCODE_DEFAULT: u16 = 0;

/// Asked for to see that a zone is served; no zone's file may hold one here, so `zones` does not know it.
const SOA: u16 = 6;

const TRANSPORT: Choice<DnsTransport> = Choice(&[("udp", DnsTransport::Udp), ("tcp", DnsTransport::Tcp)]);

/// RCODEs that a question is answered with (RFC 1035 §4.1.1, RFC 2136 §2.2).
const RCODE: Choice<u16> = Choice(&[
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("NOTAUTH", 9),
]);

/// Record data in presentation form, which [`to_wire`] reads.
const DATA: Text =
    Text { what: "record data as a text", characters: limits::PROBE_TEXT_OCTETS, pattern: Text::FREE };

struct ExpectSpec {
    rcodes: Vec<u16>,
    answer: Vec<Box<[u8]>>,
    authoritative: Option<bool>,
}

/// Reads the keys of a `dns` probe.
pub(super) fn read(table: &mut Table<'_>) -> Option<Check> {
    let question = table.required("question", &DOMAIN_NAME);
    // Of a type that cannot be read the data cannot be either.
    let known = !table.has("record");
    let record_type = table.optional("record", &QuestionType);
    table.default("record", || Some(json!(RecordType(RECORD_DEFAULT).to_string())));
    let known = known || record_type.is_some();
    let record_type = record_type.unwrap_or(RECORD_DEFAULT);
    let transport = table.or("transport", TRANSPORT_DEFAULT, &TRANSPORT);
    let default = ExpectSpec { rcodes: vec![RCODE_DEFAULT], answer: Vec::new(), authoritative: None };
    let read = |table: &mut Table<'_>| read_expect(table, known.then_some(record_type));
    let expect = table.or("expect", default, &Section { header: "[probes.expect]", read });
    let ExpectSpec { rcodes, answer, authoritative } = expect;
    let check = DnsCheck { question: question?, record_type, transport, rcodes, answer, authoritative };
    Some(Check::Dns(Box::new(check)))
}

fn read_expect(table: &mut Table<'_>, record_type: Option<u16>) -> ExpectSpec {
    let rcodes = List { of: RCODE, what: "RCODEs", min: 1, max: limits::RCODES };
    let rcodes = table.or("rcode", vec![RCODE_DEFAULT], &rcodes);
    let data = List { of: At(DATA), what: "records", min: 1, max: limits::WANTED_RECORDS };
    let answer = match record_type {
        None => {
            table.known("answer");
            Vec::new()
        }
        Some(SOA) => {
            table.refused("answer", "no answer: the data of an SOA record changes with its zone");
            Vec::new()
        }
        Some(number) => {
            let list: Vec<Spotted<Box<str>>> = table.or("answer", Vec::new(), &data);
            list.iter().filter_map(|data| wire(table, RecordType(number), data)).collect()
        }
    };
    ExpectSpec { rcodes, answer, authoritative: table.optional("authoritative", &Flag) }
}

/// The data of one record; names in it are absolute.
fn wire(table: &Table<'_>, record_type: RecordType, data: &Spotted<Box<str>>) -> Option<Box<[u8]>> {
    match to_wire(record_type, &data.value, &DomainName::root()) {
        Ok(wire) => Some(wire),
        Err(wrong) => {
            table.findings.mistake(&data.spot, wrong.expected, wrong.found);
            None
        }
    }
}

/// The type of a question, by the name of a record type.
struct QuestionType;

impl Kind for QuestionType {
    type Value = u16;

    fn expected(&self) -> String {
        let mut names = type_names();
        names.extend(["SOA", "TYPE with a number"]);
        format!("the type of a question ({})", names.join(", "))
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<u16> {
        let DeValue::String(text) = cursor.value else { return cursor.wrong(self.expected()) };
        if text.eq_ignore_ascii_case("SOA") {
            return Some(SOA);
        }
        match RecordType::parse(text) {
            Ok(record_type) => Some(record_type.0),
            Err(_) => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "pattern": forms::RECORD_TYPE, "description": self.expected() })
    }
}
