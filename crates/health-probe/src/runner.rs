//! Probes under way: a bounded number of tasks, and a queue for what is due beyond it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::warn;

use crate::check::Prepared;
use crate::counters::count;
use crate::generation::SlotId;
use crate::limits::{LATE_WARNING_EVERY, PROBES_UNDER_WAY_MAX};
use crate::{Checker, Counters, Finding, Outcome, check};

/// One probe to run.
#[derive(Debug)]
pub(crate) struct Job<R> {
    pub(crate) slot: SlotId,
    pub(crate) prepared: Arc<Prepared<R>>,
    pub(crate) at: SocketAddr,
}

/// Runs probes, at most [`PROBES_UNDER_WAY_MAX`] at once and the others in the order they came.
/// The queue is no longer than the number of targets, each of which is in it at most once.
pub(crate) struct Runner<C: Checker> {
    pub(crate) checker: Arc<C>,
    counters: Arc<Counters>,
    tasks: JoinSet<Outcome>,
    jobs: HashMap<task::Id, (Job<C::Ready>, AbortHandle)>,
    queue: VecDeque<Job<C::Ready>>,
    warned: Option<Instant>,
}

impl<C: Checker> Runner<C> {
    pub(crate) fn new(checker: C, counters: Arc<Counters>) -> Self {
        Self {
            checker: Arc::new(checker),
            counters,
            tasks: JoinSet::new(),
            jobs: HashMap::new(),
            queue: VecDeque::new(),
            warned: None,
        }
    }

    /// Starts a probe, or puts it at the end of the queue.
    pub(crate) fn submit(&mut self, job: Job<C::Ready>, now: Instant) {
        if self.tasks.len() < PROBES_UNDER_WAY_MAX {
            return self.spawn(job);
        }
        self.queue.push_back(job);
        count(&self.counters.late, 1);
        if self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= LATE_WARNING_EVERY) {
            self.warned = Some(now);
            warn!(
                waiting = self.queue.len(),
                limit = PROBES_UNDER_WAY_MAX,
                "probes wait for their turn and detect later: too many take long or the intervals are short"
            );
        }
    }

    /// The next probe that ends; starts the first of the queue in its stead. Never ends while
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
            if let Some(next) = self.queue.pop_front() {
                self.spawn(next);
            }
            let Some((job, _)) = self.jobs.remove(&id) else { continue };
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
        self.queue.retain(|job| is_wanted(job.slot));
        for (_, task) in self.jobs.values().filter(|(job, _)| !is_wanted(job.slot)) {
            task.abort();
        }
    }

    fn spawn(&mut self, job: Job<C::Ready>) {
        let (checker, prepared, at) = (Arc::clone(&self.checker), Arc::clone(&job.prepared), job.at);
        let task = self.tasks.spawn(async move { check::run(&*checker, &prepared, at).await });
        self.jobs.insert(task.id(), (job, task));
    }
}
