//! The presentation format of record data (RFC 1035 §5.1): tokens, escapes and names.
//!
//! Read here rather than by hickory-proto 0.26, whose reader takes `\065` for another character,
//! knows no origin and can panic on a malformed service parameter.

use meridian_model::DomainName;

/// The most octets of a name in wire form (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 255;

//----------- Token ----------------------------------------------------------

/// One word of record data, escapes not yet undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// It stood in quotes, whole.
    pub(crate) quoted: bool,
}

/// Splits record data into tokens. Parentheses only group, as in a zone file.
///
/// # Errors
/// Says what cannot be split.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        match first {
            '(' => (depth, rest) = (depth + 1, &rest[1..]),
            ')' => {
                depth = depth.checked_sub(1).ok_or("a closing parenthesis without its opening one")?;
                rest = &rest[1..];
            }
            ';' => return Err("outside quotes a \";\" would begin a comment".into()),
            '"' => {
                let length = quoted_length(&rest[1..]).ok_or("a quote that is not closed")?;
                tokens.push(Token { text: &rest[1..=length], quoted: true });
                rest = &rest[length + 2..];
                if rest.starts_with(|c| !is_space(c) && !matches!(c, '(' | ')')) {
                    return Err("text right behind a closing quote".into());
                }
            }
            _ => {
                let length = word_length(rest)?;
                tokens.push(Token { text: &rest[..length], quoted: false });
                rest = &rest[length..];
            }
        }
        rest = rest.trim_start_matches(is_space);
    }
    if depth > 0 { Err("an opening parenthesis without its closing one".into()) } else { Ok(tokens) }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The octets up to the closing quote.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// The octets up to a space or parenthesis. A quote may begin inside, as in `alpn="h2,h3"`.
fn word_length(text: &str) -> Result<usize, String> {
    let (mut escaped, mut quoted) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            ';' => return Err("outside quotes a \";\" would begin a comment".into()),
            '(' | ')' => return Ok(at),
            _ if is_space(c) => return Ok(at),
            _ => {}
        }
    }
    if quoted { Err("a quote that is not closed".into()) } else { Ok(text.len()) }
}

//----------- Escapes --------------------------------------------------------

/// An octet, and whether it was escaped and so has no meaning of its own.
type Octet = (u8, bool);

/// Undoes `\DDD` (an octet in decimal) and `\X` (the character itself).
///
/// # Errors
/// Names the escape that is none.
pub(crate) fn unescape(text: &str) -> Result<Vec<Octet>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            octets.push((*first, false));
            continue;
        }
        match rest {
            [a, b, c, behind @ ..] if [a, b, c].into_iter().all(u8::is_ascii_digit) => {
                let value =
                    [a, b, c].into_iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
                let octet = u8::try_from(value).map_err(|_| format!("the escape \\{value} is above 255"))?;
                octets.push((octet, true));
                rest = behind;
            }
            [digit, ..] if digit.is_ascii_digit() => {
                return Err("an escape \\DDD takes three decimal digits".into());
            }
            [octet, behind @ ..] => {
                octets.push((*octet, true));
                rest = behind;
            }
            [] => return Err("a \\ at the end".into()),
        }
    }
    Ok(octets)
}

/// A `<character-string>` without its length.
///
/// # Errors
/// Says which escape is none, or that it is too long.
pub(crate) fn character_string(text: &str) -> Result<Vec<u8>, String> {
    let octets: Vec<u8> = unescape(text)?.into_iter().map(|(octet, _)| octet).collect();
    if octets.len() > 255 {
        return Err(format!("a string of {} octets (at most 255; write several: \"…\" \"…\")", octets.len()));
    }
    Ok(octets)
}

//----------- Names ----------------------------------------------------------

/// A name in wire form and lower case; without a final dot it is relative to `origin`.
///
/// # Errors
/// Says what is wrong with the name.
pub(crate) fn name(text: &str, origin: &DomainName) -> Result<Vec<u8>, String> {
    let mut wire = Vec::with_capacity(text.len() + 2);
    if text == "@" {
        return Ok(origin.to_wire().into_vec());
    }
    if text == "." {
        return Ok(vec![0]);
    }
    if text.is_empty() {
        return Err("an empty name".into());
    }
    let mut label = Vec::new();
    for (octet, escaped) in unescape(text)? {
        match octet {
            b'.' if !escaped => {
                push_label(&mut wire, &label)?;
                label.clear();
            }
            _ if escaped || octet.is_ascii_alphanumeric() || b"-_/*+".contains(&octet) => {
                label.push(octet.to_ascii_lowercase());
            }
            _ if octet.is_ascii() => {
                let character = char::from(octet);
                return Err(format!("the character {character:?} in a name (if it is meant: \\{octet:03})"));
            }
            _ => return Err("names in other scripts are written as xn--…".into()),
        }
    }
    if label.is_empty() {
        wire.push(0);
    } else {
        push_label(&mut wire, &label)?;
        wire.extend(origin.to_wire());
    }
    if wire.len() > NAME_OCTETS {
        return Err(format!("a name of {} octets (at most {NAME_OCTETS})", wire.len()));
    }
    Ok(wire)
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), String> {
    match u8::try_from(label.len()) {
        Ok(0) => Err("an empty label".into()),
        Ok(length @ 1..=63) => {
            wire.push(length);
            wire.extend_from_slice(label);
            Ok(())
        }
        _ => Err(format!("a label of {} octets (at most 63)", label.len())),
    }
}

/// The octets of the name at the front of `wire`; `None` if there is none, or a compressed one.
pub(crate) fn name_length(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match wire.get(at)? {
            0 => break,
            length @ 1..=63 => at += 1 + usize::from(*length),
            _ => return None,
        }
    }
    if at < NAME_OCTETS { Some(at + 1) } else { None }
}

/// The name at the front of `wire`; `None` if there is none.
pub(crate) fn name_in(wire: &[u8]) -> Option<DomainName> {
    DomainName::from_wire(wire.get(..name_length(wire)?)?)
}
