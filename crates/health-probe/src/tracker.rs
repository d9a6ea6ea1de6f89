//! From outcomes to a verdict: a state machine without I/O and without a clock.

use std::time::Duration;

use meridian_model::{Probe, Thresholds, Verdict};

use crate::Outcome;
use crate::flaps::Flaps;

#[cfg(test)]
mod tests;

//----------- Tracker --------------------------------------------------------

/// The verdict on one target and the outcomes that are being counted against it.
///
/// The first outcome decides at once; after that, the probe's thresholds do. The README has the table,
/// which a test compares with this code.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    verdict: Verdict,
    /// When the verdict began; `None` while none ever did.
    since: Option<Duration>,
    /// When the verdict last changed; the first one is no change.
    changed: Option<Duration>,
    counts: Counts,
    flaps: Flaps,
}

/// Outcomes since the verdict began, as far as they still count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Failures that are not forgiven.
    failures: u32,
    /// Outcomes in a row without data.
    unknowns: u32,
    /// Successes in a row.
    successes: u32,
    /// Successes in a row of the other kind than the verdict: degraded ones, or plain ones.
    asides: u32,
    /// When the first probe began that speaks against the verdict.
    began: Option<Duration>,
}

/// What an outcome brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A verdict gave way to another.
    Changed(Change),
    /// The target comes and goes: its recovery is put off.
    Held(Held),
}

/// A verdict that gave way to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The verdict before.
    pub from: Verdict,
    /// The verdict now.
    pub to: Verdict,
    /// How many outcomes it took: 1 for the first verdict, else what the threshold asked for.
    pub outcomes: u32,
    /// From the start of the first probe that spoke against the verdict to now.
    pub took: Duration,
    /// How long the verdict before had held; `None` if there was none.
    pub held: Option<Duration>,
}

/// A recovery that is put off because the target comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How many changes there were in the window.
    pub changes: u32,
    /// How long the recovery is put off from now.
    pub hold: Duration,
}

impl Tracker {
    /// Takes the outcome of a probe that ended at `now`, on any clock that does not go back. A
    /// threshold of 0 counts as 1.
    pub fn observe(&mut self, probe: &Probe, outcome: &Outcome, now: Duration) -> Option<Event> {
        let thresholds = &probe.thresholds;
        let (verdict, speaks_for) = (self.verdict, outcome.finding.verdict());
        let step = step(verdict, speaks_for);
        let began = now.saturating_sub(outcome.latency);
        let counted = self.counts.take(step, speaks_for, began, thresholds);
        let (to, threshold) = match step {
            Step::Agree => return None,
            Step::Become(to) => (to, 1),
            Step::Fall(to) => (to, thresholds.fall),
            Step::Rise(to) => (to, thresholds.rise),
        };
        if counted < threshold {
            return None;
        }
        let took = now.saturating_sub(self.counts.began.unwrap_or(began));
        if verdict == Verdict::Unhealthy && to.serves() {
            if took < thresholds.rise_for {
                return None;
            }
            match self.flaps.recovery(thresholds.flap.as_ref(), now) {
                Ok(()) => {}
                Err(held) => return held.map(Event::Held),
            }
        }
        let held = self.since.map(|since| now.saturating_sub(since));
        if verdict != Verdict::Unknown && verdict.serves() != to.serves() {
            self.flaps.changed(thresholds.flap.as_ref(), now);
        }
        self.changed = self.since.map(|_| now);
        (self.verdict, self.since, self.counts) = (to, Some(now), Counts::default());
        Some(Event::Changed(Change { from: verdict, to, outcomes: counted, took, held }))
    }

    /// Goes back to a verdict, as though no outcome from `from` on had come.
    pub(crate) fn forget(&mut self, verdict: Verdict, from: Duration) {
        if self.verdict != verdict {
            self.since = self.since.map(|since| since.min(from));
        }
        self.verdict = verdict;
        self.counts = Counts::default();
        self.flaps.forget(from);
    }

    /// What the probes say.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When that began, on the clock of the outcomes; `None` while no outcome came.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// Whether outcomes against the verdict are being counted, so that more outcomes soon are worth
    /// their cost. Not while a recovery is put off: nothing can come of them.
    #[must_use]
    pub fn is_settling(&self, now: Duration) -> bool {
        self.counts.began.is_some() && self.flaps.held_for(now).is_none()
    }

    /// Whether a change is near or just was: outcomes are being counted, or the verdict changed less
    /// than `hold_down` before `now`. The first verdict is not in doubt.
    #[must_use]
    pub fn in_doubt(&self, probe: &Probe, now: Duration) -> bool {
        let hold_down = probe.thresholds.hold_down;
        self.is_settling(now) || self.changed.is_some_and(|changed| now.saturating_sub(changed) < hold_down)
    }

    /// How much longer a recovery is put off because the target comes and goes.
    #[must_use]
    pub fn held_for(&self, now: Duration) -> Option<Duration> {
        self.flaps.held_for(now)
    }
}

//----------- Counts ---------------------------------------------------------

impl Counts {
    /// Counts an outcome whose probe began at `began`, and says how many now speak for the step.
    fn take(&mut self, step: Step, speaks_for: Verdict, began: Duration, thresholds: &Thresholds) -> u32 {
        match speaks_for {
            Verdict::Unhealthy => {
                let failures = self.failures.saturating_add(1);
                *self = Self { failures, began: self.began, ..Self::default() };
            }
            Verdict::Unknown => {
                let unknowns = self.unknowns.saturating_add(1);
                *self = Self { failures: self.failures, unknowns, began: self.began, ..Self::default() };
            }
            Verdict::Healthy | Verdict::Degraded => {
                self.unknowns = 0;
                self.successes = self.successes.saturating_add(1);
                if self.successes >= thresholds.forgive {
                    self.failures = 0;
                }
                self.asides = if step == Step::Agree { 0 } else { self.asides.saturating_add(1) };
            }
        }
        if step != Step::Agree {
            self.began.get_or_insert(began);
        } else if self.failures == 0 || !speaks_for.serves() {
            self.began = None;
        }
        match speaks_for {
            Verdict::Unhealthy => self.failures,
            Verdict::Unknown => self.unknowns,
            Verdict::Healthy | Verdict::Degraded => self.asides,
        }
    }
}

//----------- The transition table -------------------------------------------

/// What an outcome does to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another verdict takes its place at once.
    Become(Verdict),
    /// It counts towards another verdict, `fall` of them.
    Fall(Verdict),
    /// It counts towards another verdict, `rise` of them.
    Rise(Verdict),
    /// It agrees with the verdict.
    Agree,
}

/// The whole machine: what an outcome that speaks for one verdict does to another.
const fn step(verdict: Verdict, speaks_for: Verdict) -> Step {
    use Verdict::{Degraded, Healthy, Unhealthy, Unknown};
    match (verdict, speaks_for) {
        (Unknown, Unknown) | (Healthy, Healthy) | (Degraded, Degraded) | (Unhealthy, Unhealthy) => {
            Step::Agree
        }
        (Unknown, first) => Step::Become(first),
        (Unhealthy, Healthy | Degraded) | (Degraded, Healthy) => Step::Rise(speaks_for),
        (Healthy, _) | (Degraded | Unhealthy, Unhealthy | Unknown) => Step::Fall(speaks_for),
    }
}
