//! Record data: from presentation format, or the generic form of RFC 3597, to wire octets.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use meridian_model::DomainName;

use super::contents::doubled_origin;
use super::parameters;
use super::presentation::{Token, character_string, name, name_length, tokens, unescape};
use super::types::{Field, RecordType, parse_number};
use crate::issue::quote;

/// Why a text is no data of its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The data of one record in uncompressed wire form; relative names are below `origin`.
///
/// # Errors
/// Says what is expected of the type, and what is wrong with the text.
pub(crate) fn to_wire(record_type: RecordType, text: &str, origin: &DomainName) -> Result<Box<[u8]>, Wrong> {
    let parsed = tokens(text).and_then(|tokens| parse(record_type, &tokens, origin));
    parsed.map(Vec::into_boxed_slice).map_err(|reason| wrong(record_type, text, &reason))
}

/// As [`to_wire`], of tokens that are split already.
///
/// # Errors
/// As [`to_wire`].
pub(crate) fn tokens_to_wire(
    record_type: RecordType,
    tokens: &[Token<'_>],
    origin: &DomainName,
) -> Result<Box<[u8]>, Wrong> {
    let parsed = parse(record_type, tokens, origin);
    parsed.map(Vec::into_boxed_slice).map_err(|reason| wrong(record_type, &spaced(tokens), &reason))
}

fn wrong(record_type: RecordType, text: &str, reason: &str) -> Wrong {
    let expected = match record_type.schema() {
        Some(schema) => format!("{record_type} data ({})", schema.usage),
        None => format!("data of {record_type} in the generic form \\# length hex (RFC 3597)"),
    };
    Wrong { expected, found: format!("{}: {reason}", quote(text)) }
}

/// Tokens as they would be written, for messages.
pub(crate) fn spaced(tokens: &[Token<'_>]) -> String {
    let written = |token: &Token<'_>| match token.quoted {
        true => format!("\"{}\"", token.text),
        false => token.text.to_owned(),
    };
    tokens.iter().map(written).collect::<Vec<_>>().join(" ")
}

fn parse(record_type: RecordType, tokens: &[Token<'_>], origin: &DomainName) -> Result<Vec<u8>, String> {
    if let Some((Token { text: "\\#", quoted: false }, rest)) = tokens.split_first() {
        let wire = generic(rest)?;
        if let Some(schema) = record_type.schema() {
            // RFC 3597 §5 allows the generic form for known types; it must still be of that type.
            check(schema.fields, &wire)?;
        }
        return Ok(wire);
    }
    let schema = record_type.schema().ok_or("this type has no other form here")?;
    let mut wire = Vec::new();
    let mut rest = tokens;
    for field in schema.fields {
        rest = push(*field, rest, origin, &mut wire)?;
    }
    if let [more, ..] = rest {
        return Err(format!("{} is one field too many", quote(more.text)));
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(format!("{} octets (at most 65535)", wire.len()));
    }
    Ok(wire)
}

/// Reads one field, appends its octets, and gives back the tokens behind it.
fn push<'r, 't>(
    field: Field,
    tokens: &'r [Token<'t>],
    origin: &DomainName,
    wire: &mut Vec<u8>,
) -> Result<&'r [Token<'t>], String> {
    if field == Field::Parameters {
        wire.extend(parameters::to_wire(tokens)?);
        return Ok(&[]);
    }
    let (token, rest) = tokens.split_first().ok_or("a field is missing")?;
    let text = token.text;
    match field {
        Field::U8 => wire.push(number(text, u8::MAX)?),
        Field::U16 => wire.extend(number(text, u16::MAX)?.to_be_bytes()),
        Field::Ipv4 => wire.extend(text.parse::<Ipv4Addr>().map_err(|_| "no IPv4 address")?.octets()),
        Field::Ipv6 => wire.extend(text.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address")?.octets()),
        Field::Name => wire.extend(name(text, origin)?),
        Field::String => push_string(wire, text)?,
        Field::Strings => {
            tokens.iter().try_for_each(|token| push_string(wire, token.text))?;
            return Ok(&[]);
        }
        Field::Flags => {
            if !text.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                return Err(format!("the flags {} are not letters and digits", quote(text)));
            }
            push_string(wire, text)?;
        }
        Field::Tag => {
            if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
                return Err(format!("the tag {} is not letters and digits", quote(text)));
            }
            push_string(wire, &text.to_ascii_lowercase())?;
        }
        Field::Rest => wire.extend(unescape(text)?.into_iter().map(|(octet, _)| octet)),
        Field::Hex => {
            let hex = joined(tokens)?;
            wire.extend(
                HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|error| format!("no hex: {error}"))?,
            );
            return Ok(&[]);
        }
        Field::Base64 => {
            let text = joined(tokens)?;
            wire.extend(BASE64.decode(text.as_bytes()).map_err(|error| format!("no base 64: {error}"))?);
            return Ok(&[]);
        }
        Field::Parameters => {}
    }
    Ok(rest)
}

