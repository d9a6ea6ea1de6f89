//! What the reading has found so far, and where: spots, positions and the bounded list of issues.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{self, Display};
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::issue::{Issue, Issues, Located, Matter, Position};
use crate::limits;

//----------- Spot, Spotted --------------------------------------------------

/// A place and the key's path, before anyone asks for its line.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) path: KeyPath,
}

/// A place in the configuration or in a file beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// An offset in octets in the configuration.
    Here(usize),
    /// A line and a column, each from 1, in the file of this number ([`Findings::file`]). Such files
    /// are too large to keep their texts for a question about a line.
    Beside { file: u32, line: u32, column: u32 },
}

impl Spot {
    /// A place in the configuration.
    pub(crate) fn here(offset: usize, path: KeyPath) -> Self {
        Self { place: Place::Here(offset), path }
    }

    /// The same place under the path of one of its keys, for what is wrong by its absence.
    pub(crate) fn key(&self, key: &'static str) -> Self {
        Self { place: self.place, path: self.path.child(Step::Key(key)) }
    }
}

/// A value that remembers its place, for checks that come after reading.
#[derive(Clone, Debug)]
pub(crate) struct Spotted<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

/// The path of a key from the root of the file: `gateways[2].hostnames[0]`. Cheap to extend.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyPath(Option<Rc<(KeyPath, Step)>>);

/// One step of a path.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Key(&'static str),
    /// A key that the user names.
    Name(Rc<str>),
    Index(usize),
}

impl KeyPath {
    pub(crate) fn child(&self, step: Step) -> Self {
        Self(Some(Rc::new((self.clone(), step))))
    }

    /// The path of a key that is not one of ours.
    pub(crate) fn stranger(&self, key: &str) -> String {
        let key = shown(key);
        if self.0.is_none() { key } else { format!("{self}.{key}") }
    }
}

/// A key as TOML would take it: in quotes where it must be.
fn shown(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let quoted = key.is_empty() || !key.chars().all(plain) || key.len() > limits::NAME_CHARACTERS;
    if quoted { crate::issue::quote(key) } else { key.into() }
}

impl Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(node) = &self.0 else { return Ok(()) };
        let (parent, step) = &**node;
        parent.fmt(f)?;
        match step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) if parent.0.is_none() => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Name(name) => write!(f, ".{}", shown(name)),
        }
    }
}

//----------- Source ---------------------------------------------------------

/// A text with its name and where its lines begin.
pub(crate) struct Source<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a Path, text: &'a str) -> Self {
        // A byte order mark is not a character of the first line.
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let rest = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(at, _)| at + 1);
        Self { file, text, line_starts: std::iter::once(first).chain(rest).collect() }
    }

    /// The position of an offset; one past the end is the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let end = self.text.floor_char_boundary(offset);
        let column = self.text.get(start..end).map_or(0, |before| before.chars().count()) + 1;
        Position { line, column }
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }
}

//----------- Findings -------------------------------------------------------

/// The issues and warnings found so far.
pub(crate) struct Findings<'a> {
    pub(crate) source: &'a Source<'a>,
    mistakes: RefCell<Kept>,
    warnings: RefCell<Kept>,
    /// The mistakes in data files.
    beside: RefCell<Beside>,
    /// The warnings in data files.
    doubts: RefCell<Beside>,
    /// The data files that spots lie in, by number.
    files: RefCell<Vec<PathBuf>>,
    /// Where the text is no TOML: what follows from a broken line is withheld.
    broken: Option<Broken>,
}

/// Lines that are no TOML. The tree around them is a guess, so an absent key may only be hidden.
struct Broken {
    first_offset: usize,
    lines: Vec<usize>,
}

