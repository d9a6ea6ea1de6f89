//! Names of clusters, probes and gateways: their form, each once, and found again.

use std::collections::HashMap;
use std::fmt;

use crate::findings::{Findings, Spotted};
use crate::issue::{any_of, did_you_mean, quote};
use crate::kinds::Text;
use crate::limits;

/// A name as written; [`Names`] checks its form, so that a malformed name is still found by those
/// who refer to it and only one issue comes of it.
pub(crate) const NAME: Text = Text {
    what: "a name of lower-case letters, digits and hyphens",
    characters: limits::NAME_CHARACTERS,
    pattern: r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
};

/// The names of all clusters, or all probes, or all gateways.
pub(crate) struct Names {
    /// `cluster`, `probe` or `gateway`.
    what: &'static str,
    list: Vec<Option<Spotted<Box<str>>>>,
    by_name: HashMap<Box<str>, usize>,
    used: Vec<bool>,
    /// No name is missing from the list.
    whole: bool,
}

impl Names {
    /// Numbers the names in order, and reports those of a wrong form and those that stand twice.
    /// `whole`: there is no table that could not be read at all.
    pub(crate) fn new(
        what: &'static str,
        list: Vec<Option<Spotted<Box<str>>>>,
        whole: bool,
        findings: &Findings<'_>,
    ) -> Self {
        let mut by_name: HashMap<Box<str>, usize> = HashMap::new();
        for (index, name) in list.iter().enumerate() {
            let Some(name) = name else { continue };
            if !is_label(&name.value) {
                findings.mistake(&name.spot, NAME.what, quote(&name.value));
            }
            let first = *by_name.entry(name.value.clone()).or_insert(index);
            if let Some(Some(first)) = list.get(first).filter(|_| first != index) {
                let line = findings.line(&first.spot);
                let expected = format_args!("a name that no other {what} has");
                let found = format_args!("{}: the {what} in line {line} has it", quote(&name.value));
                findings.mistake(&name.spot, expected, found);
            }
        }
        let used = vec![false; list.len()];
        // A table without a readable name may be the one that is meant.
        let whole = whole && list.iter().all(Option::is_some);
        Self { what, list, by_name, used, whole }
    }

    /// The number of a name, and all names for a message where none has it and none is missing. What
    /// asks here does not count as using it.
    pub(crate) fn look_up(&self, name: &str) -> Result<usize, Option<Vec<&str>>> {
        let names = || self.list.iter().flatten().map(|name| &*name.value).collect();
        self.by_name.get(name).copied().ok_or_else(|| self.whole.then(names))
    }

    /// The number of a name that someone refers to, now used; reports one that nothing has.
    pub(crate) fn find(&mut self, name: &Spotted<Box<str>>, findings: &Findings<'_>) -> Option<usize> {
        if let Some(index) = self.by_name.get(&name.value).copied() {
            self.mark_used(index);
            return Some(index);
        }
        if self.whole {
            // Walked only for an issue that is kept: there may be thousands of names.
            let names = || self.list.iter().flatten().map(|name| &*name.value);
            let expected = fmt::from_fn(|f| match names().collect::<Vec<&str>>().as_slice() {
                [] => write!(f, "the name of a {0}, and there is no [[{0}s]]", self.what),
                names => write!(f, "the name of a {} ({})", self.what, any_of(names)),
            });
            let hint = fmt::from_fn(|f| f.write_str(&did_you_mean(&name.value, names())));
            findings.mistake(&name.spot, expected, format_args!("{}{hint}", quote(&name.value)));
        }
        None
    }

    /// Notes that something refers to the one of this number.
    fn mark_used(&mut self, index: usize) {
        if let Some(used) = self.used.get_mut(index) {
            *used = true;
        }
    }

    /// Warns of every name that nothing referred to.
    pub(crate) fn warn_unused(&self, findings: &Findings<'_>) {
        for (name, used) in self.list.iter().zip(&self.used) {
            if let (Some(name), false) = (name, used) {
                let text = format_args!("no gateway uses the {} {}", self.what, quote(&name.value));
                findings.warn(&name.spot, text);
            }
        }
    }
}

/// A DNS label (RFC 1123 §2.1) in lower case, so that a name fits everywhere.
fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}
