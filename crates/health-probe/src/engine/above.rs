//! Verdicts that are made of others.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::report::LogLine;
use crate::Checker;
use crate::combined::{Judged, Turn};
use crate::generation::SlotId;

impl<C: Checker> Engine<C> {
    /// Brings those up to date that are made of this one, and those that are made of them. `took`: how long
    /// the change of this one took to detect, if it changed.
    pub(super) fn combine_above(&mut self, id: SlotId, took: Option<Duration>, now: Instant) {
        let Some(above) = self.above.get(&id) else { return };
        let cause = self.slots.get(&id).map(|slot| slot.cause.clone()).unwrap_or_default();
        // In the order of their numbers: what one is made of always has a lower one.
        let mut waiting: BTreeSet<SlotId> = above.iter().copied().collect();
        while let Some(id) = waiting.pop_first() {
            if let Some(turn) = self.combine(id, &cause, now) {
                let before = (turn.before.observed, turn.before.effective);
                self.report(id, before, turn.held, took, LogLine::Yes);
            }
            self.note_news(id, now);
            waiting.extend(self.above.get(&id).into_iter().flatten());
        }
    }

    pub(super) fn combine(&mut self, id: SlotId, cause: &str, now: Instant) -> Option<Turn> {
        let since_start = self.since_start(now);
        let members = self.slots.get(&id)?.members().iter();
        let members: Vec<Judged> = members
            .map(|member| self.slots.get(member).map(|slot| slot.judged(since_start)).unwrap_or_default())
            .collect();
        self.slots.get_mut(&id)?.combine(&members, cause, since_start, &mut self.lost)
    }
}
