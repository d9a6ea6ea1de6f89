//! The lines around the panes: the server, the address that is looked at, the keys.

use std::time::Duration;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::look::Look;
use super::source::{All, Selected};
use super::state::{State, id};
use crate::page::span;

/// Outcomes of a probe that are shown.
const OUTCOMES: usize = 60;
/// Probes whose outcomes are.
const PROBES: usize = 2;
/// Digits of a digest: enough to tell files apart.
const DIGEST: usize = 12;

/// What the keys do.
pub(super) const HELP: [&str; 13] = [
    "Tab, arrow right or left   the next pane, the one before",
    "arrow up or down, k j      one row; PgUp PgDn: ten",
    "Home End, g G              the first row, the last",
    "/                          show rows with a text in them alone:",
    "                           a gateway, cluster, address, verdict",
    "Esc                        without the filter; without one: end",
    "q, Ctrl-C                  end",
    "",
    "COUNTS AS is what answers go by: what the probes observe, unless",
    "an override says otherwise. Below the endpoints stands what is",
    "known of the selected one: why, its last outcomes, and which",
    "share of its gateway's clients each cluster answers.",
    "Times of day are UTC.",
];

/// The server: what is loud first.
pub(super) fn header(state: &State, now: Duration, look: &Look) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let known = state.known.as_ref();
    let since = known.map_or(Duration::ZERO, |(_, at)| now.saturating_sub(*at));
    lines.push(connection(state, now, look));
    if let Some((All { status, .. }, _)) = known.map(|(all, at)| (&**all, at)) {
        if let Some(ms) = status.isolated_for_ms {
            let age = span(u128::from(ms) + since.as_millis());
            let text =
                format!("ISOLATED for {age}: all seem to fail at once; verdicts are kept as they were");
            lines.push(Line::styled(text, look.alert()));
        }
        if let Some(refused) = &status.configuration.refused {
            let ago = span(u128::from(refused.ago_ms) + since.as_millis());
            let first = refused.issues.lines().next().unwrap_or_default();
            let more = refused.issues.lines().count().saturating_sub(1);
            let more = if more > 0 { format!(" ({more} more: meridian status)") } else { String::new() };
            lines.push(Line::styled(format!("RELOAD REFUSED {ago} ago{more}: {first}"), look.alert()));
        }
        let of = &status.configuration;
        let age = span(u128::from(of.age_ms) + since.as_millis());
        let digest: String = of.sha256.chars().take(DIGEST).collect();
        let file = of.file.as_deref().unwrap_or("no file");
        lines.push(Line::raw(format!("configuration {digest}, accepted {age} ago, {file}")));
    }
    lines
}

fn connection(state: &State, now: Duration, look: &Look) -> Line<'static> {
    let name = Span::styled("meridian", Style::new().add_modifier(Modifier::BOLD));
    if let Some((since, why)) = &state.lost {
        let away = span(now.saturating_sub(*since).as_millis());
        let text = format!("NO ANSWER for {away}, shown is what was known: {why}");
        return Line::from(vec![name, Span::raw("  "), Span::styled(text, look.alert())]);
    }
    let Some((all, _)) = &state.known else { return Line::from(name) };
    let mut parts = vec![name];
    parts.push(Span::raw(format!(" {}, process {}, ", all.process.version, all.process.pid)));
    parts.push(Span::styled("live", look.of("healthy")));
    if let Some(notice) = state.notice(now) {
        parts.push(Span::styled(format!("  ({notice})"), Style::new().add_modifier(Modifier::BOLD)));
    }
    Line::from(parts)
}

/// The address that is looked at.
pub(super) fn selected(state: &State, look: &Look) -> Vec<Line<'static>> {
    let Some(of) = state.selected() else { return Vec::new() };
    let why = match &of.probe {
        Some(probe) => {
            let put_off =
                probe.put_off_ms.map(|ms| format!("; it flaps: held for {} more", span(u128::from(ms))));
            format!("{}: {}{}", probe.name, probe.cause, put_off.unwrap_or_default())
        }
        None => "no probe: it counts as healthy".to_owned(),
    };
    let by = of.forced_by.as_ref().map(|by| format!("; forced by {by}")).unwrap_or_default();
    let name = Span::styled(id(of).join("/"), Style::new().add_modifier(Modifier::BOLD));
    let observed = Span::raw(format!("  observed {}{by}", of.observed));
    let mut lines = vec![Line::from(vec![name, observed]), Line::raw(why)];
    if let Some(details) = state.details() {
        lines.extend(past(details, look));
        lines.extend(shares(details));
    }
    // As many as of the one before, so that nothing jumps while they are asked for.
    let before = state
        .details
        .as_ref()
        .map_or(0, |of| of.history.len().min(PROBES) + usize::from(!of.shares.is_empty()));
    lines.resize_with(lines.len().max(before + 2), Line::default);
    lines
}

/// The last outcomes of its first probes, oldest first.
fn past<'d>(details: &'d Selected, look: &'d Look) -> impl Iterator<Item = Line<'static>> + 'd {
    details.history.iter().take(PROBES).map(|probe| {
        let newest = probe.outcomes.len().saturating_sub(OUTCOMES);
        let shown = probe.outcomes.iter().skip(newest);
        let symbols = shown.map(|of| Span::styled(look.symbol(&of.result), look.of(&of.result)));
        Line::from_iter([Span::raw(format!("{}: ", probe.name))].into_iter().chain(symbols))
    })
}

fn shares(details: &Selected) -> Option<Line<'static>> {
    let parts: Vec<String> = details
        .shares
        .iter()
        .map(|of| format!("{} {:.1} %", of.cluster.as_deref().unwrap_or("no cluster"), of.share * 100.0))
        .collect();
    (!parts.is_empty()).then(|| Line::raw(format!("clients are answered by {}", parts.join(", "))))
}

/// What can be done.
pub(super) fn footer(state: &State, look: &Look) -> Line<'static> {
    if state.is_filtering {
        return Line::from(vec![
            Span::styled(format!("/{}_", state.filter), Style::new().add_modifier(Modifier::BOLD)),
            Span::styled("   Enter keeps it, Esc clears it", look.quiet()),
        ]);
    }
    let filter = match state.filter.as_str() {
        "" => "/ filter".to_owned(),
        text => format!("/ filter: {text} (Esc: all)"),
    };
    Line::styled(format!("q quit   Tab pane   j k scroll   {filter}   ? help"), look.quiet())
}
