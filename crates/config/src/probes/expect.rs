//! What a probe wants of what comes back.

use std::rc::Rc;

use meridian_model::TextMatch;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::findings::{Spot, Step};
use crate::forms;
use crate::issue::quote;
use crate::kinds::{List, Parsed, Section, Text, Whole};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};
use crate::schema::Given;

/// Any success (RFC 9110 §15.3).
const STATUS_DEFAULT: (u16, u16) = (200, 299);
/// No certificate is too near its end.
const CERTIFICATE_DAYS_DEFAULT: u32 = 0;

const CERTIFICATE_DAYS: Whole<u32> = Whole { min: 0, max: limits::CERTIFICATE_DAYS, unit: "days" };

const TEXT: Text = Text { what: "a text", characters: limits::PROBE_TEXT_OCTETS, pattern: Text::FREE };
const FIELD_NAME: Parsed<Box<str>> = Parsed {
    what: "the name of a header field, such as \"content-type\"",
    pattern: forms::TOKEN,
    parse: parse_field_name,
};
const REGEX: Parsed<Box<str>> =
    Parsed { what: "a regular expression", pattern: forms::ANY, parse: parse_regex };

/// A header field with what its value must have, if anything.
type Field = (Box<str>, Option<TextMatch>);

/// What is wanted, with its defaults.
pub(super) struct ExpectSpec {
    pub(super) status: Vec<(u16, u16)>,
    pub(super) body: Option<TextMatch>,
    pub(super) headers: Vec<Field>,
    pub(super) certificate_days: u32,
}

/// Of which kind of HTTP probe.
#[derive(Clone, Copy)]
pub(super) struct OfHttp {
    pub(super) over_tls: bool,
}

/// Reads `expect` of an HTTP probe.
pub(super) fn read(table: &mut Table<'_>, of: OfHttp) -> ExpectSpec {
    let default = || ExpectSpec {
        status: vec![STATUS_DEFAULT],
        body: None,
        headers: Vec::new(),
        certificate_days: CERTIFICATE_DAYS_DEFAULT,
    };
    let read = |table: &mut Table<'_>| {
        let status = List { of: Status, what: "status codes or ranges", min: 1, max: limits::STATUSES };
        let body = Section { header: "[probes.expect.body]", read: |table: &mut Table<'_>| text(table) };
        let field = Section { header: "[[probes.expect.header]]", read: read_field };
        let fields = List { of: field, what: "header fields", min: 0, max: limits::FIELDS };
        let days = certificate_days(table, of.over_tls);
        ExpectSpec {
            status: table.or("status", vec![STATUS_DEFAULT], &status),
            body: table.optional("body", &body).flatten(),
            headers: table.or("header", Vec::new(), &fields).into_iter().flatten().collect(),
            certificate_days: days,
        }
    };
    table.optional("expect", &Section { header: "[probes.expect]", read }).unwrap_or_else(default)
}

/// Reads `certificate_days`, which only a probe over TLS has.
pub(super) fn certificate_days(table: &mut Table<'_>, over_tls: bool) -> u32 {
    if over_tls {
        return table.or("certificate_days", CERTIFICATE_DAYS_DEFAULT, &CERTIFICATE_DAYS);
    }
    table.refused("certificate_days", "no certificate_days: without TLS there is no certificate");
    CERTIFICATE_DAYS_DEFAULT
}

/// Reads `contains` or `regex`, one of which must be there.
pub(super) fn text(table: &mut Table<'_>) -> Option<TextMatch> {
    table.any_of(&["contains", "regex"], "a text, or regex in its place");
    optional_text(table)
}

fn optional_text(table: &mut Table<'_>) -> Option<TextMatch> {
    table.cases(|| vec![vec![Given::Present("contains")]]);
    if table.has("contains") {
        table.refused("regex", "contains or regex, not both");
        return table.optional("contains", &TEXT).map(TextMatch::Contains);
    }
    table.known("contains");
    table.optional("regex", &REGEX).map(TextMatch::Regex)
}

