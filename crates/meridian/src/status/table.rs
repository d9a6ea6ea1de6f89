//! A status for people: a table of addresses, then what operators said.

use meridian_admin::wire::{Endpoint, Gateway, Override, Status};

use crate::page::{at_most, span};

const HEADS: [&str; 9] =
    ["GATEWAY", "CLUSTER", "ENDPOINT", "OBSERVED", "FORCED", "EFFECTIVE", "FOR", "LATENCY", "LAST OUTCOME"];

/// The whole page.
pub(super) fn render(status: &Status) -> String {
    let mut page = String::new();
    if let Some(ms) = status.isolated_for_ms {
        page += &format!(
            "ISOLATED for {}: all clusters seem to fail at once, so this server suspects itself and keeps its \
             verdicts\n\n",
            span(ms.into())
        );
    }
    if let Some(refused) = &status.configuration.refused {
        page += &format!(
            "REFUSED {} ago, what is {} old runs on:\n{}\n\n",
            span(refused.ago_ms.into()),
            span(status.configuration.age_ms.into()),
            refused.issues
        );
    }
    let rows = status.endpoints.iter().map(row);
    page += &aligned(&std::iter::once(HEADS.map(str::to_owned)).chain(rows).collect::<Vec<_>>());
    page += "\nFAIL-OVER AT WORST\n";
    page += &aligned(&status.gateways.iter().map(fail_over).collect::<Vec<_>>());
    if !status.overrides.is_empty() {
        page += "\nOVERRIDES\n";
        page += &aligned(&status.overrides.iter().map(said).collect::<Vec<_>>());
    }
    page
}

fn row(of: &Endpoint) -> [String; 9] {
    let endpoint = match (&of.address, &of.hostname) {
        (Some(address), Some(name)) => format!("{address} ({name})"),
        (Some(address), None) => address.to_string(),
        (None, name) => name.clone().unwrap_or_default(),
    };
    let forced = match (&of.forced, of.left_percent) {
        (Some(forced), Some(left)) => format!("{forced} {left:.0}%"),
        (Some(forced), None) => forced.clone(),
        (None, _) => "-".to_owned(),
    };
    let frozen = if of.frozen { " (frozen)" } else { "" };
    let probe = of.probe.as_ref();
    let last = probe.and_then(|probe| probe.last.as_ref());
    let held = probe.and_then(|probe| probe.held_ms);
    let outcome = match (probe, last) {
        (None, _) => "no probe".to_owned(),
        (Some(_), Some(last)) => last.reason.clone().unwrap_or_else(|| last.result.clone()),
        // Made of others, or before its first outcome.
        (Some(probe), None) => probe.cause.clone(),
    };
    let put_off = probe.and_then(|probe| probe.put_off_ms);
    let put_off =
        put_off.map_or_else(String::new, |ms| format!(" (flaps: held for {} more)", span(ms.into())));
    [
        of.gateway.clone(),
        of.cluster.clone(),
        endpoint,
        of.observed.clone(),
        forced,
        format!("{}{frozen}", of.effective),
        held.map_or_else(|| "-".to_owned(), |ms| span(ms.into())),
        last.map_or_else(|| "-".to_owned(), |last| format!("{:.1} ms", last.latency_ms)),
        outcome + &put_off,
    ]
}

fn fail_over(of: &Gateway) -> [String; 2] {
    let text = match of.fail_over {
        Some(of) => format!(
            "a dead address is detected within {}, out of the answers within {}, out of caches within {}",
            at_most(of.detected_ms),
            at_most(of.published_ms),
            at_most(of.caches_ms)
        ),
        None => "none: nothing detects a dead address".to_owned(),
    };
    [of.name.clone(), text]
}

fn said(of: &Override) -> [String; 5] {
    let over = of.over.as_ref().map_or_else(String::new, |over| format!(" over {over}"));
    let addresses = match of.addresses {
        Some(1) => "1 address".to_owned(),
        addresses => format!("{} addresses", addresses.unwrap_or_default()),
    };
    let until = of.until.as_ref().map_or_else(|| "until lifted".to_owned(), |until| format!("until {until}"));
    [of.target.clone(), format!("{}{over}", of.state), addresses, until, format!("{}: {}", of.by, of.reason)]
}

/// Columns two spaces apart; the last is not filled up. Nothing in a cell steers a terminal.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: String = cells.map(|(cell, width)| format!("{:<width$}  ", shown(cell))).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn shown(text: &str) -> String {
    text.replace(char::is_control, " ")
}
