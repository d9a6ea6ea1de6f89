//! Domain names and Gateway hostnames.

use std::fmt::{self, Write as _};

use thiserror::Error;

/// RFC 1035 §2.3.4, on the wire.
const NAME_OCTETS: usize = 255;
/// RFC 1035 §2.3.4.
const LABEL_OCTETS: usize = 63;

//----------- DomainName -----------------------------------------------------

/// An absolute domain name in lower case, without its final dot; the root is empty.
///
/// At most 63 octets a label and 255 in all on the wire (RFC 1035 §2.3.4). A label may hold any octets (RFC 2181
/// §11): those that are no letter, no digit and none of `-_*/+` stand as `\DDD` (RFC 1035 §5.1), a dot too, so
/// that every dot of the text ends a label.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::from(""))
    }

    /// Parses an absolute name of letters, digits, `-` and `_`, whose first label may be `*` (RFC 4592); the final
    /// dot may be left out.
    ///
    /// # Errors
    /// Returns what is wrong with the name, for a message to the one who wrote it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > 253 {
            return Err(NameError::TooLong { octets: name.len() });
        }
        for (position, label) in name.split('.').enumerate() {
            check_label(label, position)?;
        }
        Ok(Self(name.into_boxed_str()))
    }

    /// Reads a name in wire form, uncompressed and with its root; `None` where `wire` is not one such name.
    #[must_use]
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        if wire.len() > NAME_OCTETS {
            return None;
        }
        let mut text = String::with_capacity(wire.len());
        let mut rest = wire;
        loop {
            let (length, behind) = rest.split_first()?;
            if *length == 0 {
                return behind.is_empty().then(|| Self(text.into_boxed_str()));
            }
            let (label, next) = behind
                .split_at_checked(usize::from(*length))
                .filter(|_| usize::from(*length) <= LABEL_OCTETS)?;
            if !text.is_empty() {
                text.push('.');
            }
            for octet in label {
                push_octet(&mut text, *octet);
            }
            rest = next;
        }
    }

    /// The name in wire form, uncompressed and with its root.
    #[must_use]
    pub fn to_wire(&self) -> Box<[u8]> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.labels() {
            let start = wire.len();
            wire.push(0);
            let mut octets = label.bytes();
            while let Some(octet) = octets.next() {
                let mut escaped = || octets.by_ref().take(3).fold(0_u8, in_decimal);
                wire.push(if octet == b'\\' { escaped() } else { octet });
            }
            // At most 63: no name is made with more.
            wire[start] = u8::try_from(wire.len() - start - 1).unwrap_or(63);
        }
        wire.push(0);
        wire.into_boxed_slice()
    }

    /// The wildcard that covers the names below `self` (RFC 4592); `None` where it would be too long.
    #[must_use]
    pub fn wildcard(&self) -> Option<Self> {
        Self::from_wire(&[b"\x01*", &*self.to_wire()].concat())
    }

    /// Whether the first label is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some("*")
    }

    /// The text without a final dot; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this name is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        if ancestor.is_root() {
            return true;
        }
        self.0.strip_suffix(&*ancestor.0).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }

    /// The name without its first label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(Box::from(self.0.split_once('.').map_or("", |(_, rest)| rest))))
    }
}

/// Puts an octet of a label down as it stands in a [`DomainName`].
fn push_octet(text: &mut String, octet: u8) {
    let octet = octet.to_ascii_lowercase();
    if octet.is_ascii_alphanumeric() || b"-_*/+".contains(&octet) {
        text.push(char::from(octet));
    } else {
        let _infallible = write!(text, "\\{octet:03}");
    }
}

/// A number with one more digit.
fn in_decimal(number: u8, digit: u8) -> u8 {
    number.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'))
}

fn check_label(label: &str, position: usize) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > LABEL_OCTETS {
        return Err(NameError::LabelTooLong { label: label.into(), octets: label.len() });
    }
    if label == "*" {
        return if position == 0 { Ok(()) } else { Err(NameError::InnerWildcard) };
    }
    match label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
        None => Ok(()),
        Some(character) => Err(NameError::Character { character }),
    }
}

impl fmt::Display for DomainName {
    /// Absolute presentation format: `shop.gslb.example.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

//----------- Hostname -------------------------------------------------------

/// What a gateway is asked for, as the Gateway API spells it.
///
/// `*.x` covers every name below `x` at any depth, and not `x` itself; an exact hostname goes before
/// a wildcard, and of two wildcards the one with the longer suffix wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostname {
    /// One name.
    Exact(DomainName),
    /// All names below this suffix.
    Wildcard(DomainName),
}

impl Hostname {
    /// Parses `shop.example` or `*.shop.example`.
    ///
    /// # Errors
    /// As [`DomainName::parse`]; further a `*` anywhere but as the first label, an underscore, and
    /// a label that begins or ends with a hyphen (RFC 1123 §2.1).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (wildcard, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name = DomainName::parse(rest)?;
        for label in name.labels() {
            if label == "*" {
                return Err(NameError::InnerWildcard);
            }
            if label.contains('_') {
                return Err(NameError::Character { character: '_' });
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameError::Hyphen { label: label.into() });
            }
        }
        if name.is_root() {
            return Err(NameError::Empty);
        }
        Ok(if wildcard { Self::Wildcard(name) } else { Self::Exact(name) })
    }

    /// The exact name, or the suffix of the wildcard.
    #[must_use]
    pub fn name(&self) -> &DomainName {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => name,
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name.as_str()),
            Self::Wildcard(name) => write!(f, "*.{}", name.as_str()),
        }
    }
}

