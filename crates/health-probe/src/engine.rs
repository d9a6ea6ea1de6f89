//! The one task that owns all trackers and decides when each target is probed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use meridian_model::{Catalog, Check, Probe, ProbeId, TargetId, Transition, Verdicts};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};
use tracing::trace;

use crate::check::Prepared;
use crate::combined::Combined;
use crate::counters::count;
use crate::generation::{Generation, Key, SlotId};
use crate::handle::{Inputs, Outputs};
use crate::history::room;
use crate::isolation::Isolation;
use crate::limits::{FIRST_ROUND_MAX, HISTORY_MIN, INTERVAL_MAX};
use crate::overrides::Overrides;
use crate::runner::{Job, Runner};
use crate::slot::Slot;
use crate::{Checker, Counters, Event, Finding, Outcome, Settings, Snapshot};

mod above;
mod answer;
mod doubt;
mod overrule;
mod report;
mod snapshots;

#[cfg(test)]
mod tests;

use report::LogLine;

//----------- Engine ---------------------------------------------------------

/// All that the task owns.
pub(crate) struct Engine<C: Checker> {
    first_round: Duration,
    rng: Rng,
    started: Instant,
    runner: Runner<C>,
    inputs: Inputs,
    counters: Arc<Counters>,
    snapshots: watch::Sender<Option<Snapshot>>,
    transitions: broadcast::Sender<Transition>,

    slots: HashMap<SlotId, Slot<C::Ready>>,
    slot_of: HashMap<Key, SlotId>,
    /// By slot: those that are made of it.
    above: HashMap<SlotId, Vec<SlotId>>,
    slots_made: u64,
    /// The next start of every slot that has no probe under way or in the runner's queue.
    due: BinaryHeap<Reverse<(Instant, SlotId)>>,

    /// The catalog in force; `None` before the first round has ended.
    current: Option<Generation>,
    /// The catalog that has its first round.
    coming: Option<Coming>,
    /// When the next snapshot leaves; `None` while there is nothing new.
    publish_at: Option<Instant>,
    /// What the last snapshot said of the targets of the catalog in force.
    published: Verdicts,
    /// The slots that it may no longer be right about, or will not be with time.
    restless: HashSet<SlotId>,
    /// How many times a target stopped being healthy.
    lost: u64,
    isolation: Isolation,
    overrides: Overrides,
    /// How many outcomes each target keeps.
    history: usize,
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
    pub(crate) fn new(checker: C, settings: Settings, inputs: Inputs, outputs: Outputs) -> Self {
        Self {
            first_round: settings.first_round.min(FIRST_ROUND_MAX),
            rng: Rng::with_seed(settings.seed),
            started: Instant::now(),
            runner: Runner::new(checker, Arc::clone(&outputs.counters)),
            inputs,
            counters: outputs.counters,
            snapshots: outputs.snapshots,
            transitions: outputs.transitions,
            slots: HashMap::new(),
            slot_of: HashMap::new(),
            above: HashMap::new(),
            slots_made: 0,
            due: BinaryHeap::new(),
            current: None,
            coming: None,
            publish_at: None,
            published: Verdicts::default(),
            restless: HashSet::new(),
            lost: 0,
            isolation: Isolation::default(),
            overrides: Overrides::default(),
            history: HISTORY_MIN,
        }
    }

    /// Runs until the task is aborted. Whatever wakes it, every pass does all that is due, so no
    /// source of events can hold up another.
    pub(crate) async fn run(mut self) {
        self.inputs.catalogs.mark_changed();
        loop {
            let now = Instant::now();
            self.switch_if_ready(now);
            if self.overrides.is_due(now) {
                self.apply_overrides(now);
            }
            self.publish_if_due(now);
            self.start_due(now);
            let wake = self.next_wake(now);
            tokio::select! {
                biased;
                Ok(()) = self.inputs.catalogs.changed(), if self.coming.is_none() => {
                    let catalog = Arc::clone(&self.inputs.catalogs.borrow_and_update());
                    self.prepare(catalog, Instant::now());
                }
                Ok(()) = self.inputs.overrides.changed() => self.take_overrides(Instant::now()),
                Some(question) = self.inputs.questions.recv(), if self.current.is_some() => {
                    self.answer(question, Instant::now());
                }
                (job, outcome) = self.runner.ended() => self.observe(&job, outcome, Instant::now()),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let next_start = self.due.peek().map(|Reverse((due, _))| *due);
        let deadline = self.coming.as_ref().map(|coming| coming.deadline);
        let next_order = self.overrides.next();
        [next_start, deadline, self.publish_at, next_order]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + INTERVAL_MAX)
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
            match slot.start(id, due, now) {
                Some(job) => self.runner.submit(job, due, now),
                None => {
                    count(&self.counters.skipped, 1);
                    self.schedule(id, now);
                }
            }
        }
    }

