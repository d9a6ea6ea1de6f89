//! Whether the server serves, and how it ends.

use tokio::sync::{mpsc, watch};

use super::passed::Passed;

/// Where a server is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Serving,
    /// What has arrived is answered, then everything closes.
    Ending,
    /// Another server reads the same sockets from now on: connections go to it where they can, and the others are
    /// served until they are done.
    Leaving(mpsc::Sender<Passed>),
}

/// The phase, for who must know.
#[derive(Clone, Debug)]
pub(super) struct Phases(watch::Receiver<Phase>);

impl Phases {
    pub(super) fn new(phases: watch::Receiver<Phase>) -> Self {
        Self(phases)
    }

    /// Waits until the server is to end. Each wait is one of its own.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut phases = self.0.clone();
        async move {
            // An error means that the server was dropped: the same.
            let _dropped = phases.wait_for(|phase| !matches!(phase, Phase::Serving)).await;
        }
    }

    /// Where connections go to, while the server leaves.
    pub(super) fn successor(&self) -> Option<mpsc::Sender<Passed>> {
        match &*self.0.borrow() {
            Phase::Leaving(successor) => Some(successor.clone()),
            Phase::Serving | Phase::Ending => None,
        }
    }

    /// Whether the server leaves.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(&*self.0.borrow(), Phase::Leaving(_))
    }
}
