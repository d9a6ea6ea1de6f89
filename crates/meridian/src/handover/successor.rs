//! The old process's side.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use meridian_admin::Handles;
use meridian_dns::{Departed, Handle, Leaving};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::VARIABLE;
use super::channel::{Channel, FILES_MAX};
use super::message::{Message, Offered, VERSION};

/// Characters of why a process will not take over: the issues of a file can be many.
pub(super) const WHY_CHARS_MAX: usize = 8 << 10;

/// How long a new process may take to load its file, beside its first round.
const LOADING: Duration = Duration::from_secs(60);

/// What is offered to a process that takes over.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) sockets: Arc<[Handle]>,
    /// The folder, its lock, and the API's sockets.
    pub(crate) folder: Option<(PathBuf, OwnedFd, Handles)>,
}

impl Offer {
    /// Each file, and what it is.
    fn files(&self) -> Vec<(Offered, BorrowedFd<'_>)> {
        let socket = |handle: &Handle| Offered::Socket { service: handle.service.as_str().to_owned() };
        let mut files: Vec<_> =
            self.sockets.iter().map(|handle| (socket(handle), handle.socket.as_fd())).collect();
        if let Some((data_dir, lock, api)) = &self.folder {
            files.push((Offered::Lock { data_dir: data_dir.clone() }, lock.as_fd()));
            files.extend(api.unix.iter().map(|api| (Offered::Api, api.as_fd())));
            files.extend(api.network.iter().map(|api| (Offered::ApiNetwork, api.as_fd())));
        }
        files
    }
}

/// How this process was started, and the next one will be.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: later, the file may have another name.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        let path = std::env::current_exe().context("the path of this program is not known")?;
        Ok(Self { path, arguments: std::env::args_os().skip(1).collect() })
    }
}

/// The process that is to take over. Dropped before it is ready, it is ended.
#[derive(Debug)]
pub(crate) struct Successor {
    child: Child,
    channel: Channel,
    pid: u32,
    is_ready: bool,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.is_ready {
            // Fails where it has ended.
            let _gone = self.child.start_kill();
        }
    }
}

impl Successor {
    /// Starts it. Needs a tokio runtime.
    ///
    /// # Errors
    /// When this process must not end, or the new one cannot be started.
    pub(crate) fn start(program: &Program) -> anyhow::Result<Self> {
        if std::process::id() == 1 {
            bail!(
                "this is process 1 of its container, which ends when it does: start a new container instead"
            );
        }
        let (channel, theirs) = Channel::pair().context("no channel to a new process")?;
        let child = Command::new(&program.path)
            .args(&program.arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::from(theirs))
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        let pid = child.id().context("the new process has ended at once")?;
        Ok(Self { child, channel, pid, is_ready: false })
    }

    /// Which process it is.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Hands it what is offered, and waits until it answers.
    ///
    /// # Errors
    /// Why it will not: in its own words, or how it ended.
    pub(crate) async fn ready(mut self, offer: Offer, first_round: Duration) -> Result<Self, String> {
        let wait = first_round + LOADING;
        match timeout(wait, self.answer(offer)).await {
            Ok(Ok(())) => {
                self.is_ready = true;
                Ok(self)
            }
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(format!("not ready within {wait:?}")),
        }
    }

    async fn answer(&mut self, offer: Offer) -> anyhow::Result<()> {
        let files = offer.files();
        let mut chunks = files.chunks(FILES_MAX).peekable();
        while let Some(chunk) = chunks.next() {
            let (offered, files): (Vec<Offered>, Vec<BorrowedFd<'_>>) = chunk.iter().cloned().unzip();
            let message = Message::Offer { version: VERSION, files: offered, more: chunks.peek().is_some() };
            // One that has ended already says why below.
            let _gone = self.channel.send(&message, &files).await;
        }
        match self.channel.receive().await? {
            Some((Message::Ready, _)) => Ok(()),
            Some((Message::Failed { why }, _)) => bail!("{why}"),
            Some((other, _)) => bail!("expected that it is ready, found {other:?}"),
            None => {
                let status = self.child.wait().await.context("it has ended")?;
                bail!("it has ended before it was ready: {status}")
            }
        }
    }

    /// Says that nothing is written into the folder any more.
    pub(crate) async fn free_folder(&self) {
        self.say(&Message::FolderIsFree).await;
    }

    /// Passes on what a leaving server gives up, until that has ended.
    pub(crate) async fn take(&self, mut leaving: Leaving) {
        while let Some(departed) = leaving.next().await {
            match departed {
                Departed::Quic => self.say(&Message::QuicIsFree).await,
                Departed::Connection(passed) => {
                    let (message, stream) = Message::connection(passed);
                    if let Err(error) = self.channel.send(&message, &[stream.as_fd()]).await {
                        tracing::warn!("a connection is lost: {error:#}");
                    }
                }
            }
        }
    }

    async fn say(&self, message: &Message) {
        if let Err(error) = self.channel.send(message, &[]).await {
            tracing::warn!("the new process: {error:#}");
        }
    }
}
