//! Latency tables: files of measurements beside the configuration.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use meridian_model::{ClientMatch, ClusterId, LatencyRow, LatencyTable, LatencyTableId};
use schemars::Schema;

use crate::countries::{COUNTRY_WORDS, parse_country};
use crate::findings::{Findings, Source, Spotted};
use crate::issue::{any_of, did_you_mean, quote};
use crate::kinds::FilePath;
use crate::limits;
use crate::names::Names;
use crate::policy::Candidates;
use crate::prefixes::{Prefixes, parse_client_prefix};
use crate::reader::{Cursor, Kind};

/// The first line of a table.
const HEADER: [&str; 3] = ["clients", "cluster", "ms"];

//----------- TablePath ------------------------------------------------------

/// Where a table is, and as the file calls it.
pub(crate) struct TablePath {
    name: Box<str>,
    path: PathBuf,
}

/// The path of a table; a relative one begins at the folder of the file.
pub(crate) struct TableKind<'f> {
    /// The configuration file itself.
    pub(crate) file: &'f Path,
}

impl TableKind<'_> {
    const WHAT: &'static str = "the path of a latency table";
}

impl Kind for TableKind<'_> {
    type Value = TablePath;

    fn expected(&self) -> String {
        Self::WHAT.into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<TablePath> {
        let path = FilePath { file: self.file, what: Self::WHAT };
        Some(TablePath { name: path.text().read(cursor)?, path: path.read(cursor)? })
    }

    fn schema(&self) -> Schema {
        FilePath { file: self.file, what: Self::WHAT }.schema()
    }
}

//----------- Tables ---------------------------------------------------------

/// The tables so far, each read once.
#[derive(Default)]
pub(crate) struct Tables {
    /// `None` for one that cannot be used.
    by_path: HashMap<PathBuf, Option<LatencyTableId>>,
    tables: Vec<LatencyTable>,
    /// Of each table the clusters that it has rows for.
    clusters: Vec<HashSet<ClusterId>>,
    files: Vec<PathBuf>,
}

impl Tables {
    /// The table of a path, read if it is the first to ask for it; `None` where an issue says why.
    pub(crate) fn find(
        &mut self,
        table: &Spotted<TablePath>,
        clusters: &Names,
        prefixes: &mut Prefixes,
        findings: &Findings<'_>,
    ) -> Option<LatencyTableId> {
        let TablePath { name, path } = &table.value;
        if let Some(known) = self.by_path.get(path) {
            return *known;
        }
        let rows = match crate::read_data(path, limits::DATA_FILE_OCTETS) {
            Ok(octets) => read_rows(path, &octets, clusters, prefixes, findings),
            Err(reason) => {
                let found = format_args!("{}: {reason}", quote(name));
                findings.mistake(&table.spot, TableKind::WHAT, found);
                None
            }
        };
        let id = rows.map(|rows| {
            self.clusters.push(rows.iter().map(|row| row.cluster).collect());
            self.tables.push(LatencyTable { name: name.clone(), rows });
            self.files.push(path.clone());
            LatencyTableId::from_index(self.tables.len() - 1)
        });
        self.by_path.insert(path.clone(), id);
        id
    }

    /// Reports a table that says nothing about any of the clusters it is to put in order.
    pub(crate) fn check_rows(
        &self,
        id: LatencyTableId,
        table: &Spotted<TablePath>,
        candidates: &Candidates<'_>,
        findings: &Findings<'_>,
    ) {
        let rows_for = self.clusters.get(id.index());
        if !candidates.clusters.iter().any(|one| rows_for.is_some_and(|rows| rows.contains(&one.id))) {
            let expected = format_args!("a table with a row for a cluster of this {}", candidates.listed());
            findings.mistake(&table.spot, expected, quote(&table.value.name));
        }
    }

    /// The catalog's list, and the files that were read.
    pub(crate) fn finish(self) -> (Vec<LatencyTable>, Vec<PathBuf>) {
        (self.tables, self.files)
    }
}

//----------- Rows -----------------------------------------------------------

/// The rows of a table; `None` where an issue says why.
fn read_rows(
    path: &Path,
    octets: &[u8],
    clusters: &Names,
    prefixes: &mut Prefixes,
    findings: &Findings<'_>,
) -> Option<Vec<LatencyRow>> {
    let (text, is_text) = match str::from_utf8(octets) {
        Ok(text) => (text, true),
        // What stands before the first octet that is no text gives the position of it.
        Err(error) => (str::from_utf8(octets.get(..error.valid_up_to())?).ok()?, false),
    };
    let source = Source::new(path, text);
    if !is_text {
        let octet = octets.get(text.len())?;
        findings.mistake_in(
            &source,
            text.len(),
            "syntax",
            "text in UTF-8",
            format_args!("the octet 0x{octet:02x}"),
        );
        return None;
    }
    let mut reader = Reader { source: &source, clusters, prefixes, findings, whole: true };
    let rows = reader.read();
    reader.whole.then_some(rows)
}

/// A table being read.
struct Reader<'r, 'f> {
    source: &'r Source<'r>,
    clusters: &'r Names,
    prefixes: &'r mut Prefixes,
    findings: &'r Findings<'f>,
    /// No issue so far.
    whole: bool,
}

/// A piece of a line with its place.
#[derive(Clone, Copy)]
struct Field<'t> {
    text: &'t str,
    offset: usize,
}

