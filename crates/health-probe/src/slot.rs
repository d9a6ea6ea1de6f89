//! One target in the engine: its tracker, its timetable, and what was said of it last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use meridian_model::{Probe, TargetHealth, TargetId, Verdict};
use tokio::time::Instant;

use crate::check::Prepared;
use crate::generation::SlotId;
use crate::runner::Job;
use crate::timetable::Timetable;
use crate::{Change, Event, Outcome, Tracker, check};

/// An address under a probe. It outlives a catalog if the next one has the same.
#[derive(Debug)]
pub(crate) struct Slot<R> {
    prepared: Arc<Prepared<R>>,
    pub(crate) at: SocketAddr,
    timetable: Timetable,
    tracker: Tracker,
    /// As [`TargetHealth::lost`].
    lost: u64,
    /// Why the verdict is what it is; empty while it is unknown.
    pub(crate) cause: String,
    /// Its target in the catalog in force; `None` before that catalog is.
    pub(crate) target: Option<TargetId>,
    /// What the last snapshot said of it.
    published: TargetHealth,
}

impl<R> Slot<R> {
    /// A target that nothing is known of, and when its first probe starts.
    pub(crate) fn new(now: Instant, prepared: Arc<Prepared<R>>, at: SocketAddr) -> (Self, Instant) {
        let (timetable, first) = Timetable::new(now, &prepared.probe, at);
        let slot = Self {
            prepared,
            at,
            timetable,
            tracker: Tracker::default(),
            lost: 0,
            cause: String::new(),
            target: None,
            published: TargetHealth::default(),
        };
        (slot, first)
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.prepared.probe
    }

    /// Takes an outcome. `lost` counts the verdicts that stopped being healthy, of all targets.
    pub(crate) fn observe(&mut self, outcome: &Outcome, now: Duration, lost: &mut u64) -> Option<Event> {
        let event = self.tracker.observe(&self.prepared.probe, outcome, now)?;
        if let Event::Changed(change) = event {
            if change.from.serves() && !change.to.serves() {
                *lost += 1;
                self.lost = *lost;
            }
            self.cause = why(self.probe(), self.at, outcome, change);
        }
        Some(event)
    }

    pub(crate) fn observed(&self) -> Verdict {
        self.tracker.verdict()
    }

    /// What an answer may know of it.
    pub(crate) fn health(&self, now: Duration) -> TargetHealth {
        TargetHealth {
            verdict: effective(self.observed()),
            in_doubt: self.tracker.in_doubt(self.probe(), now),
            lost: self.lost,
        }
    }

    /// As [`Slot::health`], for a snapshot that is about to leave.
    pub(crate) fn publish(&mut self, now: Duration) -> TargetHealth {
        self.published = self.health(now);
        self.published
    }

    /// Whether the last snapshot is no longer right about it.
    pub(crate) fn is_news(&self, now: Duration) -> bool {
        self.published != self.health(now)
    }

    /// When its next probe starts, and how many beats were left out.
    pub(crate) fn next_start(
        &mut self,
        now: Instant,
        since_start: Duration,
        rng: &mut Rng,
    ) -> (Instant, u64) {
        let is_settling = self.tracker.is_settling(since_start);
        self.timetable.next(now, is_settling, rng)
    }

    /// As [`Timetable::is_missed`].
    pub(crate) fn is_missed(&self, due: Instant, now: Instant) -> bool {
        self.timetable.is_missed(due, now)
    }

    /// Its next probe, which starts now.
    pub(crate) fn start(&mut self, slot: SlotId, now: Instant) -> Job<R> {
        self.timetable.started(now);
        Job { slot, prepared: Arc::clone(&self.prepared), at: self.at }
    }
}

/// What counts, from what the probes say. The one place where an operator's word would join;
/// nobody has one yet.
pub(crate) fn effective(observed: Verdict) -> Verdict {
    observed
}

/// The cause of a change: the last outcome, and which in the row it was.
fn why(probe: &Probe, at: SocketAddr, outcome: &Outcome, change: Change) -> String {
    let last = outcome.finding.reason().map_or_else(
        || check::cause(probe, at, &format!("success in {}ms", outcome.latency.as_millis())),
        str::to_owned,
    );
    let count = change.outcomes;
    if change.from == Verdict::Unknown {
        format!("{last} (first probe)")
    } else {
        format!("{last} ({count}{} of {count})", ordinal_suffix(count))
    }
}

fn ordinal_suffix(number: u32) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_read_as_english() {
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 111, 112]
            .map(|number| format!("{number}{}", ordinal_suffix(number)));
        assert_eq!(ordinals.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th");
    }
}
