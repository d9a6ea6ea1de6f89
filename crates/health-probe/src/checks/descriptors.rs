//! How many sockets probes may hold, by what the process may.

use nix::sys::resource::{Resource, getrlimit};

use crate::limits::{CONNECTIONS_KEPT_MAX, PROBES_UNDER_WAY_MAX};

/// Probes under way: half of the descriptors.
pub(super) fn under_way_max() -> usize {
    (soft_limit() / 2).min(PROBES_UNDER_WAY_MAX)
}

/// Connections kept between probes: of the descriptors all but those of probes under way and a quarter for
/// whoever shares the process.
pub(super) fn kept_max() -> usize {
    let all = soft_limit();
    (all - all / 4).saturating_sub(under_way_max()).min(CONNECTIONS_KEPT_MAX)
}

/// Where it cannot be read, the usual one.
fn soft_limit() -> usize {
    const USUAL: usize = 1024;
    getrlimit(Resource::RLIMIT_NOFILE).map_or(USUAL, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
}
