//! Probes under way: a bounded number of tasks, a bounded number of them to one address, and queues
//! for what is due beyond that.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::warn;

use crate::check::Prepared;
use crate::counters::count;
use crate::generation::SlotId;
use crate::limits::{LATE_WARNING_EVERY, PROBES_OF_ADDRESS_MAX};
use crate::{Checker, Counters, Finding, Outcome, check};

/// One probe to run.
#[derive(Debug)]
pub(crate) struct Job<R> {
    pub(crate) slot: SlotId,
    pub(crate) prepared: Arc<Prepared<R>>,
    pub(crate) at: SocketAddr,
}

/// A probe and when it was to start.
#[derive(Debug)]
struct Planned<R> {
    job: Job<R>,
    due: Instant,
}

/// What is at one address, whatever the port and the probe.
#[derive(Debug)]
struct Host<R> {
    /// Probes under way, and in the queue of those that only wait for a place among all.
    places: usize,
    /// Those that wait for a place at the address, in the order they came.
    queue: VecDeque<Planned<R>>,
}

/// Runs probes: at most [`Checker::under_way_max`] at once, of them at most [`PROBES_OF_ADDRESS_MAX`] to
/// one address.
///
/// What is beyond waits in the order it came: at the address, where it holds up no other, and then
/// among all. The queues together are no longer than the number of targets, each of which is in
/// them at most once.
pub(crate) struct Runner<C: Checker> {
    pub(crate) checker: Arc<C>,
    under_way_max: usize,
    counters: Arc<Counters>,
    tasks: JoinSet<Outcome>,
    jobs: HashMap<task::Id, (Job<C::Ready>, AbortHandle)>,
    /// Addresses with a probe under way or waiting.
    hosts: HashMap<IpAddr, Host<C::Ready>>,
    queue: VecDeque<Planned<C::Ready>>,
    warned: Option<Instant>,
}

impl<C: Checker> Runner<C> {
    pub(crate) fn new(checker: C, counters: Arc<Counters>) -> Self {
        Self {
            under_way_max: checker.under_way_max().max(1),
            checker: Arc::new(checker),
            counters,
            tasks: JoinSet::new(),
            jobs: HashMap::new(),
            hosts: HashMap::new(),
            queue: VecDeque::new(),
            warned: None,
        }
    }

    /// Starts a probe that was to start at `due`, or puts it at the end of a queue.
    pub(crate) fn submit(&mut self, job: Job<C::Ready>, due: Instant, now: Instant) {
        let address = job.at.ip();
        let host = self.hosts.entry(address).or_insert(Host { places: 0, queue: VecDeque::new() });
        let planned = Planned { job, due };
        if host.places >= PROBES_OF_ADDRESS_MAX {
            host.queue.push_back(planned);
            count(&self.counters.crowded, 1);
            let waiting = host.queue.len();
            if self.warns(now) {
                warn!(
                    %address,
                    waiting,
                    limit = PROBES_OF_ADDRESS_MAX,
                    "probes of one address wait for each other: it answers slowly or has too many"
                );
            }
            return;
        }
        host.places += 1;
        if self.tasks.len() < self.under_way_max {
            return self.spawn(planned);
        }
        self.queue.push_back(planned);
        count(&self.counters.late, 1);
        if self.warns(now) {
            warn!(
                waiting = self.queue.len(),
                limit = self.under_way_max,
                "probes wait for their turn and detect later: too many take long or the intervals are short"
            );
        }
    }

    /// The next probe that ends; starts in its stead what waited for its place. Never ends while
    /// nothing is under way. Nothing is lost when it is dropped before it ends.
    pub(crate) async fn ended(&mut self) -> (Job<C::Ready>, Outcome) {
        loop {
            let Some(joined) = self.tasks.join_next_with_id().await else {
                std::future::pending::<()>().await;
                continue;
            };
            let (id, ended) = match joined {
                Ok((id, outcome)) => (id, Ok(outcome)),
                Err(error) => (error.id(), Err(error)),
            };
            let Some((job, _)) = self.jobs.remove(&id) else { continue };
            self.leave(job.at.ip());
            self.fill();
            if ended.as_ref().is_err_and(JoinError::is_cancelled) {
                continue;
            }
            // A defect of the checker costs the target one failure, not its probing.
            let outcome = ended.unwrap_or_else(|error| Outcome {
                finding: Finding::Failed(check::cause(
                    &job.prepared.probe,
                    job.at,
                    &format!("the check itself failed: {error}"),
                )),
                latency: Duration::ZERO,
            });
            return (job, outcome);
        }
    }

    /// Drops the probes that nobody waits for any more, under way or not.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(SlotId) -> bool) {
        for host in self.hosts.values_mut() {
            host.queue.retain(|planned| is_wanted(planned.job.slot));
        }
        let (kept, gone): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.queue).into_iter().partition(|planned| is_wanted(planned.job.slot));
        self.queue = kept;
        for planned in gone {
            self.leave(planned.job.at.ip());
        }
        for (_, task) in self.jobs.values().filter(|(job, _)| !is_wanted(job.slot)) {
            task.abort();
        }
    }

    /// Gives back a place at an address, and gives it to the first that waits for one.
    fn leave(&mut self, address: IpAddr) {
        let Some(host) = self.hosts.get_mut(&address) else { return };
        if let Some(next) = host.queue.pop_front() {
            self.queue.push_back(next);
            return;
        }
        host.places -= 1;
        if host.places == 0 {
            self.hosts.remove(&address);
        }
    }

    /// Starts what waits for a place among all, as far as there are any.
    fn fill(&mut self) {
        while self.tasks.len() < self.under_way_max
            && let Some(next) = self.queue.pop_front()
        {
            self.spawn(next);
        }
    }

    fn spawn(&mut self, Planned { job, due }: Planned<C::Ready>) {
        let (checker, prepared, at) = (Arc::clone(&self.checker), Arc::clone(&job.prepared), job.at);
        let counters = Arc::clone(&self.counters);
        let task = self.tasks.spawn(async move {
            counters.lateness.count(Instant::now().saturating_duration_since(due));
            check::run(&*checker, &prepared, at).await
        });
        self.jobs.insert(task.id(), (job, task));
    }

    /// Whether it is time for a warning that probes wait.
    fn warns(&mut self, now: Instant) -> bool {
        let is_time =
            self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= LATE_WARNING_EVERY);
        if is_time {
            self.warned = Some(now);
        }
        is_time
    }
}