//----------- NameError ------------------------------------------------------

/// Why a text is not a domain name or hostname.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing there.
    #[error("an empty name")]
    Empty,
    /// Two dots in a row, or a leading dot.
    #[error("an empty label")]
    EmptyLabel,
    /// RFC 1035 §2.3.4.
    #[error("a name of {octets} octets (at most 253)")]
    TooLong {
        /// How long the text is.
        octets: usize,
    },
    /// RFC 1035 §2.3.4.
    #[error("label \"{label}\" of {octets} octets (at most 63)")]
    LabelTooLong {
        /// The label.
        label: Box<str>,
        /// Its length.
        octets: usize,
    },
    /// A `*` that is not the whole first label.
    #[error("a \"*\" that is not the first label")]
    InnerWildcard,
    /// RFC 1123 §2.1.
    #[error("label \"{label}\" with a hyphen at an end")]
    Hyphen {
        /// The label.
        label: Box<str>,
    },
    /// Not a letter, digit, hyphen or (outside hostnames) underscore. Names in other scripts are
    /// written in their ASCII form (RFC 5890 A-labels, `xn--…`).
    #[error("the character {character:?} (names in other scripts are written as xn--…)")]
    Character {
        /// The first one that does not belong.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_octets_are_a_label() {
        let wire: &[u8] = b"\x04A.\\c\x04\x00\xff/*\x01*\x00";
        let name = DomainName::from_wire(wire).unwrap();
        assert_eq!(name.as_str(), r"a\046\092c.\000\255/*.*");
        assert_eq!(*name.to_wire(), *wire.to_ascii_lowercase());
        assert_eq!(name.labels().count(), 3);
        assert!(!name.is_wildcard());
        let long = [b"\x3f".as_slice(), &[b'l'; 63]].concat();
        let longest = [long.repeat(3), vec![61], vec![b'l'; 61], vec![0]].concat();
        let longest = DomainName::from_wire(&longest).unwrap();
        assert_eq!((longest.to_wire().len(), longest.wildcard()), (255, None));
        for wrong in
            [&b"\x01a"[..], b"\x01a\x00\x00", b"\xc0\x0c", b"\x02a", b"", &[long.repeat(4), vec![0]].concat()]
        {
            assert_eq!(DomainName::from_wire(wrong), None, "{wrong:?}");
        }
        assert!(DomainName::parse("b").unwrap().wildcard().unwrap().is_wildcard());
        assert_eq!(*DomainName::root().to_wire(), [0]);
    }

    #[test]
    fn names_are_lower_case_and_absolute() {
        let name = DomainName::parse("Shop.GSLB.example.").unwrap();
        assert_eq!(name.as_str(), "shop.gslb.example");
        assert_eq!(name.to_string(), "shop.gslb.example.");
        assert_eq!(name, DomainName::parse("shop.gslb.example").unwrap());
        assert_eq!(DomainName::parse(".").unwrap().to_string(), ".");
    }

    #[test]
    fn within_compares_whole_labels() {
        let zone = DomainName::parse("gslb.example").unwrap();
        assert!(DomainName::parse("a.b.gslb.example").unwrap().is_within(&zone));
        assert!(zone.is_within(&zone));
        assert!(!DomainName::parse("xgslb.example").unwrap().is_within(&zone));
        assert!(zone.is_within(&DomainName::parse(".").unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long_label = format!("{}.example", "a".repeat(64));
        for (text, wanted) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a.*.b", NameError::InnerWildcard),
            ("caf\u{e9}.example", NameError::Character { character: '\u{e9}' }),
            (&long_label, NameError::LabelTooLong { label: "a".repeat(64).into(), octets: 64 }),
        ] {
            assert_eq!(DomainName::parse(text), Err(wanted), "{text}");
        }
        assert!(matches!(DomainName::parse(&"a.".repeat(150)), Err(NameError::TooLong { .. })));
    }

    #[test]
    fn hostnames_follow_the_gateway_api() {
        assert_eq!(
            Hostname::parse("*.shop.example").unwrap(),
            Hostname::Wildcard(DomainName::parse("shop.example").unwrap())
        );
        assert_eq!(Hostname::parse("*.shop.example").unwrap().to_string(), "*.shop.example");
        assert_eq!(Hostname::parse("a.*.b"), Err(NameError::InnerWildcard));
        assert_eq!(Hostname::parse("*.*.b"), Err(NameError::InnerWildcard));
        assert_eq!(Hostname::parse("*"), Err(NameError::InnerWildcard));
        assert!(matches!(Hostname::parse("_x.b"), Err(NameError::Character { character: '_' })));
        assert!(matches!(Hostname::parse("-x.b"), Err(NameError::Hyphen { .. })));
    }
}
