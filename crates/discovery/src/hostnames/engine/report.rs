//! What is logged of a name: its changes, never its lookups.

use std::net::IpAddr;

use meridian_model::DomainName;
use tracing::{debug, info, warn};

use super::Entry;
use crate::hostnames::name::Shown;
use crate::limits::FAILURES_BEFORE_WARNING;

/// Tells what changed of a name between `before` and what it shows now, a line a kind of change.
/// Both are by the same `stale_for`s. The cause is what the last lookup brought.
pub(super) fn report(name: &DomainName, entry: &mut Entry, before: &[Shown]) {
    let cause = entry.cause.as_str();
    let changes =
        || entry.shown.iter().zip(before).map(|((stale_for, after), before)| (stale_for, before, after));

    // Endpoints that differ in `stale_for` alone would say the same once more.
    if let Some((_, before, after)) = changes().find(|(_, before, after)| before.addresses != after.addresses)
    {
        info!(%name, before = ?before.addresses, after = ?after.addresses, ttl = after.ttl, cause,
            "addresses changed");
    } else if let Some((_, before, after)) = changes().find(|(_, before, after)| before.ttl != after.ttl) {
        debug!(%name, before = before.ttl, after = after.ttl, "TTL changed");
    }
    for (stale_for, _, _) in changes().filter(|(_, before, after)| after.lost && !before.lost) {
        warn!(%name, ?stale_for, cause, "does not resolve: lost, its endpoints count as unhealthy");
    }
    let is_found_again = changes().any(|(_, before, after)| before.lost && !after.lost);
    if is_found_again {
        info!(%name, cause, "found again");
    }

    let fails = !entry.state.resolves() && entry.state.failures() >= FAILURES_BEFORE_WARNING;
    let holds = entry.shown.iter().any(|(_, shown)| !shown.lost);
    if fails && holds && !entry.warned {
        entry.warned = true;
        warn!(%name, failures = entry.state.failures(), cause,
            "does not resolve: its last addresses hold for stale_for");
    } else if entry.state.resolves() && std::mem::take(&mut entry.warned) && !is_found_again {
        info!(%name, "resolves again");
    }
}

/// Tells of addresses that a name leads to and nobody allowed.
pub(super) fn report_refused(name: &DomainName, endpoint: &str, addresses: &[IpAddr]) {
    warn!(endpoint, %name, ?addresses,
        "neither probed nor answered: loopback, link-local and metadata addresses from a name need `allow` under \
         [resolver]");
}