fn read_field(table: &mut Table<'_>) -> Option<Field> {
    let name = table.required("name", &FIELD_NAME);
    let value = optional_text(table);
    Some((name?, value))
}

//----------- Kinds ----------------------------------------------------------

/// The fields that a request has beside its own, by name.
pub(super) struct Headers;

impl Kind for Headers {
    type Value = Vec<(Box<str>, Box<str>)>;

    fn expected(&self) -> String {
        format!("a table of at most {} header fields, headers = {{ \"x-probe\" = \"1\" }}", limits::FIELDS)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Self::Value> {
        /// What the probe itself says of a request.
        const OWN: [&str; 6] = ["host", "connection", "content-length", "transfer-encoding", "te", "upgrade"];
        let DeValue::Table(entries) = cursor.value else { return cursor.wrong(self.expected()) };
        if entries.len() > limits::FIELDS {
            return cursor.wrong(self.expected());
        }
        let mut fields = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name: &str = key.get_ref();
            let path = cursor.spot.path.child(Step::Name(Rc::from(name)));
            let at = |offset| Cursor {
                value: value.get_ref(),
                spot: Spot::here(offset, path.clone()),
                findings: cursor.findings,
            };
            let of_name = at(key.span().start);
            let name = match parse_field_name(name) {
                Ok(name) if !OWN.contains(&&*name.to_ascii_lowercase()) => name,
                Ok(name) => {
                    let expected = "a header field that the probe does not set itself";
                    cursor.findings.mistake(&of_name.spot, expected, quote(&name));
                    continue;
                }
                Err(reason) => {
                    let found = format_args!("{}: {reason}", quote(name));
                    cursor.findings.mistake(&of_name.spot, FIELD_NAME.what, found);
                    continue;
                }
            };
            let offset = value.span().start;
            if let Some(text) = TEXT.read(&at(offset)) {
                fields.push((offset, name, text));
            }
        }
        // In the order of the file.
        fields.sort_by_key(|(offset, ..)| *offset);
        Some(fields.into_iter().map(|(_, name, text)| (name, text)).collect())
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "type": "object", "propertyNames": FIELD_NAME.schema(), "additionalProperties": TEXT.schema(),
            "maxProperties": limits::FIELDS, "description": self.expected(),
        })
    }
}

/// A status code, or a range of them in quotes.
struct Status;

impl Kind for Status {
    type Value = (u16, u16);

    fn expected(&self) -> String {
        "a status code from 100 to 599, or a range as \"200-299\"".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<(u16, u16)> {
        let code = |text: &str| text.parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        let range = match cursor.value {
            DeValue::Integer(number) => code(number.as_str()).map(|code| (code, code)),
            DeValue::String(text) => text
                .split_once('-')
                .and_then(|(first, last)| Some((code(first.trim())?, code(last.trim())?)))
                .filter(|(first, last)| first <= last),
            _ => None,
        };
        range.or_else(|| cursor.wrong(self.expected()))
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": forms::STATUSES },
            ],
            "description": self.expected(),
        })
    }

    fn written(&self, (first, last): &(u16, u16)) -> Option<Value> {
        Some(json!(format!("{first}-{last}")))
    }
}

/// A token (RFC 9110 §5.6.2).
fn parse_field_name(text: &str) -> Result<Box<str>, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || text.len() > limits::FIELD_NAME_OCTETS {
        return Err(format!("1 to {} characters", limits::FIELD_NAME_OCTETS));
    }
    match text.chars().find(|c| !is_token(*c)) {
        None => Ok(text.into()),
        Some(character) => Err(format!("the character {character:?} cannot be in one")),
    }
}

fn parse_regex(text: &str) -> Result<Box<str>, String> {
    if text.len() > limits::PROBE_TEXT_OCTETS {
        return Err(format!("longer than {} octets", limits::PROBE_TEXT_OCTETS));
    }
    match regex::bytes::RegexBuilder::new(text).size_limit(limits::REGEX_OCTETS).build() {
        Ok(_) => Ok(text.into()),
        Err(regex::Error::Syntax(message)) => {
            Err(message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
        Err(_) => Err("it is too large when compiled".into()),
    }
}
