//! The one task that owns all trackers and decides when each target is probed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use meridian_model::{Catalog, Probe, ProbeId, Transition, Verdict, Verdicts};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, trace, warn};

use crate::check::Prepared;
use crate::counters::count;
use crate::generation::{Generation, SlotId};
use crate::limits::{COALESCE, FIRST_ROUND_MAX, INTERVAL_MAX};
use crate::runner::{Job, Runner};
use crate::slot::{Slot, effective};
use crate::{Checker, Counters, Event, Finding, Held, Outcome, Settings, Snapshot};

#[cfg(test)]
mod tests;

//----------- Engine ---------------------------------------------------------

/// All that the task owns.
pub(crate) struct Engine<C: Checker> {
    first_round: Duration,
    rng: Rng,
    started: Instant,
    runner: Runner<C>,
    counters: Arc<Counters>,
    catalogs: watch::Receiver<Arc<Catalog>>,
    snapshots: watch::Sender<Option<Snapshot>>,
    transitions: broadcast::Sender<Transition>,

    slots: HashMap<SlotId, Slot<C::Ready>>,
    slot_of: HashMap<(Arc<Probe>, SocketAddr), SlotId>,
    slots_made: u64,
    /// The next start of every slot that has no probe under way or in the runner's queue.
    due: BinaryHeap<Reverse<(Instant, SlotId)>>,

    /// The catalog in force; `None` before the first round has ended.
    current: Option<Generation>,
    /// The catalog that has its first round.
    coming: Option<Coming>,
    /// When the next snapshot leaves; `None` while there is nothing new.
    publish_at: Option<Instant>,
    /// How many times a target stopped being healthy.
    lost: u64,
}

/// A catalog that is not in force yet.
struct Coming {
    generation: Generation,
    /// Its slots that are in no catalog before it.
    new: Vec<SlotId>,
    /// Those of them that have no outcome yet.
    unanswered: HashSet<SlotId>,
    /// When it comes into force even so.
    deadline: Instant,
}

