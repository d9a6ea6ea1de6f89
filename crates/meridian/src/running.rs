//! A server with all that keeps its views up to date.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use meridian_admin::{About, Admin, Commands, Configuration, Events, Network, SOCKET, Vitals};
use meridian_config::Geoip;
use meridian_dns::{Bound, Counters, Handle, Listening, Notifier, Passed, Protocol, Server};
use meridian_health_probe::{self as health_probe, NetworkChecker};
use meridian_store::Folder;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::advisor::Working;
use crate::handover::{Offer, Successor};
use crate::kept::Kept;
use crate::load::Loaded;
use crate::logs;
use crate::publish::Publisher;
use crate::serials::Serials;
use crate::serve::{seed, wall};
use crate::supply::{Requester, Supply, requests};
use crate::telemetry::{Telemetry, Tellers, Way, transitions};

/// How long connections may take to end.
const DRAIN: Duration = Duration::from_secs(10);

/// All of it.
pub(crate) struct Running {
    pub(crate) probes: Arc<health_probe::Handle>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) requester: Requester,
    supply: JoinHandle<()>,
    notifier: JoinHandle<()>,
    server: Server,
    sockets: Arc<[Handle]>,
    folder: Option<Arc<Folder>>,
    kept: Option<Kept>,
    admin: Option<Admin>,
    configuration: watch::Receiver<Configuration>,
    events: Arc<Events>,
    geoip: watch::Receiver<Geoip>,
    /// Until [`Running::open`].
    network: Option<Network>,
    vitals: Arc<Vitals>,
    udp_sockets: Arc<[u64]>,
    telemetry: Telemetry,
    tellers: Tellers,
}

impl Running {
    /// Resolves hostnames and starts the probes, waits for the first round of both (capped), then
    /// answers, but not over QUIC. `file`: what a reload reads. `folder`: where overrides are from before, and go to.
    pub(crate) async fn start(
        loaded: Loaded,
        file: Option<&Path>,
        mut bound: Bound,
        folder: Option<Folder>,
        network: Option<TcpListener>,
    ) -> anyhow::Result<Self> {
        let first_round = loaded.settings.server.first_round;
        let folder = folder.map(Arc::new);
        let serials = Serials::open(folder.as_ref(), wall);
        let (telemetry, mut tellers) = Telemetry::start(seed());
        telemetry.follow(&loaded.settings);
        let mut way = Way::begin(&telemetry.tracer, "start", None);
        let mut supply = Supply::start(loaded, file.map(Path::to_path_buf), seed()).await?;
        supply.tell(telemetry.clone());
        if let Some(way) = &mut way {
            way.step("resolve");
        }
        let (ground, vitals) = (supply.ground().clone(), supply.vitals().clone());
        let settings = health_probe::Settings { first_round, seed: seed() };
        let probes = Arc::new(health_probe::start(ground.catalog().clone(), settings, NetworkChecker));
        let events = Arc::new(Events::new(wall));
        // Ends with the probes, as all that waits for them.
        tokio::spawn(Arc::clone(&events).follow(probes.transitions()));
        // Before the first round ends: what is forced is so from the first answer on.
        let kept = folder.as_ref().and_then(|folder| Kept::open(folder, &probes, &events));
        let told = (Arc::clone(&events), vitals.clone(), telemetry.tracer.clone());
        let publisher = Publisher::first(ground, probes.snapshots(), serials, told)
            .await
            .context("the probes ended before their first round")?;
        if let Some(mut way) = way {
            way.step("first round");
            way.end(None);
        }
        tokio::spawn(transitions(telemetry.tracer.clone(), probes.transitions()));
        let publisher = Arc::new(publisher);
        // Ends with the probes, whose snapshots it waits for.
        tokio::spawn({
            let publisher = Arc::clone(&publisher);
            async move { publisher.run().await }
        });
        let (requester, requests) = requests();
        let (configuration, access, geoip) = (supply.configuration(), supply.access(), supply.geoip());
        let network = network.map(|listener| Network { listener, access });
        let ledger = kept.as_ref().map(|kept| kept.ledger.clone());
        let supply = tokio::spawn(supply.run(ledger, publisher.clone(), probes.clone(), requests));
        let sockets: Arc<[Handle]> = bound.take_handles().into();
        let udp_sockets = inodes(&sockets);
        let live = publisher.live();
        let server =
            Server::start(bound, live.clone(), Arc::default(), seed(), wall).context("cannot serve")?;
        tellers.read(server.taps().clone(), &telemetry)?;
        let notifier = tokio::spawn(Notifier::new(live.clone(), wall, seed()).run());
        announce(&server);
        Ok(Self {
            probes,
            publisher,
            requester,
            supply,
            notifier,
            server,
            sockets,
            folder,
            kept,
            admin: None,
            configuration,
            events,
            geoip,
            network,
            vitals,
            udp_sockets,
            telemetry,
            tellers,
        })
    }

    //--- What two processes cannot have at once

