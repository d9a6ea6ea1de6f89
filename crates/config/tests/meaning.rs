//! What a file without mistakes means: defaults, merging, paths, globs.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use meridian_config::{Issue, Loaded, Position, parse};
use meridian_model::{
    AllDown, Bounds, Check, ClusterId, Coordinates, DnsCheck, DnsTransport, DomainName, EndpointName, Finite,
    FlapDamping, GrpcCheck, Hostname, Https, Policy, PrometheusCheck, Rollout, Share, TcpCheck, Thresholds,
    Tls, Track, Trial,
};

/// Two clusters, a zone, and one gateway with what is given in it.
fn with_gateway(keys: &str) -> Loaded {
    let text = format!(
        r#"
version = 1
[[zones]]
name = "z.example"
nameservers = ["ns.elsewhere.org"]
hostmaster = "h.example"
[[clusters]]
name = "eu"
latitude = 53.35
longitude = -6
[[clusters]]
name = "us"
latitude = 39
longitude = -77
[[gateways]]
name = "g"
hostnames = ["G.Z.example."]
{keys}
[[gateways.endpoints]]
cluster = "us"
addresses = ["192.0.2.2"]
[[gateways.endpoints]]
cluster = "eu"
addresses = ["192.0.2.1", "2001:db8::1"]
weight = 0
track = "canary"
"#
    );
    parse(&text, Path::new("/etc/meridian/m.toml")).unwrap_or_else(|issues| panic!("{issues}"))
}

