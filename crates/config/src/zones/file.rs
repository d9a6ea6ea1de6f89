//! Zone files (RFC 1035 §5): the content of a zone as every name server reads it.
//!
//! Entries go straight into the zone's [`Contents`], so that what a file says and what
//! `[[zones.records]]` say is checked by the same rules. The text is not kept: a spot in it is a line and
//! a column.

mod directives;
mod generate;
mod lexer;
mod records;
mod soa;
mod ttl;

use std::path::{Path, PathBuf};

use meridian_model::{DomainName, Soa};

use super::contents::Contents;
use crate::findings::{Findings, KeyPath, Place, Spot, Spotted, Step};
use crate::issue::quote;
use crate::limits;
use crate::zones::presentation::Token;

use lexer::{Entry, Lexer, LineColumn};

/// What is read of a file beside what went into the zone's contents.
pub(crate) struct Read {
    /// `None` where an issue says why.
    pub(crate) soa: Option<Soa>,
    /// The TTL of the apex NS records, likewise.
    pub(crate) nameservers_ttl: Option<u32>,
    /// The file, and those that it includes.
    pub(crate) files: Vec<PathBuf>,
}

/// What all zone files of a configuration may still take.
pub(crate) struct Budget {
    octets: u64,
    records: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { octets: limits::ZONE_FILES_OCTETS, records: limits::ZONE_FILES_RECORDS }
    }
}

/// Reads the file of a zone into its contents. `belongs` tells whether an owner belongs to this zone
/// rather than to one below it.
pub(crate) fn read(
    named: &Spotted<PathBuf>,
    contents: &mut Contents,
    belongs: &dyn Fn(&DomainName) -> bool,
    budget: &mut Budget,
    findings: &Findings<'_>,
) -> Read {
    let origin = contents.apex.clone();
    let mut reader = Reader {
        contents,
        belongs,
        findings,
        budget,
        paths: Paths::new(),
        soa: None,
        soa_spot: None,
        nameservers_ttl: None,
        open: Vec::new(),
        files: Vec::new(),
        whole: true,
    };
    let read = reader.file(named, Scope { file: 0, origin, ttl: None, last_ttl: None, owner: Owner::None });
    if let Some(file) = read {
        reader.check_apex(file);
    }
    let nameservers_ttl = reader.nameservers_ttl.map(|ttl| ttl.value);
    Read { soa: reader.soa, nameservers_ttl, files: reader.files }
}

//----------- Reader ---------------------------------------------------------

/// Reads one zone.
struct Reader<'r, 'f> {
    contents: &'r mut Contents,
    belongs: &'r dyn Fn(&DomainName) -> bool,
    findings: &'r Findings<'f>,
    budget: &'r mut Budget,
    paths: Paths,
    soa: Option<Soa>,
    /// The first SOA record, readable or not.
    soa_spot: Option<Spot>,
    nameservers_ttl: Option<Spotted<u32>>,
    /// The files that are being read, one including the next.
    open: Vec<Open>,
    files: Vec<PathBuf>,
    /// Nothing was passed over, so that what was not found is not there.
    whole: bool,
}

/// A file that is being read.
struct Open {
    /// As it was named: what it includes begins at its folder.
    path: PathBuf,
    /// The same for every path that leads to it.
    identity: PathBuf,
}

/// What an entry takes from those before it in its file (RFC 1035 §5.1).
#[derive(Clone)]
struct Scope {
    /// The file's number among those that spots lie in.
    file: u32,
    origin: DomainName,
    /// What `$TTL` says (RFC 2308 §4).
    ttl: Option<u32>,
    /// The TTL that was written last.
    last_ttl: Option<u32>,
    owner: Owner,
}

/// The owner of the last entry.
#[derive(Clone)]
enum Owner {
    /// There was none yet.
    None,
    /// An issue says why there is none.
    Unreadable,
    Name(DomainName),
}

/// What an issue is about: the words that `[[zones.records]]` has for it, made once.
struct Paths {
    name: KeyPath,
    class: KeyPath,
    ttl: KeyPath,
    record_type: KeyPath,
    data: KeyPath,
    syntax: KeyPath,
}

impl Paths {
    fn new() -> Self {
        let path = |key| KeyPath::default().child(Step::Key(key));
        Self {
            name: path("name"),
            class: path("class"),
            ttl: path("ttl"),
            record_type: path("type"),
            data: path("data"),
            syntax: path("syntax"),
        }
    }
}

