//! Every limit of this crate, with its reason.

use std::time::Duration;

/// Lookups of names under way at once, each of them two queries. Keeps a start with thousands of
/// names from being a flood for the resolver; a name beyond waits its turn.
pub const LOOKUPS_UNDER_WAY_MAX: usize = 32;

/// The longest that a lookup is waited for, whatever carries it out: more than all resolvers one
/// after the other should take, and an end even so.
pub const LOOKUP_MAX: Duration = Duration::from_mins(1);

/// The least that `min_ttl` counts as: one lookup a second and name at most.
pub const MIN_TTL_MIN: Duration = Duration::from_secs(1);

/// The longest from one lookup of a name to the next, whatever its TTL: a change that its owner
/// makes without waiting for the TTL shows within this.
pub const REFRESH_MAX: Duration = Duration::from_mins(5);

/// The longest from a failure to the next lookup: an owner who repairs a name is believed soon.
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// A lookup is up to its wait divided by this (5 %) late, so that names which were looked up
/// together do not stay together.
pub const JITTER_DIVISOR: u32 = 20;

/// The longest a first round is waited for, whatever the settings say: a server that waits longer
/// looks dead.
pub const FIRST_ROUND_MAX: Duration = Duration::from_mins(10);

/// How long a change waits for others before they leave together as one catalog; so at most a
/// hundred catalogs a second.
pub const COALESCE: Duration = Duration::from_millis(10);

/// Addresses of a name, both families together. A name with more is a directory, not a load
/// balancer, and each address is probed; the others are left out.
pub const ADDRESSES_MAX: usize = 64;

/// The largest TTL there is; one above counts as 0 (RFC 2181 §8).
pub const TTL_MAX: u32 = (1 << 31) - 1;

/// CNAME records from a name to its addresses in one answer. Resolvers stop at 8 to 16.
pub const CNAMES_MAX: usize = 16;

/// Failures in a row before a name that still has its last addresses is warned of: one lost packet
/// is no news.
pub const FAILURES_BEFORE_WARNING: u32 = 3;

/// Octets of a failure's cause: it may hold what a resolver sent.
pub const CAUSE_OCTETS_MAX: usize = 256;

/// Resolvers that are asked one after the other: with two seconds each the last has its turn well
/// within [`LOOKUP_MAX`].
pub const RESOLVERS_MAX: usize = 8;

/// How long what `/etc/resolv.conf` says is believed before the file is read again.
pub const RESOLV_CONF_EVERY: Duration = Duration::from_secs(30);
