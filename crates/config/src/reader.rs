//! The typed reader over the TOML tree: a cursor on one value, a table that knows its keys.
//!
//! Everything here returns `Option`: `None` means absent, or that an issue already says why. So a
//! reader goes on after a mistake, and one pass finds all of them.

use std::cell::RefCell;
use std::fmt::{self, Display};

use schemars::Schema;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::findings::{Cause, Findings, Place, Spot, Step};
use crate::issue::{any_of, did_you_mean, quote};
use crate::schema::{Case, Sketch};

//----------- Kind -----------------------------------------------------------

/// What a value must be: how it is read, and in which words it is asked for.
pub(crate) trait Kind {
    /// What is read.
    type Value;

    /// For messages, after "expected": `a whole number from 1 to 100`.
    fn expected(&self) -> String;

    /// The value, or `None` after reporting what is wrong with it.
    fn read(&self, cursor: &Cursor<'_>) -> Option<Self::Value>;

    /// The same as JSON Schema can say it: never refuses what [`Kind::read`] takes.
    fn schema(&self) -> Schema;

    /// A value as the file would have it, for defaults; `None` where nobody needs it.
    fn written(&self, _value: &Self::Value) -> Option<Value> {
        None
    }
}

//----------- Cursor ---------------------------------------------------------

/// One value of the tree, with its place.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) spot: Spot,
    pub(crate) findings: &'a Findings<'a>,
}

impl<'a> Cursor<'a> {
    /// Reports that the value is none of what a kind takes.
    pub(crate) fn wrong<T>(&self, expected: impl Display) -> Option<T> {
        self.findings.mistake(&self.spot, expected, describe(self.value));
        None
    }

    /// As [`Cursor::wrong`], with the reason where the value alone does not show it.
    pub(crate) fn wrong_because<T>(&self, expected: impl Display, reason: impl Display) -> Option<T> {
        self.findings.mistake(&self.spot, expected, format_args!("{}: {reason}", describe(self.value)));
        None
    }

    /// The elements, if this is an array.
    pub(crate) fn elements(&self) -> Option<impl ExactSizeIterator<Item = Cursor<'a>>> {
        let DeValue::Array(array) = self.value else { return None };
        let (path, findings) = (self.spot.path.clone(), self.findings);
        Some(array.iter().enumerate().map(move |(index, element)| Cursor {
            value: element.get_ref(),
            spot: Spot::here(element.span().start, path.child(Step::Index(index))),
            findings,
        }))
    }

    /// Reads the value as a table and reports the keys that `read` did not ask for.
    pub(crate) fn table<T>(&self, read: impl FnOnce(&mut Table<'a>) -> T) -> Option<T> {
        let DeValue::Table(entries) = self.value else { return None };
        Some(Table::read(entries, self.spot.clone(), self.findings, read))
    }
}

/// A value in the words of a message: texts in quotes, numbers as written, the rest by its kind.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => format!("the date or time {value}"),
        DeValue::Array(array) if array.is_empty() => "an empty list".into(),
        DeValue::Array(array) => format!("a list of {}", array.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

//----------- Many -----------------------------------------------------------

/// The tables of an array, as many as could be read.
pub(crate) struct Many<T> {
    pub(crate) list: Vec<T>,
    /// None is missing from the list, so that a name that none has is a name nobody has.
    pub(crate) whole: bool,
}

//----------- Table ----------------------------------------------------------

/// A table being read: hands out keys and remembers which ones it was asked for.
pub(crate) struct Table<'a> {
    entries: &'a DeTable<'a>,
    /// Where the table begins.
    pub(crate) spot: Spot,
    pub(crate) findings: &'a Findings<'a>,
    known: Vec<&'static str>,
    /// Where the keys are noted for the schema; `None` while a file is read.
    sketch: Option<&'a RefCell<Sketch>>,
}

impl<'a> Table<'a> {
    /// Runs `read` over a table, then reports every key it did not ask for.
    pub(crate) fn read<T>(
        entries: &'a DeTable<'a>,
        spot: Spot,
        findings: &'a Findings<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self { entries, spot, findings, known: Vec::new(), sketch: None };
        let value = read(&mut table);
        table.report_unknown_keys();
        value
    }

    /// Runs `read` over a table to learn which keys it asks for.
    pub(crate) fn draw<T>(
        entries: &'a DeTable<'a>,
        spot: Spot,
        findings: &'a Findings<'a>,
        sketch: &'a RefCell<Sketch>,
        read: impl FnOnce(&mut Self) -> T,
    ) {
        read(&mut Self { entries, spot, findings, known: Vec::new(), sketch: Some(sketch) });
    }

