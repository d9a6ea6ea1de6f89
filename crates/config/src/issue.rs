//! Issues: what is wrong with a file, where, and what would be right.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::limits;

//----------- Issue ----------------------------------------------------------

/// One thing that is wrong with a file, or that its author should know.
///
/// Displayed on one line: `file:line:column: key: expected X, found Y`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// As it was named to the loader.
    pub file: PathBuf,
    /// Where in it; `None` when the file could not be read at all.
    pub position: Option<Position>,
    /// The path of the key, with list indices from 0: `gateways[2].hostnames[0]`; in a
    /// CSV file the name of the column. `syntax` where the text is no TOML, or no such CSV, empty
    /// where the position is `None` and for a warning about the whole file.
    pub key: String,
    /// What is the matter.
    pub matter: Matter,
}

/// What is the matter at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matter {
    /// The file cannot be used as it is.
    Mistake {
        /// What may stand there.
        expected: String,
        /// What does, with the reason it is wrong where that is not plain.
        found: String,
    },
    /// The file can be used, but does something its author may not want.
    Warning(String),
    /// Why the file as a whole cannot be read, often in the operating system's words.
    Unreadable(String),
}

impl Issue {
    /// A mistake found later in a value that the loader had accepted, such as a database that turns
    /// out to be broken; reported where the file names it.
    #[must_use]
    pub fn mistake<T>(file: &Path, at: &Located<T>, expected: &str, found: &str) -> Self {
        Self {
            file: file.to_path_buf(),
            position: Some(at.position),
            key: at.key.clone(),
            matter: Matter::Mistake { expected: expected.into(), found: found.into() },
        }
    }

    /// The file as a whole cannot be used, for a reason in words.
    #[must_use]
    pub fn unreadable(file: &Path, reason: String) -> Self {
        let matter = Matter::Unreadable(reason);
        Self { file: file.to_path_buf(), position: None, key: String::new(), matter }
    }

    /// Whether the file can be used all the same.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self.matter, Matter::Warning(_))
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = OneLine(f);
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        match &self.matter {
            Matter::Mistake { expected, found } => write!(f, " expected {expected}, found {found}"),
            Matter::Warning(text) => write!(f, " warning: {text}"),
            Matter::Unreadable(reason) => write!(f, " cannot be read: {reason}"),
        }
    }
}

/// Escapes control characters: an issue quotes what it is about, and is still one line that leaves the terminal
/// as it was.
struct OneLine<'f, 'o>(&'f mut fmt::Formatter<'o>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((before, control)) = rest.find(char::is_control).map(|at| rest.split_at(at)) {
            let mut characters = control.chars();
            let escaped = characters.next().map(char::escape_default);
            write!(self.0, "{before}{}", escaped.into_iter().flatten().collect::<String>())?;
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

//----------- Issues ---------------------------------------------------------

/// All mistakes of a file, in the order of the file, then those of its data files; never empty.
///
/// Displayed one a line. Of a file with very many only the first are kept; the last line then says
/// how many more there are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Issues {
    kept: Vec<Issue>,
    dropped: usize,
    databases: Vec<Located<PathBuf>>,
}

impl Issues {
    /// Takes those kept, in order, and how many more there were.
    pub(crate) fn new(kept: Vec<Issue>, dropped: usize) -> Self {
        Self { kept, dropped, databases: Vec::new() }
    }

    /// As it is, with the databases that the file names in spite of its mistakes.
    pub(crate) fn with_databases(self, databases: Vec<Located<PathBuf>>) -> Self {
        Self { databases, ..self }
    }

    /// The databases that the file names in spite of its mistakes: who opens them can report theirs
    /// in the same run.
    #[must_use]
    pub fn databases(&self) -> &[Located<PathBuf>] {
        &self.databases
    }

    /// Puts further issues to their places; those of another file come behind those of the first.
    pub fn add(&mut self, issues: impl IntoIterator<Item = Issue>) {
        let mut issues = issues.into_iter().peekable();
        let Some(own) = issues.peek().map(|issue| issue.file.clone()) else { return };
        self.kept.extend(issues);
        // Those of data files stay behind, as they are.
        self.kept.sort_by_key(|issue| match issue.file == own {
            true => (false, issue.position),
            false => (true, None),
        });
        let most = limits::ISSUES.min(self.kept.len());
        self.dropped += self.kept.split_off(most).len();
    }

    /// The single issue of a file that cannot be read.
    pub(crate) fn unreadable(file: &Path, reason: String) -> Self {
        Self::from(Issue::unreadable(file, reason))
    }

    /// Those that are kept, at most 200, in that order.
    pub fn iter(&self) -> std::slice::Iter<'_, Issue> {
        self.kept.iter()
    }

    /// How many there are, the dropped ones included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.kept.len().saturating_add(self.dropped)
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self::new(vec![issue], 0)
    }
}

