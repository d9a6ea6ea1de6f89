//! `meridian serve`: everything together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use meridian_admin::wire::Successor as Started;
use meridian_admin::{Command, Commands, Handles};
use meridian_config::{DATA_DIR_DEFAULT, Issues};
use meridian_dns::{Bound, Listen};
use meridian_store::Folder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::handover::{Event, Gift, Predecessor, Program, Successor};
use crate::load::load;
use crate::running::Running;
use crate::{descriptors, exit, systemd};

pub(crate) fn run(config: &Path) -> anyhow::Result<u8> {
    descriptors::raise();
    let program = Program::of_this_process()?;
    let given = systemd::sockets();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let predecessor = Predecessor::of_this_process()?;
        let gift = match &predecessor {
            Some(predecessor) => predecessor.gift().await?,
            None => Gift::of(given),
        };
        let served = serve(config, program, gift, predecessor.as_ref()).await;
        let Err(error) = served else { return Ok(exit::OK) };
        let code = if error.is::<Issues>() { exit::CONFIG } else { exit::FAILED };
        if let Some(predecessor) = &predecessor
            && predecessor.failed(&format!("{error:#}")).await
        {
            // It says so itself: both write to the same log.
            return Ok(code);
        }
        match error.downcast::<Issues>() {
            Ok(issues) => {
                eprintln!("{issues}");
                Ok(code)
            }
            Err(error) => Err(error),
        }
    })
}

async fn serve(
    config: &Path,
    program: Program,
    gift: Gift,
    predecessor: Option<&Predecessor>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let loaded = tokio::task::block_in_place(|| load(config))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let settings = &loaded.settings.server;
    let first_round = settings.first_round;
    let Gift { mut sockets, folder: held, api: Handles { unix, network } } = gift;
    let bound = Bound::bind(&listen(settings), workers(settings.workers), &mut sockets)
        .with_context(|| format!("cannot listen; [server] in {} says where", config.display()))?;
    systemd::forget(sockets);
    let network = settings.admin.as_ref().map(|admin| listen_for_api(admin.listen, network)).transpose()?;
    let (folder, api) = folder(settings, held, unix);
    let mut running = tokio::select! {
        running = Running::start(loaded, Some(config), bound, folder, network) => running?,
        stop = signals.stop() => {
            tracing::info!(signal = stop, "stopping");
            return Ok(());
        }
    };
    systemd::keep(running.sockets());
    let (commands, received, successors) = Commands::new();
    match predecessor {
        Some(predecessor) => predecessor.ready().await,
        None => {
            running.open(commands.clone(), None);
            running.start_quic()?;
            systemd::ready();
        }
    }
    let before = predecessor.map(|process| Before { process, folder: Some((commands, api)) });
    let serving = Serving { running, program, first_round, received, successors, starting: None, before };
    serving.run(&mut signals).await
}

//----------- Serving --------------------------------------------------------

/// A server, and the processes before and after this one.
struct Serving<'p> {
    running: Running,
    program: Program,
    first_round: Duration,
    received: mpsc::Receiver<Command>,
    successors: watch::Sender<Option<Started>>,
    /// The process that gets ready to take over.
    starting: Option<(u32, JoinHandle<Result<Successor, String>>)>,
    /// The process that this one has taken over from, until it has ended.
    before: Option<Before<'p>>,
}

struct Before<'p> {
    process: &'p Predecessor,
    /// What the API is opened with, until the folder is free: what this process writes from then on it must not
    /// take up again.
    folder: Option<(Commands, Option<OwnedFd>)>,
}

impl Serving<'_> {
    /// Until a signal ends it, or another process has taken over.
    async fn run(mut self, signals: &mut Signals) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Asked::Stop(signal) => {
                        tracing::info!(signal, "stopping");
                        systemd::stopping();
                        if let Some((_, starting)) = self.starting.take() {
                            // It ends with its task.
                            starting.abort();
                            let _ended = starting.await;
                        }
                        self.running.stop().await;
                        return Ok(());
                    }
                    Asked::Reload => self.running.requester.reload(),
                    Asked::Restart => if let Err(why) = self.restart() {
                        tracing::error!("no restart: {why}");
                    },
                },
                Some(command) = self.received.recv() => self.obey(command),
                ended = next(&mut self.starting) => match ended {
                    Ok(successor) => {
                        tracing::info!(pid = successor.pid(), "another process answers: leaving");
                        systemd::succeeded_by(successor.pid());
                        self.running.leave(&successor).await;
                        return Ok(());
                    }
                    Err(why) => self.go_on(why),
                },
                event = heard(self.before.as_ref()) => self.take_over(event)?,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Reload(reply, of) => self.running.requester.ask(reply, of),
            Command::Restart(reply) => {
                let started = self.restart();
                if let Err(why) = &started {
                    tracing::error!("no restart: {why}");
                }
                // Who asked may be gone.
                let _gone = reply.send(started);
            }
        }
    }

    /// Starts a process that is to take over.
    fn restart(&mut self) -> Result<u32, String> {
        if let Some((pid, _)) = &self.starting {
            return Err(format!("process {pid} is getting ready to take over"));
        }
        if self.before.is_some() {
            return Err("the process before this one has not ended yet".to_owned());
        }
        let offer = self.running.offer().map_err(|error| format!("{error:#}"))?;
        let successor = Successor::start(&self.program).map_err(|error| format!("{error:#}"))?;
        let pid = successor.pid();
        tracing::info!(pid, "a process is started to take over");
        self.successors.send_replace(Some(Started { pid, failed: None }));
        self.starting = Some((pid, tokio::spawn(successor.ready(offer, self.first_round))));
        Ok(pid)
    }

    /// The process that was to take over does not.
    fn go_on(&mut self, (pid, why): (u32, String)) {
        tracing::error!(pid, "this process serves on, the new one failed: {why}");
        self.successors.send_replace(Some(Started { pid, failed: Some(why) }));
    }

    /// Takes what the process before gives up.
    fn take_over(&mut self, event: Event) -> anyhow::Result<()> {
        let Some(before) = &mut self.before else { return Ok(()) };
        match event {
            Event::Connection(passed) => self.running.resume(passed),
            Event::QuicIsFree => self.running.start_quic()?,
            Event::FolderIsFree => take_folder(&mut self.running, before),
            Event::Ended => {
                // What it did not give up is free now too.
                self.running.start_quic()?;
                take_folder(&mut self.running, before);
                self.before = None;
                // Before, this process was not the service.
                systemd::ready();
                tracing::info!("the process before this one has ended");
            }
        }
        Ok(())
    }
}

