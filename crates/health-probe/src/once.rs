//! Targets probed once, now: for somebody who wants to see what their probes do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meridian_model::{Catalog, Check, CombinedCheck, ProbeId, TargetId, Verdict};
use tokio::time::Instant;

use crate::check::Prepared;
use crate::combined::{nth_best, tally};
use crate::generation::SlotId;
use crate::limits::ONCE_UNDER_WAY_MAX;
use crate::runner::{Job, Runner};
use crate::{Checker, Finding};

/// What came of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As [`crate::Outcome::finding`].
    pub finding: Finding,
    /// From the start of the probe to its end; `None` for a target that is made of others.
    pub latency: Option<Duration>,
}

/// Runs the probes of these targets once each, as the engine does, at most [`ONCE_UNDER_WAY_MAX`] at once. What
/// a combined one is made of is run with it, and is in the result.
///
/// Nothing is remembered: no thresholds, no overrides. When this future is dropped, all probes end.
pub async fn probe_once<C: Checker>(
    catalog: &Catalog,
    targets: impl IntoIterator<Item = TargetId>,
    checker: C,
) -> BTreeMap<TargetId, Found> {
    // Each with what it is made of, which comes before it.
    let mut wanted: BTreeSet<TargetId> = BTreeSet::new();
    let mut rest: Vec<TargetId> = targets.into_iter().collect();
    while let Some(target) = rest.pop() {
        if target.index() < catalog.targets().len() && wanted.insert(target) {
            rest.extend(catalog.members(target));
        }
    }
    let probed = wanted.iter().copied().filter(|&id| catalog.members(id).is_empty());
    let mut found = run(catalog, probed.collect(), checker).await;
    for id in wanted {
        let probe = catalog.probe(catalog.targets()[id.index()].probe);
        if let (Check::Combined(check), false) = (&probe.check, found.contains_key(&id)) {
            let members = catalog.members(id).iter();
            let verdict = |member: &TargetId| found.get(member).map(|found| found.finding.verdict());
            let members: Vec<Verdict> = members.map(|member| verdict(member).unwrap_or_default()).collect();
            let finding = combined(check, probe.invert, members);
            found.insert(id, Found { finding, latency: None });
        }
    }
    found
}

/// Runs each of these, which are made of no others.
async fn run<C: Checker>(catalog: &Catalog, targets: Vec<TargetId>, checker: C) -> BTreeMap<TargetId, Found> {
    let mut runner = Runner::new(checker, Arc::default());
    let mut prepared: HashMap<ProbeId, Arc<Prepared<C::Ready>>> = HashMap::new();
    let mut found = BTreeMap::new();
    let mut waiting = targets.into_iter();
    let mut under_way = 0;
    loop {
        while under_way < ONCE_UNDER_WAY_MAX
            && let Some(id) = waiting.next()
        {
            let target = catalog.targets()[id.index()];
            let probe = || Arc::new(catalog.probe(target.probe).clone());
            let make = || Arc::new(Prepared::new(&*runner.checker, probe()));
            let prepared = Arc::clone(prepared.entry(target.probe).or_insert_with(make));
            let at = SocketAddr::new(target.address, target.port);
            let now = Instant::now();
            runner.submit(Job { slot: SlotId(id.index() as u64), prepared, at }, now, now);
            under_way += 1;
        }
        if under_way == 0 {
            return found;
        }
        let (job, outcome) = runner.ended().await;
        under_way -= 1;
        let target = usize::try_from(job.slot.0).map(TargetId::from_index);
        if let Ok(target) = target {
            found.insert(target, Found { finding: outcome.finding, latency: Some(outcome.latency) });
        }
    }
}

/// What the first verdicts of its members come to.
fn combined(check: &CombinedCheck, invert: bool, members: Vec<Verdict>) -> Finding {
    let at_least = usize::from(check.at_least);
    let serving = members.iter().filter(|verdict| verdict.serves()).count();
    let why = tally(serving, members.len(), at_least);
    match nth_best(members, at_least, invert) {
        Verdict::Healthy => Finding::Good,
        Verdict::Degraded => Finding::Degraded(why),
        Verdict::Unhealthy => Finding::Failed(why),
        Verdict::Unknown => Finding::NoData(why),
    }
}
