//! Record types: their names, what their data is made of, and which ones a file may not hold.

use std::fmt;

//----------- RecordType -----------------------------------------------------

/// The number of an RR type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RecordType(pub(crate) u16);

impl RecordType {
    pub(crate) const HTTPS: Self = Self(65);
    pub(crate) const A: Self = Self(1);
    pub(crate) const NS: Self = Self(2);
    pub(crate) const CNAME: Self = Self(5);
    pub(crate) const MX: Self = Self(15);
    pub(crate) const TXT: Self = Self(16);
    pub(crate) const AAAA: Self = Self(28);
    pub(crate) const SRV: Self = Self(33);
    pub(crate) const DNAME: Self = Self(39);
    pub(crate) const DS: Self = Self(43);

    /// Parses a mnemonic or `TYPE123` (RFC 3597 §5).
    ///
    /// # Errors
    /// Says why a type is unknown or refused; empty where the text alone shows it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        if let Some((_, reason)) = REFUSED_NAMES.iter().find(|(name, _)| *name == upper) {
            return Err((*reason).into());
        }
        let number = match SCHEMAS.iter().find(|schema| schema.name == upper) {
            Some(schema) => schema.number,
            None => upper.strip_prefix("TYPE").and_then(parse_number).ok_or_else(String::new)?,
        };
        match refusal(number) {
            Some(reason) => Err(reason.into()),
            None => Ok(Self(number)),
        }
    }

    /// What its data is made of; `None` where only the generic form is understood.
    pub(crate) fn schema(self) -> Option<&'static Schema> {
        SCHEMAS.iter().find(|schema| schema.number == self.0)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schema() {
            Some(schema) => f.write_str(schema.name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// Decimal digits only: `from_str` would take a sign.
pub(crate) fn parse_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

//----------- Refused types --------------------------------------------------

const META: &str = "a type of messages, not of zones (RFC 6895 §3.1)";
const SIGNED: &str =
    "DNSSEC records are made by the server that signs: give the zone as it is before signing";
const ALIAS: &str = "no type of the DNS standards: give the name to a gateway";

/// Names without a number that everyone agrees on, or that stand for what has no data.
const REFUSED_NAMES: &[(&str, &str)] = &[
    ("SOA", SOA),
    ("OPT", META),
    ("ANY", META),
    ("*", META),
    ("AXFR", META),
    ("IXFR", META),
    ("TSIG", META),
    ("TKEY", META),
    ("NULL", NULL),
    ("RRSIG", SIGNED),
    ("NSEC", SIGNED),
    ("NSEC3", SIGNED),
    ("NSEC3PARAM", SIGNED),
    ("DNSKEY", SIGNED),
    ("CDS", SIGNED),
    ("CDNSKEY", SIGNED),
    ("SIG", SIGNED),
    ("KEY", SIGNED),
    ("NXT", SIGNED),
    ("ANAME", ALIAS),
    ("ALIAS", ALIAS),
];

const SOA: &str =
    "the SOA record is made from the zone's nameservers, hostmaster, ttl, negative_ttl and serial";
const NULL: &str = "NULL may not be in a zone file (RFC 1035 §3.3.10)";

/// Why a type may not be written, by number, so that `TYPE6` is no way around.
fn refusal(number: u16) -> Option<&'static str> {
    match number {
        6 => Some(SOA),
        10 => Some(NULL),
        24 | 25 | 30 | 46 | 47 | 48 | 50 | 51 | 59 | 60 => Some(SIGNED),
        // RFC 6895 §3.1: 0 and 65535 are reserved, 128 to 255 are Q and Meta types; OPT is 41.
        0 | 41 | 128..=255 | u16::MAX => Some(META),
        65305 => Some(ALIAS),
        _ => None,
    }
}

//----------- Schema ---------------------------------------------------------

/// What the data of a type is made of.
pub(crate) struct Schema {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
    /// The fields as they are written, for messages.
    pub(crate) usage: &'static str,
    pub(crate) fields: &'static [Field],
}

/// One field of a record's data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    U8,
    U16,
    Ipv4,
    Ipv6,
    /// A domain name, never compressed here.
    Name,
    /// A `<character-string>` of at most 255 octets.
    String,
    /// One or more of them, to the end.
    Strings,
    /// A `<character-string>` of letters and digits, at least one (RFC 8659 §4.1).
    Tag,
    /// A `<character-string>` of letters and digits, or none (RFC 3403 §4.1).
    Flags,
    /// All that is left as one text without a length in front, at most one token.
    Rest,
    /// All that is left in base 16, in any number of tokens.
    Hex,
    /// All that is left in base 64, in any number of tokens.
    Base64,
    /// Service parameters, to the end (RFC 9460 §2.1).
    Parameters,
}

const fn schema(number: u16, name: &'static str, usage: &'static str, fields: &'static [Field]) -> Schema {
    Schema { number, name, usage, fields }
}

/// Every type whose presentation format is understood.
#[rustfmt::skip]
const SCHEMAS: &[Schema] = {
    use Field::{Base64, Flags, Hex, Ipv4, Ipv6, Name, Parameters, Rest, String, Strings, Tag, U16, U8};
    &[
        schema(1, "A", "an IPv4 address", &[Ipv4]),
        schema(2, "NS", "a name", &[Name]),
        schema(5, "CNAME", "a name", &[Name]),
        schema(12, "PTR", "a name", &[Name]),
        schema(13, "HINFO", "cpu os", &[String, String]),
        schema(15, "MX", "preference exchange", &[U16, Name]),
        schema(16, "TXT", "\"text\" ...", &[Strings]),
        schema(17, "RP", "mailbox texts", &[Name, Name]),
        schema(18, "AFSDB", "subtype hostname", &[U16, Name]),
        schema(28, "AAAA", "an IPv6 address", &[Ipv6]),
        schema(33, "SRV", "priority weight port target", &[U16, U16, U16, Name]),
        schema(35, "NAPTR", "order preference \"flags\" \"services\" \"regexp\" replacement", &[U16, U16, Flags, String, String, Name]),
        schema(37, "CERT", "type key-tag algorithm base64", &[U16, U16, U8, Base64]),
        schema(39, "DNAME", "a name", &[Name]),
        schema(43, "DS", "key-tag algorithm digest-type hex", &[U16, U8, U8, Hex]),
        schema(44, "SSHFP", "algorithm type hex", &[U8, U8, Hex]),
        schema(52, "TLSA", "usage selector matching-type hex", &[U8, U8, U8, Hex]),
        schema(53, "SMIMEA", "usage selector matching-type hex", &[U8, U8, U8, Hex]),
        schema(61, "OPENPGPKEY", "base64", &[Base64]),
        schema(64, "SVCB", "priority target key=value ...", &[U16, Name, Parameters]),
        schema(65, "HTTPS", "priority target key=value ...", &[U16, Name, Parameters]),
        schema(256, "URI", "priority weight \"target\"", &[U16, U16, Rest]),
        schema(257, "CAA", "flags tag \"value\"", &[U8, Tag, Rest]),
    ]
};

/// The names of all types whose presentation format is understood.
pub(crate) fn type_names() -> Vec<&'static str> {
    SCHEMAS.iter().map(|schema| schema.name).collect()
}