impl<'t> Field<'t> {
    /// Without the blanks around it.
    fn trim(self) -> Self {
        let text = self.text.trim_start();
        Self { text: text.trim_end(), offset: self.offset + self.text.len() - text.len() }
    }

    /// The columns of a line.
    fn columns(self) -> impl Iterator<Item = Self> {
        let mut offset = self.offset;
        self.text.split(',').map(move |text| {
            let field = Self { text, offset };
            offset += text.len() + 1;
            field.trim()
        })
    }
}

impl<'r> Reader<'r, '_> {
    fn read(&mut self) -> Vec<LatencyRow> {
        let mut rows = Vec::new();
        let mut first_lines: HashMap<(ClientMatch, ClusterId), usize> = HashMap::new();
        let mut has_header = false;
        let source = self.source;
        for (index, line) in lines(source.text).enumerate() {
            if index >= limits::LATENCY_LINES {
                let expected = format_args!("at most {} lines", limits::LATENCY_LINES);
                self.wrong::<()>(line, "syntax", expected, "one more");
                break;
            }
            let line = line.trim();
            if line.text.is_empty() || line.text.starts_with('#') {
                continue;
            }
            if !has_header {
                has_header = true;
                if !line.columns().map(|column| column.text).eq(HEADER) {
                    self.wrong::<()>(line, "syntax", "the header \"clients,cluster,ms\"", quote(line.text));
                }
                continue;
            }
            let Some((clients, row)) = self.read_row(line) else { continue };
            let line = source.line(clients.offset);
            if let Some(first) = first_lines.insert((row.clients.clone(), row.cluster), line) {
                let found = format_args!("{} again: line {first} has it already", quote(clients.text));
                self.wrong::<()>(clients, "clients", "clients and a cluster once", found);
            }
            rows.push(row);
        }
        if !has_header {
            let end = Field { text: "", offset: source.text.len() };
            self.wrong::<()>(end, "syntax", "the header \"clients,cluster,ms\"", "the end of the file");
        }
        rows
    }

    /// The row of a line, with its first column; reports each column that is wrong.
    fn read_row(&mut self, line: Field<'r>) -> Option<(Field<'r>, LatencyRow)> {
        let columns: Vec<Field<'r>> = line.columns().take(HEADER.len() + 1).collect();
        let &[clients, cluster, ms] = columns.as_slice() else {
            let count = line.text.split(',').count();
            let columns = if count == 1 { "column" } else { "columns" };
            let found = format_args!("{count} {columns}: {}", quote(line.text));
            return self.wrong(line, "syntax", "three columns, clients,cluster,ms", found);
        };
        let matched = self.read_clients(clients);
        let id = self.read_cluster(cluster);
        let rtt_us = self.read_ms(ms);
        Some((clients, LatencyRow { clients: matched?, cluster: id?, rtt_us: rtt_us? }))
    }

    fn read_clients(&mut self, field: Field<'_>) -> Option<ClientMatch> {
        let text = field.text;
        let asn = text.strip_prefix("AS").filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        let read = if let Some(number) = asn {
            // RFC 7607: 0 is no autonomous system.
            let number = number.parse().ok().filter(|number| *number != 0);
            number.map(ClientMatch::Asn).ok_or_else(String::new)
        } else if text.contains(['/', '.', ':']) {
            parse_client_prefix(text).map(|net| ClientMatch::Prefix(self.prefixes.intern(net)))
        } else {
            parse_country(text).map(ClientMatch::Country)
        };
        read.map_err(|reason| {
            let expected = format_args!(
                "a prefix such as \"10.20.0.0/16\", an autonomous system such as \"AS64500\", or {COUNTRY_WORDS}"
            );
            let colon = if reason.is_empty() { "" } else { ": " };
            self.wrong::<()>(field, "clients", expected, format_args!("{}{colon}{reason}", quote(text)));
        })
        .ok()
    }

    fn read_cluster(&mut self, field: Field<'_>) -> Option<ClusterId> {
        match self.clusters.look_up(field.text) {
            Ok(index) => Some(ClusterId::from_index(index)),
            Err(names) => {
                self.whole = false;
                let names = names?;
                let expected = format_args!("the name of a cluster ({})", any_of(&names));
                let hint = did_you_mean(field.text, names.iter().copied());
                self.wrong(field, "cluster", expected, format_args!("{}{hint}", quote(field.text)))
            }
        }
    }

    fn read_ms(&mut self, field: Field<'_>) -> Option<u32> {
        let plain = field.text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let ms: Option<f64> = field.text.parse().ok().filter(|_| plain);
        match ms {
            Some(ms) if (0.0..=f64::from(limits::LATENCY_MS)).contains(&ms) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 60 million"
                )]
                Some((ms * 1000.0).round() as u32)
            }
            _ => {
                let expected = format_args!("a number of milliseconds from 0 to {}", limits::LATENCY_MS);
                self.wrong(field, "ms", expected, quote(field.text))
            }
        }
    }

    fn wrong<T>(
        &mut self,
        field: Field<'_>,
        key: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Option<T> {
        self.whole = false;
        self.findings.mistake_in(self.source, field.offset, key, expected, found);
        None
    }
}

/// The lines of a text with their places, without a byte order mark.
fn lines(text: &str) -> impl Iterator<Item = Field<'_>> {
    let plain = text.trim_start_matches('\u{feff}');
    let mut offset = text.len() - plain.len();
    plain.split_inclusive('\n').map(move |text| {
        let line = Field { text, offset };
        offset += text.len();
        line
    })
}
