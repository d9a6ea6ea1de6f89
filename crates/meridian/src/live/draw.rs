//! The screen.
//!
//! From 80 columns by 24 lines on everything is on it; below, the pane that keys go to; below 20 by 4, that it is too
//! small.

use std::time::Duration;

use meridian_admin::wire::{Cluster, Endpoint, Override, Transition};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table};

use super::details;
use super::look::Look;
use super::state::{Pane, State, id};
use crate::page::span;

/// Everything fits from here on.
const WHOLE: (u16, u16) = (80, 24);
/// Nothing fits below.
const LEAST: (u16, u16) = (20, 4);
/// Rows of clusters that are shown at once.
const CLUSTER_ROWS: u16 = 5;

/// Draws all of it.
pub(super) fn screen(frame: &mut Frame<'_>, state: &mut State, now: Duration, look: &Look) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return frame.render_widget(Line::raw("too small"), area);
    }
    let head = details::header(state, now, look);
    let is_whole = area.width >= WHOLE.0 && area.height >= WHOLE.1;
    // Where there is little room what is loud goes first.
    let head_rows = if is_whole { head.len() } else { head.len().min(2) };
    let heights = [
        Constraint::Length(u16::try_from(head_rows).unwrap_or(2)),
        Constraint::Min(1),
        Constraint::Length(1),
    ];
    let [top, middle, bottom] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(head), top);
    if is_whole {
        whole(frame, middle, state, now, look)
    } else {
        pane(frame, middle, state.pane, state, now, look)
    }
    frame.render_widget(details::footer(state, look), bottom);
    if state.is_helping {
        help(frame, area, look);
    }
}

fn whole(frame: &mut Frame<'_>, area: Rect, state: &mut State, now: Duration, look: &Look) {
    let clusters = state.known.as_ref().map_or(1, |(all, _)| all.clusters.len());
    let clusters = u16::try_from(clusters).unwrap_or(CLUSTER_ROWS).clamp(1, CLUSTER_ROWS);
    let details = details::selected(state, look);
    let below = (area.height / 4).clamp(4, 12);
    let heights = [
        Constraint::Length(clusters + 2),
        Constraint::Min(4),
        Constraint::Length(u16::try_from(details.len()).unwrap_or(3)),
        Constraint::Length(below),
    ];
    let [top, middle, about, bottom] = Layout::vertical(heights).areas(area);
    pane(frame, top, Pane::Clusters, state, now, look);
    pane(frame, middle, Pane::Endpoints, state, now, look);
    frame.render_widget(Paragraph::new(details), about);
    let has_overrides = state.known.as_ref().is_some_and(|(all, _)| !all.status.overrides.is_empty());
    if has_overrides || state.pane == Pane::Overrides {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).spacing(1).areas(bottom);
        pane(frame, left, Pane::Transitions, state, now, look);
        pane(frame, right, Pane::Overrides, state, now, look);
    } else {
        pane(frame, bottom, Pane::Transitions, state, now, look);
    }
}

//----------- Panes ----------------------------------------------------------

/// What a pane shows.
struct Content {
    title: String,
    heads: Vec<&'static str>,
    widths: Vec<Constraint>,
    rows: Vec<Row<'static>>,
    /// Instead of rows, where there are none.
    none: &'static str,
}

