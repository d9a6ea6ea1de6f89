//! The reference configuration is what it says it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use meridian_config::{DATA_DIR_DEFAULT, Issue, Loaded, load, parse};
use meridian_model::{AllDown, Check, Policy, Rollout, Share, Track, Trial};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/meridian.toml")
}

fn loaded() -> Loaded {
    load(&reference()).unwrap_or_else(|issues| panic!("{issues}"))
}

#[test]
fn loads_without_issues_or_warnings() {
    // But for the probes that are there to show the keys of their type.
    let unused = |warning: &Issue| warning.to_string().contains("warning: no gateway uses the probe");
    let (shown, others): (Vec<Issue>, Vec<Issue>) = loaded().warnings.into_iter().partition(unused);
    assert_eq!((shown.len(), others), (9, vec![]));
}

#[test]
fn says_what_its_comments_say() {
    let Loaded { catalog, settings, .. } = loaded();
    assert_eq!(settings.server.listen.len(), 2);
    assert_eq!(settings.geoip.networks.len(), 2);
    assert_eq!(catalog.clusters().len(), 3);
    let web = &catalog.probes()[0];
    assert!(matches!(&web.check, Check::Http(http) if &*http.path == "/healthz" && http.host.is_some()));
    assert_eq!((web.interval, web.timeout), (Duration::from_secs(1), Duration::from_millis(500)));
    let [shop, api, cdn, media] = catalog.gateways() else { panic!("four gateways") };
    assert_eq!((shop.ttl, shop.min_ttl, shop.answers), (30, 5, Some(1)));
    assert_eq!(shop.all_down, AllDown::ServeAll);
    let Policy::Failover(tiers) = &api.policy else { panic!("{:?}", api.policy) };
    let clusters: Vec<usize> = tiers.iter().map(|tier| tier.clusters.len()).collect();
    assert_eq!(clusters, [2, 3]);
    assert_eq!(tiers[0].policy, Policy::Weighted);
    assert_eq!(tiers[1].policy, Policy::default());
    let trial = Trial { track: Track::Canary, share: Share::from_fraction(0.1).unwrap() };
    assert_eq!(api.rollout, Rollout { live: Some(Track::Stable), trial: Some(trial) });
    let https = shop.https.as_ref().unwrap();
    assert_eq!((https.alpn.len(), https.port, https.ech.as_deref()), (2, None, None));
    let host = cdn.endpoints[0].name.as_ref().unwrap();
    assert_eq!((host.as_cname, host.stale_for), (false, Duration::from_secs(600)));
    assert_eq!((tiers[0].min_healthy, tiers[0].panic_below), (1, Share::from_fraction(0.25).unwrap()));
    let Policy::Geo(geo) = &media.policy else { panic!("{:?}", media.policy) };
    let conditions: Vec<usize> = geo.rules.iter().map(|rule| rule.clients.len()).collect();
    assert_eq!(conditions, [3, 2, 2]);
    let residency = media.residency.as_ref().unwrap();
    let served: Vec<usize> = residency.rules.iter().map(|rule| rule.clusters.len()).collect();
    assert_eq!(served, [2, 3]);
    // Six addresses under "web", four under "port".
    assert_eq!(catalog.targets().len(), 10);
}

/// A key behind "#" claims to be written as its default: taking the "#" off changes nothing.
#[test]
fn commented_defaults_are_the_defaults() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let default_keys = [
        "# data_dir = ",
        "# workers = ",
        "# first_round = ",
        "# reload_on_change = ",
        "# enabled = ",
        "# slip = ",
        "# ipv4_prefix = ",
        "# ipv6_prefix = ",
        "# exempt = ",
        "# connections = ",
        "# connections_per_client = ",
        "# idle = ",
        "# lifetime = ",
        "# ttl = ",
        "# negative_ttl = ",
        "# sticky = ",
        "# site_names = ",
        "# panic_below = ",
        "# servers = ",
        "# timeout = ",
        "# min_ttl = ",
        "# allow = ",
        "# fast_interval = ",
        "# forgive = ",
        "# rise_for = ",
        "# flap = ",
        "# invert = ",
        "# sni = ",
        "# insecure = ",
    ];
    let mut written = text.clone();
    for key in default_keys {
        assert_eq!(text.matches(&format!("\n{key}")).count(), 1, "{key}");
        written = written.replace(&format!("\n{key}"), &format!("\n{}", &key[2..]));
    }
    let (mut defaults, written) = (loaded(), parse(&written, &reference()).unwrap());
    assert_eq!(defaults.catalog, written.catalog);
    // The default folder is used where it is there; written, it is made.
    assert_eq!(defaults.settings.server.data_dir.replace(DATA_DIR_DEFAULT.into()), None);
    assert_eq!(defaults.settings, written.settings);
}

/// The encrypted transports stand behind "#" as a whole, as they need files: taken off, they are what is said.
#[test]
fn commented_tls_is_what_it_says() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let uncommented = |keys: &[&str]| {
        let mut written = text.clone();
        for key in ["[server.tls]", "cert_file = ", "key_file = ", "dot = ", "doh = ", "doh3 = ", "doq = "]
            .iter()
            .chain(keys)
        {
            let found = written.find(&format!("\n# {key}")).unwrap_or_else(|| panic!("{key}"));
            written.replace_range(found + 1..found + 3, "");
        }
        parse(&written, &reference()).unwrap().settings.server
    };
    let server = uncommented(&[]);
    assert_eq!(server, uncommented(&["path = "]));
    let tls = server.tls.unwrap();
    assert_eq!((tls.dot[0].port(), tls.doh[0].port()), (853, 443));
}