impl<C: Checker> Engine<C> {
    pub(crate) fn new(
        checker: C,
        settings: Settings,
        catalogs: watch::Receiver<Arc<Catalog>>,
        snapshots: watch::Sender<Option<Snapshot>>,
        transitions: broadcast::Sender<Transition>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            first_round: settings.first_round.min(FIRST_ROUND_MAX),
            rng: Rng::with_seed(settings.seed),
            started: Instant::now(),
            runner: Runner::new(checker, Arc::clone(&counters)),
            counters,
            catalogs,
            snapshots,
            transitions,
            slots: HashMap::new(),
            slot_of: HashMap::new(),
            slots_made: 0,
            due: BinaryHeap::new(),
            current: None,
            coming: None,
            publish_at: None,
            lost: 0,
        }
    }

    /// Runs until the task is aborted. Whatever wakes it, every pass does all that is due, so no
    /// source of events can hold up another.
    pub(crate) async fn run(mut self) {
        self.catalogs.mark_changed();
        loop {
            let now = Instant::now();
            self.switch_if_ready(now);
            self.publish_if_due(now);
            self.start_due(now);
            let wake = self.next_wake(now);
            tokio::select! {
                biased;
                Ok(()) = self.catalogs.changed(), if self.coming.is_none() => {
                    let catalog = Arc::clone(&self.catalogs.borrow_and_update());
                    self.prepare(catalog, Instant::now());
                }
                (job, outcome) = self.runner.ended() => self.observe(&job, &outcome, Instant::now()),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let next_start = self.due.peek().map(|Reverse((due, _))| *due);
        let deadline = self.coming.as_ref().map(|coming| coming.deadline);
        [next_start, deadline, self.publish_at].into_iter().flatten().min().unwrap_or(now + INTERVAL_MAX)
    }

    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

//----------- Probes ---------------------------------------------------------

impl<C: Checker> Engine<C> {
    fn start_due(&mut self, now: Instant) {
        while let Some(&Reverse((due, id))) = self.due.peek()
            && due <= now
        {
            self.due.pop();
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            if slot.is_missed(due, now) {
                count(&self.counters.skipped, 1);
                self.schedule(id, now);
            } else {
                self.runner.submit(slot.start(id, now), due, now);
            }
        }
    }

    fn schedule(&mut self, id: SlotId, now: Instant) {
        let since_start = self.since_start(now);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let (start, skipped) = slot.next_start(now, since_start, &mut self.rng);
        count(&self.counters.skipped, skipped);
        self.due.push(Reverse((start, id)));
    }

    fn observe(&mut self, job: &Job<C::Ready>, outcome: &Outcome, now: Instant) {
        count(&self.counters.probes, 1);
        count(&self.counters.failed, u64::from(matches!(outcome.finding, Finding::Failed(_))));
        trace!(probe = %job.prepared.probe.name, at = %job.at, latency = ?outcome.latency,
            reason = outcome.finding.reason(), "outcome");

        let since_start = self.since_start(now);
        let Some(slot) = self.slots.get_mut(&job.slot) else { return };
        let event = slot.observe(outcome, since_start, &mut self.lost);
        if slot.target.is_some() && slot.is_news(since_start) {
            self.publish_at.get_or_insert(now + COALESCE);
        }
        match event {
            Some(Event::Changed(change)) => {
                self.report(job.slot, change.from, change.held, Some(change.took), LogLine::Yes);
            }
            Some(Event::Held(held)) => self.report_held(job.slot, held),
            None => {}
        }
        if let Some(coming) = &mut self.coming {
            coming.unanswered.remove(&job.slot);
        }
        self.schedule(job.slot, now);
    }
}

//----------- Catalogs -------------------------------------------------------

impl<C: Checker> Engine<C> {
    /// Gives every target of a catalog a slot, its own if it has one.
    fn prepare(&mut self, catalog: Arc<Catalog>, now: Instant) {
        // A probe is made ready once, if it has anything to check.
        let mut prepared: HashMap<ProbeId, Arc<Prepared<C::Ready>>> = HashMap::new();
        let probes: Vec<Arc<Probe>> = catalog.probes().iter().cloned().map(Arc::new).collect();
        let mut new = Vec::new();
        let mut slots = Vec::with_capacity(catalog.targets().len());
        for target in catalog.targets() {
            let probe = &probes[target.probe.index()];
            let key = (Arc::clone(probe), SocketAddr::new(target.address, target.port));
            let id = self.slot_of.get(&key).copied().unwrap_or_else(|| {
                let make = || Arc::new(Prepared::new(&*self.runner.checker, Arc::clone(probe)));
                let prepared = Arc::clone(prepared.entry(target.probe).or_insert_with(make));
                let id = self.add(key, prepared, now);
                new.push(id);
                id
            });
            slots.push(id);
        }
        self.coming = Some(Coming {
            generation: Generation::new(catalog, slots),
            unanswered: new.iter().copied().collect(),
            new,
            deadline: now + self.first_round,
        });
    }

    fn add(
        &mut self,
        key: (Arc<Probe>, SocketAddr),
        prepared: Arc<Prepared<C::Ready>>,
        now: Instant,
    ) -> SlotId {
        let id = SlotId(self.slots_made);
        self.slots_made += 1;
        let (slot, first) = Slot::new(now, prepared, key.1);
        self.slots.insert(id, slot);
        self.slot_of.insert(key, id);
        self.due.push(Reverse((first, id)));
        id
    }

    /// Puts the coming catalog into force when its first round has ended or took too long.
    fn switch_if_ready(&mut self, now: Instant) {
        let Some(coming) =
            self.coming.take_if(|coming| coming.unanswered.is_empty() || coming.deadline <= now)
        else {
            return;
        };
        let is_kept: HashSet<SlotId> = coming.generation.slots.iter().copied().collect();
        self.slots.retain(|id, _| is_kept.contains(id));
        self.slot_of.retain(|_, id| is_kept.contains(id));
        self.due.retain(|Reverse((_, id))| is_kept.contains(id));
        self.runner.retain(|id| is_kept.contains(&id));
        for (index, id) in coming.generation.slots.iter().enumerate() {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.target = Some(meridian_model::TargetId::from_index(index));
            }
        }
        self.current = Some(coming.generation);
        self.report_first_round(&coming.new);
        self.publish(now);
    }
}

//----------- Snapshots ------------------------------------------------------

impl<C: Checker> Engine<C> {
    fn publish_if_due(&mut self, now: Instant) {
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish(now);
        }
    }

    /// Sends the catalog in force with its verdicts, if that is not what was sent last.
    fn publish(&mut self, now: Instant) {
        self.publish_at = None;
        let since_start = self.since_start(now);
        let Some(current) = &self.current else { return };
        let health = current
            .slots
            .iter()
            .map(|id| self.slots.get_mut(id).map(|slot| slot.publish(since_start)).unwrap_or_default());
        let snapshot = Snapshot {
            verdicts: Verdicts::new(health.collect()),
            catalog: Arc::clone(&current.catalog),
            transitions: self.counters.read().transitions,
        };
        let sent = self.snapshots.send_if_modified(|last| {
            let is_same = last.as_ref().is_some_and(|last| {
                Arc::ptr_eq(&last.catalog, &snapshot.catalog) && last.verdicts == snapshot.verdicts
            });
            if !is_same {
                *last = Some(snapshot);
            }
            !is_same
        });
        count(&self.counters.snapshots, u64::from(sent));
    }
}

