//! What happens, for who watches: transitions, views that come into force, and changes that people make.
//!
//! The last [`EVENTS_KEPT`] are kept, so that who was away for a moment misses nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use meridian_model::{Order, Transition};
use meridian_store::KeptChange;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::limits::EVENTS_KEPT;
use crate::status::{audited, ms, rfc3339};
use crate::wire;

/// What happened since the start, as far as it is kept.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<Kept>,
    /// The number of the newest.
    newest: watch::Sender<u64>,
    /// Says which process numbers them, so that numbers of one before it are not taken for its own.
    epoch: u64,
    wall: fn() -> SystemTime,
}

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first, their numbers without a gap.
    events: VecDeque<Event>,
    /// The last of them by themselves, as views come more often.
    transitions: VecDeque<Arc<wire::Transition>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Counts all since the start, from 1.
    pub(crate) number: u64,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Transition(Arc<wire::Transition>),
    View(Published),
    Change(Arc<wire::Change>),
}

impl What {
    /// The name of the event on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Transition(_) => "transition",
            Self::View(_) => "view",
            Self::Change(_) => "change",
        }
    }
}

/// A view that has come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Counts the views of the process.
    pub generation: u64,
    /// The number of the last transition that it has.
    pub transitions: u64,
}

/// Where somebody is in what happens; what comes after it is new to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    epoch: u64,
    pub(crate) number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl Events {
    /// With nothing yet.
    #[must_use]
    pub fn new(wall: fn() -> SystemTime) -> Self {
        let since = wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { kept: Mutex::default(), newest: watch::Sender::new(0), epoch: ms(since), wall }
    }

    /// Takes up every transition until the probes end.
    pub async fn follow(self: Arc<Self>, mut transitions: broadcast::Receiver<Transition>) {
        loop {
            match transitions.recv().await {
                Ok(transition) => {
                    let transition = Arc::new(shown(&transition, (self.wall)()));
                    self.add(What::Transition(transition));
                }
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    // Their numbers say so to who reads on.
                    tracing::warn!(lost, "transitions came faster than they are kept for the API");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// A view has come into force.
    pub fn published(&self, view: Published) {
        self.add(What::View(view));
    }

    /// Somebody has made a change, or was refused one.
    pub(crate) fn changed(&self, change: &KeptChange) {
        self.add(What::Change(Arc::new(audited(change))));
    }

    fn add(&self, what: What) {
        let mut kept = self.lock();
        let number = *self.newest.borrow() + 1;
        if let What::Transition(transition) = &what {
            kept.transitions.push_back(Arc::clone(transition));
            if kept.transitions.len() > EVENTS_KEPT {
                kept.transitions.pop_front();
            }
        }
        kept.events.push_back(Event { number, what });
        if kept.events.len() > EVENTS_KEPT {
            kept.events.pop_front();
        }
        self.newest.send_replace(number);
    }

    /// The transitions after one, the newest if there are more than `limit`.
    pub(crate) fn transitions(&self, after: u64, limit: usize) -> wire::Transitions {
        let kept = self.lock();
        let last = kept.transitions.back().map_or(0, |newest| newest.number);
        let mut items: Vec<wire::Transition> = kept
            .transitions
            .iter()
            .filter(|transition| transition.number > after)
            .map(|transition| wire::Transition::clone(transition))
            .collect();
        let lost = last.saturating_sub(after).saturating_sub(items.len() as u64);
        items.drain(..items.len().saturating_sub(limit));
        wire::Transitions { last, lost, items }
    }

    /// The place behind all that has happened.
    pub(crate) fn now(&self) -> Place {
        Place { epoch: self.epoch, number: *self.newest.borrow() }
    }

    /// The place that a client says it has reached; `None` for one of another process, or for none at all.
    pub(crate) fn place(&self, text: &str) -> Option<Place> {
        let (epoch, number) = text.split_once('-')?;
        let place = Place { epoch: epoch.parse().ok()?, number: number.parse().ok()? };
        (place.epoch == self.epoch && place.number <= *self.newest.borrow()).then_some(place)
    }

    /// What came after a place, and how much of it is no longer kept.
    pub(crate) fn after(&self, place: Place) -> (Vec<Event>, u64) {
        let kept = self.lock();
        let oldest = kept.events.front().map_or(0, |event| event.number);
        let lost = oldest.saturating_sub(place.number + 1);
        (kept.events.iter().filter(|event| event.number > place.number).cloned().collect(), lost)
    }

    /// Changes with everything that happens.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(of: &Transition, wall: SystemTime) -> wire::Transition {
    wire::Transition {
        number: of.number,
        at: rfc3339(wall),
        endpoint: of.endpoint.to_string(),
        gateways: of.gateways,
        probe: of.probe.to_string(),
        address: of.address,
        from: of.from.as_str().to_owned(),
        observed: of.observed.as_str().to_owned(),
        forced: of.forced.map(|order: Order| order.as_str().to_owned()),
        effective: of.effective.as_str().to_owned(),
        cause: of.cause.clone(),
        held_ms: of.held.map(ms),
        took_ms: of.took.map(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Events {
        Events::new(|| SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn who_was_away_misses_nothing_or_is_told() {
        let events = events();
        let before = events.now();
        let last = EVENTS_KEPT as u64 + 3;
        for generation in 1..=last {
            events.published(Published { generation, transitions: 0 });
        }
        let (all, lost) = events.after(before);
        assert_eq!((all.len(), lost), (EVENTS_KEPT, 3));
        let numbers: Vec<u64> = all.iter().map(|event| event.number).collect();
        assert_eq!((numbers[0], numbers[EVENTS_KEPT - 1]), (4, last));
        assert_eq!(events.after(events.now()).0.len(), 0);
    }

    #[test]
    fn places_of_another_process_are_none() {
        let events = events();
        events.published(Published { generation: 1, transitions: 0 });
        let place = events.now();
        assert_eq!(events.place(&place.to_string()), Some(place));
        for other in ["", "1", "0-2", "7-1", "0-", "x-1", "0--1"] {
            assert_eq!(events.place(other), None, "{other}");
        }
    }
}
