//! What the rest of the program holds of the probes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use meridian_model::{Catalog, Transition, Verdicts};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::{Checker, Counters, PastOutcomes, Report, Timed, limits};

//----------- Settings -------------------------------------------------------

/// What the engine is told beside the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest that a catalog waits for the first outcomes of its new targets; at most
    /// [`limits::FIRST_ROUND_MAX`]. Those that have none by then are unknown.
    pub first_round: Duration,
    /// Where the jitter begins; another for each server.
    pub seed: u64,
}

//----------- Snapshot -------------------------------------------------------

/// A catalog and the verdicts on its targets, which always belong together.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// The health of each of its targets.
    pub verdicts: Verdicts,
    /// The number of the last transition that is in the verdicts; 0: none yet.
    pub transitions: u64,
}

//----------- Handle ---------------------------------------------------------

/// Starts probing the targets of a catalog. To be called inside a tokio runtime with its clock
/// and its sockets enabled.
///
/// The first snapshot comes when every target has an outcome or `settings.first_round` has
/// passed; at once if there is no target.
pub fn start<C: Checker>(catalog: Arc<Catalog>, settings: Settings, checker: C) -> Handle {
    let (catalogs, catalogs_in) = watch::channel(catalog);
    let (snapshots_out, snapshots) = watch::channel(None);
    let (transitions, _) = broadcast::channel(limits::TRANSITIONS_KEPT);
    let (overrides, overrides_in) = watch::channel(Arc::default());
    let (questions, questions_in) = mpsc::channel(limits::STATUS_QUESTIONS_MAX);
    let counters = Arc::new(Counters::default());
    let inputs = Inputs { catalogs: catalogs_in, overrides: overrides_in, questions: questions_in };
    let outputs = Outputs {
        snapshots: snapshots_out,
        transitions: transitions.clone(),
        counters: Arc::clone(&counters),
    };
    let engine = tokio::spawn(Engine::new(checker, settings, inputs, outputs).run());
    Handle { catalogs, overrides, questions, snapshots, transitions, counters, engine }
}

/// What the engine is told.
pub(crate) struct Inputs {
    pub(crate) catalogs: watch::Receiver<Arc<Catalog>>,
    pub(crate) overrides: watch::Receiver<Arc<[Timed]>>,
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// What the engine is asked, and where its answer goes.
pub(crate) enum Question {
    /// For everything.
    Report(oneshot::Sender<Report>),
    /// For the past of one address; `None` if there is none such.
    History(OneAddress, oneshot::Sender<Option<Vec<PastOutcomes>>>),
}

/// An address that is handed out, as an endpoint is named.
pub(crate) struct OneAddress {
    pub(crate) gateway: Box<str>,
    pub(crate) cluster: Box<str>,
    pub(crate) address: IpAddr,
}

/// Where the engine tells what it knows.
pub(crate) struct Outputs {
    pub(crate) snapshots: watch::Sender<Option<Snapshot>>,
    pub(crate) transitions: broadcast::Sender<Transition>,
    pub(crate) counters: Arc<Counters>,
}

/// The running probes. They stop when it is dropped.
#[derive(Debug)]
pub struct Handle {
    catalogs: watch::Sender<Arc<Catalog>>,
    overrides: watch::Sender<Arc<[Timed]>>,
    questions: mpsc::Sender<Question>,
    snapshots: watch::Receiver<Option<Snapshot>>,
    transitions: broadcast::Sender<Transition>,
    counters: Arc<Counters>,
    engine: JoinHandle<()>,
}

impl Handle {
    /// The newest snapshot; `None` until the first round has ended. One is sent when something in
    /// it changed, at most every [`limits::COALESCE`], and whenever the catalog switches.
    ///
    /// A doubt that ends by `hold_down` shows with the next outcome of its target, at most one
    /// interval late. The channel closes only when the probes stop.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Option<Snapshot>> {
        self.snapshots.clone()
    }

    /// Every change of verdict from now on, first verdicts included, in the order they came. The
    /// snapshot that has it follows within [`limits::COALESCE`]; for the first verdicts of a new
    /// catalog it is the catalog's first. A receiver that falls
    /// [`limits::TRANSITIONS_KEPT`] behind loses the oldest and is told how many.
    #[must_use]
    pub fn transitions(&self) -> broadcast::Receiver<Transition> {
        self.transitions.subscribe()
    }

    /// Goes over to another catalog.
    ///
    /// Targets whose address and [`meridian_model::Probe`] are as before keep their history. New
    /// ones have their first round first, capped by [`Settings::first_round`]; until it ends,
    /// snapshots go on with the catalog in force. Targets that are gone stop at the switch.
    /// A catalog given during such a round waits until it ends; of several, the last counts.
    pub fn replace(&self, catalog: Arc<Catalog>) {
        self.catalogs.send_replace(catalog);
    }

    /// Says what operators say, all of it: it takes the place of what was said before. The snapshot that has it
    /// follows at once.
    pub fn override_with(&self, all: Vec<Timed>) {
        self.overrides.send_replace(all.into());
    }

    /// What is held of every endpoint now, and why; `None` once the probes have stopped, and before the first
    /// round has ended.
    pub async fn report(&self) -> Option<Report> {
        let (answer, report) = oneshot::channel();
        self.questions.send(Question::Report(answer)).await.ok()?;
        report.await.ok()
    }

    /// The last outcomes of an address that a gateway hands out, of each of its probes: empty where there is no probe,
    /// `None` inside for an address that is not handed out. `None` once the probes have stopped, and before the first
    /// round has ended.
    pub async fn history(
        &self,
        gateway: &str,
        cluster: &str,
        address: IpAddr,
    ) -> Option<Option<Vec<PastOutcomes>>> {
        let (answer, history) = oneshot::channel();
        let of = OneAddress { gateway: gateway.into(), cluster: cluster.into(), address };
        self.questions.send(Question::History(of, answer)).await.ok()?;
        history.await.ok()
    }

    /// What was done since the start.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Stops all probes, and returns when the last of them has been dropped.
    pub async fn stop(mut self) {
        self.engine.abort();
        // Cancelled, as was just asked for; a panic has been reported by its hook.
        let _ended = (&mut self.engine).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.engine.abort();
    }
}