    /// The value of a key that must be there.
    pub(crate) fn required<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<K::Value> {
        self.draw_key(key, kind, true);
        match self.take(key) {
            Some(cursor) => kind.read(&cursor),
            None => {
                self.missing(key, kind.expected());
                None
            }
        }
    }

    /// The value of a key that may be absent.
    pub(crate) fn optional<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<K::Value> {
        self.draw_key(key, kind, false);
        self.take(key).and_then(|cursor| kind.read(&cursor))
    }

    /// The value of a key that must be there if `required`.
    pub(crate) fn wanted<K: Kind>(
        &mut self,
        key: &'static str,
        required: bool,
        kind: &K,
    ) -> Option<K::Value> {
        if required { self.required(key, kind) } else { self.optional(key, kind) }
    }

    /// The value of a key, or its default.
    pub(crate) fn or<K: Kind>(&mut self, key: &'static str, default: K::Value, kind: &K) -> K::Value {
        let value = self.optional(key, kind);
        self.default(key, || kind.written(&default));
        value.unwrap_or(default)
    }

    /// An array of tables, empty where the key is absent.
    pub(crate) fn many<T, K: Kind<Value = Many<T>>>(&mut self, key: &'static str, kind: &K) -> Many<T> {
        self.draw_key(key, kind, false);
        match self.take(key) {
            Some(cursor) => kind.read(&cursor).unwrap_or(Many { list: Vec::new(), whole: false }),
            None => Many { list: Vec::new(), whole: true },
        }
    }

    /// Reports a key that another key's value leaves without meaning.
    pub(crate) fn refused(&mut self, key: &'static str, expected: &str) {
        if let Some(cursor) = self.take(key) {
            cursor.wrong::<()>(expected);
        }
    }

    /// Takes a key for one of ours without reading it.
    pub(crate) fn known(&mut self, key: &'static str) {
        self.known.push(key);
    }

    /// Reports the absence of all of these keys, at the first; whether there is one.
    pub(crate) fn any_of(&mut self, keys: &[&'static str], expected: &str) -> bool {
        self.note(|sketch| sketch.any_of = keys.to_vec());
        let found = keys.iter().any(|key| self.has(key));
        if let (false, Some(first)) = (found, keys.first()) {
            self.missing(first, expected);
        }
        found
    }

    /// Reports the absence of a key that another one needs beside it.
    pub(crate) fn needs(&mut self, key: &'static str, other: &'static str, expected: &str) {
        self.note(|sketch| sketch.needs.push((key, other)));
        if self.has(key) && !self.has(other) {
            self.missing(other, expected);
        }
    }

    /// Says for the schema what a key is where it is not written; [`Table::or`] does so itself.
    pub(crate) fn default(&self, key: &'static str, value: impl FnOnce() -> Option<Value>) {
        self.note(|sketch| sketch.defaults_to(key, value()));
    }

    /// Says for the schema which values of keys decide about other keys.
    pub(crate) fn cases(&self, cases: impl FnOnce() -> Vec<Case>) {
        self.note(|sketch| sketch.cases.extend(cases()));
    }

    /// Notes a key for the schema.
    fn draw_key<K: Kind>(&self, key: &'static str, kind: &K, required: bool) {
        self.note(|sketch| sketch.key(key, kind.schema(), required));
    }

    fn note(&self, note: impl FnOnce(&mut Sketch)) {
        if let Some(sketch) = self.sketch {
            note(&mut sketch.borrow_mut());
        }
    }

    /// Reports the absence of a key, at the beginning of the table.
    pub(crate) fn missing(&self, key: &'static str, expected: impl Display) {
        let path = || self.spot.path.child(Step::Key(key)).to_string();
        let Place::Here(offset) = self.spot.place else { return };
        self.findings.report(Cause::Absence, offset, path, expected, "nothing");
    }

    /// Whether the key is there, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Marks the key as one of ours; its value, if there is one.
    fn take(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        Some(Cursor {
            value: value.get_ref(),
            spot: Spot::here(value.span().start, self.spot.path.child(Step::Key(key))),
            findings: self.findings,
        })
    }

    fn report_unknown_keys(&self) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let path = || self.spot.path.stranger(name);
                // Compared only for an issue that is kept: there may be millions of keys.
                let hint = fmt::from_fn(|f| f.write_str(&did_you_mean(name, self.known.iter().copied())));
                let expected = fmt::from_fn(|f| write!(f, "one of the keys {}", any_of(&self.known)));
                let found = format_args!("an unknown key{hint}");
                self.findings.report(Cause::UnknownKey, key.span().start, path, expected, found);
            }
        }
    }
}
