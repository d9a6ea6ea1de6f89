//! How long answers take.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets in microseconds, ascending; one bucket more has what is above all of them. A query
/// by itself takes some 10 µs from socket to socket; a full batch, which is waited for together, a hundred.
const BOUNDS_US: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// The same while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// How many queries took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Not cumulative.
    buckets: [u64; BUCKETS],
    sum_us: u64,
}

impl Durations {
    /// So many queries took so long each.
    pub(crate) fn observe(&self, took_us: u64, queries: usize, add: impl Fn(&AtomicU64, u64)) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < took_us);
        if let Some(counter) = self.buckets.get(bucket) {
            add(counter, queries as u64);
        }
        add(&self.sum_us, took_us.saturating_mul(queries as u64));
    }

    pub(crate) fn add_to(&self, all: &mut Latency) {
        for (sum, counter) in all.buckets.iter_mut().zip(&self.buckets) {
            *sum += counter.load(Ordering::Relaxed);
        }
        all.sum_us += self.sum_us.load(Ordering::Relaxed);
    }
}

impl Latency {
    /// The upper bound of each bucket in seconds, the last infinite, and how many are in it and in no lower one.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        #[expect(clippy::cast_precision_loss, reason = "at most a quarter of a million")]
        let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.buckets)
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long all of them took together, in seconds.
    #[must_use]
    pub fn sum_s(&self) -> f64 {
        std::time::Duration::from_micros(self.sum_us).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_in_the_bucket_of_their_bound() {
        let durations = Durations::default();
        let add = |counter: &AtomicU64, count| {
            counter.fetch_add(count, Ordering::Relaxed);
        };
        durations.observe(10, 3, add);
        durations.observe(11, 1, add);
        durations.observe(250_001, 2, add);
        let mut latency = Latency::default();
        durations.add_to(&mut latency);
        let filled: Vec<_> = latency.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(1e-5, 3), (2.5e-5, 1), (f64::INFINITY, 2)]);
        assert_eq!((latency.count(), latency.sum_s()), (6, 0.500_043));
    }
}