#[test]
fn a_gateway_by_its_defaults() {
    let Loaded { catalog, warnings, .. } = with_gateway("");
    assert_eq!(warnings, []);
    let [gateway] = catalog.gateways() else { panic!("one gateway") };
    assert_eq!(gateway.hostnames, [Hostname::parse("g.z.example").unwrap()]);
    assert_eq!((gateway.ttl, gateway.min_ttl, gateway.answers), (30, 5, Some(1)));
    assert_eq!(
        (&gateway.policy, &gateway.all_down, gateway.probe),
        (&Policy::default(), &AllDown::ServeAll, None)
    );
    assert_eq!((gateway.sticky, gateway.site_names, gateway.panic_below), (false, true, Share::NONE));
    assert_eq!(gateway.rollout, Rollout::default());
    let [us, eu] = gateway.endpoints.as_slice() else { panic!("two endpoints") };
    assert_eq!((us.cluster, us.weight, us.track), (ClusterId::from_index(1), 100, Track::Stable));
    assert_eq!((eu.cluster, eu.weight, eu.track), (ClusterId::from_index(0), 0, Track::Canary));
    let ips: Vec<IpAddr> = eu.addresses.iter().map(|address| address.ip).collect();
    assert_eq!(ips, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    assert_eq!(catalog.targets(), []);
    assert_eq!(catalog.clusters()[0].coordinates, Coordinates::new(53.35, -6.0).unwrap());
}

#[test]
fn the_short_ttl_follows_the_long_one() {
    let ttls = |keys: &str| {
        let loaded = with_gateway(keys);
        let gateway = &loaded.catalog.gateways()[0];
        (gateway.ttl, gateway.min_ttl)
    };
    assert_eq!(ttls("ttl = 3"), (3, 3));
    assert_eq!(ttls("ttl = 0"), (0, 0));
    assert_eq!(ttls("min_ttl = 30"), (30, 30));
    assert_eq!(ttls("ttl = 604800\nmin_ttl = 0"), (604_800, 0));
}

#[test]
fn answers_are_one_or_with_all_as_many_as_there_are() {
    let answers = |keys: &str| with_gateway(keys).catalog.gateways()[0].answers;
    assert_eq!(answers("policy = \"weighted\""), Some(1));
    assert_eq!(answers("policy = \"all\""), None);
    assert_eq!(answers("policy = { type = \"all\" }\nanswers = 2"), Some(2));
}

#[test]
fn sticky_site_names_and_panic_below() {
    let loaded = with_gateway("sticky = true\nsite_names = false\npanic_below = 0.3");
    let gateway = &loaded.catalog.gateways()[0];
    assert_eq!((gateway.sticky, gateway.site_names), (true, false));
    assert_eq!(gateway.panic_below, Share::from_fraction(0.3).unwrap());
    let panic_below =
        |value: &str| with_gateway(&format!("panic_below = {value}")).catalog.gateways()[0].panic_below;
    assert_eq!((panic_below("0"), panic_below("1")), (Share::NONE, Share::ALL));
}

#[test]
fn a_rollout_sends_a_share_to_a_track() {
    let rollout = |keys: &str| with_gateway(&format!("rollout = {{ {keys} }}")).catalog.gateways()[0].rollout;
    let trial =
        |track, percent: f64| Some(Trial { track, share: Share::from_fraction(percent / 100.0).unwrap() });
    let canary = rollout("track = \"canary\", percent = 12.5");
    assert_eq!(canary, Rollout { live: None, trial: trial(Track::Canary, 12.5) });
    assert_eq!(rollout("live = \"canary\""), Rollout { live: Some(Track::Canary), trial: None });
    let both = rollout("live = \"canary\", track = \"stable\", percent = 100");
    assert_eq!(both, Rollout { live: Some(Track::Canary), trial: trial(Track::Stable, 100.0) });
    let none_yet = rollout("track = \"canary\", percent = 0");
    assert_eq!(none_yet.trial, trial(Track::Canary, 0.0));
}

#[test]
fn https_as_octets() {
    let https = |keys: &str| with_gateway(keys).catalog.gateways()[0].https.clone();
    assert_eq!(https(""), None);
    assert_eq!(https("https = {}"), Some(Https::default()));
    let all = https("https = { alpn = [\"h3\", \"h2\"], port = 8443, ech = \"AQL/\" }").unwrap();
    assert_eq!(all.alpn, ["h3".into(), "h2".into()]);
    assert_eq!((all.port, all.ech.as_deref()), (Some(8443), Some(&[1, 2, 255][..])));
}

#[test]
fn endpoints_by_hostname() {
    let name = |keys: &str| {
        let host = "\n[[gateways.endpoints]]\ncluster = \"eu\"\naddresses = [\"LB.Elsewhere.example.\"]\n";
        let loaded = with_gateway(&format!("{host}{keys}"));
        let endpoint = loaded.catalog.gateways()[0].endpoints[0].clone();
        assert_eq!(endpoint.addresses, []);
        endpoint.name.unwrap()
    };
    let by_default = EndpointName {
        name: DomainName::parse("lb.elsewhere.example").unwrap(),
        as_cname: false,
        stale_for: Duration::from_secs(600),
        ttl: None,
        lost: false,
        in_doubt: false,
    };
    assert_eq!(name(""), by_default);
    assert_eq!(name("answer = \"addresses\"\nstale_for = \"10m\""), by_default);
    let cname = name("answer = \"cname\"\nstale_for = \"0s\"");
    assert_eq!((cname.as_cname, cname.stale_for), (true, Duration::ZERO));
    assert_eq!(name("stale_for = \"24h\"").stale_for, Duration::from_secs(86_400));
}

#[test]
fn resolvers() {
    let resolver = |keys: &str| {
        parse(&format!("version = 1\n[resolver]\n{keys}"), Path::new("m.toml")).unwrap().settings.resolver
    };
    let by_default = parse("version = 1\n", Path::new("m.toml")).unwrap().settings.resolver;
    assert_eq!(by_default, resolver(""));
    assert_eq!(by_default.servers, []);
    assert_eq!(by_default.allow, []);
    assert_eq!((by_default.timeout, by_default.min_ttl), (Duration::from_secs(2), Duration::from_secs(5)));
    let written = resolver(
        "servers = [\"127.0.0.53:5353\", \"192.0.2.1\", \"2001:db8::1\", \"[2001:db8::2]:54\"]\n\
         timeout = \"100ms\"\nmin_ttl = \"5m\"\nallow = [\"127.0.0.0/8\", \"::1/128\"]",
    );
    assert_eq!(written.allow, ["127.0.0.0/8", "::1/128"].map(|prefix| prefix.parse().unwrap()));
    let servers: Vec<String> = written.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.53:5353", "192.0.2.1:53", "[2001:db8::1]:53", "[2001:db8::2]:54"]);
    assert_eq!((written.timeout, written.min_ttl), (Duration::from_millis(100), Duration::from_secs(300)));
}

#[test]
fn the_text_is_kept() {
    let text = "version = 1 # and a comment\n";
    assert_eq!(&*parse(text, Path::new("m.toml")).unwrap().text, text);
}

#[test]
fn globs_become_clusters_in_catalog_order() {
    let policy = |keys: &str| with_gateway(keys).catalog.gateways()[0].policy.clone();
    let (eu, us) = (ClusterId::from_index(0), ClusterId::from_index(1));
    let Policy::Failover(tiers) = policy(
        r#"policy = { type = "failover", tiers = [
            { clusters = ["us", "?u", "eu"] },
            { clusters = ["u*"], policy = { type = "failover", tiers = [ { clusters = ["*"], policy = "all" } ] } },
        ] }"#,
    ) else {
        panic!("failover")
    };
    assert_eq!(tiers[0].clusters, [eu, us]);
    assert_eq!(tiers[0].policy, Policy::default());
    assert_eq!(tiers[1].clusters, [us]);
    let Policy::Failover(inner) = &tiers[1].policy else { panic!("failover within") };
    assert_eq!((inner[0].clusters.as_slice(), &inner[0].policy), (&[us][..], &Policy::All));
    let loaded = with_gateway("all_down = \"fallback\"\nfallback = [\"*\"]");
    assert_eq!(loaded.catalog.gateways()[0].all_down, AllDown::Fallback(vec![eu, us]));
}

