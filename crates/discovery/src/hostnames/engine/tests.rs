//! The engine from outside, in virtual time, with scripted lookups.

use std::net::IpAddr;
use std::sync::Mutex;

use meridian_model::{
    CatalogParts, Check, Cluster, ClusterId, Coordinates, Endpoint, EndpointAddress, Gateway, Policy, Probe,
    ProbeAt, ProbeId, TcpCheck, Thresholds, Track,
};
use tracing::subscriber::DefaultGuard;

use self::logs::Lines;
use super::*;
use crate::hostnames::{Counts, Family, Found, Handle, NotFound, start};

mod failures;
mod logs;
mod rebinding;
mod refresh;
mod rounds;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

//----------- Script -----------------------------------------------------------

/// How one family of a name answers.
#[derive(Clone, Debug)]
enum Answer {
    Is(Vec<IpAddr>, u32),
    Not(NotFound),
    /// As another, after this long.
    Slow(Duration, Box<Answer>),
    Panics,
}

fn is(addresses: &[&str], ttl: u32) -> Answer {
    Answer::Is(parse(addresses), ttl)
}

fn servfail() -> Answer {
    Answer::Not(NotFound::Failed("SERVFAIL".into()))
}

const NO_DATA: Answer = Answer::Not(NotFound::NoData);
const NO_NAME: Answer = Answer::Not(NotFound::NoName);

fn slow(time: Duration, answer: Answer) -> Answer {
    Answer::Slow(time, Box::new(answer))
}

/// Answers as told (NXDOMAIN where nothing was), and remembers what was asked.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    answers: HashMap<(String, Family), Answer>,
    asked: Vec<(Instant, String, Family)>,
    under_way: usize,
    under_way_max: usize,
}

/// Counts a lookup as under way until it ends or is dropped.
struct UnderWay<'a>(&'a Script);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().under_way -= 1;
    }
}

impl Script {
    /// A script that has told one name.
    fn of(name: &str, v4: Answer, v6: Answer) -> Self {
        let script = Self::default();
        script.tell(name, v4, v6);
        script
    }

    fn tell(&self, name: &str, v4: Answer, v6: Answer) {
        let mut told = self.0.lock().unwrap();
        told.answers.insert((format!("{name}."), Family::V4), v4);
        told.answers.insert((format!("{name}."), Family::V6), v6);
    }

    /// When each lookup of a name's A started.
    fn asked(&self, name: &str) -> Vec<Instant> {
        let told = self.0.lock().unwrap();
        let asked = told.asked.iter().filter(|(_, asked, _)| *asked == format!("{name}."));
        asked.filter(|(_, _, family)| *family == Family::V4).map(|(at, _, _)| *at).collect()
    }

