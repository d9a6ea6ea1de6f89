//! `[gateways.https]`: what the HTTPS records of a gateway say beside the addresses.

use data_encoding::BASE64;
use meridian_model::Https;

use crate::forms;
use crate::kinds::{List, Parsed, Section, Whole};
use crate::limits;
use crate::reader::Table;

const ALPN: Parsed<Box<str>> = Parsed {
    what: "the id of a protocol, such as \"h2\" (RFC 7301)",
    pattern: forms::GRAPHIC,
    parse: |text| match text.len() {
        1..=255 if text.chars().all(|c| c.is_ascii_graphic()) => Ok(text.into()),
        1..=255 => Err("with a character that is not printable ASCII".into()),
        0 => Err(String::new()),
        _ => Err("longer than 255 octets".into()),
    },
};

const ECH: Parsed<Box<[u8]>> = Parsed {
    what: "an ECHConfigList in base64",
    pattern: forms::BASE64,
    parse: |text| match BASE64.decode(text.as_bytes()) {
        Ok(octets) if octets.is_empty() => Err(String::new()),
        Ok(octets) if octets.len() > limits::ECH_OCTETS => {
            Err(format!("{} octets, more than {}", octets.len(), limits::ECH_OCTETS))
        }
        Ok(octets) => Ok(octets.into()),
        Err(error) => Err(error.to_string()),
    },
};

/// Reads `https` of a gateway; `None` where the key is not there.
pub(crate) fn read(table: &mut Table<'_>) -> Option<Https> {
    table.optional("https", &Section { header: "[gateways.https]", read: read_https })
}

fn read_https(table: &mut Table<'_>) -> Https {
    let alpn = List { of: ALPN, what: "protocols", min: 0, max: limits::ALPN };
    Https {
        alpn: table.or("alpn", Vec::new(), &alpn),
        port: table.optional("port", &Whole { min: 1, max: u16::MAX, unit: "" }),
        ech: table.optional("ech", &ECH),
    }
}
