//! What is known, and what is looked at.

use std::collections::VecDeque;
use std::time::Duration;

use meridian_admin::wire::{Endpoint, Transition};
use ratatui::widgets::TableState;

use super::keys::Key;
use super::source::{All, Id, Selected, Update};

/// Changes of verdict that are kept for the screen.
const TRANSITIONS_KEPT: usize = 1000;
/// How far a page goes.
const PAGE: usize = 10;
/// How long it is said that something has happened to the server.
const NOTICE: Duration = Duration::from_secs(15);
/// Characters of a filter.
const FILTER_MAX: usize = 60;

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

/// A part of the screen that keys can go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Clusters,
    #[default]
    Endpoints,
    Transitions,
    Overrides,
}

impl Pane {
    pub(super) const ALL: [Self; 4] = [Self::Clusters, Self::Endpoints, Self::Transitions, Self::Overrides];

    /// The pane so many further on, in a circle.
    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// All of it. Times are since the beginning.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the server said last, and when.
    pub(super) known: Option<(Box<All>, Duration)>,
    /// Newest first.
    pub(super) transitions: VecDeque<Transition>,
    /// What is known of an address.
    pub(super) details: Option<Box<Selected>>,
    /// Since when the server does not answer, and why.
    pub(super) lost: Option<(Duration, String)>,
    /// What has happened to it, and when.
    notice: Option<(Duration, String)>,
    pub(super) pane: Pane,
    /// What rows must have in them; empty: all are shown.
    pub(super) filter: String,
    /// The filter is being written.
    pub(super) is_filtering: bool,
    pub(super) is_helping: bool,
    /// The selection of each pane.
    pub(super) tables: [TableState; 4],
}

impl State {
    /// Takes up what has become known.
    pub(super) fn update(&mut self, update: Update, now: Duration) {
        match update {
            Update::All(all) => {
                if let Some((since, _)) = self.lost.take() {
                    let away = crate::page::span((now - since).as_millis());
                    self.notice = Some((now, format!("the server is back after {away}")));
                }
                let before = self.known.as_ref().map(|(before, _)| before.process.pid);
                if before.is_some_and(|pid| pid != all.process.pid) {
                    let text = format!("restarted: process {} has taken over", all.process.pid);
                    self.notice = Some((now, text));
                }
                self.known = Some((all, now));
            }
            Update::Transitions(transitions) => {
                let is_new = self.transitions.front().is_some_and(|newest| newest.number > transitions.last);
                if is_new {
                    // Another process counts anew.
                    self.transitions.clear();
                }
                for transition in transitions.items {
                    self.transitions.push_front(transition);
                }
                self.transitions.truncate(TRANSITIONS_KEPT);
            }
            Update::Selected(details) => self.details = Some(details),
            Update::Lost(why) => {
                self.lost.get_or_insert((now, String::new())).1 = why;
            }
        }
    }

    /// What has happened to the server lately.
    pub(super) fn notice(&self, now: Duration) -> Option<&str> {
        self.notice.as_ref().filter(|(at, _)| now - *at < NOTICE).map(|(_, text)| text.as_str())
    }

    //----------- What is shown ----------------------------------------------

    /// The addresses that pass the filter.
    pub(super) fn endpoints(&self) -> Vec<&Endpoint> {
        let all = self.known.iter().flat_map(|(all, _)| &all.status.endpoints);
        all.filter(|of| {
            let [gateway, cluster, address] = id(of);
            let forced = of.forced.as_deref().unwrap_or_default();
            let name = of.hostname.as_deref().unwrap_or_default();
            self.passes([&gateway, &cluster, &address, &of.observed, &of.effective, forced, name])
        })
        .collect()
    }

    /// Whether one of these has the filter in it.
    pub(super) fn passes<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
    }

    /// The address that is looked at.
    pub(super) fn selected(&self) -> Option<&Endpoint> {
        let at = self.tables[Pane::Endpoints as usize].selected().unwrap_or(0);
        self.endpoints().get(at).copied()
    }

    /// What is known of the address that is looked at; nothing of another one.
    pub(super) fn details(&self) -> Option<&Selected> {
        let selected = self.selected().map(id)?;
        self.details.as_deref().filter(|details| details.id == selected)
    }

    //----------- Keys -------------------------------------------------------

    /// Does what a key says.
    pub(super) fn key(&mut self, key: Key) -> Flow {
        match key {
            Key::Interrupt => return Flow::End,
            Key::Resized => {}
            _ if self.is_helping => self.is_helping = false,
            _ if self.is_filtering => self.write(key),
            Key::Character('q') => return Flow::End,
            Key::Escape if self.filter.is_empty() => return Flow::End,
            Key::Escape => self.filter.clear(),
            Key::Character('?') => self.is_helping = true,
            Key::Character('/') => self.is_filtering = true,
            Key::NextPane => self.pane = self.pane.step(1),
            Key::PaneBefore => self.pane = self.pane.step(Pane::ALL.len() - 1),
            key => self.scroll(key),
        }
        Flow::On
    }

    /// Writes the filter.
    fn write(&mut self, key: Key) {
        match key {
            Key::Enter => self.is_filtering = false,
            Key::Escape => {
                self.filter.clear();
                self.is_filtering = false;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Character(character) if self.filter.chars().count() < FILTER_MAX => {
                self.filter.push(character);
            }
            _ => {}
        }
        // What was selected may no longer be there.
        self.tables.iter_mut().for_each(TableState::select_first);
    }

    fn scroll(&mut self, key: Key) {
        let table = &mut self.tables[self.pane as usize];
        // The end is where the drawing finds it.
        let at = table.selected().unwrap_or(0);
        let to = match key {
            Key::Up | Key::Character('k') => at.saturating_sub(1),
            Key::Down | Key::Character('j') => at.saturating_add(1),
            Key::PageUp => at.saturating_sub(PAGE),
            Key::PageDown => at.saturating_add(PAGE),
            Key::First | Key::Character('g') => 0,
            Key::Last | Key::Character('G') => usize::MAX,
            _ => return,
        };
        table.select(Some(to));
    }

    /// Keeps a selection within as many rows as there are.
    pub(super) fn clamp(&mut self, pane: Pane, rows: usize) {
        let table = &mut self.tables[pane as usize];
        let at = table.selected().unwrap_or(0).min(rows.saturating_sub(1));
        table.select((rows > 0).then_some(at));
    }
}

/// What an address is called.
pub(super) fn id(of: &Endpoint) -> Id {
    let address = of.address.map(|address| address.to_string());
    [of.gateway.clone(), of.cluster.clone(), address.or_else(|| of.hostname.clone()).unwrap_or_default()]
}