/// Takes up what the process before has kept, and opens the API; once.
fn take_folder(running: &mut Running, before: &mut Before<'_>) {
    if let Some((commands, api)) = before.folder.take() {
        running.reread();
        running.open(commands, api);
    }
}

/// What becomes of the process that is to take over: itself, or which it was and why it does not.
async fn next(
    starting: &mut Option<(u32, JoinHandle<Result<Successor, String>>)>,
) -> Result<Successor, (u32, String)> {
    let Some((pid, ready)) = starting else { return std::future::pending().await };
    let (pid, ready) = (*pid, ready.await);
    *starting = None;
    ready.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| (pid, why))
}

async fn heard(before: Option<&Before<'_>>) -> Event {
    match before {
        Some(before) => before.process.next().await,
        None => std::future::pending().await,
    }
}

/// What a signal asks for.
enum Asked {
    /// By its name.
    Stop(&'static str),
    Reload,
    Restart,
}

/// What the system and operators may send.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    restart: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
            restart: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.reload.recv() => Asked::Reload,
            _ = self.restart.recv() => Asked::Restart,
        }
    }

    /// One that ends the process; its name. The others wait.
    async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

//----------- What it needs --------------------------------------------------

/// Where to listen.
fn listen(settings: &meridian_config::Server) -> Listen {
    let tls = settings.tls.as_ref();
    let of = |sockets: fn(&meridian_config::Tls) -> &Vec<SocketAddr>| {
        tls.map(sockets).cloned().unwrap_or_default()
    };
    Listen {
        plain: settings.listen.clone(),
        dot: of(|tls| &tls.dot),
        doh: of(|tls| &tls.doh),
        doh3: of(|tls| &tls.doh3),
        doq: of(|tls| &tls.doq),
    }
}

/// The socket of the API on a network: the one of the process before, where that is the same.
fn listen_for_api(address: SocketAddr, held: Option<OwnedFd>) -> anyhow::Result<TcpListener> {
    let held = held.map(TcpListener::from);
    let is_it = |of: SocketAddr| of.ip() == address.ip() && [of.port(), 0].contains(&address.port());
    match held.filter(|held| held.local_addr().is_ok_and(is_it)) {
        Some(held) => Ok(held),
        None => TcpListener::bind(address)
            .with_context(|| format!("the API cannot listen on {address}; [admin] says where")),
    }
}

/// Where to keep what must survive a restart, if that is to be. Whatever is wrong with it, answers are given:
/// a disk that is read-only must not keep a server from coming back.
///
/// `held`, `api`: of the process before this one. What is of another folder is of no use.
fn folder(
    settings: &meridian_config::Server,
    held: Option<(PathBuf, OwnedFd)>,
    api: Option<OwnedFd>,
) -> (Option<Folder>, Option<OwnedFd>) {
    let default = Path::new(DATA_DIR_DEFAULT);
    let path = match &settings.data_dir {
        Some(path) => path,
        None if default.is_dir() => default,
        None => {
            tracing::info!("no data_dir, and no {DATA_DIR_DEFAULT}: no status, no overrides, no metrics");
            return (None, None);
        }
    };
    let (opened, api) = match held.filter(|(held, _)| held == path) {
        Some((_, lock)) => (Folder::join(path, lock), api),
        None => (Folder::open(path), None),
    };
    match opened {
        Ok(folder) => (Some(folder), api),
        Err(error) => {
            tracing::error!("no status, no overrides, no metrics: data_dir: {error}");
            (None, None)
        }
    }
}

/// The wall clock, for what people say and see, cookies, signatures and serials; nothing else reads it.
#[expect(clippy::disallowed_methods, reason = "the one place where times of day begin")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// UDP workers: one a core unless the file says otherwise.
pub(crate) fn workers(wanted: usize) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted,
    }
}

/// A number that differs from start to start: where jitter and draws begin.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
