//! The one task that owns the state of all names and decides when each is looked up.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use ipnet::IpNet;
use meridian_model::{Catalog, DomainName, EndpointName};
use tokio::sync::watch;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::report::{report, report_refused};
use super::counters::count;
use super::generation::{Generation, endpoint_names, endpoint_with};
use super::lookup::{self, Answers};
use super::name::{NameState, Shown};
use super::{Counters, Lookup, Resolved, Settings};
use crate::limits::{
    ADDRESSES_MAX, COALESCE, FIRST_ROUND_MAX, JITTER_DIVISOR, LOOKUPS_UNDER_WAY_MAX, MIN_TTL_MIN,
    REFRESH_MAX, RETRY_MAX,
};

mod report;
#[cfg(test)]
mod tests;
//----------- Engine ---------------------------------------------------------

/// All that the task owns.
pub(crate) struct Engine<L> {
    lookup: Arc<L>,
    first_round: Duration,
    min_ttl: Duration,
    allow: Arc<[IpNet]>,
    rng: Rng,
    counters: Arc<Counters>,
    bases: watch::Receiver<Arc<Catalog>>,
    catalogs: watch::Sender<Option<Resolved>>,

    names: HashMap<DomainName, Entry>,
    /// The next lookup of every name that has none under way.
    due: BTreeSet<(Instant, DomainName)>,
    /// When a name's last addresses stop to hold.
    expiries: BTreeSet<(Instant, DomainName)>,
    tasks: JoinSet<Answers>,
    name_of_task: HashMap<task::Id, DomainName>,

    /// The catalog in force; `None` before the first round has ended.
    current: Option<Generation>,
    /// The catalog that has its first round.
    coming: Option<Coming>,
    /// What the hostname endpoints of the catalog in force were last published with.
    published: Vec<Shown>,
    /// When the next catalog leaves; `None` while there is nothing new.
    publish_at: Option<Instant>,
}

/// A name with what is told of it.
#[derive(Debug, Default)]
struct Entry {
    state: NameState,
    under_way: Option<AbortHandle>,
    expiry: Option<Instant>,
    /// What the last lookup brought, in words.
    cause: String,
    /// By the `stale_for` of its endpoints.
    shown: Vec<(Duration, Shown)>,
    /// Whether its failures have been warned of.
    warned: bool,
    /// Addresses that were refused and warned of, for as long as the name is there: an owner who goes to and
    /// fro must not fill the log.
    refused: BTreeSet<IpAddr>,
}

/// A catalog that is not in force yet.
struct Coming {
    generation: Generation,
    /// When it comes into force, whatever has no outcome by then.
    deadline: Instant,
}

