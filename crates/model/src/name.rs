//! Domain names and Gateway hostnames.

use std::fmt;

use thiserror::Error;

//----------- DomainName -----------------------------------------------------

/// An absolute domain name in lower case, without its final dot; the root is empty.
///
/// Labels hold letters, digits, `-` and `_`; a first label may be `*` (RFC 4592). At most 63 octets
/// a label and 253 in all (RFC 1035 §2.3.4, counted in text).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Parses an absolute name; the final dot may be left out.
    ///
    /// # Errors
    /// Returns what is wrong with the name, for a message to the one who wrote it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self(Box::from("")));
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

    /// The name below `self` made by putting `labels` (one or more, dotted) in front.
    ///
    /// # Errors
    /// As [`DomainName::parse`].
    pub fn prepend(&self, labels: &str) -> Result<Self, NameError> {
        if self.is_root() { Self::parse(labels) } else { Self::parse(&format!("{labels}.{}", self.0)) }
    }

    /// The text without a final dot; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
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

fn check_label(label: &str, position: usize) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > 63 {
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
