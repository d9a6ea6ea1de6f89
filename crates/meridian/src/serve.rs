//! `meridian serve`: everything together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use meridian_admin::{Admin, Book, SOCKET};
use meridian_config::DATA_DIR_DEFAULT;
use meridian_dns::{Bound, Counters, Inherited, Listen, Listening, Notifier, Server};
use meridian_health_probe::{self as health_probe, Handle, NetworkChecker};
use meridian_store::Folder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::load::{Loaded, load};
use crate::publish::Publisher;
use crate::serials::Serials;
use crate::supply::{Requester, Supply, requests};
use crate::{descriptors, exit};

/// How long connections may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

pub(crate) fn run(config: &Path) -> anyhow::Result<u8> {
    let loaded = match load(config) {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(exit::CONFIG);
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(config, loaded))?;
    Ok(exit::OK)
}

async fn serve(config: &Path, loaded: Loaded) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let settings = &loaded.settings.server;
    let bound = Bound::bind(&listen(settings), workers(settings.workers), &mut Inherited::default())
        .with_context(|| format!("cannot listen; [server] in {} says where", config.display()))?;
    let folder = folder(settings);
    let running = tokio::select! {
        running = Running::start(loaded, Some(config), bound, folder) => running?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let stop = loop {
        tokio::select! {
            _ = hangup.recv() => running.requester.reload(),
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
        }
    };
    tracing::info!(signal = stop, "stopping");
    running.stop().await;
    Ok(())
}

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

/// Where to keep what must survive a restart, if that is to be. Whatever is wrong with it, answers are given:
/// a disk that is read-only must not keep a server from coming back.
fn folder(settings: &meridian_config::Server) -> Option<Folder> {
    let default = Path::new(DATA_DIR_DEFAULT);
    let path = match &settings.data_dir {
        Some(path) => path,
        None if default.is_dir() => default,
        None => {
            tracing::info!("no data_dir, and no {DATA_DIR_DEFAULT}: no status, no overrides, no metrics");
            return None;
        }
    };
    match Folder::open(path) {
        Ok(folder) => Some(folder),
        Err(error) => {
            tracing::error!("no status, no overrides, no metrics: data_dir: {error}");
            None
        }
    }
}

/// Starts the API over a folder. Whatever is wrong with it, answers are given.
fn admin(folder: Arc<Folder>, probes: &Arc<Handle>, counters: &Arc<Counters>) -> Option<Admin> {
    let path = folder.path().to_owned();
    let book = match Book::open(folder, Arc::clone(probes), wall()) {
        Ok(book) => Arc::new(book),
        Err(error) => {
            tracing::error!("no status, no overrides, no metrics: data_dir: {error}");
            return None;
        }
    };
    match Admin::start(book, Arc::clone(probes), Arc::clone(counters), wall) {
        Ok(admin) => {
            tracing::info!(socket = %path.join(SOCKET).display(), "the API listens");
            Some(admin)
        }
        Err(error) => {
            tracing::error!("no status, no metrics: {}: {error}", path.join(SOCKET).display());
            None
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
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

//----------- Running --------------------------------------------------------

/// A server with all that keeps its views up to date.
pub(crate) struct Running {
    pub(crate) probes: Arc<Handle>,
    pub(crate) publisher: Arc<Publisher>,
    requester: Requester,
    supply: JoinHandle<()>,
    notifier: JoinHandle<()>,
    server: Server,
    admin: Option<Admin>,
}

impl Running {
    /// Resolves hostnames and starts the probes, waits for the first round of both (capped), then
    /// answers. `file`: what a reload reads. `kept`: where overrides are from before, and go to.
    pub(crate) async fn start(
        loaded: Loaded,
        file: Option<&Path>,
        bound: Bound,
        kept: Option<Folder>,
    ) -> anyhow::Result<Self> {
        let first_round = loaded.settings.server.first_round;
        let kept = kept.map(Arc::new);
        let serials = Serials::open(kept.as_ref(), wall);
        let supply = Supply::start(loaded, file.map(Path::to_path_buf), seed()).await?;
        let ground = supply.ground().clone();
        let settings = health_probe::Settings { first_round, seed: seed() };
        let probes = Arc::new(health_probe::start(ground.catalog().clone(), settings, NetworkChecker));
        // Before the first round ends: what is forced is so from the first answer on.
        let counters = Arc::new(Counters::default());
        let admin = kept.and_then(|folder| admin(folder, &probes, &counters));
        let publisher = Publisher::first(ground, probes.snapshots(), serials)
            .await
            .context("the probes ended before their first round")?;
        let publisher = Arc::new(publisher);
        // Ends with the probes, whose snapshots it waits for.
        tokio::spawn({
            let publisher = Arc::clone(&publisher);
            async move { publisher.run().await }
        });
        let (requester, requests) = requests();
        let supply = tokio::spawn(supply.run(publisher.clone(), probes.clone(), requests));
        let mut server =
            Server::start(bound, publisher.live().clone(), counters, seed(), wall).context("cannot serve")?;
        server.start_quic().context("cannot serve")?;
        let notifier = Notifier::new(publisher.live().clone(), wall, seed());
        let notifier = tokio::spawn(notifier.run());
        for Listening { service, address } in server.listening() {
            tracing::info!(%address, service = service.as_str(), "listening");
        }
        tracing::info!("ready");
        Ok(Self { probes, publisher, requester, supply, notifier, server, admin })
    }

    /// Stops answering when what has arrived is answered, then stops what kept the views up to date.
    pub(crate) async fn stop(self) {
        let Self { probes, requester, supply, notifier, server, admin, .. } = self;
        let counters = server.counters().clone();
        let drained = server.stop(DRAIN).await;
        drop(requester);
        // A load that is under way is not waited for.
        supply.abort();
        notifier.abort();
        let _ended = supply.await;
        if let Some(admin) = admin {
            admin.stop().await;
        }
        if let Some(probes) = Arc::into_inner(probes) {
            probes.stop().await;
        }
        tracing::info!(drained, totals = ?counters.totals(), "stopped");
    }
}
