//! Whether what is observed is to be believed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::report::LogLine;
use crate::counters::count;
use crate::generation::SlotId;
use crate::isolation::Sight;
use crate::{Checker, Event};

impl<C: Checker> Engine<C> {
    /// Asks, after an outcome, whether the prober is to be believed.
    pub(super) fn look_around(&mut self, id: SlotId, answers: bool, event: Option<Event>, now: Instant) {
        let since_start = self.since_start(now);
        let sight = self.isolation.observe(id, answers, since_start);
        let has_fallen =
            matches!(event, Some(Event::Changed(change)) if change.from.serves() && !change.to.serves());
        if sight == Sight::Back {
            self.trust(now);
        } else if has_fallen && let Some((slots, from)) = self.isolation.suspect(since_start) {
            self.suspect(id, &slots, from, now);
        }
    }

    /// Freezes verdicts, at what they were before `from`; all but the one that fell just now are told of.
    fn suspect(&mut self, falling: SlotId, slots: &[SlotId], from: Duration, now: Instant) {
        let mut taken_back = 0;
        for &id in slots {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            let before = (slot.observed(), slot.freeze(from));
            if id != falling && before.1 != slot.effective() {
                taken_back += 1;
                self.report(id, before, None, None, LogLine::No);
                self.combine_above(id, None, now);
            }
            self.note_news(id, now);
        }
        count(&self.counters.isolations, 1);
        self.counters.isolated.store(1, Ordering::Relaxed);
        self.report_suspicion(slots.len(), taken_back);
    }

    /// Believes what is observed again, from now on.
    fn trust(&mut self, now: Instant) {
        let Some(suspicion) = self.isolation.trust() else { return };
        let since_start = self.since_start(now);
        let frozen: Vec<SlotId> = self.slots.keys().copied().collect();
        for id in frozen {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            let effective = slot.effective();
            if let Some(observed) = slot.thaw(suspicion.from) {
                self.report(id, (observed, effective), None, None, LogLine::No);
                self.combine_above(id, None, now);
                self.note_news(id, now);
            }
        }
        self.counters.isolated.store(0, Ordering::Relaxed);
        self.report_trust(&suspicion, since_start);
    }
}
