//! `meridian serve`: everything together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use meridian_dns::{Bound, Server};
use meridian_health_probe::{self as health_probe, Handle, NetworkChecker};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;
use crate::load::{Loaded, load};
use crate::publish::Publisher;

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(config, loaded))?;
    Ok(exit::OK)
}

async fn serve(config: &Path, loaded: Loaded) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let settings = &loaded.settings.server;
    let bound = Bound::bind(&settings.listen, workers(settings.workers)).with_context(|| {
        format!("cannot listen; `listen` under [server] in {} says where", config.display())
    })?;
    let running = tokio::select! {
        running = Running::start(&loaded, bound) => running?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let stop = loop {
        tokio::select! {
            _ = hangup.recv() => running.reload(config, &loaded).await,
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
        }
    };
    tracing::info!(signal = stop, "stopping");
    running.stop().await;
    Ok(())
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

/// A server with its probes.
pub(crate) struct Running {
    pub(crate) probes: Handle,
    pub(crate) publisher: Arc<Publisher>,
    server: Server,
}

impl Running {
    /// Starts the probes, waits for their first round (capped), then answers.
    pub(crate) async fn start(loaded: &Loaded, bound: Bound) -> anyhow::Result<Self> {
        let settings =
            health_probe::Settings { first_round: loaded.settings.server.first_round, seed: seed() };
        let checker = NetworkChecker::new().context("no HTTP client for probes")?;
        let probes = health_probe::start(loaded.ground.catalog().clone(), settings, checker);
        let publisher = Publisher::first(loaded.ground.clone(), probes.snapshots())
            .await
            .context("the probes ended before their first round")?;
        let publisher = Arc::new(publisher);
        // Ends with the probes, whose snapshots it waits for.
        tokio::spawn({
            let publisher = Arc::clone(&publisher);
            async move { publisher.run().await }
        });
        let server = Server::start(bound, publisher.live().clone(), seed()).context("cannot serve")?;
        for address in server.addresses() {
            tracing::info!(%address, "listening");
        }
        tracing::info!("ready");
        Ok(Self { probes, publisher, server })
    }

    /// Loads the file anew. With any issue all stays as it is.
    async fn reload(&self, config: &Path, first: &Loaded) {
        let file = config.to_path_buf();
        // Loading reads files and sorts address space: not on a thread that others wait for.
        let loaded = match tokio::task::spawn_blocking(move || load(&file)).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(issues)) => {
                for issue in &issues {
                    tracing::error!("{issue}");
                }
                tracing::error!("reload refused: the configuration before it stays in force");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "reload failed: the configuration before it stays in force");
                return;
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if loaded.settings.server != first.settings.server {
            tracing::warn!("[server] has changed: that takes effect at the next start");
        }
        let catalog = loaded.ground.catalog().clone();
        tracing::info!(
            gateways = catalog.gateways().len(),
            targets = catalog.targets().len(),
            "reloaded: in force after the first round of new targets"
        );
        self.publisher.prepare(Arc::clone(&loaded.ground));
        self.probes.replace(catalog);
    }

    /// Stops answering when what has arrived is answered, then stops the probes.
    pub(crate) async fn stop(self) {
        let counters = self.server.counters().clone();
        let drained = self.server.stop(DRAIN).await;
        self.probes.stop().await;
        tracing::info!(drained, totals = ?counters.totals(), "stopped");
    }
}
