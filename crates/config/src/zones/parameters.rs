//! Service parameters of SVCB and HTTPS records (RFC 9460).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::presentation::{Token, unescape};
use super::types::parse_number;
use crate::issue::quote;

/// The registered keys by number (RFC 9460 §14.3.2).
const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

/// The parameters in wire form: in order of their keys (RFC 9460 §2.2).
///
/// # Errors
/// Says which parameter is wrong and why.
pub(crate) fn to_wire(tokens: &[Token<'_>]) -> Result<Vec<u8>, String> {
    let mut parameters = BTreeMap::new();
    for token in tokens {
        let (name, value) = match token.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (token.text, None),
        };
        let key = key_number(name).ok_or_else(|| {
            format!("{} is no key ({}, or keyN with a number)", quote(name), KEYS.join(", "))
        })?;
        let value = parse_value(key, value).map_err(|reason| format!("{name}: {reason}"))?;
        if parameters.insert(key, value).is_some() {
            return Err(format!("the key {name} a second time"));
        }
    }
    check_together(&parameters)?;
    let mut wire = Vec::new();
    for (key, value) in &parameters {
        let length = u16::try_from(value.len()).map_err(|_| "a value above 65535 octets")?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

/// Whether octets are parameters in strictly rising order of their keys (RFC 9460 §2.2).
pub(crate) fn check(wire: &[u8]) -> bool {
    let mut rest = wire;
    let mut last = None;
    while let [a, b, c, d, behind @ ..] = rest {
        let key = u16::from_be_bytes([*a, *b]);
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let Some(next) = behind.get(length..) else { return false };
        if last >= Some(key) {
            return false;
        }
        (rest, last) = (next, Some(key));
    }
    rest.is_empty()
}

fn key_number(name: &str) -> Option<u16> {
    let registered = KEYS.iter().position(|key| *key == name).and_then(|at| u16::try_from(at).ok());
    // RFC 9460 §2.1: without leading zeros. 65535 is reserved.
    let generic = || {
        name.strip_prefix("key")
            .filter(|digits| *digits == "0" || !digits.starts_with('0'))
            .and_then(parse_number)
            .filter(|number| *number != u16::MAX)
    };
    registered.or_else(generic)
}

fn parse_value(key: u16, value: Option<&str>) -> Result<Vec<u8>, String> {
    if key == NO_DEFAULT_ALPN {
        return if value.is_none() { Ok(Vec::new()) } else { Err("takes no value".into()) };
    }
    let text = match value {
        Some(value) => value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value),
        None if key > IPV6HINT => "",
        None => return Err("the value is missing".into()),
    };
    match key {
        MANDATORY => {
            let keys: Option<BTreeSet<u16>> = text.split(',').map(key_number).collect();
            let keys =
                keys.filter(|keys| keys.len() == text.split(',').count() && !keys.contains(&MANDATORY));
            let keys = keys.ok_or("expected other keys, each once, with commas between")?;
            Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        ALPN => alpn(text),
        PORT => {
            let port: u16 = parse_number(text).ok_or("expected a port number from 0 to 65535")?;
            Ok(port.to_be_bytes().to_vec())
        }
        IPV4HINT => addresses(text, |one| one.parse().ok().map(|ip: Ipv4Addr| ip.octets())),
        IPV6HINT => addresses(text, |one| one.parse().ok().map(|ip: Ipv6Addr| ip.octets())),
        ECH => BASE64.decode(text.as_bytes()).map_err(|error| format!("no base 64: {error}")),
        _ => Ok(unescape(text)?.into_iter().map(|(octet, _)| octet).collect()),
    }
}

/// A list of protocol ids, each behind its length. The value is unescaped once as a
/// `<character-string>` and once as a comma-separated list (RFC 9460 §A.1).
fn alpn(text: &str) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    let mut id = Vec::new();
    let mut escaped = false;
    let octets = unescape(text)?.into_iter().map(|(octet, _)| octet);
    for octet in octets.chain([b',']) {
        if octet == b',' && !escaped {
            let length = u8::try_from(id.len()).ok().filter(|length| *length > 0);
            wire.push(length.ok_or("expected protocol ids of 1 to 255 octets, with commas between")?);
            wire.append(&mut id);
        } else if octet == b'\\' && !escaped {
            escaped = true;
        } else {
            id.push(octet);
            escaped = false;
        }
    }
    if escaped || !id.is_empty() { Err("a \\ at the end".into()) } else { Ok(wire) }
}

fn addresses<const N: usize>(text: &str, parse: fn(&str) -> Option<[u8; N]>) -> Result<Vec<u8>, String> {
    let parse = |one| parse(one).ok_or_else(|| format!("{} is no address of its family", quote(one)));
    let octets: Result<Vec<[u8; N]>, String> = text.split(',').map(parse).collect();
    Ok(octets?.concat())
}

/// What parameters need of each other (RFC 9460 §2.4.3, §7.1.1, §8).
fn check_together(parameters: &BTreeMap<u16, Vec<u8>>) -> Result<(), String> {
    if parameters.contains_key(&NO_DEFAULT_ALPN) && !parameters.contains_key(&ALPN) {
        return Err("no-default-alpn needs alpn beside it".into());
    }
    for pair in parameters.get(&MANDATORY).map_or(&[][..], Vec::as_slice).chunks_exact(2) {
        if let [a, b] = pair
            && !parameters.contains_key(&u16::from_be_bytes([*a, *b]))
        {
            return Err("mandatory names a key that is not there".into());
        }
    }
    Ok(())
}