impl<'a> IntoIterator for &'a Issues {
    type Item = &'a Issue;
    type IntoIter = std::slice::Iter<'a, Issue>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.kept.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{issue}")?;
        }
        if self.dropped > 0 {
            write!(f, "\nand {} more", self.dropped)?;
        }
        Ok(())
    }
}

//----------- Position, Located ----------------------------------------------

/// A place in a text, as editors count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A value with the place in the file that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The path of its key.
    pub key: String,
    /// Where the value begins.
    pub position: Position,
}

//----------- Words for messages ---------------------------------------------

/// A text in quotes as TOML would take it, cut short where it would flood the terminal.
///
/// Control characters are escaped; what holds quotes or backslashes stands in single quotes, as it
/// is, so that record data is not doubly escaped.
pub(crate) fn quote(text: &str) -> String {
    let head: String = text.chars().take(limits::QUOTED_CHARACTERS).collect();
    let literal = head.contains(['"', '\\']) && !head.contains('\'') && !head.contains(char::is_control);
    let quoted = if literal { format!("'{head}'") } else { format!("{head:?}") };
    if head.len() == text.len() { quoted } else { format!("{quoted}… ({} octets)", text.len()) }
}

/// A list in words: `a, b and 3 more`, or with "or" before the last of a short one.
pub(crate) fn any_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".into(),
        [one] => (*one).into(),
        [head @ .., last] if words.len() <= limits::LISTED_NAMES => format!("{} or {last}", head.join(", ")),
        _ => {
            let (head, rest) = words.split_at(limits::LISTED_NAMES);
            format!("{} or {} more", head.join(", "), rest.len())
        }
    }
}

/// `; did you mean "shop"?` for the known word nearest to a misspelt one, or nothing.
///
/// Near is at most one edit for every three characters (Damerau: insert, delete, replace, swap).
pub(crate) fn did_you_mean<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    let length = wrong.chars().count();
    if length > limits::SPELLED_CHARACTERS {
        return String::new();
    }
    let most = (length / 3).max(1);
    words
        .into_iter()
        .filter(|word| word.len() <= limits::SPELLED_CHARACTERS)
        .map(|word| (edits(wrong, word), word))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| format!("; did you mean {word:?}?"))
        .unwrap_or_default()
}

/// The optimal string alignment distance, in rows of which only the last three are kept.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != *y);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if j > 0 && last == Some(*y) && b[j - 1] == x {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        (before, above, last) = (above, row, Some(x));
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        let words = ["listen", "data_dir", "workers"];
        assert_eq!(did_you_mean("lisen", words), "; did you mean \"listen\"?");
        assert_eq!(did_you_mean("wrokers", words), "; did you mean \"workers\"?");
        assert_eq!(did_you_mean("Listen", words), "; did you mean \"listen\"?");
        assert_eq!(did_you_mean("colour", words), "");
        assert_eq!(did_you_mean("", ["a"]), "; did you mean \"a\"?");
        assert_eq!(edits("ca", "abc"), 3);
        assert_eq!(edits("ab", "ba"), 1);
    }

    #[test]
    fn words() {
        assert_eq!(any_of(&[]), "nothing");
        assert_eq!(any_of(&["a"]), "a");
        assert_eq!(any_of(&["a", "b", "c"]), "a, b or c");
        assert_eq!(any_of(&["x"; 50]), format!("{}x or 10 more", "x, ".repeat(39)));
        assert_eq!(quote("a\nb"), "\"a\\nb\"");
        assert_eq!(quote("0 issue \"ca\""), "'0 issue \"ca\"'");
        assert_eq!(quote("it's \"it\""), "\"it's \\\"it\\\"\"");
        assert_eq!(quote(&"é".repeat(101)), format!("\"{}\"… (202 octets)", "é".repeat(100)));
    }
}
