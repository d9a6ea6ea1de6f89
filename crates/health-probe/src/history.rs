//! The last outcomes of a target, in eight octets each.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{HISTORY_ALL_MAX, HISTORY_MAX, HISTORY_MIN};
use crate::{Finding, Outcome};

/// How many outcomes each of so many targets keeps.
pub(crate) fn room(targets: usize) -> usize {
    (HISTORY_ALL_MAX / targets.max(1)).clamp(HISTORY_MIN, HISTORY_MAX)
}

/// The outcomes of a target, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: VecDeque<Kept>,
    /// When the last of them came.
    last: Duration,
}

/// An outcome. Beyond the ranges of its fields it counts as their end, which no latency and few pauses reach.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Milliseconds from the one before.
    after_ms: u32,
    /// In the two lowest bits what was found, in the others how long it took, in microseconds (18 minutes at most).
    found: u32,
}

/// An outcome that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// What was found.
    pub result: PastResult,
    /// From the start of the probe to its end, to the microsecond.
    pub latency: Duration,
    /// How long ago it ended, to the millisecond.
    pub ago: Duration,
}

/// A [`Finding`] without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as those of Finding")]
pub enum PastResult {
    Good,
    Degraded,
    Failed,
    NoData,
}

impl PastResult {
    const ALL: [Self; 4] = [Self::Good, Self::Degraded, Self::Failed, Self::NoData];

    /// What a finding is.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        match finding {
            Finding::Good => Self::Good,
            Finding::Degraded(_) => Self::Degraded,
            Finding::Failed(_) => Self::Failed,
            Finding::NoData(_) => Self::NoData,
        }
    }

    /// The word for APIs: `good`, `degraded`, `failed` or `no_data`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::NoData => "no_data",
        }
    }
}

impl History {
    /// Remembers an outcome, and no more than `room` in all.
    pub(crate) fn add(&mut self, outcome: &Outcome, now: Duration, room: usize) {
        let excess = (self.kept.len() + 1).saturating_sub(room);
        self.kept.drain(..excess.min(self.kept.len()));
        let after = now.saturating_sub(self.last).as_millis();
        let after_ms = u32::try_from(after).unwrap_or(u32::MAX);
        let latency = u32::try_from(outcome.latency.as_micros()).unwrap_or(u32::MAX).min(u32::MAX >> 2);
        let found = latency << 2 | PastResult::of(&outcome.finding) as u32;
        self.kept.push_back(Kept { after_ms, found });
        self.last = now;
    }

    /// All that are remembered, oldest first.
    pub(crate) fn list(&self, now: Duration) -> Vec<Past> {
        let mut ago = now.saturating_sub(self.last);
        let newest_first = self.kept.iter().rev().map(|kept| {
            let result = PastResult::ALL[(kept.found & 3) as usize];
            let past = Past { result, latency: Duration::from_micros(u64::from(kept.found >> 2)), ago };
            ago += Duration::from_millis(u64::from(kept.after_ms));
            past
        });
        let mut all: Vec<Past> = newest_first.collect();
        all.reverse();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcomes_are_remembered_with_their_times() {
        let ms = Duration::from_millis;
        let mut history = History::default();
        let findings = [
            Finding::Good,
            Finding::Degraded("d".into()),
            Finding::Failed("f".into()),
            Finding::NoData("n".into()),
        ];
        for (number, finding) in (1_u64..).zip(&findings) {
            let outcome = Outcome { finding: finding.clone(), latency: Duration::from_micros(number * 1500) };
            history.add(&outcome, ms(number * 1000), 3);
        }
        let list = history.list(ms(4500));
        let ago: Vec<u128> = list.iter().map(|past| past.ago.as_millis()).collect();
        assert_eq!(ago, [2500, 1500, 500]);
        let results: Vec<&str> = list.iter().map(|past| past.result.as_str()).collect();
        assert_eq!(results, ["degraded", "failed", "no_data"]);
        let latencies: Vec<u128> = list.iter().map(|past| past.latency.as_micros()).collect();
        assert_eq!(latencies, [3000, 4500, 6000]);
        // Fewer are kept when there are more targets, and what is out of range counts as its end.
        let hour = Outcome { finding: Finding::Good, latency: Duration::from_hours(1) };
        history.add(&hour, ms(5000), 2);
        let list = history.list(ms(5000));
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].latency, Duration::from_micros(u64::from(u32::MAX >> 2)));
        assert!(History::default().list(ms(1)).is_empty());
    }

    #[test]
    fn all_targets_together_have_a_bound() {
        assert_eq!([0, 1, 10_000].map(room), [HISTORY_MAX; 3]);
        assert!(room(100_000) < HISTORY_MAX && room(100_000) * 100_000 <= HISTORY_ALL_MAX);
        assert_eq!(room(usize::MAX), HISTORY_MIN);
    }
}
