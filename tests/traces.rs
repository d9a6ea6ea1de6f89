//! What a collector of OpenTelemetry is told: changes of verdict with their views, reloads, requests to the API, queries.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use hickory_proto::rr::RecordType;
use meridian_tests::{
    Ask, Cluster, Collector, Config, Meridian, Site, TracedSpan, WORLD, ask_udp, now, says, scratch,
};

/// A client near the first cluster of [`WORLD`].
const CLIENT: &str = "134.226.0.0";

/// A site, a server in front of it, and what is told of it.
struct Stage {
    clusters: [Cluster; 2],
    data_dir: PathBuf,
    /// Without `[traces]`.
    config: String,
    traces: String,
    collector: Collector,
    server: Meridian,
}

impl Stage {
    /// `sample`: the share of the queries that is traced.
    fn new(sample: &str) -> Self {
        let site = Site::new();
        let clusters = [1, 2].map(|host| site.cluster(host));
        let data_dir = scratch();
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let config = Config::new()
            .with(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndata_dir = \"{}\"\n[health]\n\
                 isolation = false\n[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\n\
                 interval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 1\n",
                data_dir.display(),
                site.port
            ))
            .clusters(&WORLD[..2])
            .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints)
            .text()
            .to_owned();
        let collector = Collector::start();
        let traces =
            format!("[traces]\nendpoint = \"{}\"\nsample_queries = {sample}\n", collector.endpoint());
        let server = Meridian::serve(&format!("{config}{traces}"));
        Self { clusters, data_dir, config, traces, collector, server }
    }

    /// Has the server read this, by the API, in the trace of this.
    fn reload(&mut self, config: &str, traceparent: &str) -> String {
        std::fs::write(self.server.config(), config).unwrap();
        self.request(&format!("POST /v1/reload HTTP/1.1\r\ntraceparent: {traceparent}"))
    }

    /// What the API answers to a request of this head, but for its end.
    fn request(&mut self, head: &str) -> String {
        let socket = self.data_dir.join("meridian.sock");
        let mut stream = UnixStream::connect(socket).unwrap();
        write!(stream, "{head}\r\nHost: meridian\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn ask(&self, name: &str) -> Vec<String> {
        let ask = Ask::new(name, RecordType::A).subnet(CLIENT, 24);
        ask_udp(self.server.address(), &ask).unwrap().addresses()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// Whether one span lies within the time of another.
fn is_within(child: &TracedSpan, parent: &TracedSpan) -> bool {
    let (child, parent) = (&child.span, &parent.span);
    parent.start_time_unix_nano <= child.start_time_unix_nano
        && child.end_time_unix_nano <= parent.end_time_unix_nano
}

//----------- Health ---------------------------------------------------------

/// From the probe that first found it down, by the change of verdict, to the view without it.
#[test]
fn a_change_of_verdict_leads_to_its_view() {
    let mut stage = Stage::new("0");
    let down = stage.clusters[0].ip();
    stage.clusters[0].kill();
    stage.server.wait_for_verdict(&down, "unhealthy");
    let transition = stage.collector.wait_for("the change", |of| {
        of.span.name == "transition" && of.get("meridian.endpoint").ends_with(&down)
    });
    assert_eq!(transition.get("service.name"), "meridian");
    assert_eq!(transition.get("meridian.from"), "healthy");
    assert_eq!(transition.get("meridian.effective"), "unhealthy");
    let detect = stage.collector.parent_of(&transition);
    assert_eq!((detect.span.name.as_str(), detect.span.parent_span_id.as_slice()), ("detect", &[][..]));
    assert!(detect.get("meridian.cause").contains("(2nd of 2)"), "{detect:#?}");
    // Two probes, 100 ms apart, more or less.
    let took_ms = (detect.span.end_time_unix_nano - detect.span.start_time_unix_nano) / 1_000_000;
    assert!((20..10_000).contains(&took_ms), "{detect:#?}");
    let publish = stage.collector.child_of(&transition, "publish");
    assert_eq!(publish.get("meridian.transition"), transition.get("meridian.transition"));
    assert_eq!(publish.get("meridian.cause"), "transition");
    assert!(publish.span.start_time_unix_nano >= transition.span.start_time_unix_nano);
    let said = stage.server.seen.iter().rfind(|line| says(line, "view published")).unwrap();
    assert_eq!(said["generation"].to_string(), publish.get("meridian.generation"));
}

//----------- Reloads --------------------------------------------------------

#[test]
fn a_reload_has_its_parts_and_is_part_of_the_request() {
    let mut stage = Stage::new("0");
    let start = stage.collector.wait_for("the start", |of| of.span.name == "start");
    for part in ["resolve", "first round"] {
        let part = stage.collector.child_of(&start, part);
        assert!(is_within(&part, &start), "{part:#?} {start:#?}");
    }
    let more = "[[gateways]]\nname = \"more\"\nhostnames = [\"more.gslb.example\"]\n\
                [[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"192.0.2.1\"]\n";
    let good = format!("{}{}{more}", stage.config, stage.traces);
    let answer = stage.reload(&good, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let request = stage.collector.wait_for("the request", |of| of.get("http.route") == "/v1/reload");
    assert_eq!(request.span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(request.span.parent_span_id[6..], [0x33, 0x31]);
    assert_eq!(
        (request.get("http.request.method"), request.get("http.response.status_code")),
        ("POST", "200")
    );
    let reload = stage.collector.child_of(&request, "reload");
    let parts = ["load", "resolve", "first round", "publish"];
    let parts = parts.map(|part| stage.collector.child_of(&reload, part));
    assert!(parts.is_sorted_by_key(|part| part.span.start_time_unix_nano), "{parts:#?}");
    assert!(parts.iter().all(|part| is_within(part, &reload)), "{parts:#?} {reload:#?}");
    assert_eq!(parts[3].get("meridian.gateways"), "2");
    assert_eq!(reload.span.status, None);

    // One that is refused ends with why.
    let answer = stage.reload("version = 2\n", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    let refused = stage
        .collector
        .wait_for("the refused one", |of| of.span.name == "reload" && of.span.trace_id[0] == 0x1a);
    let status = refused.span.status.unwrap();
    assert!(status.code == 2 && status.message.contains("version: expected 1"), "{status:?}");
}

//----------- Queries --------------------------------------------------------

#[test]
fn a_query_has_the_stages_of_its_answer() {
    let mut stage = Stage::new("1");
    let answer = stage.ask("shop.gslb.example.");
    assert_eq!(answer, [stage.clusters[0].ip()]);
    let query = stage.collector.wait_for("the query", |of| of.span.name == "query");
    for (key, wanted) in [
        ("dns.question.name", "shop.gslb.example"),
        ("dns.question.type", "A"),
        ("dns.response_code", "NOERROR"),
        ("dns.answers", &*answer[0]),
        ("client.address", CLIENT),
        ("meridian.resolver", "127.0.0.1"),
        ("network.transport", "udp"),
        ("meridian.gateway", "shop"),
        ("meridian.clusters", "eu-west"),
    ] {
        assert_eq!(query.get(key), wanted, "{key}: {query:#?}");
    }
    assert!(query.span.parent_span_id.is_empty());
    let events = query.events();
    let stages: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let mut named = stages.clone();
    named.dedup();
    assert_eq!(
        named,
        ["gateway", "client", "policy", "health", "track", "chosen", "grounds", "ttl", "scope"],
        "{events:?}"
    );
    assert!(events.contains(&("chosen".to_owned(), "eu-west".to_owned())), "{events:?}");
}

//----------- Off ------------------------------------------------------------

/// What is turned off by a reload tells nothing, and takes nothing down.
#[test]
fn nothing_is_told_when_it_is_off() {
    let mut stage = Stage::new("1");
    stage.ask("before.gslb.example.");
    stage.collector.wait_for("the query", |of| of.get("dns.question.name") == "before.gslb.example");
    let (without, with) = (stage.config.clone(), format!("{}{}", stage.config, stage.traces));
    let header = "00-2af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    stage.reload(&without, header);
    let until = now() + std::time::Duration::from_secs(30);
    // The thread that tells it follows within a moment: from then on nothing is taken down.
    let mut taken = u64::MAX;
    loop {
        stage.ask("off.gslb.example.");
        let page = stage.request("GET /metrics HTTP/1.1");
        let line = page.lines().find_map(|line| line.strip_prefix("meridian_dns_taken_total ")).unwrap();
        let before = std::mem::replace(&mut taken, line.parse().unwrap());
        if before == taken {
            break;
        }
        assert!(now() < until, "it is still taken down");
    }
    stage.ask("later.gslb.example.");
    stage.request("GET /v1/status HTTP/1.1");
    stage.reload(&with, header);
    stage.request("GET /v1/overrides HTTP/1.1");
    let told = stage.collector.wait_for("a request", |of| of.get("http.route") == "/v1/overrides");
    assert_eq!(told.span.name, "request");
    let is_told = |of: &TracedSpan| {
        of.get("dns.question.name") == "later.gslb.example" || of.get("http.route") == "/v1/status"
    };
    assert!(!stage.collector.spans.iter().any(is_told), "{:#?}", stage.collector.spans);
}

/// A collector that is not there costs nothing but what is counted.
#[test]
fn a_collector_that_is_dead_costs_counted_drops() {
    let mut stage = Stage::new("1");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("{}[traces]\nendpoint = \"http://{nobody}\"\nsample_queries = 1\n", stage.config);
    stage.reload(&dead, "00-3af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    stage.server.wait_for("that it is not there", |line| says(line, "traces: the collector does not take"));
    let until = now() + std::time::Duration::from_secs(50);
    loop {
        for _ in 0..500 {
            assert_eq!(stage.ask("shop.gslb.example."), [stage.clusters[0].ip()]);
        }
        let page = stage.request("GET /metrics HTTP/1.1");
        let count = |name: &str| -> u64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        if count("meridian_telemetry_spans_dropped_total ") > 0 {
            assert!(count("meridian_telemetry_span_requests_failed_total ") > 0);
            break;
        }
        assert!(now() < until, "nothing is dropped");
    }
    // The line is said once.
    let said = stage.server.seen.iter().filter(|line| says(line, "traces:")).count();
    assert_eq!(said, 1, "{:#?}", stage.server.seen);
}
