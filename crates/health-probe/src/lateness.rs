//! How late probes start: the first sign that the prober has too much to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, ascending; one bucket more has what is above all of them.
pub const LATENESS_BOUNDS: [Duration; 12] = {
    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
    [ms(1), ms(2), ms(3), ms(5), ms(10), ms(20), ms(50), ms(100), ms(200), ms(500), ms(1000), ms(5000)]
};

/// How many probes started how long after the moment that was planned for them, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// By [`LATENESS_BOUNDS`], and the last above them; not cumulative.
    pub counts: [u64; LATENESS_BOUNDS.len() + 1],
}

impl Lateness {
    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts }
    }

    /// The bound that a share (0 to 1) of the starts kept; `None` when there is none so high.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a share of so many is not told apart")]
        let wanted = self.counts.iter().sum::<u64>() as f64 * share;
        let mut sum = 0;
        let index = self.counts.iter().position(|count| {
            sum += count;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let is_enough = sum as f64 >= wanted;
            is_enough
        });
        LATENESS_BOUNDS.get(index?).copied()
    }
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(crate) struct LatenessCounters([AtomicU64; LATENESS_BOUNDS.len() + 1]);

impl LatenessCounters {
    pub(crate) fn count(&self, late: Duration) {
        let index = LATENESS_BOUNDS.partition_point(|bound| *bound < late);
        if let Some(counter) = self.0.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Lateness {
        Lateness { counts: self.0.each_ref().map(|counter| counter.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_upper_bound() {
        let counters = LatenessCounters::default();
        for (late_us, wanted) in [(0, 0), (1000, 0), (1001, 1), (5000, 3), (5001, 4), (6_000_000, 12)] {
            let before = counters.read();
            counters.count(Duration::from_micros(late_us));
            assert_eq!(counters.read().since(&before).counts[wanted], 1, "{late_us} µs");
        }
    }

    #[test]
    fn shares_are_rounded_up_to_a_bound() {
        let counters = LatenessCounters::default();
        (0..99).for_each(|_| counters.count(Duration::from_millis(2)));
        counters.count(Duration::from_secs(60));
        let late = counters.read();
        assert_eq!(late.within(0.5), Some(Duration::from_millis(2)));
        assert_eq!(late.within(0.99), Some(Duration::from_millis(2)));
        assert_eq!(late.within(1.0), None);
    }
}
