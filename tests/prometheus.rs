//! Probes of type `prometheus` against Prometheus itself, and Prometheus that watches Meridian. `./tests/run` installs Debian's package and
//! runs this suite.

use std::net::SocketAddr;
use std::time::Duration;

use meridian_health_probe::{Checker, Finding, NetworkChecker};
use meridian_model::{Bounds, Check, Finite, Probe, PrometheusCheck, Thresholds, Tls};
use meridian_tests::{Config, Meridian, Prometheus, Site, WORLD, now, says, scratch};
use serde_json::Value;

//----------- What a query means ---------------------------------------------

fn probe(server: &Prometheus, query: &str, min: Option<f64>, max: Option<f64>) -> Probe {
    let bound = |bound: Option<f64>| bound.and_then(Finite::new);
    let check = PrometheusCheck {
        url: server.url().into(),
        query: query.into(),
        headers: Vec::new(),
        tls: Tls::default(),
        wanted: Bounds { min: bound(min), max: bound(max) },
        preferred: Bounds::default(),
    };
    let second = Duration::from_secs(1);
    Probe {
        name: "value".into(),
        check: Check::Prometheus(Box::new(check)),
        invert: false,
        port: 0,
        address: None,
        interval: second,
        fast_interval: second,
        timeout: second,
        thresholds: Thresholds::default(),
    }
}

async fn found(server: &Prometheus, query: &str, min: Option<f64>, max: Option<f64>) -> Finding {
    let probe = probe(server, query, min, max);
    let ready = NetworkChecker.ready(&probe).unwrap();
    NetworkChecker.check(&probe, &ready, server.address).await
}

const ITSELF: &str = r#"up{instance="{address}:{port}"}"#;

/// Until it has scraped itself for the first time there is no sample.
async fn scraped(server: &Prometheus) {
    let once = async {
        while found(server, ITSELF, Some(1.0), None).await != Finding::Good {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), once).await.expect("it scrapes itself");
}