fn pane(frame: &mut Frame<'_>, area: Rect, pane: Pane, state: &mut State, now: Duration, look: &Look) {
    let content = match pane {
        Pane::Clusters => clusters(state, look),
        Pane::Endpoints => endpoints(state, now, area.width, look),
        Pane::Transitions => transitions(state, look),
        Pane::Overrides => overrides(state, look),
    };
    let Content { title, heads, widths, rows, none } = content;
    state.clamp(pane, rows.len());
    let is_focused = state.pane == pane;
    let of_title = if is_focused { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    let marker = if is_focused { look.marker() } else { "" };
    let block = Block::new()
        .borders(Borders::TOP)
        .border_set(look.border())
        .border_style(look.quiet())
        .title(Span::styled(format!(" {marker}{title} "), of_title));
    if rows.is_empty() {
        return frame.render_widget(Paragraph::new(Line::styled(none, look.quiet())).block(block), area);
    }
    let mut table = Table::new(rows, widths).column_spacing(2).block(block);
    if !heads.is_empty() {
        table = table.header(Row::new(heads).style(look.head()));
    }
    if is_focused {
        table = table.row_highlight_style(look.selected());
    }
    frame.render_stateful_widget(table, area, &mut state.tables[pane as usize]);
}

/// A part of all there are, where a filter leaves some away.
fn count(shown: usize, all: usize) -> String {
    if shown == all { all.to_string() } else { format!("{shown} of {all}") }
}

fn verdict(word: &str, look: &Look) -> Cell<'static> {
    Cell::from(look.verdict(word)).style(look.of(word))
}

fn clusters(state: &State, look: &Look) -> Content {
    let all: &[Cluster] = state.known.as_ref().map_or(&[], |(all, _)| &all.clusters);
    let shown = all.iter().filter(|of| state.passes([of.name.as_str(), of.effective.as_str()]));
    let rows: Vec<Row<'static>> = shown
        .map(|of| {
            let parts = [
                (of.addresses.healthy, "healthy"),
                (of.addresses.degraded, "degraded"),
                (of.addresses.unhealthy, "unhealthy"),
                (of.addresses.unknown, "unknown"),
            ];
            let parts = parts.into_iter().filter(|(number, _)| *number > 0);
            let addresses: Vec<String> = parts.map(|(number, word)| format!("{number} {word}")).collect();
            let forced = if of.forced > 0 { format!("{} forced", of.forced) } else { "-".to_owned() };
            Row::new([
                verdict(&of.effective, look),
                Cell::from(of.name.clone()),
                Cell::from(of.country.clone().unwrap_or_else(|| "-".to_owned())),
                Cell::from(forced),
                Cell::from(if addresses.is_empty() { "none".to_owned() } else { addresses.join(", ") }),
            ])
        })
        .collect();
    Content {
        title: format!("CLUSTERS {}", count(rows.len(), all.len())),
        heads: vec!["VERDICT", "CLUSTER", "IN", "FORCED", "ADDRESSES"],
        widths: vec![
            Constraint::Length(11),
            Constraint::Length(20),
            Constraint::Length(2),
            Constraint::Length(10),
            Constraint::Fill(1),
        ],
        rows,
        none: "none",
    }
}

/// From how many columns on each column of endpoints is there.
const ENDPOINT_HEADS: [(&str, u16); 8] = [
    ("COUNTS AS", 0),
    ("OBSERVED", 110),
    ("GATEWAY", 0),
    ("CLUSTER", 0),
    ("ADDRESS", 0),
    ("FORCED", 0),
    ("FOR", 80),
    ("LAST OUTCOME", 100),
];

fn endpoints(state: &State, now: Duration, width: u16, look: &Look) -> Content {
    let since = state.known.as_ref().map_or(Duration::ZERO, |(_, at)| now.saturating_sub(*at));
    let all = state.known.as_ref().map_or(0, |(all, _)| all.status.endpoints.len());
    let shown = state.endpoints();
    let longest = |part: usize, most: usize| {
        let longest = shown.iter().map(|of| id(of)[part].chars().count()).max().unwrap_or(0);
        Constraint::Length(u16::try_from(longest.clamp(7, most)).unwrap_or(7))
    };
    let widths = [
        Constraint::Length(11),
        Constraint::Length(11),
        longest(0, 20),
        longest(1, 20),
        longest(2, 39),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Fill(1),
    ];
    let is_there: Vec<bool> = ENDPOINT_HEADS.iter().map(|(_, from)| width >= *from).collect();
    let rows: Vec<Row<'static>> =
        shown.iter().map(|of| Row::new(there(endpoint(of, since, look), &is_there))).collect();
    Content {
        title: format!("ENDPOINTS {}", count(rows.len(), all)),
        heads: there(ENDPOINT_HEADS.map(|(head, _)| head), &is_there),
        widths: there(widths, &is_there),
        rows,
        none: "none with this filter",
    }
}

