//! The engine from outside, in virtual time, with scripted checks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use meridian_model::{
    CatalogParts, Check, Cluster, ClusterId, Coordinates, Endpoint, EndpointAddress, Gateway, HttpCheck,
    Policy, ProbeAt, ProbeId, TargetHealth, TargetId, Thresholds, Track, Verdict,
};

use tracing::subscriber::DefaultGuard;

use self::logs::Lines;
use super::*;
use crate::{Counts, Handle, start};

mod combined;
mod hostile;
mod hosts;
mod isolation;
mod load;
mod logs;
mod overrides;
mod reload;
mod rounds;
mod schedule;
mod snapshots;
mod worst_case;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

//----------- Script -----------------------------------------------------------

/// How an address answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Up,
    Degraded,
    Down,
    /// Success after this long.
    Slow(Duration),
    /// Never.
    Hangs,
    Panics,
}

/// Answers as told, and remembers what was asked.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    answers: HashMap<IpAddr, Answer>,
    /// Where the address has no answer of its own.
    by_port: HashMap<u16, Answer>,
    starts: Vec<(Instant, IpAddr)>,
    under_way: usize,
    under_way_max: usize,
}

/// Counts a check as under way until it ends or is dropped.
struct UnderWay<'a>(&'a Script);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().under_way -= 1;
    }
}

impl Script {
    fn tell(&self, address: IpAddr, answer: Answer) {
        self.0.lock().unwrap().answers.insert(address, answer);
    }

    fn tell_port(&self, port: u16, answer: Answer) {
        self.0.lock().unwrap().by_port.insert(port, answer);
    }

    fn tell_all(&self, addresses: &[IpAddr], answer: Answer) {
        for address in addresses {
            self.tell(*address, answer);
        }
    }

    /// When each probe of an address started.
    fn starts_of(&self, address: IpAddr) -> Vec<Instant> {
        self.starts().into_iter().filter(|(_, started)| *started == address).map(|(at, _)| at).collect()
    }

    fn starts(&self) -> Vec<(Instant, IpAddr)> {
        self.0.lock().unwrap().starts.clone()
    }

    fn under_way(&self) -> usize {
        self.0.lock().unwrap().under_way
    }
}

impl Checker for Script {
    type Ready = ();

    fn ready(&self, _: &Probe) -> Result<(), String> {
        Ok(())
    }

    async fn check(&self, _: &Probe, (): &(), at: SocketAddr) -> Finding {
        let address = at.ip();
        let answer = {
            let mut told = self.0.lock().unwrap();
            told.starts.push((Instant::now(), address));
            told.under_way += 1;
            told.under_way_max = told.under_way_max.max(told.under_way);
            let answer = told.answers.get(&address).or_else(|| told.by_port.get(&at.port()));
            answer.copied().unwrap_or(Answer::Up)
        };
        let _under_way = UnderWay(self);
        match answer {
            Answer::Up => Finding::Good,
            Answer::Degraded => Finding::Degraded("certificate ends in 3 days, wanted 14".into()),
            Answer::Down => Finding::Failed("503, wanted 200-299".into()),
            Answer::Slow(latency) => {
                tokio::time::sleep(latency).await;
                Finding::Good
            }
            Answer::Hangs => std::future::pending().await,
            Answer::Panics => panic!("as the script says"),
        }
    }
}

//----------- Catalogs -----------------------------------------------------------

fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([10, 0, high, low])
}

fn addresses(count: u16) -> Vec<IpAddr> {
    (0..count).map(address).collect()
}

/// One probe a second with half a second's time; three failures, two successes; no hold-down.
fn probe() -> Probe {
    Probe {
        name: "web".into(),
        check: Check::Http(Box::new(HttpCheck { path: "/healthz".into(), ..HttpCheck::default() })),
        invert: false,
        address: None,
        port: 8080,
        interval: SECOND,
        fast_interval: SECOND * 3600,
        timeout: MS * 500,
        thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
    }
}