#[test]
fn a_probe_by_its_defaults() {
    let text = r#"
version = 1
[[probes]]
name = "a"
type = "http"
[[probes]]
name = "b"
type = "tcp"
port = 443
interval = "3s"
fast_interval = "200ms"
flap = { changes = 0 }
"#;
    let catalog = parse(text, Path::new("m.toml")).unwrap().catalog;
    let [http, tcp] = catalog.probes() else { panic!("two probes") };
    assert_eq!((&http.check, http.port), (&Check::Http(Box::default()), 80));
    let seconds = Duration::from_secs;
    assert_eq!([http.interval, http.fast_interval, http.timeout].map(|time| time.as_secs()), [10, 10, 5]);
    let flap = FlapDamping { changes: 10, window: seconds(600), hold: seconds(60), hold_max: seconds(900) };
    let thresholds = Thresholds {
        fall: 3,
        rise: 2,
        forgive: 1,
        rise_for: Duration::ZERO,
        hold_down: seconds(30),
        flap: Some(flap),
    };
    assert_eq!(http.thresholds, thresholds);
    let connects = Check::Tcp(TcpCheck { max_body: 65_536, ..TcpCheck::default() });
    assert_eq!((&tcp.check, tcp.port, tcp.timeout), (&connects, 443, Duration::from_millis(1500)));
    assert_eq!((tcp.fast_interval, &tcp.thresholds.flap), (Duration::from_millis(200), &None));
}

const SERVICES: &str = r#"
version = 1
[[probes]]
name = "grpc"
type = "grpc"
host = "shop.example:444"
[[probes]]
name = "plain"
type = "grpc"
tls = false
service = "shop"
[[probes]]
name = "echo"
type = "icmp"
[[probes]]
name = "question"
type = "dns"
question = "Shop.example."
[[probes]]
name = "answer"
type = "dns"
port = 5353
question = "example"
record = "mx"
transport = "tcp"
expect = { rcode = ["NOERROR", "NXDOMAIN"], answer = ["10 mail"], authoritative = true }
[[probes]]
name = "load"
type = "prometheus"
url = "https://[2001:db8::1]:9090/prom"
query = "up"
expect = { max = 3, degraded_below = 0.5 }
"#;

