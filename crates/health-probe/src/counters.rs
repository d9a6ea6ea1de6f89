//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering};

use meridian_model::Verdict;

use crate::lateness::{Lateness, LatenessCounters};
use crate::tally::{ProbeTally, Tallies};

/// Counts since the start, written by the engine and read by anybody at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) probes: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) crowded: AtomicU64,
    pub(crate) lateness: LatenessCounters,
    pub(crate) skipped: AtomicU64,
    pub(crate) transitions: AtomicU64,
    /// Those of them to each verdict, by [`Verdict::rank`].
    pub(crate) transitions_to: [AtomicU64; 4],
    pub(crate) held: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) isolations: AtomicU64,
    pub(crate) isolated: AtomicU64,
    pub(crate) tallies: Tallies,
}

/// The values of [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Probes that ended.
    pub probes: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Probes that waited because [`crate::Checker::under_way_max`] were under way.
    pub late: u64,
    /// Probes that waited because [`crate::limits::PROBES_OF_ADDRESS_MAX`] of their address were under way.
    pub crowded: u64,
    /// Beats without a probe, because the beat before, a wait or a stopped process took longer
    /// than an interval.
    pub skipped: u64,
    /// Changes of verdict that were reported, the first verdicts included.
    pub transitions: u64,
    /// By [`Verdict::rank`] of the verdict that counts after it.
    pub transitions_to: [u64; 4],
    /// Recoveries that were put off because the target comes and goes.
    pub held: u64,
    /// Snapshots published.
    pub snapshots: u64,
    /// How often the prober suspected itself.
    pub isolations: u64,
    /// Whether it does now: 1 or 0.
    pub isolated: u64,
}

impl Counts {
    /// Changes to a verdict.
    #[must_use]
    pub fn transitions_to(&self, verdict: Verdict) -> u64 {
        self.transitions_to.get(usize::from(verdict.rank())).copied().unwrap_or_default()
    }
}

impl Counters {
    /// The values now. Each is exact; a reader may see one move before another.
    #[must_use]
    pub fn read(&self) -> Counts {
        let Self { probes, failed, late, crowded, skipped, transitions, held, snapshots, .. } = self;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            probes: value(probes),
            failed: value(failed),
            late: value(late),
            crowded: value(crowded),
            skipped: value(skipped),
            transitions: value(transitions),
            transitions_to: self.transitions_to.each_ref().map(value),
            held: value(held),
            snapshots: value(snapshots),
            isolations: value(&self.isolations),
            isolated: value(&self.isolated),
        }
    }

    /// What came of the checks of each probe, by name.
    #[must_use]
    pub fn by_probe(&self) -> Vec<ProbeTally> {
        self.tallies.read()
    }

    /// How late probes started.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        self.lateness.read()
    }
}

/// Adds to one counter.
pub(crate) fn count(counter: &AtomicU64, events: u64) {
    counter.fetch_add(events, Ordering::Relaxed);
}
