//! Texts that must be in what comes back.

use meridian_model::TextMatch;
use regex::bytes::{Regex, RegexBuilder};

use crate::limits::REGEX_OCTETS_MAX;

/// A [`TextMatch`] made ready.
#[derive(Debug)]
pub(super) enum Matcher {
    Contains(Box<str>),
    Regex(Regex),
}

impl Matcher {
    pub(super) fn new(wanted: &TextMatch) -> Result<Self, String> {
        Ok(match wanted {
            TextMatch::Contains(text) => Self::Contains(text.clone()),
            TextMatch::Regex(pattern) => {
                let regex = RegexBuilder::new(pattern).size_limit(REGEX_OCTETS_MAX).build();
                Self::Regex(regex.map_err(|error| format!("the regular expression {pattern:?}: {error}"))?)
            }
        })
    }

    pub(super) fn optional(wanted: Option<&TextMatch>) -> Result<Option<Self>, String> {
        wanted.map(Self::new).transpose()
    }

    pub(super) fn is_in(&self, octets: &[u8]) -> bool {
        match self {
            Self::Contains(text) => {
                let wanted = text.as_bytes();
                wanted.is_empty() || octets.windows(wanted.len()).any(|window| window == wanted)
            }
            Self::Regex(regex) => regex.is_match(octets),
        }
    }

    /// As a cause says it: `wanted "ok" in it`.
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Contains(text) => format!("wanted {text:?} in it"),
            Self::Regex(regex) => format!("wanted a match of {:?}", regex.as_str()),
        }
    }
}

/// What was found, for a cause: the beginning of a text, without what a line cannot hold.
pub(super) fn shown(octets: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(octets.get(..SHOWN).unwrap_or(octets));
    let more = if octets.len() > SHOWN { "…" } else { "" };
    format!("{:?}{more}", text.trim_end_matches(char::REPLACEMENT_CHARACTER))
}
