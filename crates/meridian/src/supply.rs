//! What views stand on, kept up to date: the configuration file when told to read it again, databases
//! and tables when their files change, hostnames when they resolve to something else.
//!
//! All three end in one way: a catalog goes through `discovery`, which fills in hostnames; its ground
//! is prepared; the probes switch to it after a first round of what is new. Whatever fails on the way
//! is reported, and what was in force stays so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use meridian_admin::wire::Reloaded;
use meridian_admin::{Access, Change, Configuration, Ledger, Stamp, Vitals};
use meridian_config::{Geoip, Issues, Server, Settings, Tls};
use meridian_discovery::hostnames::{self, HickoryLookup, Resolved};
use meridian_dns::Ground;
use meridian_health_probe::Handle as Probes;
use meridian_telemetry::Context as SpanContext;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use crate::certificate;
use crate::load::{Loaded, load_again, load_text};
use crate::publish::Publisher;
use crate::serve::wall;
use crate::systemd;
use crate::telemetry::{Telemetry, Way};
use crate::watch::Watch;

/// How often a certificate that soon expires is warned of.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Configurations that can wait for their hostnames; the newest counts, so more never matter.
const WAITING: usize = 4;
/// Requests to read the file again that can wait: one says as much as many.
const REQUESTS: usize = 1;

//----------- Supply ---------------------------------------------------------

/// Hostnames resolved, and the first ground.
pub(crate) struct Supply {
    /// The configuration file; `None` for a text that is nobody's file.
    file: Option<PathBuf>,
    /// The file's content as it was accepted last, which data is read again for, and what became of it since.
    configuration: watch::Sender<Configuration>,
    /// Which databases it names.
    geoip: watch::Sender<Geoip>,
    /// Where the API is on a network, until a restart.
    listens: Option<SocketAddr>,
    /// Where changes that nobody has asked the API for are recorded.
    ledger: Option<Arc<Ledger>>,
    /// Who may use it there.
    access: watch::Sender<Access>,
    vitals: Arc<Vitals>,
    settings: Settings,
    watch: Watch,
    of_file: Watch,
    names: hostnames::Handle,
    catalogs: watch::Receiver<Option<Resolved>>,
    /// Grounds of catalogs as they were loaded, oldest first, with what is told of their way.
    loaded: Vec<(Arc<Ground>, Option<Way>)>,
    /// What others are told; `None`: nothing.
    telemetry: Option<Telemetry>,
    /// The ground that was prepared last, which the next one takes over from.
    last: Arc<Ground>,
}

impl Supply {
    /// Resolves the hostnames of what was loaded, and waits for their first round (capped).
    pub(crate) async fn start(loaded: Loaded, file: Option<PathBuf>, seed: u64) -> anyhow::Result<Self> {
        let vitals = Arc::<Vitals>::default();
        vitals.accepted(loaded.data());
        let Loaded { ground, settings, watch, of_file, text, access, .. } = loaded;
        let (listens, access) = (listens(&settings.server), watch::Sender::new(access.unwrap_or_default()));
        let of_file = of_file.unwrap_or_default();
        let resolver = &settings.resolver;
        let lookup = HickoryLookup::new(&resolver.servers, resolver.timeout).context("no resolver")?;
        let first_round = settings.server.first_round;
        let allow = resolver.allow.as_slice().into();
        let tuning = hostnames::Settings { first_round, min_ttl: resolver.min_ttl, allow, seed };
        let names = hostnames::start(ground.catalog().clone(), tuning, lookup);
        let mut catalogs = names.catalogs();
        let first = catalogs.wait_for(Option::is_some).await.ok().and_then(|first| first.clone());
        let first = first.context("the resolution of hostnames ended before its first round")?;
        let last = on(&ground, first).await.context("cannot serve what the hostnames resolve to")?;
        let configuration = watch::Sender::new(Configuration::new(file.clone(), text, stamp()));
        let geoip = watch::Sender::new(settings.geoip.clone());
        Ok(Self {
            file,
            configuration,
            geoip,
            listens,
            ledger: None,
            access,
            vitals,
            settings,
            watch,
            of_file,
            names,
            catalogs,
            loaded: vec![(ground, None)],
            telemetry: None,
            last,
        })
    }

