//! What is known of one name.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::lookup::{Answers, Found, NotFound};
use super::ttl::TtlCap;
use crate::limits::ADDRESSES_MAX;

//----------- Shown ----------------------------------------------------------

/// What an endpoint with this name shows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Sorted, each once, at most [`ADDRESSES_MAX`].
    pub(crate) addresses: Vec<IpAddr>,
    /// Seconds.
    pub(crate) ttl: Option<u32>,
    pub(crate) lost: bool,
    /// Whether it does not resolve now, and its last addresses hold for a while.
    pub(crate) in_doubt: bool,
}

//----------- NameState ------------------------------------------------------

/// What lookups have brought so far.
#[derive(Debug, Default)]
pub(crate) struct NameState {
    v4: Half,
    v6: Half,
    /// When the name last resolved: at least one family had an address.
    resolved_at: Option<Instant>,
    /// Whether the last lookup did.
    resolves: bool,
    /// Lookups in a row in which a family failed or the name did not resolve.
    failures: u32,
    /// Lookups that ended.
    lookups: u64,
}

/// One family of a name.
#[derive(Debug, Default)]
struct Half {
    addresses: Vec<IpAddr>,
    cap: Option<TtlCap>,
    /// When the addresses, or that there are none, were last confirmed.
    confirmed_at: Option<Instant>,
}

impl NameState {
    /// Takes in what a lookup brought.
    ///
    /// Without an address in either family nothing is forgotten: no answer, NXDOMAIN and no data
    /// alike may be a mistake of its owner, and `stale_for` is the time to notice it.
    pub(crate) fn observe(&mut self, answers: &Answers, now: Instant) {
        self.lookups += 1;
        self.resolves = answers.v4.is_ok() || answers.v6.is_ok();
        let has_failed =
            [&answers.v4, &answers.v6].iter().any(|answer| matches!(answer, Err(NotFound::Failed(_))));
        self.failures = if self.resolves && !has_failed { 0 } else { self.failures.saturating_add(1) };
        if self.resolves {
            self.resolved_at = Some(now);
            self.v4.observe(&answers.v4, now);
            self.v6.observe(&answers.v6, now);
        }
    }

    /// What an endpoint shows that keeps last addresses for this long.
    pub(crate) fn shown(&self, stale_for: Duration, now: Instant) -> Shown {
        let halves =
            [&self.v4, &self.v6].map(|half| Some(half).filter(|half| self.holds(half, stale_for, now)));
        let ttl = halves.iter().flatten().filter_map(|half| half.cap).map(TtlCap::ttl).min();
        let [v4, v6] = halves.map(|half| half.map_or(&[][..], |half| &half.addresses));
        // With more than may be, each family gets half, or what the other leaves.
        let v6_part = v6.len().min((ADDRESSES_MAX / 2).max(ADDRESSES_MAX.saturating_sub(v4.len())));
        let v4_part = v4.len().min(ADDRESSES_MAX - v6_part);
        let addresses = v4.iter().take(v4_part).chain(v6.iter().take(v6_part)).copied().collect();
        let lost = self.is_lost(stale_for, now);
        let in_doubt = !lost && !self.resolves && self.resolved_at.is_some();
        Shown { addresses, ttl, lost, in_doubt }
    }

    /// When what is shown changes by itself next, if no lookup changes it.
    pub(crate) fn next_change(&self, stale_for: Duration, now: Instant) -> Option<Instant> {
        let lost = self.resolved_at.filter(|_| !self.resolves);
        let stale = [&self.v4, &self.v6]
            .map(|half| half.confirmed_at.filter(|_| half.confirmed_at != self.resolved_at));
        let ends = [lost, stale[0], stale[1]].into_iter().flatten();
        ends.filter_map(|at| at.checked_add(stale_for)).filter(|end| *end > now).min()
    }

    /// Whether a lookup of it has ended.
    pub(crate) fn is_answered(&self) -> bool {
        self.lookups > 0
    }

    /// Whether the last lookup brought an address.
    pub(crate) fn resolves(&self) -> bool {
        self.resolves
    }

    /// Lookups in a row that failed, in full or for one family.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Confirmed when the name last resolved, or not long enough ago to be forgotten. The former
    /// also when it is lost: with all endpoints down its addresses are the best there is.
    fn holds(&self, half: &Half, stale_for: Duration, now: Instant) -> bool {
        half.confirmed_at == self.resolved_at
            || half.confirmed_at.is_some_and(|at| !is_over(at, stale_for, now))
    }

    /// A name that never resolved has no last addresses to wait with.
    fn is_lost(&self, stale_for: Duration, now: Instant) -> bool {
        self.is_answered()
            && !self.resolves
            && self.resolved_at.is_none_or(|resolved_at| is_over(resolved_at, stale_for, now))
    }
}

impl Half {
    fn observe(&mut self, answer: &Result<Found, NotFound>, now: Instant) {
        match answer {
            Ok(found) => {
                let before = self.cap.filter(|_| self.addresses == found.addresses);
                self.cap = Some(
                    before.map_or_else(|| TtlCap::new(found.ttl, now), |cap| cap.observe(found.ttl, now)),
                );
                self.addresses.clone_from(&found.addresses);
            }
            // While the other family has addresses, NXDOMAIN is what some name servers say for no
            // data (RFC 4074 §4.2).
            Err(NotFound::NoData | NotFound::NoName) => *self = Self::default(),
            Err(NotFound::Failed(_)) => return,
        }
        self.confirmed_at = Some(now);
    }
}

fn is_over(since: Instant, stale_for: Duration, now: Instant) -> bool {
    since.checked_add(stale_for).is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_too_many_addresses_each_family_gets_its_part() {
        let v4 = |count: u8| (0..count).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        let v6 = |count| (0..count).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])).collect();
        for (given, wanted) in
            [((64, 64), (32, 32)), ((64, 10), (54, 10)), ((10, 64), (10, 54)), ((40, 24), (40, 24))]
        {
            let now = Instant::now();
            let mut state = NameState::default();
            let answers = Answers {
                v4: Ok(Found { addresses: v4(given.0), ttl: 60 }),
                v6: Ok(Found { addresses: v6(given.1), ttl: 60 }),
                refused: Vec::new(),
            };
            state.observe(&answers, now);
            let shown = state.shown(Duration::ZERO, now).addresses;
            let (found_v4, found_v6): (Vec<IpAddr>, Vec<IpAddr>) = shown.iter().partition(|a| a.is_ipv4());
            assert_eq!((found_v4.len(), found_v6.len()), wanted, "{given:?}");
        }
    }
}