    /// The waits between them.
    fn waits(&self, name: &str) -> Vec<Duration> {
        self.asked(name).windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn under_way(&self) -> usize {
        self.0.lock().unwrap().under_way
    }
}

impl Lookup for Script {
    async fn lookup(&self, name: &DomainName, family: Family) -> Result<Found, NotFound> {
        let mut answer = {
            let mut told = self.0.lock().unwrap();
            told.asked.push((Instant::now(), name.to_string(), family));
            told.under_way += 1;
            told.under_way_max = told.under_way_max.max(told.under_way);
            told.answers.get(&(name.to_string(), family)).cloned().unwrap_or(NO_NAME)
        };
        let _under_way = UnderWay(self);
        loop {
            answer = match answer {
                Answer::Is(addresses, ttl) => return Ok(Found { addresses, ttl }),
                Answer::Not(not_found) => return Err(not_found),
                Answer::Slow(time, then) => {
                    tokio::time::sleep(time).await;
                    *then
                }
                Answer::Panics => panic!("as the script says"),
            }
        }
    }
}

//----------- Catalogs -----------------------------------------------------------

fn parse(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

fn hostname(name: &str, stale_for: Duration) -> Endpoint {
    let name = EndpointName {
        name: DomainName::parse(name).unwrap(),
        as_cname: false,
        stale_for,
        ttl: None,
        lost: false,
        in_doubt: false,
    };
    Endpoint { name: Some(name), addresses: Vec::new(), ..fixed(&[]) }
}

fn fixed(addresses: &[&str]) -> Endpoint {
    Endpoint {
        cluster: ClusterId::from_index(0),
        addresses: parse(addresses).into_iter().map(|ip| EndpointAddress { ip, target: None }).collect(),
        name: None,
        probe_at: ProbeAt::default(),
        weight: 100,
        track: Track::Stable,
    }
}

/// One gateway with these endpoints and a probe.
fn catalog(endpoints: Vec<Endpoint>) -> Arc<Catalog> {
    let cluster = Cluster {
        name: "eu-west".into(),
        coordinates: Coordinates::new(53.35, -6.26).unwrap(),
        country: None,
        jurisdictions: Vec::new(),
    };
    let probe = Probe {
        name: "web".into(),
        check: Check::Tcp(TcpCheck::default()),
        invert: false,
        address: None,
        port: 80,
        interval: SECOND,
        fast_interval: SECOND,
        timeout: SECOND,
        thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
    };
    let gateway = Gateway {
        name: "shop".into(),
        ttl: 30,
        min_ttl: 5,
        policy: Policy::All,
        probe: Some(ProbeId::from_index(0)),
        endpoints,
        ..Gateway::default()
    };
    Arc::new(Catalog::new(CatalogParts {
        clusters: vec![cluster],
        probes: vec![probe],
        gateways: vec![gateway],
        ..CatalogParts::default()
    }))
}

/// One endpoint, `lb.example`, whose last addresses hold for an hour.
fn one() -> Arc<Catalog> {
    catalog(vec![hostname("lb.example", HOUR)])
}

//----------- A run ------------------------------------------------------------------

/// A started engine with all that is to be seen of it.
struct Run {
    handle: Handle,
    catalogs: watch::Receiver<Option<Resolved>>,
    started: Instant,
    lines: Lines,
    _logs_go_there: DefaultGuard,
}

impl Run {
    /// Two seconds of first round, and 5 seconds between lookups at least.
    fn start(catalog: &Arc<Catalog>, script: &Script) -> Self {
        Self::allowing(&[], catalog, script)
    }

    fn allowing(allow: &[&str], catalog: &Arc<Catalog>, script: &Script) -> Self {
        let allow = allow.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let (lines, guard) = Lines::capture();
        let settings = Settings { first_round: SECOND * 2, min_ttl: SECOND * 5, allow, seed: 1 };
        let started = Instant::now();
        let handle = start(Arc::clone(catalog), settings, script.clone());
        let catalogs = handle.catalogs();
        Self { handle, catalogs, started, lines, _logs_go_there: guard }
    }

    /// Starts, and waits for the first catalog.
    async fn after_first_round(catalog: &Arc<Catalog>, script: &Script) -> Self {
        let mut run = Self::start(catalog, script);
        run.next().await;
        run
    }

    /// The next catalog that leaves.
    async fn next(&mut self) -> Resolved {
        self.catalogs.changed().await.unwrap();
        self.catalogs.borrow_and_update().clone().unwrap()
    }

    /// An endpoint of the newest catalog.
    fn endpoint(&self, index: usize) -> Endpoint {
        let newest = self.catalogs.borrow().clone().unwrap();
        newest.catalog.gateways()[0].endpoints[index].clone()
    }

    fn addresses(&self, index: usize) -> Vec<IpAddr> {
        self.endpoint(index).addresses.iter().map(|address| address.ip).collect()
    }

    fn ttl(&self, index: usize) -> Option<u32> {
        self.endpoint(index).name.unwrap().ttl
    }

    fn is_lost(&self, index: usize) -> bool {
        self.endpoint(index).name.unwrap().lost
    }

    fn is_in_doubt(&self, index: usize) -> bool {
        self.endpoint(index).name.unwrap().in_doubt
    }

    fn counts(&self) -> Counts {
        self.handle.counters().read()
    }
}

/// Lets time pass, from one timer to the next.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