    /// Others are told what the settings say from now on, and of what comes into force.
    pub(crate) fn tell(&mut self, telemetry: Telemetry) {
        self.telemetry = Some(telemetry);
    }

    /// The ground to begin with.
    pub(crate) fn ground(&self) -> &Arc<Ground> {
        &self.last
    }

    /// What is run, as it changes.
    pub(crate) fn configuration(&self) -> watch::Receiver<Configuration> {
        self.configuration.subscribe()
    }

    /// Which databases it names, as that changes.
    pub(crate) fn geoip(&self) -> watch::Receiver<Geoip> {
        self.geoip.subscribe()
    }

    /// Who may use the API over a network, as it changes.
    pub(crate) fn access(&self) -> watch::Receiver<Access> {
        self.access.subscribe()
    }

    /// What the process tells of itself.
    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Keeps everything up to date until the requests end.
    ///
    /// `ledger`: where there is one.
    pub(crate) async fn run(
        mut self,
        ledger: Option<Arc<Ledger>>,
        publisher: Arc<Publisher>,
        probes: Arc<Probes>,
        mut requests: Requests,
    ) {
        self.ledger = ledger;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Every load warns by itself; a server that runs for months is to say it too.
        let mut daily = tokio::time::interval_at(tokio::time::Instant::now() + DAY, DAY);
        loop {
            tokio::select! {
                request = requests.0.recv() => match request {
                    Some(Some((reply, of))) => {
                        // Who asked may be gone.
                        let _gone = reply.send(self.reload(of).await);
                    }
                    Some(None) => self.reload_by("signal").await,
                    None => break,
                },
                _ = look.tick() => match self.changed().await {
                    Changed::Nothing => {}
                    Changed::Data => self.reload_data().await,
                    Changed::File => self.reload_by("file").await,
                },
                _ = daily.tick() => self.warn_of_the_certificate(),
                changed = self.catalogs.changed() => match changed {
                    Ok(()) => self.resolved(&publisher, &probes).await,
                    Err(_) => break,
                },
            }
        }
        self.names.stop().await;
    }

    /// Says that the certificate in force has expired or soon will.
    fn warn_of_the_certificate(&self) {
        let certificate = self.last.manners().certificate.as_ref();
        if let Some(text) = certificate.and_then(|certificate| certificate::expiry(certificate, wall())) {
            tracing::warn!("server.tls.cert_file: {text}");
        }
    }

    /// Which of the files that were read have changed.
    async fn changed(&mut self) -> Changed {
        // Ten thousand zone files take milliseconds, which nothing else on this thread is to wait for.
        let (mut data, mut of_file) = (std::mem::take(&mut self.watch), std::mem::take(&mut self.of_file));
        let reload_on_change = self.settings.server.reload_on_change;
        let looked = spawn_blocking(move || {
            let changed = match (reload_on_change && of_file.changed(), data.changed()) {
                (true, _) => Changed::File,
                (false, true) => Changed::Data,
                (false, false) => Changed::Nothing,
            };
            (data, of_file, changed)
        });
        match looked.await {
            Ok((data, of_file, changed)) => {
                (self.watch, self.of_file) = (data, of_file);
                changed
            }
            Err(error) => {
                tracing::error!(%error, "files are not looked at any more until the next reload");
                Changed::Nothing
            }
        }
    }

    //--- Loading

    /// The file anew, for nobody who waits for the answer: it is in the log and in the audit.
    async fn reload_by(&mut self, caller: &str) {
        let digest = |of: &Configuration| serde_json::json!({ "sha256": of.digest() });
        let before = digest(&self.configuration.borrow());
        let refused = self.reload(None).await.err();
        let after = digest(&self.configuration.borrow());
        let Some(ledger) = &self.ledger else { return };
        ledger.record(Change {
            caller: caller.to_owned(),
            action: "reload",
            target: self.file.as_ref().map_or_else(String::new, |file| file.display().to_string()),
            before,
            after,
            refused,
            ..Change::default()
        });
    }

    /// The file anew; `of`: the request that asked for it, where it is traced.
    async fn reload(&mut self, of: Option<SpanContext>) -> Result<Reloaded, String> {
        systemd::reloading();
        let reloaded = self.read_again(of).await;
        systemd::ready();
        reloaded
    }

