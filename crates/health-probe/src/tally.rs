//! What came of each probe's checks, over all its targets.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meridian_model::Catalog;

use crate::{Finding, Outcome};

/// The upper bounds of the buckets of latency, ascending; one bucket more has what is above all of them.
pub const LATENCY_BOUNDS: [Duration; 12] = {
    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
    [ms(1), ms(2), ms(5), ms(10), ms(20), ms(50), ms(100), ms(200), ms(500), ms(1000), ms(2000), ms(5000)]
};

const BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// The outcomes of one probe since it came into the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeTally {
    /// The probe's name.
    pub probe: Box<str>,
    /// Outcomes that were as wanted.
    pub good: u64,
    /// Those with a reason to prefer others.
    pub degraded: u64,
    /// Those that say that the address does not serve.
    pub failed: u64,
    /// Those that say nothing.
    pub no_data: u64,
    /// Outcomes by how long they took: by [`LATENCY_BOUNDS`], and the last above them; not cumulative.
    pub latency: [u64; BUCKETS],
    /// How long all of them took together.
    pub latency_sum: Duration,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Good, degraded, failed, no data.
    findings: [AtomicU64; 4],
    latency: [AtomicU64; BUCKETS],
    latency_sum_us: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, outcome: &Outcome) {
        let finding = match outcome.finding {
            Finding::Good => 0,
            Finding::Degraded(_) => 1,
            Finding::Failed(_) => 2,
            Finding::NoData(_) => 3,
        };
        let bucket = LATENCY_BOUNDS.partition_point(|bound| *bound < outcome.latency);
        for counter in [self.findings.get(finding), self.latency.get(bucket)].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let took_us = u64::try_from(outcome.latency.as_micros()).unwrap_or(u64::MAX);
        self.latency_sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    fn read(&self, probe: &str) -> ProbeTally {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [good, degraded, failed, no_data] = self.findings.each_ref().map(value);
        ProbeTally {
            probe: probe.into(),
            good,
            degraded,
            failed,
            no_data,
            latency: self.latency.each_ref().map(value),
            latency_sum: Duration::from_micros(value(&self.latency_sum_us)),
        }
    }
}

/// Those of all probes, by name. A lock is taken when a catalog comes and by who reads, not by a check.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<BTreeMap<Box<str>, Arc<Tally>>>);

impl Tallies {
    /// The probe's own: a catalog in which it stands again goes on with it.
    pub(crate) fn of(&self, probe: &str) -> Arc<Tally> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(probe.into()).or_default())
    }

    /// Forgets the probes that a catalog has no more.
    pub(crate) fn retain(&self, catalog: &Catalog) {
        let names: HashSet<&str> = catalog.probes().iter().map(|probe| &*probe.name).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, _| names.contains(&**name));
    }

    pub(crate) fn read(&self) -> Vec<ProbeTally> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, tally)| tally.read(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_what_they_say_and_how_long_they_took() {
        let tallies = Tallies::default();
        let count = |finding: Finding, latency_us| {
            tallies.of("web").count(&Outcome { finding, latency: Duration::from_micros(latency_us) });
        };
        count(Finding::Good, 1000);
        count(Finding::Good, 1001);
        count(Finding::Degraded(String::new()), 5_000_000);
        count(Finding::Failed(String::new()), 5_000_001);
        count(Finding::NoData(String::new()), 0);
        let [web] = &tallies.read()[..] else { panic!("{tallies:?}") };
        assert_eq!((&*web.probe, web.good, web.degraded, web.failed, web.no_data), ("web", 2, 1, 1, 1));
        assert_eq!(web.latency, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(web.latency_sum, Duration::from_micros(10_002_002));
    }
}
