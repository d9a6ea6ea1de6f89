//! One probe of one address: what is done, within which time, and how its result reads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_model::{Check, GrpcCheck, HttpCheck, Probe, Verdict};
use tokio::time::{Instant, timeout};

use crate::checks::type_name;
use crate::limits::{CAUSE_ACTION_OCTETS_MAX, CAUSE_FINDING_OCTETS_MAX, PROBES_UNDER_WAY_DEFAULT};
use crate::tally::Tally;

//----------- Checker --------------------------------------------------------

/// What carries out a probe's check: the network, or a script in tests.
pub trait Checker: Send + Sync + 'static {
    /// What is made of a probe once, and used for all its checks.
    type Ready: Send + Sync + 'static;

    /// How many checks may be under way at once: as many as what they hold allows.
    fn under_way_max(&self) -> usize {
        PROBES_UNDER_WAY_DEFAULT
    }

    /// Makes a probe ready.
    ///
    /// # Errors
    /// Why it never can be: a key that does not belong to its certificate. Each of its checks then fails
    /// with this.
    fn ready(&self, probe: &Probe) -> Result<Self::Ready, String>;

    /// Checks one address, and says what was found without naming the address: `503, wanted 200-299`.
    ///
    /// The caller holds the deadline: it drops the future when the probe's timeout has passed.
    fn check(
        &self,
        probe: &Probe,
        ready: &Self::Ready,
        at: SocketAddr,
    ) -> impl Future<Output = Finding> + Send;
}

/// A probe with what a checker made of it.
#[derive(Debug)]
pub(crate) struct Prepared<R> {
    pub(crate) probe: Arc<Probe>,
    ready: Result<R, String>,
    /// Where its outcomes are counted.
    pub(crate) tally: Arc<Tally>,
}

impl<R> Prepared<R> {
    pub(crate) fn new<C: Checker<Ready = R>>(checker: &C, probe: Arc<Probe>) -> Self {
        let ready = checker.ready(&probe);
        Self { probe, ready, tally: Arc::default() }
    }

    pub(crate) fn counted_in(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What was wanted.
    Good,
    /// The address serves, with a reason to prefer others: a certificate that ends soon.
    Degraded(String),
    /// The address does not serve.
    Failed(String),
    /// Nothing that says one or the other.
    NoData(String),
}

impl Finding {
    /// The verdict that it speaks for.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Good => Verdict::Healthy,
            Self::Degraded(_) => Verdict::Degraded,
            Self::Failed(_) => Verdict::Unhealthy,
            Self::NoData(_) => Verdict::Unknown,
        }
    }

    /// Why it is not what was wanted.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Degraded(reason) | Self::Failed(reason) | Self::NoData(reason) => Some(reason),
        }
    }

    pub(crate) fn map(self, of: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Good => Self::Good,
            Self::Degraded(reason) => Self::Degraded(of(&reason)),
            Self::Failed(reason) => Self::Failed(of(&reason)),
            Self::NoData(reason) => Self::NoData(of(&reason)),
        }
    }
}

//----------- Outcome --------------------------------------------------------

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was found; what is not as wanted in words a person can act on:
    /// `GET http://192.0.2.10:8080/healthz: 503, wanted 200-299`. Bounded in length.
    pub finding: Finding,
    /// From the start of the probe to its end.
    pub latency: Duration,
}

/// Runs one probe within its timeout.
pub(crate) async fn run<C: Checker>(checker: &C, prepared: &Prepared<C::Ready>, at: SocketAddr) -> Outcome {
    let started = Instant::now();
    let probe = &*prepared.probe;
    let found = match &prepared.ready {
        Ok(ready) => timeout(probe.timeout, checker.check(probe, ready, at))
            .await
            .unwrap_or_else(|_elapsed| nothing(probe, format!("no answer within {:?}", probe.timeout))),
        Err(why) => nothing(probe, why.clone()),
    };
    let found = if probe.invert { inverted(found) } else { found };
    Outcome { finding: found.map(|found| cause(probe, at, found)), latency: started.elapsed() }
}

/// What it means that there is no answer: of somebody else who is asked about the address, nothing about it.
fn nothing(probe: &Probe, why: String) -> Finding {
    if probe.check.asks_another() { Finding::NoData(why) } else { Finding::Failed(why) }
}

/// What is found where a failure is wanted. Degraded is a success, and so not wanted.
fn inverted(found: Finding) -> Finding {
    match found {
        Finding::Failed(_) => Finding::Good,
        Finding::Good | Finding::Degraded(_) => Finding::Failed("a success, wanted a failure".to_owned()),
        Finding::NoData(why) => Finding::NoData(why),
    }
}

//----------- Causes ---------------------------------------------------------

/// What was done and what was found, as one line of bounded length.
pub(crate) fn cause(probe: &Probe, at: SocketAddr, finding: &str) -> String {
    format!("{}: {}", action(probe, at), shorten(finding, CAUSE_FINDING_OCTETS_MAX))
}

