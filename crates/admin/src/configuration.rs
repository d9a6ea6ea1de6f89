//! Which configuration a server runs, and what became of the last attempt at another.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use tokio::time::Instant;

/// The configuration that was accepted last, with what it names; in force after the first round of what was new in it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its file; `None` for a text that is nobody's file.
    pub file: Option<PathBuf>,
    /// The file's text.
    text: Arc<str>,
    digest: Arc<str>,
    /// When it was accepted.
    accepted: Stamp,
    /// When its databases, tables and zone files were: then, or later.
    data_accepted: Stamp,
    refused: Option<Refused>,
    reloads: Reloads,
}

/// A moment, by both clocks: one for people, one for ages.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// By the wall clock.
    pub wall: SystemTime,
    /// By the monotonic one.
    pub clock: Instant,
}

/// What was not accepted.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When.
    pub at: Stamp,
    /// Every issue.
    pub issues: Arc<str>,
}

/// How many reloads there were, of the file or of its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Accepted.
    pub accepted: u64,
    /// Refused.
    pub refused: u64,
}

impl Configuration {
    /// The one that a server starts with.
    #[must_use]
    pub fn new(file: Option<PathBuf>, text: Arc<str>, now: Stamp) -> Self {
        let (digest, reloads) = (sha256(&text), Reloads::default());
        Self { file, text, digest, accepted: now, data_accepted: now, refused: None, reloads }
    }

    /// Another text was accepted, or the same with other data.
    pub fn accept(&mut self, text: Arc<str>, now: Stamp) {
        if *text != *self.text {
            (self.digest, self.accepted) = (sha256(&text), now);
        }
        (self.text, self.data_accepted, self.refused) = (text, now, None);
        self.reloads.accepted += 1;
    }

    /// What was read was not accepted, and what was before it stays.
    pub fn refuse(&mut self, issues: &str, now: Stamp) {
        self.refused = Some(Refused { at: now, issues: issues.trim_end().into() });
        self.reloads.refused += 1;
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The SHA-256 of the text, in hexadecimal digits: what `sha256sum` says of the file.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// When this text was accepted first.
    #[must_use]
    pub fn accepted(&self) -> Stamp {
        self.accepted
    }

    /// When its data were accepted last.
    #[must_use]
    pub fn data_accepted(&self) -> Stamp {
        self.data_accepted
    }

    /// The last reload, if it was refused.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// How many reloads there were.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads
    }
}

/// The SHA-256 of a text, in hexadecimal digits.
#[must_use]
pub fn sha256(text: &str) -> Arc<str> {
    HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_refused_leaves_what_was_accepted() {
        let start = Stamp { wall: SystemTime::UNIX_EPOCH, clock: Instant::now() };
        let later = |s: u64| {
            let after = Duration::from_secs(s);
            Stamp { wall: start.wall + after, clock: start.clock + after }
        };
        let mut configuration = Configuration::new(None, "abc".into(), start);
        // FIPS 180-4's example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(configuration.digest(), abc);
        configuration.refuse("m.toml:1: expected this\n", later(1));
        assert_eq!(configuration.refused().map(|refused| &*refused.issues), Some("m.toml:1: expected this"));
        assert_eq!((&**configuration.text(), configuration.digest()), ("abc", abc));
        // Other data, the same text.
        configuration.accept("abc".into(), later(2));
        assert!(configuration.refused().is_none());
        assert_eq!(configuration.accepted().clock, start.clock);
        assert_eq!(configuration.data_accepted().clock, later(2).clock);
        configuration.accept("abcd".into(), later(3));
        assert_eq!(configuration.accepted().clock, later(3).clock);
        assert_ne!(configuration.digest(), abc);
        assert_eq!(configuration.reloads(), Reloads { accepted: 2, refused: 1 });
    }
}
