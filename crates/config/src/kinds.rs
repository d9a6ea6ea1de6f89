//! The kinds of values that the file's keys take.

mod numbers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::findings::Spotted;
use crate::issue::any_of;
use crate::limits;
use crate::reader::{Cursor, Kind, Many, Table};
use crate::schema;

pub(crate) use numbers::{Degrees, Number, Portion, Whole};

//----------- At -------------------------------------------------------------

/// Any kind, with the place of the value.
pub(crate) struct At<K>(pub(crate) K);

impl<K: Kind> Kind for At<K> {
    type Value = Spotted<K::Value>;

    fn expected(&self) -> String {
        self.0.expected()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Self::Value> {
        Some(Spotted { value: self.0.read(cursor)?, spot: cursor.spot.clone() })
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    fn written(&self, value: &Self::Value) -> Option<Value> {
        self.0.written(&value.value)
    }
}

//----------- Text, Parsed ---------------------------------------------------

/// A string of some length without control characters.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    /// `the name of a probe`
    pub(crate) what: &'static str,
    /// The most characters.
    pub(crate) characters: usize,
    /// What all of them match, for the schema.
    pub(crate) pattern: &'static str,
}

impl Text {
    /// The pattern of a text that is free of control characters, and that is all.
    pub(crate) const FREE: &'static str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
}

impl Kind for Text {
    type Value = Box<str>;

    fn expected(&self) -> String {
        self.what.into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Box<str>> {
        let DeValue::String(text) = cursor.value else { return cursor.wrong(self.what) };
        if text.is_empty() {
            return cursor.wrong(self.what);
        }
        if text.chars().nth(self.characters).is_some() {
            let most = self.characters;
            return cursor.wrong_because(self.what, format_args!("longer than {most} characters"));
        }
        if text.chars().any(char::is_control) {
            return cursor.wrong_because(self.what, "with a control character");
        }
        Some(Box::from(&**text))
    }

    fn schema(&self) -> Schema {
        let Self { what, characters, pattern } = self;
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": characters, "pattern": pattern,
            "description": what,
        })
    }

    fn written(&self, value: &Box<str>) -> Option<Value> {
        Some(json!(value))
    }
}

/// A string that a function turns into a value.
pub(crate) struct Parsed<T> {
    /// What is expected.
    pub(crate) what: &'static str,
    /// What every text matches that has a value, for the schema.
    pub(crate) pattern: &'static str,
    /// The value, or why there is none; an empty reason where the text alone shows it.
    pub(crate) parse: fn(&str) -> Result<T, String>,
}

impl<T> Kind for Parsed<T> {
    type Value = T;

    fn expected(&self) -> String {
        self.what.into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<T> {
        let DeValue::String(text) = cursor.value else { return cursor.wrong(self.what) };
        match (self.parse)(text) {
            Ok(value) => Some(value),
            Err(reason) if reason.is_empty() => cursor.wrong(self.what),
            Err(reason) => cursor.wrong_because(self.what, reason),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "pattern": self.pattern, "description": self.what })
    }
}

/// A path; a relative one begins at the folder of the file.
pub(crate) struct FilePath<'f> {
    /// The configuration file itself.
    pub(crate) file: &'f Path,
    /// What the path leads to.
    pub(crate) what: &'static str,
}

impl FilePath<'_> {
    /// The path as it is written.
    pub(crate) fn text(&self) -> Text {
        Text { what: self.what, characters: limits::PATH_CHARACTERS, pattern: Text::FREE }
    }
}

impl Kind for FilePath<'_> {
    type Value = PathBuf;

    fn expected(&self) -> String {
        self.what.into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<PathBuf> {
        let text = self.text().read(cursor)?;
        Some(self.file.parent().unwrap_or(Path::new("")).join(&*text))
    }

    fn schema(&self) -> Schema {
        self.text().schema()
    }
}

/// A string of any characters, as octets.
pub(crate) struct Octets {
    /// What it is.
    pub(crate) what: &'static str,
    /// The most octets; at least one.
    pub(crate) most: usize,
}

impl Kind for Octets {
    type Value = Box<[u8]>;

    fn expected(&self) -> String {
        format!("{} of 1 to {} octets", self.what, self.most)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Box<[u8]>> {
        match cursor.value {
            DeValue::String(text) if (1..=self.most).contains(&text.len()) => Some(text.as_bytes().into()),
            _ => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": self.most, "description": self.expected(),
        })
    }
}

//----------- Choice ---------------------------------------------------------

