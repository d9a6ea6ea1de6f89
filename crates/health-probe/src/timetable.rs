//! When a target is probed: beats that never drift, a phase of its own, a little jitter.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use meridian_model::Probe;
use tokio::time::Instant;

use crate::limits::{FIRST_ROUND_SPREAD, INTERVAL_MAX, INTERVAL_MIN, JITTER_DIVISOR};

/// The beats of one target: `origin + n × interval`, where the origin depends on the target alone.
/// While a verdict settles, starts follow each other by the fast interval and no beat counts.
#[derive(Debug)]
pub(crate) struct Timetable {
    interval: Duration,
    fast_interval: Duration,
    /// When the last probe started.
    started: Instant,
    /// The beat that the next start belongs to.
    beat: Instant,
}

impl Timetable {
    /// The beats of a target that is new at `now`, and when its first probe starts.
    ///
    /// The first probe does not wait for a beat. The one after it takes the first beat that is half
    /// an interval later, and late enough that the first has ended.
    pub(crate) fn new(now: Instant, probe: &Probe, at: SocketAddr) -> (Self, Instant) {
        let (interval, fast_interval) = intervals(probe);
        let hash = hash(probe, at);
        let first = now + share(interval.min(FIRST_ROUND_SPREAD), hash);
        let mut beat = now + share(interval, hash);
        if beat < first + probe.timeout.clamp(interval / 2, interval) {
            beat += interval;
        }
        (Self { interval, fast_interval, started: first, beat }, first)
    }

    /// Notes that a probe starts.
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = now;
    }

    /// When the next probe starts, which may be before `now`, and how many beats are left out
    /// because an interval or more has passed since they were due.
    ///
    /// `is_settling`: whether the verdict may be about to change.
    pub(crate) fn next(&mut self, now: Instant, is_settling: bool, rng: &mut Rng) -> (Instant, u64) {
        if is_settling && self.fast_interval < self.interval {
            let due = self.started + self.fast_interval;
            // The same time once more would be missed for ever.
            let is_missed = self.is_missed(due, now);
            return (if is_missed { now + share(self.fast_interval, rng.u64(..)) } else { due }, 0);
        }
        // Beats that fast starts stood in for.
        let settled = self.started + self.interval / 2;
        if self.beat < settled {
            self.beat += self.interval * beats(settled - self.beat, self.interval);
        }
        let skipped = self.skip(now);
        let start = self.jittered(rng);
        self.beat += self.interval;
        (start, skipped)
    }

    /// Whether a start that was planned for `due` is so late at `now` (the process stood still)
    /// that it gives way to the next one: else all targets would start together.
    pub(crate) fn is_missed(&self, due: Instant, now: Instant) -> bool {
        now.saturating_duration_since(due) >= self.interval
    }

    /// Moves on to the first beat after `now` when the beat is an interval or more behind.
    fn skip(&mut self, now: Instant) -> u64 {
        let behind = now.saturating_duration_since(self.beat);
        if behind < self.interval {
            return 0;
        }
        let interval_ns = self.interval.as_nanos();
        let past_beat = Duration::from_nanos_u128(behind.as_nanos() % interval_ns);
        self.beat = now + (self.interval - past_beat);
        u64::try_from(behind.as_nanos() / interval_ns).map_or(u64::MAX, |beats| beats.saturating_add(1))
    }

    fn jittered(&self, rng: &mut Rng) -> Instant {
        let most = self.interval / JITTER_DIVISOR;
        self.beat - most + share(most * 2, rng.u64(..))
    }
}

/// The interval and the fast interval of a probe, as far as they are kept.
pub(crate) fn intervals(probe: &Probe) -> (Duration, Duration) {
    let interval = probe.interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
    (interval, probe.fast_interval.clamp(INTERVAL_MIN, interval))
}

/// The same for the same target, so that a reload or a restart keeps the order of targets; any
/// other target's is unrelated.
fn hash(probe: &Probe, at: SocketAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (probe, at).hash(&mut hasher);
    hasher.finish()
}

/// How many beats it takes to pass over `time`.
fn beats(time: Duration, interval: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(u32::MAX)
}

/// `part` of 2⁶⁴ of a duration.
fn share(of: Duration, part: u64) -> Duration {
    let ns = u64::try_from(of.as_nanos()).unwrap_or(u64::MAX);
    let share_ns = (u128::from(ns) * u128::from(part)) >> 64;
    Duration::from_nanos_u128(share_ns)
}
