//! The kinds of values that the file's keys take.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meridian_model::{Finite, Share};
use toml::de::DeValue;

use crate::findings::Spotted;
use crate::issue::any_of;
use crate::limits;
use crate::reader::{Cursor, Kind, Many, Table};

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
}

//----------- Text, Parsed ---------------------------------------------------

/// A string of some length without control characters.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    /// `the name of a probe`
    pub(crate) what: &'static str,
    /// The most characters.
    pub(crate) characters: usize,
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
}

/// A string that a function turns into a value.
pub(crate) struct Parsed<T> {
    /// What is expected.
    pub(crate) what: &'static str,
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
}

/// A path; a relative one begins at the folder of the file.
pub(crate) struct FilePath<'f> {
    /// The configuration file itself.
    pub(crate) file: &'f Path,
    /// What the path leads to.
    pub(crate) what: &'static str,
}

impl Kind for FilePath<'_> {
    type Value = PathBuf;

    fn expected(&self) -> String {
        self.what.into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<PathBuf> {
        let text = Text { what: self.what, characters: limits::PATH_CHARACTERS }.read(cursor)?;
        Some(self.file.parent().unwrap_or(Path::new("")).join(&*text))
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
}

//----------- Choice ---------------------------------------------------------

/// One of some words.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Clone> Kind for Choice<T> {
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
}

//----------- Whole, Degrees, Portion, Number --------------------------------

/// A whole number in a range, both ends included.
pub(crate) struct Whole<T> {
    pub(crate) min: T,
    pub(crate) max: T,
    /// What is counted, for the message: `seconds`; may be empty.
    pub(crate) unit: &'static str,
}

impl<T: Display + Copy + PartialOrd + TryFrom<i128>> Kind for Whole<T> {
    type Value = T;

    fn expected(&self) -> String {
        let Self { min, max, unit } = self;
        if min == max {
            return min.to_string();
        }
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        format!("a whole number{of} from {min} to {max}")
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<T> {
        let DeValue::Integer(number) = cursor.value else { return cursor.wrong(self.expected()) };
        let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
        match value.and_then(|value| T::try_from(value).ok()) {
            Some(value) if (self.min..=self.max).contains(&value) => Some(value),
            _ => cursor.wrong(self.expected()),
        }
    }
}

/// Degrees of latitude or longitude, whole or not.
pub(crate) struct Degrees {
    /// The largest; the smallest is as far below zero.
    pub(crate) most: f64,
    /// Which of the two, and what its sign means.
    pub(crate) what: &'static str,
}

impl Kind for Degrees {
    type Value = f64;

    fn expected(&self) -> String {
        format!("degrees from -{0} to {0} ({1})", self.most, self.what)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<f64> {
        let degrees = decimal(cursor.value).filter(|degrees| self.holds(*degrees));
        degrees.or_else(|| cursor.wrong(self.expected()))
    }
}

impl Degrees {
    /// The degrees of a text that stands alone.
    pub(crate) fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|degrees| self.holds(*degrees))
    }

    /// A NaN is in no range.
    fn holds(&self, degrees: f64) -> bool {
        (-self.most..=self.most).contains(&degrees)
    }
}

/// A part of a whole, as a number from 0 to what the whole is written as.
pub(crate) struct Portion {
    /// 1 for a fraction, 100 for percent.
    pub(crate) whole: f64,
    /// What is taken a part of.
    pub(crate) what: &'static str,
}

impl Kind for Portion {
    type Value = Share;

    fn expected(&self) -> String {
        format!("{} from 0 to {}", self.what, self.whole)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Share> {
        let part = decimal(cursor.value).and_then(|number| Share::from_fraction(number / self.whole));
        part.or_else(|| cursor.wrong(self.expected()))
    }
}

/// Any number but the infinite ones.
pub(crate) struct Number;

impl Kind for Number {
    type Value = Finite;

    fn expected(&self) -> String {
        "a number".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Finite> {
        decimal(cursor.value).and_then(Finite::new).or_else(|| cursor.wrong(self.expected()))
    }
}

/// A number in base 10, whole or not.
fn decimal(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
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
}