#[tokio::test]
async fn what_prometheus_says() {
    let server = Prometheus::start();
    scraped(&server).await;
    let failed = |why: &str| Finding::Failed(why.to_owned());
    let no_data = |why: &str| Finding::NoData(why.to_owned());
    for (query, min, max, wanted) in [
        (ITSELF, Some(1.0), Some(1.0), Finding::Good),
        (ITSELF, None, Some(0.5), failed("1, wanted at most 0.5")),
        ("sum(up) * 0.25", Some(0.5), None, failed("0.25, wanted at least 0.5")),
        // A scalar, and its infinities.
        ("vector(3) > 2", Some(2.5), None, Finding::Good),
        ("scalar(vector(3))", Some(2.5), None, Finding::Good),
        ("scalar(vector(1)) / 0", None, Some(9.0), failed("inf, wanted at most 9")),
        // Several samples.
        ("prometheus_http_requests_total >= 0", Some(0.0), None, Finding::Good),
        (
            "label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(7)",
            None,
            Some(2.0),
            failed("7 (1 of 2 samples), wanted at most 2"),
        ),
        // What says nothing.
        (r#"up{instance="nobody"}"#, Some(1.0), None, no_data("no sample")),
        ("vector(0) / 0", Some(1.0), None, no_data("NaN, wanted a number")),
        ("up[1m]", Some(1.0), None, no_data("a range of values, wanted a vector or a scalar")),
        (r#""text""#, Some(1.0), None, no_data("a string, wanted a vector or a scalar")),
    ] {
        assert_eq!(found(&server, query, min, max).await, wanted, "{query}");
    }
    let Finding::NoData(why) = found(&server, "up{", Some(1.0), None).await else { panic!("data") };
    assert!(why.starts_with("400, bad_data: invalid parameter \"query\": "), "{why}");
}

//----------- In the server ----------------------------------------------------

/// A cluster follows what Prometheus says of it, and keeps out of verdicts what it cannot say.
#[test]
fn verdicts_follow_the_values() {
    let server = Prometheus::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(scraped(&server));
    let probe = |name: &str, query: &str| {
        format!(
            "[[probes]]\nname = \"{name}\"\ntype = \"prometheus\"\nurl = \"{}\"\nquery = '''{query}'''\n\
             interval = \"200ms\"\ntimeout = \"200ms\"\nfall = 1\nrise = 1\nexpect = {{ min = 1 }}\n",
            server.url()
        )
    };
    let gateway = |config: Config, name: &str, address: &str| {
        let hostname = format!("{name}.gslb.example");
        let probe = format!("probe = \"{name}\"\n");
        config.gateway(name, &[&hostname], &probe, &[(WORLD[0].0, address)])
    };
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\n")
        .clusters(&WORLD)
        .with(&probe("here", &format!(r#"up{{instance="{{address}}:{}"}}"#, server.address.port())))
        .with(&probe("nowhere", r#"0 * up{job="itself"}"#));
    let config = gateway(config, "here", "127.0.0.1");
    let config = gateway(config, "nowhere", "127.0.0.2");
    let mut meridian = Meridian::serve(config.text());
    let first = |line: &Value| line["message"] == "first round: 1 healthy, 1 unhealthy, 0 unknown";
    assert!(meridian.seen.iter().any(first), "{:#?}", meridian.seen);
    let cause =
        |line: &Value| line["cause"].as_str().is_some_and(|cause| cause.contains("0, wanted at least 1"));
    assert!(meridian.seen.iter().any(cause), "{:#?}", meridian.seen);
    // Without Prometheus nobody is down.
    drop(server);
    for _ in 0..2 {
        let line = meridian.wait_for("no data", |line| line["message"] == "transition");
        assert_eq!(line["effective"], "unknown", "{line}");
    }
}

/// It scrapes a Meridian, and alerts when a cluster dies, until that is back.
#[test]
fn an_alert_fires_when_a_cluster_dies() {
    let site = Site::new();
    let mut cluster = site.cluster(1);
    let _other = site.cluster(2);
    let folder = scratch();
    let server = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ndata_dir = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[health]\nisolation = false\n",
        folder.join("data").display()
    );
    let config = Config::new().with(&server).watched(&site, "0s", "");
    let mut meridian = Meridian::serve(config.text());
    let line =
        meridian.wait_for("the API", |line| says(line, "the API listens") && line["address"].is_string());
    let prometheus = Prometheus::of(line["address"].as_str().unwrap().parse().unwrap());
    let wait = |what: &str, query: &str, wanted: &dyn Fn(&[Value]) -> bool| {
        let until = now() + Duration::from_secs(60);
        loop {
            let found = asked(&prometheus, query);
            if wanted(&found) {
                return found;
            }
            assert!(now() < until, "{what}: {found:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let serving = |of: &str| format!("meridian_addresses{{cluster=\"{of}\",verdict=\"healthy\"}} == 1");
    wait("scraped", &serving("frankfurt"), &|found| found.len() == 1);
    let firing = "ALERTS{alertname=\"MeridianClusterDown\",alertstate=\"firing\"}";
    assert_eq!(asked(&prometheus, firing), Vec::<Value>::new());
    cluster.kill();
    let found = wait("the alert", firing, &|found| !found.is_empty());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["cluster"], &found[0]["severity"]), (&"frankfurt".into(), &"page".into()));
    cluster.mend();
    wait("its end", firing, &<[Value]>::is_empty);
    drop(meridian);
    let _kept = std::fs::remove_dir_all(folder);
}

/// The labels of what a query gives now.
fn asked(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    let output = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--get", "--data-urlencode", &format!("query={query}")])
        .arg(format!("{}/api/v1/query", prometheus.url()))
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let all = found["data"]["result"].as_array().unwrap_or_else(|| panic!("{output:?}"));
    all.iter().map(|one| one["metric"].clone()).collect()
}

/// The address and the port are those of the target.
#[tokio::test]
async fn the_placeholders_are_filled() {
    let server = Prometheus::start();
    scraped(&server).await;
    let probe = probe(&server, ITSELF, Some(1.0), None);
    let ready = NetworkChecker.ready(&probe).unwrap();
    let elsewhere: SocketAddr = "192.0.2.1:9090".parse().unwrap();
    let found = NetworkChecker.check(&probe, &ready, elsewhere).await;
    assert_eq!(found, Finding::NoData("no sample".to_owned()));
}
