//! `/metrics` of the built binary: what is counted, that no stranger makes labels, that no reload takes counts back, and
//! that what `deploy/` and the README of `crates/admin` name is there.

mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::exchange;
use meridian_tests::tls::{Identity, TLS_FILES, connect_tls, https};
use meridian_tests::{Ask, Config, Meridian, Signal, WORLD, ask_tcp, ask_udp, says, scratch};
use meridian_tests::{exchange_udp, quic};

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

//----------- Pages ----------------------------------------------------------

/// A server, and the folder with its API's socket.
struct Stage {
    data_dir: PathBuf,
    identity: Identity,
    server: Meridian,
}

impl Stage {
    /// Two clusters and two gateways; `more` are further keys.
    fn new(more: &str) -> Self {
        let (data_dir, identity) = (scratch().join("data"), Identity::new());
        let mut server = Meridian::serve_with_files(&config(&data_dir, more), &identity.files());
        server.wait_for("the API", |line| says(line, "the API listens"));
        Self { data_dir, identity, server }
    }

    fn page(&self) -> Page {
        Page::read(&self.text(&[]))
    }

    /// What curl gets, with further arguments.
    fn text(&self, arguments: &[&str]) -> String {
        let socket = self.data_dir.join("meridian.sock");
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--unix-socket"]);
        let output = command.arg(socket).args(arguments).arg("http://meridian/metrics").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn ask(&self, name: &str, question_type: RecordType) {
        ask_udp(self.server.address(), &Ask::new(name, question_type)).unwrap();
    }

    /// Other keys in its file, which it takes up.
    fn reload(&mut self, more: &str) {
        std::fs::write(self.server.config(), config(&self.data_dir, more)).unwrap();
        self.server.signal(Signal::SIGHUP);
        self.server.wait_for("the reload", |line| says(line, "reloaded"));
        let generation = |page: &Page| page.value("meridian_catalog_generation");
        let (before, until) = (1.0, meridian_tests::now() + Duration::from_secs(60));
        while generation(&self.page()) <= before {
            assert!(meridian_tests::now() < until, "the catalog came into force");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(self.data_dir.parent().unwrap());
    }
}

fn config(data_dir: &Path, more: &str) -> String {
    let any = "[\"127.0.0.1:0\"]";
    let text = format!(
        "[server]\nlisten = {any}\nworkers = 2\ndata_dir = \"{}\"\n{TLS_FILES}dot = {any}\ndoh = {any}\ndoq = {any}\n",
        data_dir.display()
    );
    let (first, second) = (("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2"));
    Config::new()
        .with(&text)
        .clusters(&WORLD[..2])
        .networks([("127.0.0.0/8", "IE")])
        .gateway("shop", &["shop.gslb.example"], "", &[first, second])
        .gateway("far", &["far.gslb.example"], "", &[second])
        .with(more)
        .text()
        .to_owned()
}

/// The samples of a page: name and labels to value.
struct Page(BTreeMap<String, f64>);

impl Page {
    fn read(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
        Self(samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect())
    }

    fn value(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("{name}: {:#?}", self.0))
    }

    /// All samples of a metric that are not 0.
    fn counted(&self, metric: &str) -> Vec<(&str, f64)> {
        let all = self.0.iter().filter(|(name, value)| {
            name.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && **value != 0.0
        });
        all.map(|(name, value)| (&name[metric.len()..], *value)).collect()
    }
}

//----------- What is counted ------------------------------------------------

#[tokio::test]
async fn queries_count_by_transport_type_and_rcode() {
    let stage = Stage::new("");
    let (server, identity) = (&stage.server, &stage.identity);
    let shop = Ask::new("shop.gslb.example.", RecordType::A);
    for _ in 0..3 {
        ask_udp(server.address(), &shop).unwrap();
    }
    stage.ask("shop.gslb.example.", RecordType::MX);
    stage.ask("nobody.gslb.example.", RecordType::AAAA);
    stage.ask("elsewhere.example.", RecordType::TXT);
    stage.ask("shop.gslb.example.", RecordType::from(65_280));
    // A reply, and half a header: neither gets one. The last query comes behind both, by the same socket or not.
    ask_tcp(server.address(), &shop).unwrap();
    let mut tls = connect_tls(ME, server.address_of("dot"), identity.client(&["dot"])).unwrap();
    for _ in 0..2 {
        exchange(&mut tls, &shop.octets()).unwrap();
    }
    let request = hyper::Request::post("https://ns1.gslb.example/dns-query")
        .header("content-type", "application/dns-message")
        .body(http_body_util::Full::new(shop.octets().into()))
        .unwrap();
    https(ME, server.address_of("doh"), identity.client(&["h2"]), request).await.unwrap();
    let endpoint = quic::endpoint(ME).unwrap();
    let doq = quic::connect(&endpoint, server.address_of("doq"), identity.client(&["doq"])).await.unwrap();
    quic::exchange(&doq, &shop.octets()).await.unwrap();
    let page = stage.page();
    let labels = |transport: &str, asked: &str, rcode: &str| {
        format!("{{transport=\"{transport}\",type=\"{asked}\",rcode=\"{rcode}\"}}")
    };
    let wanted = [
        (labels("https", "A", "NOERROR"), 1.0),
        (labels("quic", "A", "NOERROR"), 1.0),
        (labels("tcp", "A", "NOERROR"), 1.0),
        (labels("tls", "A", "NOERROR"), 2.0),
        (labels("udp", "A", "NOERROR"), 3.0),
        (labels("udp", "AAAA", "NXDOMAIN"), 1.0),
        (labels("udp", "MX", "NOERROR"), 1.0),
        (labels("udp", "TXT", "REFUSED"), 1.0),
        (labels("udp", "other", "NOERROR"), 1.0),
    ];
    let wanted: Vec<(&str, f64)> = wanted.iter().map(|(labels, count)| (&**labels, *count)).collect();
    assert_eq!(page.counted("meridian_dns_queries_total"), wanted);
    assert_eq!(page.value("meridian_dns_nodata_total"), 2.0);
    // They are nearest to Dublin, as the operator's networks say.
    let answers = [("{gateway=\"shop\",cluster=\"eu-west\"}", 8.0)];
    assert_eq!(page.counted("meridian_dns_answers_total"), answers);
    assert_eq!(page.value("meridian_dns_answers_total{gateway=\"far\",cluster=\"us-east\"}"), 0.0);
    assert_eq!(page.counted("meridian_dns_selections_total"), [("{basis=\"healthy\"}", 8.0)]);
    for (transport, queries) in [("udp", 7.0), ("tcp", 1.0), ("tls", 2.0), ("https", 1.0), ("quic", 1.0)] {
        let of = |name: &str| page.value(&format!("meridian_dns_{name}{{transport=\"{transport}\"}}"));
        assert_eq!(of("received_total"), queries);
        assert_eq!(of("query_duration_seconds_count"), queries);
        assert!(of("query_duration_seconds_sum") < 10.0);
        let last =
            format!("meridian_dns_query_duration_seconds_bucket{{transport=\"{transport}\",le=\"+Inf\"}}");
        assert_eq!(page.value(&last), queries);
    }
}

/// Client subnets, cookies, and clients that may go nowhere.
#[test]
fn what_came_with_queries_counts() {
    let stage = Stage::new(
        "[[jurisdictions]]\nname = \"ireland\"\ncountries = [\"IE\"]\n\
         [[gateways]]\nname = \"kept\"\nhostnames = [\"kept.gslb.example\"]\n\
         residency = { rules = [ { clients = [\"ireland\"], clusters = [\"*\"] } ] }\n\
         [[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"192.0.2.3\"]\n",
    );
    let server = stage.server.address();
    let shop = || Ask::new("shop.gslb.example.", RecordType::A);
    let asks = [
        shop().subnet("8.8.8.0", 24),
        shop().subnet("8.8.8.0", 24),
        Ask::new("ns1.gslb.example.", RecordType::A).subnet("8.8.8.0", 24),
        shop().subnet("0.0.0.0", 0),
    ];
    for ask in &asks {
        ask_udp(server, ask).unwrap();
    }
    let first = ask_udp(server, &shop().option(10, b"abcdefgh")).unwrap();
    let cookie = first.option(10).unwrap();
    ask_udp(server, &shop().option(10, &cookie)).unwrap();
    let mut forged = cookie.clone();
    forged[23] ^= 1;
    ask_udp(server, &shop().option(10, &forged)).unwrap();
    ask_udp(server, &Ask::new("kept.gslb.example.", RecordType::A).subnet("8.8.8.0", 24)).unwrap();
    let page = stage.page();
    let subnets = page.counted("meridian_dns_client_subnets_total");
    let scoped = ("{result=\"scoped\"}", 3.0);
    assert_eq!(subnets, [("{result=\"global\"}", 1.0), ("{result=\"opted_out\"}", 1.0), scoped]);
    let cookies = page.counted("meridian_dns_cookies_total");
    assert_eq!(
        cookies,
        [("{result=\"invalid\"}", 1.0), ("{result=\"new\"}", 1.0), ("{result=\"valid\"}", 1.0)]
    );
    assert_eq!(page.counted("meridian_dns_residency_denied_total"), [("{reason=\"prohibited\"}", 1.0)]);
    assert_eq!(page.value("meridian_dns_selections_total{basis=\"prohibited\"}"), 1.0);
}

/// Thousands of types, names, opcodes and classes make the page no longer than a few do.
#[test]
fn no_stranger_makes_labels() {
    let stage = Stage::new("[metrics]\nanswers_by = [\"gateway\", \"cluster\", \"country\"]\n");
    let server = stage.server.address();
    let flood = |names: &str| {
        for number in (0_u16..4000).step_by(1).chain([65_280, u16::MAX]) {
            let ask = Ask::new(&format!("{names}{number}.gslb.example."), RecordType::from(number));
            let mut octets = ask.octets();
            // Some of them with another opcode.
            octets[2] |= u8::try_from(number % 3).unwrap() << 3;
            exchange_udp(server, None, &octets).unwrap();
        }
    };
    flood("a");
    let before = stage.page();
    flood("b");
    let after = stage.page();
    let names = |page: &Page| page.0.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&before), names(&after));
    let types: f64 = after.counted("meridian_dns_queries_total").iter().map(|(_, count)| count).sum();
    let ignored = after.value("meridian_dns_ignored_total");
    assert_eq!(types + ignored, 2.0 * 4002.0);
    assert!(
        after.counted("meridian_dns_queries_total").len() < 18 * 4,
        "{:?}",
        after.counted("meridian_dns_queries_total")
    );
}