/// What is told of queries stands behind "#" as a whole, as nobody has it unasked: taken off, it is what is said.
#[test]
fn commented_telemetry_is_what_it_says() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let uncommented = |keys: &[&str]| {
        let mut written = text.clone();
        let needed = ["[query_log]", "[dnstap]", "[traces]", "socket = ", "endpoint = ", "sample = 0.01"];
        for key in needed.iter().chain(keys) {
            let found = written.find(&format!("\n# {key}")).unwrap_or_else(|| panic!("{key}"));
            written.replace_range(found + 1..found + 3, "");
        }
        parse(&written, &reference()).unwrap().settings.telemetry
    };
    assert_eq!(loaded().settings.telemetry, meridian_config::Telemetry::default());
    let telemetry = uncommented(&[]);
    let defaults = ["sample = 1\n", "queries = ", "responses = ", "sample_queries = ", "service_name = "];
    assert_eq!(telemetry, uncommented(&defaults));
    assert_eq!(telemetry.query_log, Share::from_fraction(0.01).unwrap());
    assert_eq!(&*telemetry.traces.unwrap().endpoint, "http://127.0.0.1:4318");
}

/// The values written in the example that the comments call defaults: without them nothing changes.
#[test]
fn written_defaults_are_the_defaults() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let written_defaults = [
        "listen = [\"127.0.0.1:5300\", \"[::1]:5300\"]",
        "fall = 3 ",
        "rise = 2 ",
        "hold_down = \"30s\"",
        "timeout = \"500ms\"",
        "ttl = 30\n",
        "min_ttl = 5\n",
        "answers = 1\n",
        "policy = \"nearest\"\n",
        "all_down = \"serve_all\"\n",
        "weight = 100 ",
        "track = \"stable\"",
        "answer = \"addresses\"",
        "stale_for = \"10m\"",
        "record = \"A\"",
        "transport = \"udp\"",
        "rcode = [\"NOERROR\"]",
        "unknown = \"deny\"\n",
        "conflict = \"strictest\"\n",
    ];
    let mut without = text.clone();
    for key in written_defaults {
        assert_eq!(text.matches(&format!("\n{key}")).count(), 1, "{key}");
        without = without.replace(&format!("\n{key}"), &format!("\n# {key}"));
    }
    let (written, without) = (loaded(), parse(&without, &reference()).unwrap());
    assert_eq!(written.catalog, without.catalog);
    assert_eq!(written.settings, without.settings);
}

/// The loader itself lists the keys of a table to whoever writes one it does not know.
#[test]
fn every_key_is_in_it() {
    const STRANGERS: &str = r#"
zz = 1
server = { zz = 1, tls = { zz = 1 }, tcp = { zz = 1 }, proxy = { zz = 1 } }
admin = { zz = 1 }
resolver = { zz = 1 }
geoip = { zz = 1, networks = [ { zz = 1 } ] }
keys = [ { zz = 1 } ]
zones = [ { zz = 1, records = [ { zz = 1 } ], transfer = { zz = 1 } } ]
jurisdictions = [ { zz = 1 } ]
clusters = [ { zz = 1 } ]
probes = [
    { zz = 1 },
    { type = "http", zz = 1, flap = { zz = 1 } },
    { type = "https", zz = 1, expect = { zz = 1, header = [ { zz = 1 } ], body = { zz = 1 } } },
    { type = "http2", zz = 1 },
    { type = "tcp", zz = 1, expect = { zz = 1 } },
    { type = "tls", zz = 1, expect = { zz = 1 } },
    { type = "file", zz = 1 },
    { type = "exec", zz = 1 },
    { type = "grpc", zz = 1, expect = { zz = 1 } },
    { type = "icmp", zz = 1 },
    { type = "dns", zz = 1, expect = { zz = 1 } },
    { type = "prometheus", zz = 1, expect = { zz = 1 } },
]
health = { zz = 1 }
metrics = { zz = 1 }
[[gateways]]
zz = 1
endpoints = [ { zz = 1 } ]
policy = { zz = 1, tiers = [ { zz = 1 } ], rules = [ { zz = 1 } ], default = { zz = 1 } }
rollout = { zz = 1 }
https = { zz = 1 }
residency = { zz = 1, rules = [ { zz = 1 } ] }
"#;
    let text = std::fs::read_to_string(reference()).unwrap();
    let issues = parse(STRANGERS, &reference()).unwrap_err().to_string();
    let lists = issues.lines().filter_map(|issue| {
        issue.split_once("one of the keys ")?.1.split_once(", found an unknown key").map(|(keys, _)| keys)
    });
    let mut tables = 0;
    for list in lists {
        tables += 1;
        for key in list.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or") {
            let written = [format!("{key} = "), format!("[{key}]"), format!(".{key}]")];
            assert!(written.iter().any(|form| text.contains(form)), "{key} is not in the reference");
        }
    }
    assert_eq!(tables, 48, "{issues}");
}
