//! One probe of one address: what is done, within which time, and how its result reads.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meridian_model::{Check, Probe, Verdict};
use tokio::time::{Instant, timeout};

use crate::limits::{CAUSE_ACTION_OCTETS_MAX, CAUSE_FINDING_OCTETS_MAX};

//----------- Checker --------------------------------------------------------

/// What carries out a probe's check: the network, or a script in tests.
pub trait Checker: Send + Sync + 'static {
    /// Checks one address, and says what was found without naming the address: `503, wanted 200-299`.
    ///
    /// The caller holds the deadline: it drops the future when the probe's timeout has passed.
    fn check(&self, probe: &Probe, address: IpAddr) -> impl Future<Output = Finding> + Send;
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

    fn map(self, of: impl FnOnce(&str) -> String) -> Self {
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
pub(crate) async fn run<C: Checker>(checker: &C, probe: &Probe, address: IpAddr) -> Outcome {
    let started = Instant::now();
    let finding = match timeout(probe.timeout, checker.check(probe, address)).await {
        Ok(finding) => finding,
        Err(_elapsed) => Finding::Failed(format!("no answer within {:?}", probe.timeout)),
    };
    Outcome { finding: finding.map(|found| cause(probe, address, found)), latency: started.elapsed() }
}

//----------- Causes ---------------------------------------------------------

/// What was done and what was found, as one line of bounded length.
pub(crate) fn cause(probe: &Probe, address: IpAddr, finding: &str) -> String {
    let address = SocketAddr::new(address, probe.port);
    let action = match &probe.check {
        Check::Http { path, .. } => format!("GET {}", url(address, path)),
        Check::Tcp => format!("connect to {address}"),
    };
    format!("{}: {}", shorten(&action, CAUSE_ACTION_OCTETS_MAX), shorten(finding, CAUSE_FINDING_OCTETS_MAX))
}

/// The address that is asked and nothing else can be: the slash that ends the authority
/// (RFC 3986 §3.2) is ours, so that no path reads as a part of it.
pub(crate) fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}/{}", path.strip_prefix('/').unwrap_or(path))
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
    use meridian_model::Thresholds;

    use super::*;

    fn probe(check: Check) -> Probe {
        Probe {
            name: "web".into(),
            check,
            port: 8080,
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            fast_interval: Duration::from_secs(1),
            thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
        }
    }

    fn get(path: &str) -> Probe {
        probe(Check::Http { path: path.into(), host: None })
    }

    #[test]
    fn a_cause_names_the_address_and_what_was_found() {
        let v4: IpAddr = "192.0.2.10".parse().unwrap();
        let v6: IpAddr = "2001:db8::10".parse().unwrap();
        for (probe, address, wanted) in [
            (get("/healthz"), v4, "GET http://192.0.2.10:8080/healthz: 503"),
            (get("/healthz"), v6, "GET http://[2001:db8::10]:8080/healthz: 503"),
            (probe(Check::Tcp), v4, "connect to 192.0.2.10:8080: 503"),
            (probe(Check::Tcp), v6, "connect to [2001:db8::10]:8080: 503"),
        ] {
            assert_eq!(cause(&probe, address, "503"), wanted);
        }
    }

    #[test]
    fn a_cause_is_bounded_and_keeps_what_was_found() {
        let long = cause(&get(&format!("/{}", "ä".repeat(5000))), IpAddr::from([192, 0, 2, 10]), "503");
        assert!(long.len() <= CAUSE_ACTION_OCTETS_MAX + 5, "{}", long.len());
        assert!(long.starts_with("GET http://192.0.2.10:8080/ä"), "{long}");
        assert!(long.ends_with("ä…: 503"), "{long}");
        let found = cause(&get("/"), IpAddr::from([192, 0, 2, 10]), &"x".repeat(5000));
        assert!(found.len() <= 30 + CAUSE_FINDING_OCTETS_MAX, "{}", found.len());
    }

    #[test]
    fn no_path_becomes_a_part_of_the_authority() {
        let address = SocketAddr::from(([192, 0, 2, 10], 8080));
        for path in ["@203.0.113.1/", "0/", ".example/", "//203.0.113.1/"] {
            assert!(url(address, path).starts_with("http://192.0.2.10:8080/"), "{path}");
        }
    }

    struct Never;
    impl Checker for Never {
        async fn check(&self, _: &Probe, _: IpAddr) -> Finding {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_ends_a_check_that_never_does() {
        let outcome = run(&Never, &get("/healthz"), IpAddr::from([192, 0, 2, 10])).await;
        let cause = "GET http://192.0.2.10:8080/healthz: no answer within 500ms".to_owned();
        assert_eq!(outcome, Outcome { finding: Finding::Failed(cause), latency: Duration::from_millis(500) });
    }
}