//----------- Over reloads ---------------------------------------------------

#[test]
fn no_reload_takes_counts_back() {
    let mut stage = Stage::new("");
    for name in ["shop", "shop", "far"] {
        stage.ask(&format!("{name}.gslb.example."), RecordType::A);
    }
    let (shop, far) = (
        "meridian_dns_answers_total{gateway=\"shop\",cluster=\"eu-west\"}",
        "meridian_dns_answers_total{gateway=\"far\",cluster=\"us-east\"}",
    );
    let page = stage.page();
    assert_eq!((page.value(shop), page.value(far)), (2.0, 1.0));
    let new = "[[gateways]]\nname = \"aaa\"\nhostnames = [\"aaa.gslb.example\"]\n\
               [[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"192.0.2.9\"]\n";
    stage.reload(new);
    for name in ["aaa", "shop", "far"] {
        stage.ask(&format!("{name}.gslb.example."), RecordType::A);
        ask_tcp(stage.server.address(), &Ask::new(&format!("{name}.gslb.example."), RecordType::A)).unwrap();
    }
    let page = stage.page();
    assert_eq!((page.value(shop), page.value(far)), (4.0, 3.0));
    assert_eq!(page.value("meridian_dns_answers_total{gateway=\"aaa\",cluster=\"us-east\"}"), 2.0);
    assert_eq!(page.value("meridian_catalog_generation"), 2.0);
    assert_eq!(page.value("meridian_reloads_total{result=\"accepted\"}"), 1.0);
}