/// Why a mistake is reported, which decides whether a broken line elsewhere may be its cause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The text is no TOML.
    Syntax,
    /// A value is wrong by itself.
    Value,
    /// A key does not belong into its table.
    UnknownKey,
    /// Something is not there, or does not fit to something elsewhere.
    Absence,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
            beside: RefCell::default(),
            doubts: RefCell::default(),
            files: RefCell::default(),
            broken: None,
        }
    }

    /// Withholds from now on what broken lines at these offsets may have caused.
    pub(crate) fn distrust(&mut self, offsets: &[usize]) {
        let Some(first_offset) = offsets.iter().copied().min() else { return };
        let mut lines: Vec<usize> = offsets.iter().map(|offset| self.source.line(*offset)).collect();
        lines.sort_unstable();
        self.broken = Some(Broken { first_offset, lines });
    }

    /// The number of a data file that spots are to lie in.
    pub(crate) fn file(&self, path: &Path) -> u32 {
        let mut files = self.files.borrow_mut();
        files.push(path.to_path_buf());
        u32::try_from(files.len() - 1).unwrap_or(u32::MAX)
    }

    /// A value that is wrong by itself.
    pub(crate) fn mistake(&self, spot: &Spot, expected: impl Display, found: impl Display) {
        match spot.place {
            Place::Here(offset) => {
                self.report(Cause::Value, offset, || spot.path.to_string(), expected, found);
            }
            Place::Beside { file, line, column } => self.beside(|| {
                let matter = Matter::Mistake { expected: expected.to_string(), found: found.to_string() };
                self.issue_beside(spot, file, (line, column), matter)
            }),
        }
    }

    fn issue_beside(&self, spot: &Spot, file: u32, (line, column): (u32, u32), matter: Matter) -> Issue {
        Issue {
            file: self.files.borrow().get(file as usize).cloned().unwrap_or_default(),
            position: Some(Position { line: line as usize, column: column as usize }),
            key: spot.path.to_string(),
            matter,
        }
    }

    /// A mistake for any cause; the key is rendered only if it is kept.
    pub(crate) fn report(
        &self,
        cause: Cause,
        offset: usize,
        key: impl FnOnce() -> String,
        expected: impl Display,
        found: impl Display,
    ) {
        if self.withheld(cause, offset) {
            return;
        }
        self.mistakes.borrow_mut().push(offset, || {
            (key(), Matter::Mistake { expected: expected.to_string(), found: found.to_string() })
        });
    }

    /// A mistake in a data file, rendered only if it is kept.
    pub(crate) fn beside(&self, render: impl FnOnce() -> Issue) {
        self.beside.borrow_mut().push(render);
    }

    /// A mistake in a data file, at an offset of it.
    pub(crate) fn mistake_in(
        &self,
        source: &Source<'_>,
        offset: usize,
        key: &str,
        expected: impl Display,
        found: impl Display,
    ) {
        self.beside(|| Issue {
            file: source.file.to_path_buf(),
            position: Some(source.position(offset)),
            key: key.into(),
            matter: Matter::Mistake { expected: expected.to_string(), found: found.to_string() },
        });
    }

    /// Something that is allowed and may not be wanted.
    pub(crate) fn warn(&self, spot: &Spot, text: impl Display) {
        let matter = || Matter::Warning(text.to_string());
        match spot.place {
            Place::Here(offset) => {
                self.warnings.borrow_mut().push(offset, || (spot.path.to_string(), matter()));
            }
            Place::Beside { file, line, column } => {
                self.doubts.borrow_mut().push(|| self.issue_beside(spot, file, (line, column), matter()))
            }
        }
    }

    fn withheld(&self, cause: Cause, offset: usize) -> bool {
        let Some(broken) = &self.broken else { return false };
        match cause {
            Cause::Syntax => false,
            Cause::Absence => true,
            Cause::UnknownKey => offset >= broken.first_offset,
            Cause::Value => broken.lines.binary_search(&self.source.line(offset)).is_ok(),
        }
    }

    /// The values of a list, after a report for each that stands there again.
    pub(crate) fn once<T: Display + Eq + Hash>(&self, list: Vec<Spotted<T>>, what: &str) -> Vec<T> {
        let mut seen = HashSet::new();
        for Spotted { value, spot } in &list {
            if !seen.insert(value) {
                self.mistake(spot, format_args!("each {what} once"), format_args!("{value} again"));
            }
        }
        list.into_iter().map(|item| item.value).collect()
    }

    /// The line of a spot, to point at from elsewhere.
    pub(crate) fn line(&self, spot: &Spot) -> usize {
        match spot.place {
            Place::Here(offset) => self.source.line(offset),
            Place::Beside { line, .. } => line as usize,
        }
    }

    /// The line of a spot, to point at from another that may lie in another file, whose name is then
    /// said too: `12 of gslb.zone`.
    pub(crate) fn line_seen(&self, spot: &Spot, from: &Spot) -> String {
        let line = self.line(spot);
        match (spot.place, from.place) {
            (Place::Here(_), Place::Here(_)) => line.to_string(),
            (Place::Beside { file, .. }, Place::Beside { file: other, .. }) if file == other => {
                line.to_string()
            }
            (Place::Here(_), _) => format!("{line} of {}", self.source.file.display()),
            (Place::Beside { file, .. }, _) => match self.files.borrow().get(file as usize) {
                Some(path) => format!("{line} of {}", path.display()),
                None => line.to_string(),
            },
        }
    }

    /// The value with its place as the outside sees it.
    pub(crate) fn located<T>(&self, spotted: Spotted<T>) -> Located<T> {
        let Spotted { value, spot } = spotted;
        let position = match spot.place {
            Place::Here(offset) => self.source.position(offset),
            Place::Beside { line, column, .. } => Position { line: line as usize, column: column as usize },
        };
        Located { value, key: spot.path.to_string(), position }
    }

    /// Whether lines are no TOML.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The value with the warnings if there was no mistake, else the mistakes.
    pub(crate) fn conclude<T>(self, value: Option<T>) -> Result<(T, Vec<Issue>), Issues> {
        let file = self.source.file;
        let (mut mistakes, mut dropped) = self.mistakes.into_inner().finish(self.source);
        let (beside, dropped_beside) = self.beside.into_inner().finish();
        mistakes.extend(beside);
        dropped += dropped_beside + mistakes.len().saturating_sub(limits::ISSUES);
        mistakes.truncate(limits::ISSUES);
        let value = match value {
            Some(value) if mistakes.is_empty() => value,
            None if mistakes.is_empty() => {
                let reason = "a value was lost without an issue; this is a fault of the loader";
                return Err(Issues::unreadable(file, reason.into()));
            }
            _ => return Err(Issues::new(mistakes, dropped)),
        };
        let (mut warnings, dropped) = self.warnings.into_inner().finish(self.source);
        let (doubts, dropped_doubts) = self.doubts.into_inner().finish();
        warnings.extend(doubts);
        let dropped = dropped + dropped_doubts;
        if dropped > 0 {
            warnings.push(Issue {
                file: file.to_path_buf(),
                position: Some(Position { line: 1, column: 1 }),
                key: String::new(),
                matter: Matter::Warning(format!("and {dropped} more warnings")),
            });
        }
        Ok((value, warnings))
    }
}

