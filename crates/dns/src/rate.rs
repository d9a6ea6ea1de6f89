//! Response rate limiting: how many replies go over UDP to a network that may not have asked for them.
//!
//! Whoever sends queries with somebody else's address makes us send replies there. Beyond a rate they are
//! dropped, or "slip" as truncated replies, which are no larger than the query: a resolver that did ask comes
//! back over TCP, or with the cookie that it is given.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;

use crate::limits::{RATE_SETS, RATE_WAYS};

/// Replies a second over UDP, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// To one network of clients.
    pub per_client: u32,
    /// Of these, for one name.
    pub per_name: u32,
    /// Of these, errors.
    pub errors: u32,
    /// Each how manieth reply over the limit is sent truncated and not dropped; 0: none.
    pub slip: u32,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
    /// Clients without a limit.
    pub exempt: Vec<IpNet>,
}

/// What a reply is to be counted as.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'n> {
    /// Any answer about a name of ours: by the name, or by the nearest above it that exists, so that names
    /// that nobody has are one.
    About(&'n [u8]),
    /// REFUSED, FORMERR, NOTIMP and alike.
    Error,
}

/// What is to become of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Within the rate.
    No,
    /// Beyond it: a truncated reply in its place.
    Slips,
    /// Beyond it: none.
    Dropped,
}

/// One second's replies, counted for as many networks and names as there is room for.
///
/// Each bucket is one number: a tag, and the time at which it is full again (the "theoretical arrival time" of
/// GCRA, ITU-T I.371). Where all buckets of a set are taken the one that is fullest is forgotten: a flood from
/// very many networks limits none of them by the other's replies.
pub(crate) struct Limiter {
    limit: RateLimit,
    buckets: Box<[Set]>,
    hasher: RandomState,
}

/// The buckets of one hash, in one cache line.
#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; RATE_WAYS]);