#[test]
fn answers_count_by_what_the_file_says() {
    let country = Stage::new("[metrics]\nanswers_by = [\"cluster\", \"country\"]\n");
    country.ask("shop.gslb.example.", RecordType::A);
    let abroad = Ask::new("shop.gslb.example.", RecordType::A).subnet("8.8.8.0", 24);
    let nowhere = Ask::new("shop.gslb.example.", RecordType::A).subnet("10.1.1.0", 24);
    for ask in [abroad, nowhere] {
        ask_udp(country.server.address(), &ask).unwrap();
    }
    let page = country.page();
    let counted = page.counted("meridian_dns_answers_total");
    assert!(counted.contains(&("{cluster=\"eu-west\",country=\"IE\"}", 1.0)), "{counted:?}");
    assert!(counted.contains(&("{cluster=\"us-east\",country=\"US\"}", 1.0)), "{counted:?}");
    assert!(
        counted.iter().any(|(of, count)| of.contains("country=\"(unknown)\"") && *count == 1.0),
        "{counted:?}"
    );
    let off = Stage::new("[metrics]\nanswers_by = []\n");
    off.ask("shop.gslb.example.", RecordType::A);
    assert_eq!(off.page().counted("meridian_dns_answers_total"), []);
    assert_eq!(off.page().value("meridian_dns_selections_total{basis=\"healthy\"}"), 1.0);
}

/// More gateways than there are series: those beyond count in one, and how many they are is told.
#[test]
fn what_is_beyond_the_limit_of_series_counts_in_one() {
    let gateway = |number: usize| {
        format!(
            "[[gateways]]\nname = \"g{number}\"\nhostnames = [\"g{number}.gslb.example\"]\n\
             [[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"192.0.2.9\"]\n"
        )
    };
    let gateways: String = (0..150).map(gateway).collect();
    let by = "[metrics]\nanswers_by = [\"gateway\", \"cluster\", \"country\"]\n";
    let stage = Stage::new(&format!("{by}{gateways}"));
    for name in ["g0", "g148", "g149"] {
        stage.ask(&format!("{name}.gslb.example."), RecordType::A);
    }
    let page = stage.page();
    let counted = page.counted("meridian_dns_answers_total");
    let own = ("{gateway=\"g0\",cluster=\"us-east\",country=\"IE\"}", 1.0);
    assert_eq!(counted, [("{gateway=\"(other)\",cluster=\"(other)\",country=\"IE\"}", 2.0), own]);
    let beyond = page.value("meridian_series_beyond_limit{metrics=\"dns_answers\"}");
    // Some 250 countries, so some 130 gateways with a cluster.
    assert!((10.0..60.0).contains(&beyond), "{beyond}");
}