/// Those that are there.
fn there<T>(each: impl IntoIterator<Item = T>, is_there: &[bool]) -> Vec<T> {
    each.into_iter().zip(is_there).filter_map(|(one, is_there)| is_there.then_some(one)).collect()
}

fn endpoint(of: &Endpoint, since: Duration, look: &Look) -> [Cell<'static>; 8] {
    let [gateway, cluster, address] = id(of);
    let forced = match (&of.forced, of.left_percent) {
        (Some(forced), Some(left)) => format!("{forced} {left:.0}%"),
        (Some(forced), None) => forced.clone(),
        (None, _) => "-".to_owned(),
    };
    let probe = of.probe.as_ref();
    let held = probe.and_then(|probe| probe.held_ms).map(|ms| u128::from(ms) + since.as_millis());
    let outcome = match probe.map(|probe| (&probe.last, &probe.cause)) {
        None => "no probe".to_owned(),
        Some((Some(last), _)) => match &last.reason {
            Some(reason) => reason.clone(),
            None => format!("{} in {:.1} ms", last.result, last.latency_ms),
        },
        Some((None, cause)) => cause.clone(),
    };
    [
        verdict(&of.effective, look),
        verdict(&of.observed, look),
        Cell::from(gateway),
        Cell::from(cluster),
        Cell::from(address),
        Cell::from(forced).style(of.forced.as_ref().map_or_else(Style::new, |word| look.of(word))),
        Cell::from(held.map_or_else(|| "-".to_owned(), span)),
        Cell::from(if of.frozen { format!("(frozen) {outcome}") } else { outcome }),
    ]
}

fn transitions(state: &State, look: &Look) -> Content {
    let passes =
        |of: &&Transition| state.passes([of.endpoint.as_str(), of.effective.as_str(), of.from.as_str()]);
    let rows = state.transitions.iter().filter(passes).map(|of| {
        // The time of day, without its date and fractions.
        let at = of.at.get(11..19).unwrap_or(&of.at).to_owned();
        let line = Line::from(vec![
            Span::raw(format!("{at}  ")),
            Span::styled(look.verdict(&of.effective), look.of(&of.effective)),
            Span::raw(format!("  {} (was {}): {}", of.endpoint, of.from, of.cause)),
        ]);
        Row::new([line])
    });
    let rows: Vec<Row<'static>> = rows.collect();
    Content {
        title: format!("TRANSITIONS {}, newest first", count(rows.len(), state.transitions.len())),
        heads: Vec::new(),
        widths: vec![Constraint::Fill(1)],
        rows,
        none: "none yet",
    }
}

fn overrides(state: &State, look: &Look) -> Content {
    let all: &[Override] = state.known.as_ref().map_or(&[], |(all, _)| &all.status.overrides);
    let passes = |of: &&Override| state.passes([of.target.as_str(), of.state.as_str(), of.by.as_str()]);
    let rows: Vec<Row<'static>> = all
        .iter()
        .filter(passes)
        .map(|of| {
            let until = of.until.as_ref().and_then(|until| until.get(11..16));
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            Row::new([Line::from(vec![
                Span::styled(of.state.clone(), look.of(&of.state)),
                Span::raw(format!("  {}{until}  {}: {}", of.target, of.by, of.reason)),
            ])])
        })
        .collect();
    let title = format!("OVERRIDES {}", count(rows.len(), all.len()));
    Content {
        title,
        heads: Vec::new(),
        widths: vec![Constraint::Fill(1)],
        rows,
        none: "nobody says otherwise",
    }
}

//----------- Help -----------------------------------------------------------

fn help(frame: &mut Frame<'_>, area: Rect, look: &Look) {
    let lines: Vec<Line<'_>> = details::HELP.iter().map(|line| Line::raw(*line)).collect();
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let width = 67.min(area.width);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().border_set(look.border()).title(" keys; any key closes this ");
    frame.render_widget(Paragraph::new(lines).block(block), place);
}