#[test]
fn probes_of_services_by_their_defaults_and_with_all_keys() {
    let catalog = parse(SERVICES, Path::new("m.toml")).unwrap().catalog;
    let ports: Vec<u16> = catalog.probes().iter().map(|probe| probe.port).collect();
    assert_eq!(ports, [443, 80, 0, 53, 5353, 0]);
    let [grpc, plain, echo, question, answer, load] = catalog.probes() else { panic!("six probes") };
    let tls = Some(Tls { sni: Some("shop.example".into()), ..Tls::default() });
    let check = GrpcCheck { tls, host: Some("shop.example:444".into()), service: "".into() };
    assert_eq!(grpc.check, Check::Grpc(Box::new(check)));
    let check = GrpcCheck { tls: None, host: None, service: "shop".into() };
    assert_eq!(plain.check, Check::Grpc(Box::new(check)));
    assert_eq!(echo.check, Check::Icmp);
    let check = DnsCheck {
        question: DomainName::parse("shop.example").unwrap(),
        record_type: 1,
        transport: DnsTransport::Udp,
        rcodes: vec![0],
        answer: Vec::new(),
        authoritative: None,
    };
    assert_eq!(question.check, Check::Dns(Box::new(check)));
    let check = DnsCheck {
        question: DomainName::parse("example").unwrap(),
        record_type: 15,
        transport: DnsTransport::Tcp,
        rcodes: vec![0, 3],
        answer: vec![b"\x00\x0a\x04mail\x00"[..].into()],
        authoritative: Some(true),
    };
    assert_eq!(answer.check, Check::Dns(Box::new(check)));
    let check = PrometheusCheck {
        url: "https://[2001:db8::1]:9090/prom".into(),
        query: "up".into(),
        headers: Vec::new(),
        tls: Tls::default(),
        wanted: Bounds { min: None, max: Finite::new(3.0) },
        preferred: Bounds { min: Finite::new(0.5), max: None },
    };
    assert_eq!(load.check, Check::Prometheus(Box::new(check)));
    assert_eq!(Finite::new(-0.0), Finite::new(0.0));
    assert_eq!(Finite::new(f64::INFINITY), None);
}

#[test]
fn a_zone_by_its_defaults_and_entries_of_one_set_as_one() {
    let text = r#"
version = 1
[[zones]]
name = "Z.example"
nameservers = ["NS.elsewhere.org."]
hostmaster = "h.example"
records = [
    { name = "@", type = "mx", data = ["10 mail"] },
    { name = "www", type = "A", ttl = 60, data = ["192.0.2.1"] },
    { name = "WWW.z.example.", type = "A", ttl = 60, data = ["192.0.2.2"] },
    { name = "*.w", type = "TXT", data = ['"a b"'] },
]
"#;
    let catalog = parse(text, Path::new("m.toml")).unwrap().catalog;
    let [zone] = catalog.zones() else { panic!("one zone") };
    assert_eq!((zone.name.as_str(), zone.nameservers[0].as_str()), ("z.example", "ns.elsewhere.org"));
    assert_eq!(
        (zone.soa.ttl, zone.nameservers_ttl, zone.soa.negative_ttl, zone.soa.serial),
        (3600, 3600, 60, None)
    );
    let sets: Vec<(&str, u16, u32, usize)> = zone
        .records
        .iter()
        .map(|set| (set.owner.as_str(), set.record_type, set.ttl, set.data.len()))
        .collect();
    assert_eq!(
        sets,
        [("z.example", 15, 3600, 1), ("www.z.example", 1, 60, 2), ("*.w.z.example", 16, 3600, 1)]
    );
    assert_eq!(*zone.records[0].data[0], *b"\x00\x0a\x04mail\x01z\x07example\x00");
    assert_eq!(*zone.records[2].data[0], *b"\x03a b");
}

