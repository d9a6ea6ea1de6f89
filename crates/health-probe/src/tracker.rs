//! From outcomes to a verdict: a state machine without I/O and without a clock.

use std::time::Duration;

use meridian_model::{Probe, Verdict};

use crate::Outcome;

#[cfg(test)]
mod tests;

//----------- Tracker --------------------------------------------------------

/// The verdict on one target and the outcomes that are being counted against it.
///
/// The first outcome decides at once; after that, `fall` failures or `rise` successes in a row do.
/// The README has the table, which a test compares with this code.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    verdict: Verdict,
    /// When the verdict began; `None` while it is unknown.
    since: Option<Duration>,
    /// Outcomes in a row that speak against the verdict.
    contrary: u32,
    /// When the verdict last changed; the first one is no change.
    changed: Option<Duration>,
}

/// A verdict that gave way to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The verdict before.
    pub from: Verdict,
    /// The verdict now.
    pub to: Verdict,
    /// How many outcomes in a row it took: 1 for the first verdict, else `fall` or `rise`.
    pub outcomes: u32,
    /// How long the verdict before had held; `None` if it was unknown.
    pub held: Option<Duration>,
}

impl Tracker {
    /// Takes the outcome of a probe that ended at `now`, on any clock that does not go back.
    /// Returns the change of verdict that it brought about. A threshold of 0 counts as 1.
    pub fn observe(&mut self, probe: &Probe, outcome: &Outcome, now: Duration) -> Option<Change> {
        let success = outcome.result.is_ok();
        let counted = self.contrary.saturating_add(1);
        let threshold = if success { probe.rise } else { probe.fall };
        match step(self.verdict, success, counted >= threshold) {
            Step::Reset => {
                self.contrary = 0;
                None
            }
            Step::Count => {
                self.contrary = counted;
                None
            }
            Step::Become(verdict) => {
                let change = Change {
                    from: self.verdict,
                    to: verdict,
                    outcomes: counted,
                    held: self.since.map(|since| now.saturating_sub(since)),
                };
                self.changed = self.since.map(|_| now);
                *self = Self { verdict, since: Some(now), contrary: 0, changed: self.changed };
                Some(change)
            }
        }
    }

    /// What the probes say.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether a change is near or just was: a contrary outcome is being counted, or the verdict
    /// changed less than `hold_down` before `now`. The first verdict is not in doubt.
    #[must_use]
    pub fn in_doubt(&self, probe: &Probe, now: Duration) -> bool {
        self.contrary > 0 || self.changed.is_some_and(|changed| now.saturating_sub(changed) < probe.hold_down)
    }
}

//----------- The transition table -------------------------------------------

/// What an outcome does to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another verdict takes its place.
    Become(Verdict),
    /// The outcome speaks against it, and more are needed.
    Count,
    /// The outcome agrees with it.
    Reset,
}

/// The whole machine. `enough`: with this outcome, as many in a row as the threshold asks for.
const fn step(verdict: Verdict, success: bool, enough: bool) -> Step {
    match (verdict, success, enough) {
        (Verdict::Unknown, true, _) => Step::Become(Verdict::Healthy),
        (Verdict::Unknown, false, _) => Step::Become(Verdict::Unhealthy),
        (Verdict::Healthy, true, _) | (Verdict::Unhealthy, false, _) => Step::Reset,
        (Verdict::Healthy, false, true) => Step::Become(Verdict::Unhealthy),
        (Verdict::Unhealthy, true, true) => Step::Become(Verdict::Healthy),
        (Verdict::Healthy, false, false) | (Verdict::Unhealthy, true, false) => Step::Count,
    }
}