/// The part of a bucket that is time, in microseconds: 8.9 years.
const TIME_BITS: u32 = 48;
/// How much may come at once, beside the rate: what a second has, in microseconds.
const BURST_US: u64 = 1_000_000;

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let mut buckets = Vec::new();
        buckets.resize_with(RATE_SETS, Set::default);
        Self { limit, buckets: buckets.into_boxed_slice(), hasher: RandomState::new() }
    }

    pub(crate) fn limit(&self) -> &RateLimit {
        &self.limit
    }

    /// Counts one reply to a client at a time in microseconds; `random` decides what slips.
    pub(crate) fn take(&self, client: IpAddr, kind: Kind<'_>, now_us: u64, random: u64) -> Limited {
        let RateLimit { per_client, per_name, errors, slip, .. } = self.limit;
        if self.limit.exempt.iter().any(|net| net.contains(&client)) {
            return Limited::No;
        }
        let network = self.network(client);
        let within = match kind {
            Kind::About(name) => self.fits((network, 0_u8, name), per_name, now_us),
            Kind::Error => self.fits((network, 1_u8), errors, now_us),
        };
        if within && self.fits((network, 2_u8), per_client, now_us) {
            return Limited::No;
        }
        if slip > 0 && random.is_multiple_of(u64::from(slip)) { Limited::Slips } else { Limited::Dropped }
    }

    fn network(&self, client: IpAddr) -> IpAddr {
        let bits = if client.is_ipv4() { self.limit.ipv4_prefix } else { self.limit.ipv6_prefix };
        IpNet::new(client, bits).map_or(client, |net| net.network())
    }

    /// Whether one more is within a rate; if so, it is counted.
    fn fits(&self, key: impl Hash, rate: u32, now_us: u64) -> bool {
        let hash = self.hasher.hash_one(key);
        let Some(Set(ways)) = self.buckets.get(hash as usize % RATE_SETS) else { return true };
        let tag = hash >> TIME_BITS;
        let time = |bucket: u64| bucket & ((1 << TIME_BITS) - 1);
        let mut emptiest: Option<(&AtomicU64, u64)> = None;
        for way in ways {
            let bucket = way.load(Ordering::Relaxed);
            if bucket >> TIME_BITS == tag && bucket != 0 {
                emptiest = Some((way, bucket));
                break;
            }
            if emptiest.is_none_or(|(_, other)| time(bucket) < time(other)) {
                emptiest = Some((way, bucket));
            }
        }
        let Some((way, bucket)) = emptiest else { return true };
        let before = if bucket >> TIME_BITS == tag { time(bucket) } else { 0 };
        let after = before.max(now_us) + 1_000_000 / u64::from(rate.max(1));
        if after > now_us + BURST_US {
            return false;
        }
        // Of two workers at once one may not be counted: that is a reply more, and not a wait.
        way.store(tag << TIME_BITS | time(after), Ordering::Relaxed);
        true
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(change: impl FnOnce(&mut RateLimit)) -> Limiter {
        let mut limit = RateLimit {
            per_client: 100,
            per_name: 100,
            errors: 100,
            slip: 0,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: Vec::new(),
        };
        change(&mut limit);
        Limiter::new(limit)
    }

    /// How many of some replies at one time, in seconds, are within the rate.
    fn passed(limiter: &Limiter, client: &str, kind: Kind<'_>, at_s: u64, replies: u64) -> u64 {
        let client = client.parse().unwrap();
        let take = |random: &u64| limiter.take(client, kind, at_s * 1_000_000, *random) == Limited::No;
        (0..replies).filter(take).count() as u64
    }

    #[test]
    fn a_second_has_so_many_and_the_next_as_many_again() {
        let limiter = limiter(|_| {});
        let about = Kind::About(b"\x04shop\x00");
        assert_eq!(passed(&limiter, "192.0.2.1", about, 10, 250), 100);
        // The whole network is one.
        assert_eq!(passed(&limiter, "192.0.2.255", about, 10, 10), 0);
        assert_eq!(passed(&limiter, "192.0.3.1", about, 10, 10), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", about, 11, 250), 100);
        assert_eq!(passed(&limiter, "2001:db8::1", about, 11, 250), 100);
        assert_eq!(passed(&limiter, "2001:db8:0:ff::1", about, 11, 250), 0);
        assert_eq!(passed(&limiter, "2001:db8:0:100::1", about, 11, 250), 100);
    }

    #[test]
    fn names_and_errors_have_rates_of_their_own() {
        let limiter = limiter(|limit| (limit.per_name, limit.errors) = (10, 5));
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::About(b"\x01a\x00"), 10, 50), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::About(b"\x01b\x00"), 10, 50), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Error, 10, 50), 5);
        // All together are no more than those of the client.
        let names: Vec<[u8; 3]> = (b'c'..=b'z').map(|letter| [1, letter, 0]).collect();
        let all: u64 =
            names.iter().map(|name| passed(&limiter, "192.0.2.1", Kind::About(name), 10, 50)).sum();
        assert_eq!(all, 75);
    }

    #[test]
    fn what_is_beyond_slips_or_is_dropped() {
        for (slip, slips, drops) in [(0, 0, 900), (1, 900, 0), (2, 450, 450), (10, 90, 810)] {
            let limiter = limiter(|limit| limit.slip = slip);
            let client = "192.0.2.1".parse().unwrap();
            let all: Vec<Limited> =
                (0..1000).map(|random| limiter.take(client, Kind::Error, 1, random)).collect();
            let count = |wanted| all.iter().filter(|limited| **limited == wanted).count();
            assert_eq!((count(Limited::Slips), count(Limited::Dropped)), (slips, drops), "{slip}");
        }
        let exempt = limiter(|limit| limit.exempt = vec!["192.0.2.0/25".parse().unwrap()]);
        assert_eq!(passed(&exempt, "192.0.2.1", Kind::Error, 10, 500), 500);
        assert_eq!(passed(&exempt, "192.0.2.128", Kind::Error, 10, 500), 100);
    }

    /// A flood from more networks than there is room for leaves others their replies.
    #[test]
    fn a_table_that_is_full_limits_nobody_by_the_replies_of_others() {
        let limiter = limiter(|limit| limit.per_name = 10);
        let spoofed = |number: u32| IpAddr::V4(number.wrapping_mul(0x0001_0301).into());
        for number in 0..2_000_000 {
            limiter.take(spoofed(number), Kind::Error, 20_000_000, 1);
        }
        assert_eq!(passed(&limiter, "2001:db8::1", Kind::About(b"\x01a\x00"), 20, 10), 10);
    }
}