//----------- Reports --------------------------------------------------------

/// Whether a transition is logged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogLine {
    Yes,
    /// It is part of a line that counts many.
    No,
}

impl<C: Checker> Engine<C> {
    /// Tells of a slot's new verdict. A slot that is in no catalog in force is told of when its is.
    fn report(
        &self,
        id: SlotId,
        from: Verdict,
        held: Option<Duration>,
        took: Option<Duration>,
        line: LogLine,
    ) {
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let Some(target) = slot.target else { return };
        let used_by = current.used_by(target);
        count(&self.counters.transitions, 1);
        let transition = Transition {
            number: self.counters.read().transitions,
            target,
            endpoint: used_by.endpoint,
            gateways: used_by.gateways,
            probe: slot.probe().name.clone(),
            address: slot.at.ip(),
            from: effective(from),
            observed: slot.observed(),
            effective: effective(slot.observed()),
            cause: slot.cause.clone(),
            held,
            took,
        };
        if line == LogLine::Yes {
            log(&transition);
        }
        // An error says that nobody listens.
        let _receivers = self.transitions.send(transition);
    }

    /// Tells of the first verdicts of a catalog's new targets: one line for all, and one for each
    /// that is not healthy.
    fn report_first_round(&self, new: &[SlotId]) {
        if new.is_empty() {
            return;
        }
        let observed = |id: &SlotId| self.slots.get(id).map(Slot::observed).unwrap_or_default();
        let of = |verdict| new.iter().filter(|id| observed(id) == verdict).count();
        let degraded = match of(Verdict::Degraded) {
            0 => String::new(),
            count => format!("{count} degraded, "),
        };
        info!(
            "first round: {} healthy, {degraded}{} unhealthy, {} unknown",
            of(Verdict::Healthy),
            of(Verdict::Unhealthy),
            of(Verdict::Unknown)
        );
        for id in new {
            match observed(id) {
                Verdict::Healthy => self.report(*id, Verdict::Unknown, None, None, LogLine::No),
                Verdict::Degraded | Verdict::Unhealthy => {
                    self.report(*id, Verdict::Unknown, None, None, LogLine::Yes);
                }
                Verdict::Unknown => self.log_unknown(*id),
            }
        }
    }

    /// Tells that a target comes and goes, and that its recovery is put off.
    fn report_held(&self, id: SlotId, held: Held) {
        count(&self.counters.held, 1);
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let used_by = slot.target.map(|target| current.used_by(target)).unwrap_or_default();
        warn!(
            endpoint = %used_by.endpoint,
            gateways = used_by.gateways,
            probe = %slot.probe().name,
            changes = held.changes,
            hold = ?held.hold,
            "comes and goes: held unhealthy"
        );
    }

    fn log_unknown(&self, id: SlotId) {
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let used_by = slot.target.map(|target| current.used_by(target)).unwrap_or_default();
        info!(
            endpoint = %used_by.endpoint,
            gateways = used_by.gateways,
            probe = %slot.probe().name,
            "no outcome within the first round of {:?}: unknown",
            self.first_round
        );
    }
}

fn log(transition: &Transition) {
    let Transition {
        number,
        target: _,
        endpoint,
        gateways,
        probe,
        address: _,
        from,
        observed,
        effective,
        cause,
        held,
        took,
    } = transition;
    info!(
        number,
        %endpoint,
        gateways,
        %probe,
        from = from.as_str(),
        observed = observed.as_str(),
        effective = effective.as_str(),
        %cause,
        took_ms = took.map(whole_ms),
        held_ms = held.map(whole_ms),
        "transition"
    );
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