impl Reader<'_, '_> {
    /// Reads a file, and gives back its number; `None` after reporting that it cannot be read.
    fn file(&mut self, named: &Spotted<PathBuf>, mut scope: Scope) -> Option<u32> {
        let path = &*named.value;
        self.files.push(path.to_path_buf());
        let text = self.text(named)?;
        scope.file = self.findings.file(path);
        self.open.push(Open { path: path.to_path_buf(), identity: identity(path) });
        let (mut lexer, mut entry) = (Lexer::new(&text), Entry::default());
        let (findings, file, syntax) = (self.findings, scope.file, self.paths.syntax.clone());
        let mut report = |fault: lexer::Fault| {
            findings.mistake(&spot(file, fault.place, &syntax), fault.expected, fault.found);
        };
        while lexer.next(&mut entry, &mut report) {
            if !entry.whole {
                self.whole = false;
            } else if self.entry(&entry, &mut scope).is_none() {
                break;
            }
        }
        self.open.pop();
        Some(file)
    }

    /// The text of a file, or `None` after reporting that there is none: at the key or directive that
    /// names it, or in itself where it is no text.
    fn text(&mut self, named: &Spotted<PathBuf>) -> Option<String> {
        let path = &*named.value;
        let unreadable = |reason: &str| {
            let found = format_args!("{}: {reason}", quote(&path.display().to_string()));
            self.findings.mistake(&named.spot, "a zone file that can be read", found);
        };
        let octets = match crate::read_data(path, limits::ZONE_FILE_OCTETS) {
            Ok(octets) => octets,
            Err(reason) => {
                unreadable(&reason);
                return None;
            }
        };
        match self.budget.octets.checked_sub(octets.len() as u64) {
            Some(left) => self.budget.octets = left,
            None => {
                let most = limits::ZONE_FILES_OCTETS >> 20;
                unreadable(&format!("with it there are more than {most} MiB of zone files"));
                return None;
            }
        }
        match String::from_utf8(octets) {
            Ok(text) => Some(text),
            Err(error) => {
                let valid_up_to = error.utf8_error().valid_up_to();
                self.findings.beside(|| crate::not_utf8(path, error.as_bytes(), valid_up_to));
                self.whole = false;
                None
            }
        }
    }

    /// A directive or a record; `None` where nothing more of the zone is read.
    fn entry(&mut self, entry: &Entry<'_>, scope: &mut Scope) -> Option<()> {
        let words = Words { words: &entry.words, places: &entry.places };
        match words.first()? {
            (Token { text, quoted: false }, _) if text.starts_with('$') && !entry.continues => {
                self.directive(text, words, scope)
            }
            _ => self.record(words, entry.continues, scope),
        }
    }

    /// What every zone has, reported at the beginning of its file where it has not.
    fn check_apex(&self, file: u32) {
        if !self.whole {
            // It may stand in what could not be read.
            return;
        }
        let apex = &self.contents.apex;
        let top = LineColumn { line: 1, column: 1 };
        let missing = |kind: &str| {
            let expected = format_args!("{kind} of {apex} in the file");
            self.findings.mistake(&spot(file, top, &self.paths.record_type), expected, "none");
        };
        if self.soa_spot.is_none() {
            missing("an SOA record");
        }
        if self.nameservers_ttl.is_none() {
            missing("NS records");
        }
    }

    fn mistake(
        &self,
        scope: &Scope,
        place: LineColumn,
        path: &KeyPath,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) {
        self.findings.mistake(&spot(scope.file, place, path), expected, found);
    }
}

fn spot(file: u32, LineColumn { line, column }: LineColumn, path: &KeyPath) -> Spot {
    Spot { place: Place::Beside { file, line, column }, path: path.clone() }
}

/// What tells whether two paths lead to one file.
fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

//----------- Words ----------------------------------------------------------

/// Words with their places.
#[derive(Clone, Copy)]
struct Words<'w, 't> {
    words: &'w [Token<'t>],
    places: &'w [LineColumn],
}

impl<'t> Words<'_, 't> {
    fn first(self) -> Option<(Token<'t>, LineColumn)> {
        Some((*self.words.first()?, *self.places.first()?))
    }

    fn rest(self) -> Self {
        Self { words: self.words.get(1..).unwrap_or(&[]), places: self.places.get(1..).unwrap_or(&[]) }
    }

    /// The first word, taken off.
    fn take(&mut self) -> Option<(Token<'t>, LineColumn)> {
        let first = self.first();
        *self = self.rest();
        first
    }
}