    async fn read_again(&mut self, of: Option<SpanContext>) -> Result<Reloaded, String> {
        let Some(file) = self.file.clone() else { return Err("nothing to read again".to_owned()) };
        let before = "the configuration before it stays in force";
        let way = self.way(of);
        let loaded = self.noted(loading(before, move || load_again(&file)).await);
        let (loaded, way) = read(loaded, way)?;
        // How queries are met comes with the ground; the sockets and the like do not.
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let mut at_restart = |differs: bool, table: &str| {
            if differs {
                let warning = format!("{table} has changed: that takes effect with `meridian restart`");
                tracing::warn!("{warning}");
                warnings.push(warning);
            }
        };
        at_restart(sockets(&loaded.settings.server) != sockets(&self.settings.server), "[server]");
        at_restart(listens(&loaded.settings.server) != self.listens, "[admin]");
        at_restart(loaded.settings.resolver != self.settings.resolver, "[resolver]");
        let catalog = loaded.ground.catalog();
        let (gateways, targets) = (catalog.gateways().len(), catalog.targets().len());
        tracing::info!(gateways, targets, "reloaded: in force after the first round of new targets");
        self.accept(loaded, way);
        Ok(Reloaded { gateways, targets, warnings })
    }

    /// Databases and tables anew, for the configuration as it was accepted.
    async fn reload_data(&mut self) {
        let text = self.configuration.borrow().text().clone();
        let file = self.file.clone().unwrap_or_default();
        let before = "the data before it stay in force until the files change again";
        let way = self.way(None);
        let loaded = self.noted(loading(before, move || load_text(&text, &file)).await);
        if let Ok((loaded, way)) = read(loaded, way) {
            tracing::info!(places = loaded.ground.locality().places().len(), "databases and tables reloaded");
            self.accept(loaded, way);
        }
    }

    /// What is told of a reload, if that is.
    fn way(&self, of: Option<SpanContext>) -> Option<Way> {
        Way::begin(&self.telemetry.as_ref()?.tracer, "reload", of)
    }

    /// What was loaded; if nothing was, that is told to who asks.
    fn noted(&self, loaded: Result<Loaded, String>) -> Result<Loaded, String> {
        loaded.inspect_err(|issues| {
            self.configuration.send_modify(|configuration| configuration.refuse(issues, stamp()));
        })
    }

    fn accept(&mut self, loaded: Loaded, way: Option<Way>) {
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.vitals.accepted(loaded.data());
        let Loaded { ground, settings, watch, of_file, text, access, .. } = loaded;
        // What a file says of another socket must not open the one that is there.
        if let Some(access) = access.filter(|_| listens(&settings.server) == self.listens) {
            self.access.send_replace(access);
        }
        self.configuration.send_modify(|configuration| configuration.accept(text, stamp()));
        self.geoip.send_replace(settings.geoip.clone());
        let told = |settings: &Settings| (settings.telemetry.clone(), settings.geoip.clone());
        if let Some(telemetry) = self.telemetry.as_ref().filter(|_| told(&settings) != told(&self.settings)) {
            telemetry.follow(&settings);
        }
        (self.settings, self.watch) = (settings, watch);
        if let Some(of_file) = of_file {
            self.of_file = of_file;
        }
        self.names.replace(ground.catalog().clone());
        self.loaded.push((ground, way));
        if self.loaded.len() > WAITING {
            // Neither the first, which is in force, nor the last.
            self.loaded.remove(1);
        }
    }

    /// A catalog with its hostnames filled in.
    async fn resolved(&mut self, publisher: &Publisher, probes: &Probes) {
        let Some(resolved) = self.catalogs.borrow_and_update().clone() else { return };
        let is_its = |ground: &Arc<Ground>| Arc::ptr_eq(ground.catalog(), &resolved.base);
        let Some(index) = self.loaded.iter().position(|(ground, _)| is_its(ground)) else { return };
        // Those before it were passed over.
        self.loaded.drain(..index);
        let Some((base, way)) = self.loaded.first_mut() else { return };
        let mut way = way.take();
        match on(base, resolved).await {
            Ok(ground) => {
                if let Some(way) = &mut way {
                    way.step("resolve");
                }
                self.last = ground;
                publisher.prepare(self.last.clone(), way);
                probes.replace(self.last.catalog().clone());
            }
            Err(error) => {
                tracing::error!("hostnames: {error:#}: what was in force stays so");
                if let Some(way) = way {
                    way.end(Some(format!("{error:#}")));
                }
            }
        }
    }
}