/// One failure is enough.
fn fall_at_once() -> Thresholds {
    Thresholds { fall: 1, rise: 2, ..Thresholds::default() }
}

fn gateway(name: &str, addresses: &[IpAddr]) -> Gateway {
    let endpoint = Endpoint {
        cluster: ClusterId::from_index(0),
        addresses: addresses.iter().map(|ip| EndpointAddress { ip: *ip, target: None }).collect(),
        name: None,
        probe_at: ProbeAt::default(),
        weight: 100,
        track: Track::Stable,
    };
    Gateway {
        name: name.into(),
        ttl: 30,
        min_ttl: 5,
        answers: None,
        policy: Policy::All,
        probe: Some(ProbeId::from_index(0)),
        endpoints: vec![endpoint],
        ..Gateway::default()
    }
}

fn cluster() -> Cluster {
    Cluster {
        name: "eu-west".into(),
        coordinates: Coordinates::new(53.35, -6.26).unwrap(),
        country: None,
        jurisdictions: Vec::new(),
    }
}

fn catalog_of(probe: Probe, gateways: Vec<Gateway>) -> Arc<Catalog> {
    let parts =
        CatalogParts { clusters: vec![cluster()], probes: vec![probe], gateways, ..CatalogParts::default() };
    Arc::new(Catalog::new(parts))
}

/// One gateway with these addresses; target n is the nth.
fn catalog(probe: Probe, addresses: &[IpAddr]) -> Arc<Catalog> {
    catalog_of(probe, vec![gateway("shop", addresses)])
}

//----------- A run ------------------------------------------------------------------

/// A started engine with all that is to be seen of it.
struct Run {
    handle: Handle,
    script: Script,
    snapshots: watch::Receiver<Option<Snapshot>>,
    transitions: broadcast::Receiver<Transition>,
    started: Instant,
    lines: Lines,
    _logs_go_there: DefaultGuard,
}

impl Run {
    fn start(catalog: &Arc<Catalog>, script: &Script) -> Self {
        Self::with_seed(catalog, script, 1)
    }

    fn with_seed(catalog: &Arc<Catalog>, script: &Script, seed: u64) -> Self {
        Self::with(catalog, script, Settings { first_round: SECOND * 2, seed })
    }

    /// Every run captures its log, wanted or not: tracing asks the subscriber of the thread that
    /// comes by a line first whether any will want it, and then asks no other.
    fn with(catalog: &Arc<Catalog>, script: &Script, settings: Settings) -> Self {
        let (lines, guard) = Lines::capture();
        let started = Instant::now();
        let handle = start(Arc::clone(catalog), settings, script.clone());
        let (snapshots, transitions) = (handle.snapshots(), handle.transitions());
        Self { handle, script: script.clone(), snapshots, transitions, started, lines, _logs_go_there: guard }
    }

    /// Starts, and waits for the first snapshot.
    async fn after_first_round(catalog: &Arc<Catalog>, script: &Script) -> Self {
        let mut run = Self::start(catalog, script);
        run.next_snapshot().await;
        run
    }

    async fn next_snapshot(&mut self) -> Snapshot {
        self.snapshots.changed().await.unwrap();
        self.snapshots.borrow_and_update().clone().unwrap()
    }

    /// The health of a target by the newest snapshot.
    fn health(&self, target: usize) -> TargetHealth {
        self.snapshots.borrow().as_ref().unwrap().verdicts.get(TargetId::from_index(target))
    }

    fn verdict(&self, target: usize) -> Verdict {
        self.health(target).verdict
    }

    fn transitions(&mut self) -> Vec<Transition> {
        std::iter::from_fn(|| self.transitions.try_recv().ok()).collect()
    }

    fn counts(&self) -> Counts {
        self.handle.counters().read()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Lets time pass, from one timer to the next.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