#[test]
fn paths_begin_at_the_folder_of_the_file() {
    let text =
        "version = 1\n[server]\ndata_dir = \"state\"\n[geoip]\ndatabases = [\"a.mmdb\", \"/b.mmdb\"]\n";
    let file = Path::new("/etc/meridian/m.toml");
    let settings = parse(text, file).unwrap().settings;
    assert_eq!(settings.server.data_dir.as_deref(), Some(Path::new("/etc/meridian/state")));
    let [relative, absolute] = settings.geoip.databases.as_slice() else { panic!("two databases") };
    assert_eq!(
        (relative.value.as_path(), absolute.value.as_path()),
        (Path::new("/etc/meridian/a.mmdb"), Path::new("/b.mmdb"))
    );
    // Who opens the database reports it where the file names it.
    assert_eq!(relative.position, Position { line: 5, column: 14 });
    let issue = Issue::mistake(file, relative, "an MMDB file", "a truncated one");
    assert_eq!(
        issue.to_string(),
        "/etc/meridian/m.toml:5:14: geoip.databases[0]: expected an MMDB file, found a truncated one"
    );
    let elsewhere = parse(text, Path::new("m.toml")).unwrap().settings;
    assert_eq!(elsewhere.geoip.databases[0].value, Path::new("a.mmdb"));
}

#[test]
fn a_server_by_its_defaults() {
    let server = parse("version = 1\n", Path::new("m.toml")).unwrap().settings.server;
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:5300", "[::1]:5300"]);
    assert_eq!((server.workers, server.first_round), (0, Duration::from_secs(5)));
    assert!(!server.reload_on_change);
    assert_eq!(server.data_dir, None);
}

/// What an editor on another system makes of a file changes nothing.
#[test]
fn byte_order_marks_and_line_ends_of_other_systems() {
    let plain = "version = 1\n[server]\nworkers = 2\ncolour = 1\n";
    let other = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let issues = |text: &str| parse(text, Path::new("m.toml")).unwrap_err().to_string();
    assert_eq!(issues(plain), issues(&other));
    let first_line = issues("\u{feff}colour = 1\n");
    assert!(
        first_line.starts_with("m.toml:1:1: colour:") || first_line.contains("\nm.toml:1:1: colour:"),
        "{first_line}"
    );
}

/// A catalog as large as the largest that is promised, so that a quadratic check would be noticed.
#[test]
fn ten_thousand_gateways_with_a_hundred_thousand_hostnames() {
    let mut text = String::from(
        "version = 1\n[[zones]]\nname = \"z.example\"\nnameservers = [\"ns.elsewhere.org\"]\n\
         hostmaster = \"h.example\"\n[[clusters]]\nname = \"eu\"\nlatitude = 0\nlongitude = 0\n\
         [[probes]]\nname = \"web\"\ntype = \"http\"\n",
    );
    for gateway in 0..10_000 {
        let hostnames: Vec<String> =
            (0..10).map(|host| format!("\"h{host}.g{gateway}.z.example\"")).collect();
        text.push_str(&format!(
            "[[gateways]]\nname = \"g{gateway}\"\nprobe = \"web\"\nhostnames = [{}]\n[[gateways.endpoints]]\n\
             cluster = \"eu\"\naddresses = [\"10.{}.{}.1\"]\n",
            hostnames.join(", "),
            gateway / 256,
            gateway % 256,
        ));
    }
    let catalog = parse(&text, Path::new("m.toml")).unwrap().catalog;
    assert_eq!(catalog.gateways().len(), 10_000);
    assert_eq!(catalog.gateways().iter().map(|gateway| gateway.hostnames.len()).sum::<usize>(), 100_000);
    assert_eq!(catalog.targets().len(), 10_000);
}