/// One of some words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Clone + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn expected(&self) -> String {
        let quoted: Vec<String> = self.0.iter().map(|(word, _)| format!("{word:?}")).collect();
        any_of(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<T> {
        let DeValue::String(text) = cursor.value else { return cursor.wrong(self.expected()) };
        match self.0.iter().find(|(word, _)| word == text) {
            Some((_, value)) => Some(value.clone()),
            None => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": words })
    }

    fn written(&self, value: &T) -> Option<Value> {
        self.0.iter().find(|(_, of)| of == value).map(|(word, _)| json!(word))
    }
}

//----------- Flag -----------------------------------------------------------

/// True or false.
pub(crate) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn expected(&self) -> String {
        "true or false".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<bool> {
        match cursor.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "boolean" })
    }

    fn written(&self, value: &bool) -> Option<Value> {
        Some(json!(value))
    }
}

//----------- Span -----------------------------------------------------------

/// A duration in a range, both ends included, as people write it.
pub(crate) struct Span {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Kind for Span {
    type Value = Duration;

    fn expected(&self) -> String {
        let (min, max) = (humantime::format_duration(self.min), humantime::format_duration(self.max));
        format!("a duration from {min} to {max}")
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Duration> {
        let text = match cursor.value {
            DeValue::String(text) => text,
            DeValue::Integer(_) | DeValue::Float(_) => {
                return cursor
                    .wrong_because(self.expected(), "write it with its unit, as \"5s\" or \"500ms\"");
            }
            _ => return cursor.wrong(self.expected()),
        };
        match humantime::parse_duration(text) {
            Ok(value) if (self.min..=self.max).contains(&value) => Some(value),
            Ok(_) => cursor.wrong(self.expected()),
            Err(_) => cursor.wrong_because(self.expected(), "write it as \"5s\" or \"500ms\""),
        }
    }

    fn schema(&self) -> Schema {
        // Its bounds are beyond a pattern.
        let pattern = r"^\s*[0-9][0-9A-Za-z\u00b5\u03bc.\s]*$";
        json_schema!({ "type": "string", "pattern": pattern, "description": self.expected() })
    }

    fn written(&self, value: &Duration) -> Option<Value> {
        Some(json!(humantime::format_duration(*value).to_string()))
    }
}

//----------- List, Tables ---------------------------------------------------

/// A list of one kind. Wrong elements are reported one by one, and the right ones read on.
pub(crate) struct List<K> {
    pub(crate) of: K,
    /// What it lists, in the plural: `addresses`.
    pub(crate) what: &'static str,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn expected(&self) -> String {
        let Self { what, min, max, .. } = self;
        if *min == 0 {
            format!("a list of at most {max} {what}")
        } else {
            format!("a list of {min} to {max} {what}")
        }
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Vec<K::Value>> {
        let Some(elements) = cursor.elements() else { return cursor.wrong(self.expected()) };
        if !(self.min..=self.max).contains(&elements.len()) {
            return cursor.wrong(self.expected());
        }
        Some(elements.filter_map(|element| self.of.read(&element)).collect())
    }

    fn schema(&self) -> Schema {
        let Self { of, min, max, .. } = self;
        json_schema!({
            "type": "array", "items": of.schema(), "minItems": min, "maxItems": max,
            "description": self.expected(),
        })
    }

    fn written(&self, value: &Self::Value) -> Option<Value> {
        let all: Option<Vec<Value>> = value.iter().map(|one| self.of.written(one)).collect();
        all.filter(|all| all.len() >= self.min).map(Value::Array)
    }
}

/// A table, by the function that reads its keys.
pub(crate) struct Section<F> {
    /// As it is written: `[server]`.
    pub(crate) header: &'static str,
    pub(crate) read: F,
}

impl<T, F: Fn(&mut Table<'_>) -> T> Kind for Section<F> {
    type Value = T;

    fn expected(&self) -> String {
        format!("a table, {}", self.header)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<T> {
        match cursor.table(|table| (self.read)(table)) {
            Some(value) => Some(value),
            None => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        schema::of_table(&self.read)
    }
}

/// An array of tables, by the function that reads the keys of one.
pub(crate) struct Sections<F> {
    /// As it is written: `[[zones]]`.
    pub(crate) header: &'static str,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) read: F,
}

impl<T, F: Fn(&mut Table<'_>) -> T> Kind for Sections<F> {
    type Value = Many<T>;

    fn expected(&self) -> String {
        let Self { header, min, max, .. } = self;
        if *min == 0 {
            format!("an array of at most {max} tables, {header}")
        } else {
            format!("an array of {min} to {max} tables, {header}")
        }
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Many<T>> {
        let Some(elements) = cursor.elements() else { return cursor.wrong(self.expected()) };
        let count = elements.len();
        if !(self.min..=self.max).contains(&count) {
            return cursor.wrong(self.expected());
        }
        let section = Section { header: self.header, read: &self.read };
        let list: Vec<T> = elements.filter_map(|element| section.read(&element)).collect();
        Some(Many { whole: list.len() == count, list })
    }

    fn schema(&self) -> Schema {
        let Self { min, max, read, .. } = self;
        json_schema!({
            "type": "array", "items": schema::of_table(read), "minItems": min, "maxItems": max,
            "description": self.expected(),
        })
    }
}