impl<L: Lookup> Engine<L> {
    /// With a catalog that needs no lookup in force already.
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        lookup: L,
        settings: Settings,
        bases: watch::Receiver<Arc<Catalog>>,
        catalogs: watch::Sender<Option<Resolved>>,
        counters: Arc<Counters>,
    ) -> Self {
        let mut engine = Self {
            lookup: Arc::new(lookup),
            first_round: settings.first_round.min(FIRST_ROUND_MAX),
            min_ttl: settings.min_ttl.clamp(MIN_TTL_MIN, REFRESH_MAX),
            allow: settings.allow,
            rng: Rng::with_seed(settings.seed),
            counters,
            bases,
            catalogs,
            names: HashMap::new(),
            due: BTreeSet::new(),
            expiries: BTreeSet::new(),
            tasks: JoinSet::new(),
            name_of_task: HashMap::new(),
            current: None,
            coming: None,
            published: Vec::new(),
            publish_at: None,
        };
        let now = Instant::now();
        engine.prepare(catalog, now);
        engine.switch_if_ready(now);
        engine
    }

    /// Runs until the task is aborted. Whatever wakes it, every pass does all that is due, so no
    /// source of events can hold up another.
    pub(crate) async fn run(mut self) {
        loop {
            let now = Instant::now();
            self.expire(now);
            self.switch_if_ready(now);
            self.publish_if_due(now);
            self.start_due(now);
            let wake = self.next_wake(now);
            tokio::select! {
                biased;
                Ok(()) = self.bases.changed(), if self.coming.is_none() => {
                    let base = Arc::clone(&self.bases.borrow_and_update());
                    self.prepare(base, Instant::now());
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended, Instant::now()),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        // With as many under way as may be, the next start waits for the end of one.
        let next_start = self.due.first().filter(|_| self.tasks.len() < LOOKUPS_UNDER_WAY_MAX);
        let times = [next_start, self.expiries.first()].map(|timer| timer.map(|(at, _)| *at));
        let deadline = self.coming.as_ref().map(|coming| coming.deadline);
        let all = times.into_iter().chain([deadline, self.publish_at]);
        all.flatten().min().unwrap_or(now + REFRESH_MAX)
    }
}

//----------- Lookups --------------------------------------------------------

impl<L: Lookup> Engine<L> {
    fn start_due(&mut self, now: Instant) {
        while self.tasks.len() < LOOKUPS_UNDER_WAY_MAX
            && self.due.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, name)) = self.due.pop_first()
        {
            let Some(entry) = self.names.get_mut(&name) else { continue };
            let (lookup, allow, asked) = (Arc::clone(&self.lookup), Arc::clone(&self.allow), name.clone());
            let task = self.tasks.spawn(async move { lookup::run(&*lookup, &asked, &allow).await });
            self.name_of_task.insert(task.id(), name);
            entry.under_way = Some(task);
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Answers), JoinError>, now: Instant) {
        let (id, answers) = match ended {
            Ok((id, answers)) => (id, answers),
            // A defect of the lookup costs the name one failure, not its updates.
            Err(error) => (error.id(), Answers::failed("the lookup itself failed")),
        };
        let Some(name) = self.name_of_task.remove(&id) else { return };
        let Some(entry) = self.names.get_mut(&name) else { return };
        // The name may have gone and come again while the task was being stopped.
        if entry.under_way.as_ref().is_none_or(|task| task.id() != id) {
            return;
        }
        entry.under_way = None;
        entry.state.observe(&answers, now);
        entry.cause = answers.cause();
        let (resolves, failures) = (entry.state.resolves(), entry.state.failures());
        count(&self.counters.lookups, 1);
        count(&self.counters.failures, u64::from(!resolves));
        count(&self.counters.partial, u64::from(resolves && failures > 0));
        self.refuse(&name, &answers.refused);

        let wait = self.wait(&answers, failures);
        self.due.insert((now + wait, name.clone()));
        self.update(&name, now);
    }

    /// Counts addresses that were refused, and warns of those that are new.
    fn refuse(&mut self, name: &DomainName, refused: &[IpAddr]) {
        count(&self.counters.refused, u64::try_from(refused.len()).unwrap_or(u64::MAX));
        let Some(entry) = self.names.get_mut(name) else { return };
        let room = ADDRESSES_MAX.saturating_sub(entry.refused.len());
        let new: Vec<IpAddr> =
            refused.iter().copied().filter(|address| !entry.refused.contains(address)).take(room).collect();
        entry.refused.extend(&new);
        if !new.is_empty() {
            let bases = [self.coming.as_ref().map(|coming| &coming.generation), self.current.as_ref()];
            let mut bases = bases.into_iter().flatten().map(|generation| &*generation.base);
            let endpoint = bases.find_map(|base| endpoint_with(base, name)).unwrap_or_default();
            report_refused(name, &endpoint, &new);
        }
    }

    /// From the end of a lookup to the next: until the TTL ends, or after a failure a while that
    /// doubles from `min_ttl` on.
    fn wait(&mut self, answers: &Answers, failures: u32) -> Duration {
        let ttl = [&answers.v4, &answers.v6].into_iter().flatten().map(|found| found.ttl).min();
        let refresh = ttl.map_or(REFRESH_MAX, |ttl| Duration::from_secs(u64::from(ttl)));
        let retry = failures.checked_sub(1).map_or(REFRESH_MAX, |doublings| {
            self.min_ttl.saturating_mul(2_u32.saturating_pow(doublings)).min(RETRY_MAX)
        });
        let wait = refresh.min(retry).clamp(self.min_ttl, REFRESH_MAX);
        let jitter = (wait / JITTER_DIVISOR).mul_f64(self.rng.f64());
        (wait + jitter).min(REFRESH_MAX)
    }
}

//----------- Names ----------------------------------------------------------