/// The first issues of the file among all that were found, in bounded memory.
#[derive(Default)]
struct Kept {
    list: Vec<(usize, String, Matter)>,
    dropped: usize,
    /// The offset from which on nothing is kept any more.
    full_from: Option<usize>,
}

impl Kept {
    fn push(&mut self, offset: usize, render: impl FnOnce() -> (String, Matter)) {
        if self.full_from.is_some_and(|from| offset >= from) {
            self.dropped += 1;
            return;
        }
        let (key, matter) = render();
        self.list.push((offset, key, matter));
        if self.list.len() > 2 * limits::ISSUES {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.list.sort_by_key(|(offset, ..)| *offset);
        if self.list.len() > limits::ISSUES {
            self.dropped += self.list.len() - limits::ISSUES;
            self.list.truncate(limits::ISSUES);
            self.full_from = self.list.last().map(|(offset, ..)| *offset);
        }
    }

    fn finish(mut self, source: &Source<'_>) -> (Vec<Issue>, usize) {
        self.trim();
        let issue = |(offset, key, matter)| Issue {
            file: source.file.to_path_buf(),
            position: Some(source.position(offset)),
            key,
            matter,
        };
        (self.list.into_iter().map(issue).collect(), self.dropped)
    }
}

/// The first issues found in data files.
#[derive(Default)]
struct Beside {
    kept: Vec<Issue>,
    dropped: usize,
}

impl Beside {
    fn push(&mut self, render: impl FnOnce() -> Issue) {
        if self.kept.len() < limits::ISSUES {
            self.kept.push(render());
        } else {
            self.dropped += 1;
        }
    }

    /// File by file, in the order in which they had their first issue; within one in its order.
    fn finish(mut self) -> (Vec<Issue>, usize) {
        let mut files: Vec<PathBuf> = Vec::new();
        for issue in &self.kept {
            if !files.contains(&issue.file) {
                files.push(issue.file.clone());
            }
        }
        let number = |issue: &Issue| files.iter().position(|file| *file == issue.file);
        self.kept.sort_by_key(|issue| (number(issue), issue.position));
        (self.kept, self.dropped)
    }
}
