//! `networks_file` of `[geoip]`: networks by the thousand, a line each.

use std::collections::HashMap;
use std::path::PathBuf;

use ipnet::IpNet;
use meridian_model::{Continent, Coordinates, Network, Place, meant_network};

use crate::countries::COUNTRY;
use crate::csv::{DataFile, Field, Line};
use crate::findings::{Findings, Spot, Spotted};
use crate::geoip::{ASN, PREFIX};
use crate::issue::quote;
use crate::kinds::{Degrees, Parsed};
use crate::places::{CONTINENT, LATITUDE, LONGITUDE, SUBDIVISION};
use crate::reader::Kind;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Prefix,
    Country,
    Subdivision,
    Continent,
    Latitude,
    Longitude,
    Asn,
}

const COLUMNS: [(&str, Column); 7] = [
    ("prefix", Column::Prefix),
    ("country", Column::Country),
    ("subdivision", Column::Subdivision),
    ("continent", Column::Continent),
    ("latitude", Column::Latitude),
    ("longitude", Column::Longitude),
    ("asn", Column::Asn),
];

/// Reads the networks of the file. `written` are the prefixes of `[[geoip.networks]]`: a prefix has
/// one place.
pub(crate) fn read(
    named: &Spotted<PathBuf>,
    written: &HashMap<IpNet, Spot>,
    findings: &Findings<'_>,
) -> Vec<Network> {
    let Some(data) = DataFile::read(named, "a CSV file that can be read", findings) else {
        return Vec::new();
    };
    let mut lines = data.lines();
    let first = lines.next();
    let Some(columns) = data.header(first, &COLUMNS) else { return Vec::new() };
    if let Some(header) = first.filter(|_| !columns.iter().any(|(_, column)| *column == Column::Prefix)) {
        data.mistake(header.start(), "prefix", "a column prefix", "none");
        return Vec::new();
    }
    let mut reader = Reader { data: &data, columns, written, findings, first_lines: HashMap::new() };
    lines.filter_map(|line| reader.network(line)).collect()
}

/// Reads line after line.
struct Reader<'r, 'f> {
    data: &'r DataFile<'r>,
    columns: Vec<(&'static str, Column)>,
    written: &'r HashMap<IpNet, Spot>,
    findings: &'r Findings<'f>,
    /// The line of every prefix so far.
    first_lines: HashMap<IpNet, usize>,
}

/// A line as far as it could be read.
#[derive(Default)]
struct Row {
    prefix: Option<IpNet>,
    place: Place,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Reader<'_, '_> {
    /// The network of a line, or `None` after reporting what is wrong with it.
    fn network(&mut self, line: Line<'_>) -> Option<Network> {
        let (fields, columns) = (line.fields().count(), self.columns.len());
        if fields != columns {
            let expected = format_args!("{columns} fields, as many as columns are named");
            self.data.mistake(line.start(), "syntax", expected, fields);
            return None;
        }
        let mut row = Row::default();
        let mut given = 0_u8;
        for ((name, column), field) in self.columns.iter().zip(line.fields()) {
            if !field.text.is_empty() {
                given |= 1 << *column as u8;
                self.value(&mut row, name, *column, field);
            }
        }
        self.check_whole(line, |column| given & (1 << column as u8) != 0);
        let prefix = row.prefix?;
        self.check_once(prefix, line);
        let coordinates = row.latitude.zip(row.longitude);
        let coordinates = coordinates.and_then(|(north, east)| Coordinates::new(north, east).ok());
        Some(Network { prefix, place: Place { coordinates, ..row.place } })
    }

    /// Reads a field that is not empty.
    fn value(&self, row: &mut Row, name: &str, column: Column, field: Field<'_>) {
        match column {
            Column::Prefix => row.prefix = self.parsed(name, &PREFIX, field),
            Column::Country => row.place.country = self.parsed(name, &COUNTRY, field),
            Column::Subdivision => row.place.subdivision = self.parsed(name, &SUBDIVISION, field),
            Column::Continent => {
                let continent = Continent::from_code(field.text);
                row.place.continent = self.present(name, &CONTINENT, field, continent);
            }
            Column::Latitude => row.latitude = self.degrees(name, &LATITUDE, field),
            Column::Longitude => row.longitude = self.degrees(name, &LONGITUDE, field),
            Column::Asn => {
                let asn = field.text.parse().ok().filter(|asn| (ASN.min..=ASN.max).contains(asn));
                row.place.asn = self.present(name, &ASN, field, asn);
            }
        }
    }

    fn parsed<T>(&self, name: &str, kind: &Parsed<T>, field: Field<'_>) -> Option<T> {
        let reason = match (kind.parse)(field.text) {
            Ok(value) => return Some(value),
            Err(reason) if reason.is_empty() => reason,
            Err(reason) => format!(": {reason}"),
        };
        self.data.mistake(field, name, kind.what, format_args!("{}{reason}", quote(field.text)));
        None
    }

    fn degrees(&self, name: &str, kind: &Degrees, field: Field<'_>) -> Option<f64> {
        self.present(name, kind, field, kind.parse(field.text))
    }

    /// The value, or a report in the words of its kind.
    fn present<T>(&self, name: &str, kind: &impl Kind, field: Field<'_>, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.data.mistake(field, name, kind.expected(), quote(field.text));
        }
        value
    }

    /// The checks of `[[geoip.networks]]`.
    fn check_whole(&self, line: Line<'_>, has: impl Fn(Column) -> bool) {
        let missing = |name, expected| self.data.mistake(line.start(), name, expected, "nothing");
        if !has(Column::Prefix) {
            missing("prefix", PREFIX.what);
        }
        if !COLUMNS.iter().any(|(_, column)| *column != Column::Prefix && has(*column)) {
            missing("country", "a country, coordinates, a continent or an asn for the prefix");
        }
        if has(Column::Latitude) && !has(Column::Longitude) {
            missing("longitude", "a longitude beside the latitude");
        }
        if has(Column::Longitude) && !has(Column::Latitude) {
            missing("latitude", "a latitude beside the longitude");
        }
        if has(Column::Subdivision) && !has(Column::Country) {
            missing("country", "the country of the subdivision");
        }
    }

    /// A prefix has one place, here and in the configuration.
    fn check_once(&mut self, prefix: IpNet, line: Line<'_>) {
        let prefix_column = self.columns.iter().position(|(_, column)| *column == Column::Prefix);
        let field = prefix_column.and_then(|index| line.fields().nth(index)).unwrap_or(line.start());
        // IPv4 networks have several names.
        let meant = meant_network(prefix).unwrap_or(prefix);
        if let Some(spot) = self.written.get(&meant) {
            let (first, file) = (self.findings.line(spot), self.findings.source.file.display());
            let found = format_args!("{prefix}: line {first} of {file} has it already");
            self.data.mistake(field, "prefix", "each prefix once", found);
        } else if let Some(first) = self.first_lines.insert(meant, line.number) {
            let found = format_args!("{prefix}: line {first} has it already");
            self.data.mistake(field, "prefix", "each prefix once", found);
        }
    }
}