/// What was loaded, and what is told of its way from there on; of one that was not, that it ends there.
fn read(loaded: Result<Loaded, String>, way: Option<Way>) -> Result<(Loaded, Option<Way>), String> {
    let mut way = way;
    if let Some(way) = &mut way {
        way.step("load");
    }
    match loaded {
        Ok(loaded) => Ok((loaded, way)),
        Err(issues) => {
            if let Some(way) = way {
                way.end(Some(issues.clone()));
            }
            Err(issues)
        }
    }
}

/// Now.
fn stamp() -> Stamp {
    Stamp { wall: wall(), clock: tokio::time::Instant::now() }
}

/// What a look at the files finds.
enum Changed {
    Nothing,
    Data,
    /// The configuration, which names the data.
    File,
}

/// Where the API is on a network.
fn listens(server: &Server) -> Option<SocketAddr> {
    server.admin.as_ref().map(|admin| admin.listen)
}

/// What of `[server]` does not come with the ground.
fn sockets(server: &Server) -> impl PartialEq {
    let Server { listen, data_dir, workers, first_round, reload_on_change: _, tls, manners: _, admin: _ } =
        server;
    let tls = tls.as_ref().map(|Tls { dot, doh, doh3, doq, cert_file: _, key_file: _, path: _ }| {
        [dot.clone(), doh.clone(), doh3.clone(), doq.clone()]
    });
    (listen.clone(), data_dir.clone(), *workers, *first_round, tls)
}

/// The ground of a loaded catalog with its hostnames filled in.
async fn on(base: &Arc<Ground>, resolved: Resolved) -> anyhow::Result<Arc<Ground>> {
    if Arc::ptr_eq(base.catalog(), &resolved.catalog) {
        return Ok(base.clone());
    }
    let base = base.clone();
    // Not on a thread that others wait for.
    let make = move || {
        let (locality, manners) = (base.locality().clone(), base.manners().clone());
        Ground::new(resolved.catalog, locality, manners, Some(&base))
    };
    Ok(Arc::new(spawn_blocking(make).await??))
}

/// Loads on a thread that nobody waits for; reports every issue, and what is in force instead.
async fn loading(
    before: &str,
    load: impl FnOnce() -> Result<Loaded, Issues> + Send + 'static,
) -> Result<Loaded, String> {
    match spawn_blocking(load).await {
        Ok(Ok(loaded)) => Ok(loaded),
        Ok(Err(issues)) => {
            for issue in &issues {
                tracing::error!("{issue}");
            }
            tracing::error!("reload refused: {before}");
            Err(issues.to_string())
        }
        Err(error) => {
            tracing::error!(%error, "reload failed: {before}");
            Err(error.to_string())
        }
    }
}

//----------- Requests -------------------------------------------------------

/// Where the outcome of a reload goes: how it was accepted, or every issue.
type Reply = oneshot::Sender<Result<Reloaded, String>>;
/// Who asks for one: where the outcome goes, and the span of the request, if it is traced.
type Asked = (Reply, Option<SpanContext>);

/// Asks a [`Supply`] to read its file again; it ends when all of these are gone.
#[derive(Clone)]
pub(crate) struct Requester(mpsc::Sender<Option<Asked>>);

/// What a [`Supply`] is asked.
pub(crate) struct Requests(mpsc::Receiver<Option<Asked>>);

/// Both ends.
pub(crate) fn requests() -> (Requester, Requests) {
    let (sender, receiver) = mpsc::channel(REQUESTS);
    (Requester(sender), Requests(receiver))
}

impl Requester {
    /// Asks for a reload; one that waits already will read the file as it is then.
    pub(crate) fn reload(&self) {
        let _already_asked = self.0.try_send(None);
    }

    /// The same for somebody who wants to know what comes of it.
    pub(crate) fn ask(&self, reply: Reply, of: Option<SpanContext>) {
        let sender = self.0.clone();
        // Its turn comes after those that are under way; as many as the API has connections can wait.
        tokio::spawn(async move { sender.send(Some((reply, of))).await });
    }
}