impl<L: Lookup> Engine<L> {
    /// Names whose last addresses hold no longer.
    fn expire(&mut self, now: Instant) {
        while self.expiries.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, name)) = self.expiries.pop_first()
        {
            self.update(&name, now);
        }
    }

    /// Finds what changed of a name, tells it, and sees to it that it is published.
    fn update(&mut self, name: &DomainName, now: Instant) {
        let Some(entry) = self.names.get_mut(name) else { return };
        let mut before = Vec::with_capacity(entry.shown.len());
        for (stale_for, shown) in &mut entry.shown {
            let next = entry.state.shown(*stale_for, now);
            before.push(std::mem::replace(shown, next));
        }
        let expiry =
            entry.shown.iter().filter_map(|(stale_for, _)| entry.state.next_change(*stale_for, now)).min();
        let old = std::mem::replace(&mut entry.expiry, expiry);
        report(name, entry, &before);
        let is_changed = entry.shown.iter().zip(&before).any(|((_, after), before)| after != before);
        if let Some(old) = old {
            self.expiries.remove(&(old, name.clone()));
        }
        if let Some(expiry) = expiry {
            self.expiries.insert((expiry, name.clone()));
        }
        if is_changed {
            count(&self.counters.changes, 1);
            self.publish_at.get_or_insert(now + COALESCE);
        }
    }
}

//----------- Catalogs -------------------------------------------------------

impl<L: Lookup> Engine<L> {
    /// Gives every name of a catalog an entry, its own if it has one.
    fn prepare(&mut self, base: Arc<Catalog>, now: Instant) {
        let generation = Generation::new(base);
        for (name, stale_fors) in &generation.names {
            if !self.names.contains_key(name) {
                let shown = stale_fors.iter().map(|stale_for| (*stale_for, Shown::default())).collect();
                self.names.insert(name.clone(), Entry { shown, ..Entry::default() });
                self.due.insert((now, name.clone()));
            }
        }
        self.coming = Some(Coming { generation, deadline: now + self.first_round });
    }

    /// Puts the coming catalog into force when its first round has ended or took too long.
    fn switch_if_ready(&mut self, now: Instant) {
        let is_answered =
            |name: &DomainName| self.names.get(name).is_some_and(|entry| entry.state.is_answered());
        let Some(Coming { generation, .. }) = self
            .coming
            .take_if(|coming| coming.deadline <= now || coming.generation.names.keys().all(is_answered))
        else {
            return;
        };
        self.names.retain(|name, entry| {
            let is_kept = generation.names.contains_key(name);
            if let Some(task) = entry.under_way.as_ref().filter(|_| !is_kept) {
                task.abort();
            }
            is_kept
        });
        self.due.retain(|(_, name)| generation.names.contains_key(name));
        self.expiries.retain(|(_, name)| generation.names.contains_key(name));
        for (name, stale_fors) in &generation.names {
            if let Some(entry) = self.names.get_mut(name) {
                entry.use_stale_fors(stale_fors);
            }
            self.update(name, now);
        }
        self.current = Some(generation);
        self.publish(now, Publish::Always);
    }

    fn publish_if_due(&mut self, now: Instant) {
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish(now, Publish::IfChanged);
        }
    }

    /// Sends the catalog in force with what is known of its names.
    fn publish(&mut self, now: Instant, publish: Publish) {
        self.publish_at = None;
        let Some(current) = &self.current else { return };
        let shown = |name: &EndpointName| {
            let entry = self.names.get(&name.name);
            entry.map(|entry| entry.state.shown(name.stale_for, now)).unwrap_or_default()
        };
        let published: Vec<Shown> = endpoint_names(&current.base).map(shown).collect();
        if publish == Publish::IfChanged && published == self.published {
            return;
        }
        let catalog = if published.is_empty() {
            Arc::clone(&current.base)
        } else {
            Arc::new(current.base.with_names(|name| {
                let Shown { addresses, ttl, lost, in_doubt } = shown(name);
                Some((addresses, EndpointName { ttl, lost, in_doubt, ..name.clone() }))
            }))
        };
        self.published = published;
        self.catalogs.send_replace(Some(Resolved { base: Arc::clone(&current.base), catalog }));
        count(&self.counters.catalogs, 1);
    }
}

/// Whether a catalog leaves that is as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publish {
    Always,
    IfChanged,
}

impl Entry {
    /// Takes over the `stale_for` of another catalog's endpoints, each with what was last told.
    fn use_stale_fors(&mut self, stale_fors: &[Duration]) {
        let told = |stale_for: &Duration| {
            let same = self.shown.iter().find(|(told, _)| told == stale_for);
            same.or(self.shown.first()).map(|(_, shown)| shown.clone()).unwrap_or_default()
        };
        self.shown = stale_fors.iter().map(|stale_for| (*stale_for, told(stale_for))).collect();
    }
}