    fn schedule(&mut self, id: SlotId, now: Instant) {
        let since_start = self.since_start(now);
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some((start, skipped)) = slot.next_start(now, since_start, &mut self.rng) else { return };
        count(&self.counters.skipped, skipped);
        self.due.push(Reverse((start, id)));
    }

    fn observe(&mut self, job: &Job<C::Ready>, outcome: Outcome, now: Instant) {
        count(&self.counters.probes, 1);
        count(&self.counters.failed, u64::from(matches!(outcome.finding, Finding::Failed(_))));
        job.prepared.tally.count(&outcome);
        trace!(probe = %job.prepared.probe.name, at = %job.at, latency = ?outcome.latency,
            reason = outcome.finding.reason(), "outcome");

        let since_start = self.since_start(now);
        let Some(slot) = self.slots.get_mut(&job.slot) else { return };
        let before = slot.effective();
        let event = slot.observe(outcome, since_start, &mut self.lost, self.history);
        let answers = slot.answers();
        // Before anything is told of it: what fell may not be believed.
        self.look_around(job.slot, answers, event, now);
        self.note_news(job.slot, now);
        let mut took = None;
        match event {
            Some(Event::Changed(change)) => {
                took = Some(change.took);
                self.report(job.slot, (change.from, before), change.held, took, LogLine::Yes);
            }
            Some(Event::Held(held)) => self.report_held(job.slot, held),
            None => {}
        }
        self.combine_above(job.slot, took, now);
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
        let mut slots: Vec<SlotId> = Vec::with_capacity(catalog.targets().len());
        for (index, target) in catalog.targets().iter().enumerate() {
            let probe = &probes[target.probe.index()];
            let members = catalog.members(TargetId::from_index(index)).iter();
            let members = members.map(|member| slots[member.index()]).collect();
            let key = Key::new(probe, SocketAddr::new(target.address, target.port), members);
            let id = self.slot_of.get(&key).copied().unwrap_or_else(|| {
                let id = match &key {
                    Key::Probed(probe, at) => {
                        let checker = &*self.runner.checker;
                        let tally = || self.counters.tallies.of(&probe.name);
                        let make = || Prepared::new(checker, Arc::clone(probe)).counted_in(tally());
                        let prepared =
                            Arc::clone(prepared.entry(target.probe).or_insert_with(|| Arc::new(make())));
                        self.add_probed(prepared, *at, now)
                    }
                    Key::Combined { members, .. } => {
                        self.add_combined(probe, target.address, members.clone(), now)
                    }
                };
                self.slot_of.insert(key, id);
                new.push(id);
                id
            });
            slots.push(id);
        }
        let is_probed = |id: &&SlotId| self.slots.get(id).is_some_and(|slot| slot.members().is_empty());
        self.coming = Some(Coming {
            unanswered: new.iter().filter(is_probed).copied().collect(),
            generation: Generation::new(catalog, slots),
            new,
            deadline: now + self.first_round,
        });
    }

    fn add_probed(&mut self, prepared: Arc<Prepared<C::Ready>>, at: SocketAddr, now: Instant) -> SlotId {
        let (slot, first) = Slot::probed(now, prepared, at);
        let id = self.add(slot);
        self.due.push(Reverse((first, id)));
        id
    }

    fn add_combined(
        &mut self,
        probe: &Arc<Probe>,
        address: IpAddr,
        members: Box<[SlotId]>,
        now: Instant,
    ) -> SlotId {
        let at_least = if let Check::Combined(check) = &probe.check { check.at_least } else { 1 };
        let combined = Combined::new(members.clone(), at_least, probe.invert);
        let id = self.add(Slot::combined(Arc::clone(probe), address, combined));
        for member in members {
            self.above.entry(member).or_default().push(id);
        }
        // Its members may be known already.
        let _first = self.combine(id, "by what was known", now);
        id
    }

    fn add(&mut self, slot: Slot<C::Ready>) -> SlotId {
        let id = SlotId(self.slots_made);
        self.slots_made += 1;
        self.slots.insert(id, slot);
        self.history = room(self.slots.len());
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
        self.history = room(self.slots.len());
        self.due.retain(|Reverse((_, id))| is_kept.contains(id));
        self.above.retain(|id, above| {
            above.retain(|id| is_kept.contains(id));
            is_kept.contains(id) && !above.is_empty()
        });
        self.runner.retain(|id| is_kept.contains(&id));
        for (index, id) in coming.generation.slots.iter().enumerate() {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.target = Some(TargetId::from_index(index));
            }
        }
        let (slots, of) = (&self.slots, &coming.generation);
        self.isolation.switch(
            of,
            |id| slots.get(&id).is_some_and(Slot::answers),
            |id| slots.get(&id).map(Slot::probe),
        );
        self.counters.tallies.retain(&coming.generation.catalog);
        self.current = Some(coming.generation);
        self.apply_overrides(now);
        self.report_first_round(&coming.new);
        self.publish_all(now);
    }
}
