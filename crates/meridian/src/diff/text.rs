//! The table for people.

use std::fmt::Write as _;

use super::tally::{Country, Flow, Tally, percent};
use super::{NotCompared, Report};

/// Countries shown under a hostname.
const COUNTRIES: usize = 10;
/// Flows shown beside a country.
const FLOWS: usize = 3;
/// Hostnames shown of those that move alike, that were added, and that were removed.
const NAMES: usize = 10;

/// The hostnames of which something moves, those that move alike together with their most moved
/// countries; then the total.
pub(super) fn render(report: &Report<'_>) -> String {
    let (moved, still): (Vec<_>, Vec<_>) = report.alike().into_iter().partition(|(tally, _)| tally.moves());
    let total = match (report.queries, report.rows.len()) {
        (None, 1) => "total".to_owned(),
        (None, count) => format!("total (mean of {count} hostnames)"),
        (Some(_), _) => format!("total (of {} queries)", queries(report)),
    };
    let names = moved.iter().flat_map(|(_, names)| names.iter().take(NAMES).map(|name| name.len()));
    let names = names.chain([total.len(), "hostname".len()]);
    let table =
        Table { width: names.max().unwrap_or(0), measures: if report.queries.is_some() { 1 } else { 2 } };
    let mut page = String::new();
    let titles = if report.queries.is_some() { ["moved", ""] } else { ["IPv4", "IPv6"] };
    table.line(&mut page, "hostname", titles.map(str::to_owned), "");
    for (tally, hostnames) in &moved {
        for hostname in hostnames.iter().take(NAMES) {
            table.line(&mut page, hostname, tally.percent().map(shown), "");
        }
        if let Some(more) = hostnames.len().checked_sub(NAMES).filter(|&more| more > 0) {
            line(&mut page, &format!("{more} more hostnames alike"));
        }
        let countries = tally.most_moved();
        for (country, clients) in countries.iter().take(COUNTRIES) {
            let name = country.map_or_else(|| "  no country".to_owned(), |country| format!("  {country}"));
            let percent = percent(clients.moved, clients.all).map(shown);
            table.line(&mut page, &name, percent, &flows(tally, clients));
        }
        if let Some(more) = countries.len().checked_sub(COUNTRIES).filter(|&more| more > 0) {
            line(&mut page, &format!("  and {more} more countries"));
        }
    }
    table.line(&mut page, &total, report.total.map(shown), "");
    let still: usize = still.iter().map(|(_, names)| names.len()).sum();
    if still > 0 {
        line(&mut page, &format!("nothing moves of {still} hostname{}", if still == 1 { "" } else { "s" }));
    }
    rest(&mut page, report);
    page
}

fn queries(report: &Report<'_>) -> f64 {
    // Not sum(), which of nothing is -0.
    report.rows.iter().fold(0.0, |sum, row| sum + row.tally.all[0])
}

/// What was not compared.
fn rest(page: &mut String, report: &Report<'_>) {
    for (what, names) in [("added", &report.added), ("removed", &report.removed)] {
        for name in names.iter().take(NAMES) {
            line(page, &format!("{what}: {name}"));
        }
        if let Some(more) = names.len().checked_sub(NAMES).filter(|&more| more > 0) {
            line(page, &format!("{what}: {more} more"));
        }
    }
    if let Some(NotCompared { added, removed, not_steered }) = report.queries {
        let all = [
            (added, "for names that only the new file steers"),
            (removed, "for names that only the old file steers"),
            (not_steered, "for what is not steered"),
        ];
        for (count, what) in all.iter().filter(|(count, _)| *count > 0) {
            line(page, &format!("not counted: {count} {what}"));
        }
    }
}

/// `eu-west -> eu-central, us-east -> eu-central`, largest first.
fn flows(tally: &Tally<'_>, country: &Country<'_>) -> String {
    let name = |cluster: Option<&str>| cluster.unwrap_or("no cluster").to_owned();
    let all = tally.flows(country);
    let shown = all.iter().take(FLOWS).map(|(flow, _)| {
        let (from, to): Flow<'_> = *flow;
        format!("{} -> {}", name(from), name(to))
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = all.len().checked_sub(FLOWS).filter(|&more| more > 0) {
        // A String takes everything.
        let _written = write!(text, ", {more} more");
    }
    text
}

fn shown(percent: Option<f64>) -> String {
    percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"))
}

//----------- Table ----------------------------------------------------------

/// Columns of one width.
struct Table {
    width: usize,
    measures: usize,
}

impl Table {
    fn line(&self, page: &mut String, name: &str, values: [String; 2], text: &str) {
        let mut row = format!("{name:<width$}", width = self.width);
        for value in values.iter().take(self.measures) {
            // A String takes everything.
            let _written = write!(row, "  {value:>8}");
        }
        line(page, format!("{row}  {text}").trim_end());
    }
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}
