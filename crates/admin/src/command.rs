//! What operators ask of the process itself.

use tokio::sync::{mpsc, oneshot, watch};

use meridian_telemetry::Context;

use crate::wire::{Reloaded, Successor};

/// Requests that wait for the process; who asks beyond waits.
const WAITING: usize = 4;

/// What is asked, and where the answer goes; an error is in words for who asked.
#[derive(Debug)]
pub enum Command {
    /// Read the configuration again; for the request of this span, where it is traced.
    Reload(oneshot::Sender<Result<Reloaded, String>>, Option<Context>),
    /// Start a process that takes over; says which.
    Restart(oneshot::Sender<Result<u32, String>>),
}

/// The end that asks.
#[derive(Clone, Debug)]
pub struct Commands {
    sender: mpsc::Sender<Command>,
    successor: watch::Receiver<Option<Successor>>,
}

impl Commands {
    /// Both ends: who serves receives the commands, and says what becomes of a successor.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Command>, watch::Sender<Option<Successor>>) {
        let (sender, commands) = mpsc::channel(WAITING);
        let (successors, successor) = watch::channel(None);
        (Self { sender, successor }, commands, successors)
    }

    /// The successor that was started last.
    pub(crate) fn successor(&self) -> Option<Successor> {
        self.successor.borrow().clone()
    }

    /// Asks, and waits for the answer; `None`: the process is stopping.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(command(answer)).await.ok()?;
        answered.await.ok()
    }
}
