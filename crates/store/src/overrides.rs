//! `overrides.json`: what operators said, and since when.

use std::time::{Duration, SystemTime};

use meridian_model::{Forced, Override};
use serde::{Deserialize, Serialize};

/// The version of the file that is written, and the only one there is.
const VERSION: u32 = 1;

/// An override with its times, which hold across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOverride {
    /// What was said.
    pub said: Override,
    /// When.
    pub since: SystemTime,
    /// Until when it holds; `None`: until it is lifted.
    pub until: Option<SystemTime>,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    overrides: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    target: String,
    state: State,
    /// Of a drain: `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<String>,
    reason: Box<str>,
    by: Box<str>,
    /// As RFC 3339 has it.
    since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Up,
    Down,
    Drain,
}

pub(crate) fn render(all: &[KeptOverride]) -> Vec<u8> {
    let time = |time: SystemTime| humantime::format_rfc3339(time).to_string();
    let entry = |kept: &KeptOverride| {
        let (state, over) = match kept.said.forced {
            Forced::Up => (State::Up, None),
            Forced::Down => (State::Down, None),
            Forced::Drain { over } => (State::Drain, Some(humantime::format_duration(over).to_string())),
        };
        let Override { target, reason, by, .. } = &kept.said;
        let (target, reason, by) = (target.to_string(), reason.clone(), by.clone());
        Entry { target, state, over, reason, by, since: time(kept.since), until: kept.until.map(time) }
    };
    let file = File { version: VERSION, overrides: all.iter().map(entry).collect() };
    let mut octets = serde_json::to_vec_pretty(&file).unwrap_or_default();
    octets.push(b'\n');
    octets
}

/// # Errors
/// What is wrong, and where.
pub(crate) fn parse(octets: &[u8]) -> Result<Vec<KeptOverride>, String> {
    let file: File = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("version: expected {VERSION}, found {}", file.version));
    }
    let kept =
        |(index, entry): (usize, Entry)| entry.kept().map_err(|why| format!("overrides[{index}].{why}"));
    file.overrides.into_iter().enumerate().map(kept).collect()
}

impl Entry {
    fn kept(self) -> Result<KeptOverride, String> {
        let time = |key: &str, text: &str| {
            humantime::parse_rfc3339(text).map_err(|error| format!("{key}: {error}, found {text:?}"))
        };
        let forced = match self.state {
            State::Up => Forced::Up,
            State::Down => Forced::Down,
            State::Drain => Forced::Drain { over: duration(self.over.as_deref().unwrap_or("0s"))? },
        };
        let target = self.target.parse().map_err(|error| format!("target: {error}"))?;
        Ok(KeptOverride {
            said: Override { target, forced, reason: self.reason, by: self.by },
            since: time("since", &self.since)?,
            until: self.until.as_deref().map(|until| time("until", until)).transpose()?,
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("over: {error}, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let file = |entry: &str| format!(r#"{{"version":1,"overrides":[{entry}]}}"#);
        let entry = |target: &str, since: &str, over: &str| {
            file(&format!(
                r#"{{"target":"{target}","state":"drain","over":"{over}","reason":"r","by":"b","since":"{since}"}}"#
            ))
        };
        assert_eq!(parse(entry("gateway/shop", "2026-11-26T10:00:00Z", "5m").as_bytes()).unwrap().len(), 1);
        for (text, wanted) in [
            (r#"{"version":2,"overrides":[]}"#.to_owned(), "version: expected 1, found 2"),
            (entry("shop", "2026-11-26T10:00:00Z", "5m"), "overrides[0].target: expected cluster/NAME"),
            (entry("gateway/shop", "yesterday", "5m"), "overrides[0].since: "),
            (entry("gateway/shop", "2026-11-26T10:00:00Z", "soon"), "overrides[0].over: "),
            (file(r#"{"target":"gateway/shop"}"#), "missing field `state`"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
