//! How long fail-over takes at worst: what a configuration promises before anything fails.

use std::time::Duration;

use meridian_model::{Catalog, Check, GatewayId, Probe};

use crate::limits::{COALESCE, JITTER_DIVISOR};
use crate::timetable::intervals;

#[cfg(test)]
mod tests;

/// How long it takes at worst until an address that dies is out of the answers, all counted from when it dies.
///
/// It dies at the worst moment, just after a probe has started that still succeeds, and then fails every
/// check by its whole timeout. It had its first verdict before, some other endpoint is left to answer, and the
/// prober is neither late nor does it suspect itself. A probe that asks somebody else about the address
/// (`file`, `prometheus`) counts from when that one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Until the first outcome against it: the longest time between two starts of its probe, and the timeout.
    /// From then on the verdict is in doubt.
    pub first: Duration,
    /// Until the verdict is that it does not serve: `fall` such outcomes.
    pub detected: Duration,
    /// Until answers are without it: `detected`, and [`COALESCE`]. To make the view of the verdicts takes some
    /// milliseconds more.
    pub published: Duration,
    /// Until no cache that heeds TTLs has it: the later of two answers' ends. The last one before the doubt is
    /// published has the gateway's `ttl`, the last one before the verdict is has `min_ttl`.
    pub clients: Duration,
}

/// The worst case for an address of a gateway of the catalog; all of them have the gateway's probe, so it is
/// the same for each. `None`: no probe would ever find out.
///
/// A combined probe follows the members that it needs to lose, all of which fail together as the address dies.
/// An inverted probe finds nothing: a dead address is what it wants. A combination that is inverted counts as
/// finding nothing either, whatever is in it.
#[must_use]
pub fn worst_case_failover(catalog: &Catalog, gateway: GatewayId) -> Option<WorstCase> {
    let gateway = catalog.gateway(gateway);
    let Detection { first, detected } = detection(catalog, catalog.probe(gateway.probe?))?;
    let [doubted, published] = [first, detected].map(|time| time.saturating_add(COALESCE));
    let [ttl, min_ttl] = [gateway.ttl, gateway.min_ttl].map(|ttl| Duration::from_secs(ttl.into()));
    let clients = doubted.saturating_add(ttl).max(published.saturating_add(min_ttl));
    Some(WorstCase { first, detected, published, clients })
}

/// The two moments of a probe at which a view changes, from when the address dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Detection {
    first: Duration,
    detected: Duration,
}

fn detection(catalog: &Catalog, probe: &Probe) -> Option<Detection> {
    if probe.invert {
        return None;
    }
    let Check::Combined(combined) = &probe.check else { return Some(probed(probe)) };
    let members = combined.probes.iter().map(|&member| detection(catalog, catalog.probe(member)));
    let members: Vec<Detection> = members.flatten().collect();
    // The `at_least`-th best of all falls with the last of so many; those that never find out come last of all.
    let lost = (combined.probes.len() + 1).checked_sub(usize::from(combined.at_least))?;
    let nth = |time: fn(&Detection) -> Duration| {
        let mut times: Vec<Duration> = members.iter().map(time).collect();
        times.sort_unstable();
        times.get(lost.checked_sub(1)?).copied()
    };
    Some(Detection { first: nth(|member| member.first)?, detected: nth(|member| member.detected)? })
}

/// The longest until the first outcome of an address that has died.
pub(crate) fn first_outcome(probe: &Probe) -> Duration {
    probed(probe).first
}

/// By the timetable: starts are planned for beats, each moved by its jitter, and one that the probe before it
/// overruns follows at once.
fn probed(probe: &Probe) -> Detection {
    let (interval, fast_interval) = intervals(probe);
    let jitter = interval / JITTER_DIVISOR;
    let more = probe.thresholds.fall.max(1) - 1;
    // One beat early, the next late; their jitter does not add up over more beats.
    let beat = interval + jitter * 2;
    let (first_start, last_start) = if fast_interval < interval {
        // Where the probe was fast just before, as the verdict settled, the next beat is the first that is half
        // an interval later.
        let first = interval * 3 / 2 + jitter;
        // A fast start waits for the end of the probe before it.
        (first, first.saturating_add(fast_interval.max(probe.timeout).saturating_mul(more)))
    } else {
        (beat, beat.saturating_add(interval.saturating_mul(more)))
    };
    let [first, detected] = [first_start, last_start].map(|start| start.saturating_add(probe.timeout));
    Detection { first, detected }
}