    /// Starts the API, if there is a folder for it. Whatever is wrong with it, answers are given.
    ///
    /// `inherited`: its socket in the folder, from the process that had it.
    pub(crate) fn open(&mut self, commands: Commands, inherited: Option<OwnedFd>) {
        // Without a folder it is closed: who connects must not wait for nobody.
        let network = self.network.take();
        let (Some(folder), Some(Kept { book, ledger, .. }), None) = (&self.folder, &self.kept, &self.admin)
        else {
            return;
        };
        let socket = folder.path().join(SOCKET);
        let (book, probes) = (Arc::clone(book), Arc::clone(&self.probes));
        let (queries, configuration) = (self.counters().clone(), self.configuration.clone());
        let (events, ledger) = (Arc::clone(&self.events), Arc::clone(ledger));
        let (live, geoip) = (self.publisher.live().clone(), self.geoip.clone());
        let advisor = Arc::new(Working::new(live.clone(), configuration.clone(), geoip));
        let (udp_sockets, vitals) = (self.udp_sockets.clone(), self.vitals.clone());
        let about = About {
            book,
            probes,
            events,
            ledger,
            advisor,
            queries,
            live,
            udp_sockets,
            vitals,
            wall,
            commands,
            configuration,
            levels: logs::levels(),
            tracer: self.telemetry.tracer.clone(),
        };
        let address = network.as_ref().and_then(|network| network.listener.local_addr().ok());
        match Admin::start(about, inherited, network) {
            Ok(admin) => {
                tracing::info!(socket = %socket.display(), "the API listens");
                if let Some(address) = address {
                    tracing::info!(%address, "the API listens");
                }
                self.admin = Some(admin);
            }
            Err(error) => tracing::error!("no status, no metrics: {}: {error}", socket.display()),
        }
    }

    /// Starts answering over QUIC.
    pub(crate) fn start_quic(&mut self) -> anyhow::Result<()> {
        self.server.start_quic().context("cannot serve")
    }

    /// Takes up what the process before has kept until now.
    pub(crate) fn reread(&self) {
        let Some(folder) = &self.folder else { return };
        if let Some(kept) = &self.kept {
            kept.reread();
        }
        self.publisher.reread_serials(folder);
    }

    /// Serves a connection on that another process has begun.
    pub(crate) fn resume(&mut self, passed: Passed) {
        self.server.resume(passed);
    }

    fn counters(&self) -> &Arc<Counters> {
        self.server.counters()
    }

    //--- The end

    /// All sockets, which any process can have as well.
    pub(crate) fn sockets(&self) -> &[Handle] {
        &self.sockets
    }

    /// What another process needs to take over.
    pub(crate) fn offer(&self) -> anyhow::Result<Offer> {
        let folder = match &self.folder {
            Some(folder) => {
                let api = self.admin.as_ref().map(Admin::handles).transpose()?.unwrap_or_default();
                Some((folder.path().to_owned(), folder.lock()?, api))
            }
            None => None,
        };
        Ok(Offer { sockets: self.sockets.clone(), folder })
    }

    /// Leaves everything to another process, which answers already.
    pub(crate) async fn leave(self, successor: &Successor) {
        let Self { probes, publisher, requester, supply, notifier, server, admin, kept, .. } = self;
        let (telemetry, tellers) = (self.telemetry, self.tellers);
        let counters = server.counters().clone();
        let passing = successor.take(server.leave());
        let freeing = async {
            end_supply(requester, supply, &notifier).await;
            if let Some(admin) = admin {
                admin.leave().await;
            }
            if let Some(kept) = kept {
                kept.end().await;
            }
            publisher.close().await;
            successor.free_folder().await;
        };
        let both = async { tokio::join!(passing, freeing) };
        let drained = tokio::time::timeout(DRAIN, both).await.is_ok();
        drop(probes);
        tellers.close(telemetry).await;
        tracing::info!(drained, totals = ?counters.totals(), "left");
    }

    /// Stops answering when what has arrived is answered, then stops what kept the views up to date.
    pub(crate) async fn stop(self) {
        let Self { probes, requester, supply, notifier, server, admin, sockets, kept, .. } = self;
        let (telemetry, tellers) = (self.telemetry, self.tellers);
        // Else none would close.
        drop(sockets);
        let counters = server.counters().clone();
        let drained = server.stop(DRAIN).await;
        end_supply(requester, supply, &notifier).await;
        if let Some(admin) = admin {
            admin.stop().await;
        }
        if let Some(kept) = kept {
            kept.end().await;
        }
        if let Some(probes) = Arc::into_inner(probes) {
            probes.stop().await;
        }
        tellers.close(telemetry).await;
        tracing::info!(drained, totals = ?counters.totals(), "stopped");
    }
}

fn announce(server: &Server) {
    for Listening { service, address } in server.listening() {
        tracing::info!(%address, service = service.as_str(), "listening");
    }
    tracing::info!("ready");
}

/// By which numbers the system's tables have the sockets of UDP. To hold the sockets would keep them open.
fn inodes(sockets: &[Handle]) -> Arc<[u64]> {
    let datagrams = sockets.iter().filter(|handle| handle.protocol == Protocol::Udp);
    let inode = |handle: &Handle| Some(File::from(handle.socket.try_clone().ok()?).metadata().ok()?.ino());
    datagrams.filter_map(inode).collect()
}

/// Ends what makes new grounds, and who tells of them.
async fn end_supply(requester: Requester, supply: JoinHandle<()>, notifier: &JoinHandle<()>) {
    drop(requester);
    // A load that is under way is not waited for.
    supply.abort();
    notifier.abort();
    let _ended = supply.await;
}
