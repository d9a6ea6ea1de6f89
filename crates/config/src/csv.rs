//! Data files: CSV beside the configuration, for what has more lines than a configuration should, or must not
//! stand in it.
//!
//! The first line names the columns, in any order. Empty lines and lines that begin with `#` say
//! nothing. Fields are split at commas and trimmed; there is no quoting.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::findings::{Findings, Spotted};
use crate::issue::{Issue, Matter, Position, any_of, did_you_mean, quote};
use crate::limits;

/// The text of a data file.
pub(crate) struct DataFile<'f> {
    path: &'f Path,
    text: String,
    findings: &'f Findings<'f>,
}

/// One field, trimmed.
#[derive(Clone, Copy)]
pub(crate) struct Field<'t> {
    pub(crate) text: &'t str,
    pub(crate) line: Line<'t>,
    offset: usize,
}

/// One line that says something.
#[derive(Clone, Copy)]
pub(crate) struct Line<'t> {
    /// From 1.
    pub(crate) number: usize,
    text: &'t str,
}

impl<'t> Line<'t> {
    /// The fields, without allocating.
    pub(crate) fn fields(self) -> impl Iterator<Item = Field<'t>> {
        let mut next = 0;
        self.text.split(',').map(move |field| {
            let trimmed = field.trim_start();
            let offset = next + field.len() - trimmed.len();
            next += field.len() + 1;
            Field { text: trimmed.trim_end(), line: self, offset }
        })
    }

    /// Where it begins, for what is wrong with all of it.
    pub(crate) fn start(self) -> Field<'t> {
        Field { text: self.text, line: self, offset: 0 }
    }
}

impl<'f> DataFile<'f> {
    /// Reads the file; reports at the key that names it that it cannot be read (but `expected`), and in
    /// itself that it is no text.
    pub(crate) fn read(
        named: &'f Spotted<PathBuf>,
        expected: &str,
        findings: &'f Findings<'f>,
    ) -> Option<Self> {
        let path = &*named.value;
        let octets = match crate::read_data(path, limits::DATA_FILE_OCTETS) {
            Ok(octets) => octets,
            Err(reason) => {
                let found = format_args!("{}: {reason}", quote(&path.display().to_string()));
                findings.mistake(&named.spot, expected, found);
                return None;
            }
        };
        match String::from_utf8(octets) {
            Ok(text) => Some(Self { path, text, findings }),
            Err(error) => {
                let valid_up_to = error.utf8_error().valid_up_to();
                findings.beside(|| crate::not_utf8(path, error.as_bytes(), valid_up_to));
                None
            }
        }
    }

    /// The lines that say something, of which the first names the columns.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let numbered = (1..).zip(text.lines()).map(|(number, text)| Line { number, text });
        let within = move |line: &Line<'_>| {
            let over = line.number > limits::DATA_FILE_LINES;
            if over {
                let expected = format_args!("a file of at most {} lines", limits::DATA_FILE_LINES);
                self.mistake(line.start(), "syntax", expected, "one more");
            }
            !over
        };
        numbered.take_while(within).filter(|line| {
            let text = line.text.trim();
            !text.is_empty() && !text.starts_with('#')
        })
    }

    /// The columns by their names, or `None` after reporting what is wrong with the header.
    pub(crate) fn header<C: Copy + PartialEq>(
        &self,
        header: Option<Line<'_>>,
        names: &[(&'static str, C)],
    ) -> Option<Vec<(&'static str, C)>> {
        let words: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let Some(header) = header else {
            let nothing = Line { number: 1, text: "" };
            let expected = format_args!("a first line with the names of the columns ({})", any_of(&words));
            self.mistake(nothing.start(), "syntax", expected, "a file that says nothing");
            return None;
        };
        let mut columns: Vec<(&'static str, C)> = Vec::new();
        let mut whole = true;
        for field in header.fields() {
            let known = names.iter().find(|(name, _)| *name == field.text);
            whole &= known.is_some_and(|column| !columns.contains(column));
            match known {
                Some(column) if columns.contains(column) => {
                    self.mistake(field, column.0, "each column once", "a second time");
                }
                Some(column) => columns.push(*column),
                None => {
                    let expected = format_args!("one of the columns {}", any_of(&words));
                    let hint = did_you_mean(field.text, words.iter().copied());
                    self.mistake(field, "syntax", expected, format_args!("{}{hint}", quote(field.text)));
                }
            }
        }
        whole.then_some(columns)
    }

    /// Reports a mistake at a field.
    pub(crate) fn mistake(&self, at: Field<'_>, key: &str, expected: impl Display, found: impl Display) {
        self.findings.beside(|| {
            let before = at.line.text.get(..at.offset).unwrap_or("");
            Issue {
                file: self.path.to_path_buf(),
                position: Some(Position { line: at.line.number, column: before.chars().count() + 1 }),
                key: key.into(),
                matter: Matter::Mistake { expected: expected.to_string(), found: found.to_string() },
            }
        });
    }
}
