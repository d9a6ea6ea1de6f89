//! The TTL that the owner of a name allows, seen through a cache that counts down.

use std::time::Duration;

use tokio::time::Instant;

/// The largest TTL seen for one set of addresses, for as long as the answer that showed it lasts.
///
/// A caching resolver answers with what is left of the owner's TTL. To hand out what is left would
/// make a new catalog of nearly every lookup, and answers that expire together everywhere. So the
/// largest stays for the lifetime of the copy that had it: the owner allowed that copy, with that
/// TTL, until then. Afterwards a smaller one is still the same TTL if the new copy can have lain in
/// the cache for the difference since then; if not, the owner has lowered it. So an answer may
/// outlive the copy by at most its own TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TtlCap {
    ttl: u32,
    until: Instant,
}

impl TtlCap {
    /// From the first answer with these addresses.
    pub(crate) fn new(ttl: u32, now: Instant) -> Self {
        Self { ttl, until: end(now, ttl) }
    }

    /// In seconds.
    pub(crate) fn ttl(self) -> u32 {
        self.ttl
    }

    /// After another answer with the same addresses.
    pub(crate) fn observe(self, ttl: u32, now: Instant) -> Self {
        if ttl >= self.ttl {
            return Self::new(ttl, now);
        }
        if now < self.until {
            return self;
        }
        // A copy that came into the cache after the last one ended is no older than that. TTLs are
        // whole seconds, so one more.
        let age = now.duration_since(self.until).as_secs().saturating_add(1);
        if u64::from(ttl).saturating_add(age) >= u64::from(self.ttl) {
            return Self { ttl: self.ttl, until: end(now, ttl) };
        }
        Self::new(ttl, now)
    }
}

fn end(now: Instant, ttl: u32) -> Instant {
    now.checked_add(Duration::from_secs(u64::from(ttl))).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The caps after answers at (second, TTL).
    fn caps(answers: &[(u64, u32)]) -> Vec<u32> {
        let start = Instant::now();
        let mut cap: Option<TtlCap> = None;
        let mut caps = Vec::new();
        for (second, ttl) in answers {
            let now = start + Duration::from_secs(*second);
            let next = cap.map_or_else(|| TtlCap::new(*ttl, now), |cap| cap.observe(*ttl, now));
            cap = Some(next);
            caps.push(next.ttl());
        }
        caps
    }

    #[test]
    fn a_cache_that_counts_down_changes_nothing() {
        assert_eq!(caps(&[(0, 3600), (300, 3300), (600, 3000), (3600, 3599), (3900, 3299)]), [3600; 5]);
    }

    #[test]
    fn a_larger_one_counts_at_once() {
        assert_eq!(caps(&[(0, 7), (7, 60), (67, 60)]), [7, 60, 60]);
    }

    #[test]
    fn somebody_else_who_filled_the_cache_a_moment_before_changes_nothing() {
        assert_eq!(caps(&[(0, 60), (61, 59), (120, 60), (182, 58)]), [60; 4]);
    }

    #[test]
    fn a_lowered_one_counts_when_the_copy_before_has_ended() {
        assert_eq!(caps(&[(0, 600), (300, 300), (600, 30), (630, 30)]), [600, 600, 30, 30]);
        assert_eq!(caps(&[(0, 60), (60, 0)]), [60, 0]);
    }

    #[test]
    fn what_an_outage_hid_shows_with_the_next_answer() {
        // After ten minutes a 30 may be what is left of a 60; after its own end it is not.
        assert_eq!(caps(&[(0, 60), (660, 30), (690, 30)]), [60, 60, 30]);
    }
}