/// As [`join`], of tokens of which one at least says something: `""` is one, too.
fn joined(tokens: &[Token<'_>]) -> Result<String, String> {
    Some(join(tokens)).filter(|text| !text.is_empty()).ok_or_else(|| "no octets".into())
}

fn join(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| token.text).collect()
}

fn push_string(wire: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let octets = character_string(text)?;
    // At most 255, as character_string says.
    wire.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
    wire.extend(octets);
    Ok(())
}

fn number<T: std::str::FromStr + std::fmt::Display>(text: &str, max: T) -> Result<T, String> {
    parse_number(text).ok_or_else(|| format!("{} is no whole number from 0 to {max}", quote(text)))
}

//----------- Doubt ----------------------------------------------------------

/// What its author may not have meant, in data that is right as it stands.
pub(crate) fn doubt(record_type: RecordType, text: &str, origin: &DomainName) -> Option<String> {
    doubt_in(record_type, &tokens(text).ok()?, origin)
}

/// As [`doubt`], of tokens that are split already.
pub(crate) fn doubt_in(record_type: RecordType, tokens: &[Token<'_>], origin: &DomainName) -> Option<String> {
    let plain = |token: &&Token<'_>| !token.quoted;
    if tokens.first().is_some_and(|first| first.text == "\\#") {
        return None;
    }
    if record_type == RecordType::TXT && tokens.len() > 1 && tokens.iter().all(|token| plain(&token)) {
        let count = tokens.len();
        return Some(format!(
            "{count} strings without the spaces between them; for one string write '\"…\"'"
        ));
    }
    let fields = record_type.schema()?.fields;
    let names = fields.iter().zip(tokens).filter(|(field, _)| **field == Field::Name);
    names.map(|(_, token)| token.text).find_map(|name| doubled_origin(name, origin))
}

//----------- Generic form ---------------------------------------------------

/// `\# length hex`, the tokens behind `\#` (RFC 3597 §5).
fn generic(tokens: &[Token<'_>]) -> Result<Vec<u8>, String> {
    let (length, hex) = tokens.split_first().ok_or("the length is missing")?;
    let length = number(length.text, u16::MAX)?;
    let wire =
        HEXLOWER_PERMISSIVE.decode(join(hex).as_bytes()).map_err(|error| format!("no hex: {error}"))?;
    if wire.len() != usize::from(length) {
        return Err(format!("the length says {length} octets, the hex has {}", wire.len()));
    }
    Ok(wire)
}

/// Holds octets against what a type's data is made of.
fn check(fields: &[Field], wire: &[u8]) -> Result<(), String> {
    let mut rest = wire;
    for field in fields {
        let length = match field {
            Field::U8 => Some(1),
            Field::U16 => Some(2),
            Field::Ipv4 => Some(4),
            Field::Ipv6 => Some(16),
            Field::Name => name_length(rest),
            Field::String => rest.first().map(|length| 1 + usize::from(*length)),
            Field::Flags => word_length(rest),
            Field::Tag => word_length(rest).filter(|length| *length > 1),
            Field::Strings => strings_length(rest),
            Field::Rest => Some(rest.len()),
            Field::Hex | Field::Base64 => Some(rest.len()).filter(|length| *length > 0),
            Field::Parameters => parameters::check(rest).then_some(rest.len()),
        };
        rest = length.and_then(|length| rest.get(length..)).ok_or("octets that are no data of this type")?;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{} octets too many for this type", rest.len())) }
}

/// The octets of a `<character-string>` of letters and digits.
fn word_length(wire: &[u8]) -> Option<usize> {
    let (length, rest) = wire.split_first()?;
    let word = rest.get(..usize::from(*length))?;
    word.iter().all(u8::is_ascii_alphanumeric).then_some(1 + word.len())
}

/// The octets of one or more `<character-string>`s that fill the data.
fn strings_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < wire.len() {
        at += 1 + usize::from(*wire.get(at)?);
    }
    Some(at).filter(|at| *at > 0)
}

#[cfg(test)]
#[path = "rdata_tests.rs"]
mod tests;