/// What a probe does with an address, as causes begin: `GET http://192.0.2.10:8080/healthz`. Bounded in length.
#[must_use]
pub fn action(probe: &Probe, at: SocketAddr) -> String {
    let action = match &probe.check {
        Check::Http(http) => format!("{} {}", http.method, url(http, at)),
        Check::Tcp(_) => format!("connect to {at}"),
        Check::Tls(_) => format!("TLS with {at}"),
        Check::File(file) => format!("{} in {}", at.ip(), file.path.display()),
        Check::Exec(exec) => format!("{} for {}", exec.command.first().map_or("", |word| word), at.ip()),
        Check::Combined(_) => format!("the probes of {}", at.ip()),
        Check::Grpc(grpc) => format!("gRPC health{} at {at}", service(grpc)),
        Check::Icmp => format!("echo to {}", at.ip()),
        Check::Dns(dns) => {
            format!("query {} {} to {at}", dns.question, type_name(RecordType::from(dns.record_type)))
        }
        Check::Prometheus(query) => format!("query to {} about {}", query.url, at.ip()),
    };
    shorten(&action, CAUSE_ACTION_OCTETS_MAX)
}

fn service(grpc: &GrpcCheck) -> String {
    if grpc.service.is_empty() { String::new() } else { format!(" of {:?}", grpc.service) }
}

fn url(http: &HttpCheck, at: SocketAddr) -> String {
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{at}{}", http.path)
}

/// At most `octets_max` octets of a text, its end marked where some are left out.
fn shorten(text: &str, octets_max: usize) -> String {
    const MARK: char = '…';
    if text.len() <= octets_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(octets_max.saturating_sub(MARK.len_utf8()));
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    short.push(MARK);
    short
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use meridian_model::{TcpCheck, Thresholds};

    use super::*;

    fn probe(check: Check) -> Probe {
        Probe {
            name: "web".into(),
            check,
            invert: false,
            port: 8080,
            address: None,
            interval: Duration::from_secs(1),
            fast_interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
        }
    }

    fn get(path: &str) -> Probe {
        probe(Check::Http(Box::new(HttpCheck { path: path.into(), ..HttpCheck::default() })))
    }

    const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 8080);

    #[test]
    fn a_cause_names_the_address_and_what_was_found() {
        let v6: SocketAddr = "[2001:db8::10]:8080".parse().unwrap();
        let tcp = probe(Check::Tcp(TcpCheck::default()));
        for (probe, at, wanted) in [
            (&get("/healthz"), AT, "GET http://192.0.2.10:8080/healthz: 503"),
            (&get("/healthz"), v6, "GET http://[2001:db8::10]:8080/healthz: 503"),
            (&tcp, AT, "connect to 192.0.2.10:8080: 503"),
            (&tcp, v6, "connect to [2001:db8::10]:8080: 503"),
        ] {
            assert_eq!(cause(probe, at, "503"), wanted);
        }
    }

    #[test]
    fn a_cause_is_bounded_and_keeps_what_was_found() {
        let long = cause(&get(&format!("/{}", "ä".repeat(5000))), AT, "503");
        assert!(long.len() <= CAUSE_ACTION_OCTETS_MAX + 5, "{}", long.len());
        assert!(long.starts_with("GET http://192.0.2.10:8080/ä"), "{long}");
        assert!(long.ends_with("ä…: 503"), "{long}");
        let found = cause(&get("/"), AT, &"x".repeat(5000));
        assert!(found.len() <= 30 + CAUSE_FINDING_OCTETS_MAX, "{}", found.len());
    }

    /// Finds this, or never anything.
    struct Finds(Option<Finding>);

    impl Checker for Finds {
        type Ready = ();

        fn ready(&self, probe: &Probe) -> Result<(), String> {
            if &*probe.name == "web" { Ok(()) } else { Err("no key".to_owned()) }
        }

        async fn check(&self, _: &Probe, (): &(), _: SocketAddr) -> Finding {
            match self.0.clone() {
                Some(found) => found,
                None => std::future::pending().await,
            }
        }
    }

    async fn found(found: Option<Finding>, probe: Probe) -> Outcome {
        let checker = Finds(found);
        run(&checker, &Prepared::new(&checker, Arc::new(probe)), AT).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_ends_a_check_that_never_does() {
        let outcome = found(None, get("/healthz")).await;
        let cause = "GET http://192.0.2.10:8080/healthz: no answer within 500ms".to_owned();
        assert_eq!(outcome, Outcome { finding: Finding::Failed(cause), latency: Duration::from_millis(500) });
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_made_ready_fails_with_the_reason() {
        let outcome = found(Some(Finding::Good), Probe { name: "other".into(), ..get("/") }).await;
        assert_eq!(outcome.finding, Finding::Failed("GET http://192.0.2.10:8080/: no key".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn inverted_a_failure_is_what_is_wanted() {
        let unwanted = "GET http://192.0.2.10:8080/: a success, wanted a failure".to_owned();
        for (finds, wanted) in [
            (Some(Finding::Good), Finding::Failed(unwanted.clone())),
            (Some(Finding::Degraded("soon".into())), Finding::Failed(unwanted)),
            (Some(Finding::Failed("503".into())), Finding::Good),
            (None, Finding::Good),
            (Some(Finding::NoData("x".into())), Finding::NoData("GET http://192.0.2.10:8080/: x".into())),
        ] {
            let inverted = Probe { invert: true, ..get("/") };
            assert_eq!(found(finds, inverted).await.finding, wanted);
        }
    }
}
