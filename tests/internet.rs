//! The built binary in an internet of its own, below a root and a top-level domain of NSD: resolvers that ask
//! from the root on, and a checker of delegations. `./tests/run` installs them and runs this suite.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use meridian_tests::{Cluster, Config, Daemon, Internet, LAB, Meridian, SERVERS, Site, apart, dig};
use serde_json::Value;

//----------- The zone -------------------------------------------------------

/// The zone as both name servers have it, less where they listen.
fn zone() -> Config {
    let texts: Vec<String> = (0..12).map(|number| format!("'\"{number:02}{}\"'", "x".repeat(180))).collect();
    let mut config = Config::bare(
        "name = \"gslb.example\"\nnameservers = [\"ns1.gslb.example\", \"ns2.gslb.example\"]\nhostmaster = \"hostmaster.gslb.example\"\nserial = 7\nnegative_ttl = 300\n",
    );
    for (number, [v4, v6]) in (1..).zip(SERVERS) {
        let name = format!("ns{number}");
        config = config.record(&name, "A", &format!("\"{v4}\"")).record(&name, "AAAA", &format!("\"{v6}\""));
    }
    config
        .record("@", "MX", "\"10 mail\"")
        .record("@", "TXT", "'\"v=spf1 mx -all\"'")
        .record("mail", "A", "\"185.199.0.25\"")
        .record("mail", "AAAA", "\"2a0a:e5c0:1::25\"")
        .record("text", "TXT", "'\"hello\"'")
        .record("big", "TXT", &texts.join(", "))
        .record("c1", "CNAME", "\"c2\"")
        .record("c2", "CNAME", "\"shop\"")
        .record("*.wild", "TXT", "'\"any\"'")
        .record("below.ent", "TXT", "'\"below\"'")
        .record("lab", "NS", "\"ns.lab\"")
        .record("ns.lab", "A", &format!("\"{}\"", LAB[0]))
        .record("ns.lab", "AAAA", &format!("\"{}\"", LAB[1]))
}

/// The two name servers, each on its addresses.
fn serve(config: &Config) -> [Meridian; 2] {
    SERVERS.map(|[v4, v6]| {
        let listen = format!("[server]\nlisten = [\"{v4}:53\", \"[{v6}]:53\"]\nworkers = 1\n");
        Meridian::serve(config.clone().with(&listen).text())
    })
}

//----------- Resolvers ------------------------------------------------------

#[test]
fn unbound_resolves_from_the_root() {
    apart("unbound_resolves_from_the_root", || through("", Internet::unbound));
}

#[test]
fn knot_resolver_resolves_from_the_root() {
    apart("knot_resolver_resolves_from_the_root", || through("", Internet::knot_resolver));
}

/// Beyond one reply a second only those to good cookies go out whole; others bring a cookie (BADCOOKIE).
#[test]
fn bind_resolves_from_the_root_with_cookies() {
    let limit = "[server.rate_limit]\nper_client = 1\nslip = 1\n";
    apart("bind_resolves_from_the_root_with_cookies", || through(limit, Internet::bind));
}

/// All kinds of answers, and a failover, through a resolver. `keys` are further ones of the servers.
fn through(keys: &str, resolver: impl FnOnce(&Internet) -> (Daemon, SocketAddr)) {
    let site = Site::new();
    let mut clusters = [site.cluster(1), site.cluster(2)];
    let [first, second] = clusters.each_ref().map(Cluster::ip);
    let probe = format!(
        "[health]\nisolation = false\n[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\n",
        site.port
    );
    let config = zone()
        .with(keys)
        .with(&probe)
        .clusters(&[("one", 1.0, 1.0), ("two", 2.0, 2.0)])
        .gateway(
            "moves",
            &["moves.gslb.example"],
            "probe = \"web\"\nttl = 1\npolicy = { type = \"failover\", tiers = [{ clusters = [\"one\"] }, { clusters = [\"two\"] }] }\n",
            &[("one", &first), ("two", &second)],
        )
        .gateway(
            "shop",
            &["shop.gslb.example", "*.shop.gslb.example"],
            "https = { alpn = [\"h2\"] }\n",
            &[("one", "192.0.2.1,2001:db8::1")],
        );
    let internet = Internet::start();
    let mut servers = serve(&config);
    let (_daemon, address) = resolver(&internet);
    for (question, data) in ANSWERS {
        let shown = dig(address, question);
        assert_eq!(
            (shown.status.as_str(), shown.data().concat().as_str()),
            ("NOERROR", data),
            "{question}: {shown:?}"
        );
    }
    for (question, status) in NEGATIVE {
        let shown = dig(address, question);
        assert_eq!((shown.status.as_str(), shown.answer.len()), (status, 0), "{question}: {shown:?}");
    }
    // Truncated over UDP, so that the resolver has it over TCP.
    assert_eq!(dig(address, "big.gslb.example TXT +tcp").answer.len(), 12);

    assert_eq!(dig(address, "moves.gslb.example A").data(), [first.as_str()]);
    clusters[0].kill();
    servers.iter_mut().for_each(|server| {
        server.wait_for_verdict(&first, "unhealthy");
    });
    until(address, &second);
    clusters[0].mend();
    servers.iter_mut().for_each(|server| {
        server.wait_for_verdict(&first, "healthy");
    });
    until(address, &first);
}

/// Questions and the data of their answers, sorted, one behind the other.
const ANSWERS: [(&str, &str); 12] = [
    ("gslb.example SOA", "ns1.gslb.example. hostmaster.gslb.example. 7 86400 7200 3600000 300"),
    ("gslb.example NS", "ns1.gslb.example.ns2.gslb.example."),
    ("gslb.example MX", "10 mail.gslb.example."),
    ("text.gslb.example TXT", "\"hello\""),
    ("a.b.wild.gslb.example TXT", "\"any\""),
    ("shop.gslb.example A", "192.0.2.1"),
    ("shop.gslb.example AAAA", "2001:db8::1"),
    ("x.y.shop.gslb.example A", "192.0.2.1"),
    ("shop.gslb.example HTTPS", "1 . alpn=\"h2\" ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"),
    ("c1.gslb.example A", "192.0.2.1c2.gslb.example.shop.gslb.example."),
    // From the server that the zone delegates this name to.
    ("www.lab.gslb.example A", "194.0.25.7"),
    ("ns2.gslb.example A", SERVERS[1][0]),
];

/// Questions without an answer.
const NEGATIVE: [(&str, &str); 7] = [
    ("nothing.gslb.example A", "NXDOMAIN"),
    ("x.text.gslb.example A", "NXDOMAIN"),
    ("text.gslb.example A", "NOERROR"),
    ("ent.gslb.example A", "NOERROR"),
    ("wild.gslb.example A", "NOERROR"),
    ("lab.gslb.example DS", "NOERROR"),
    ("nothing.lab.gslb.example A", "NXDOMAIN"),
];

/// Asks until the answer is this one: a resolver may keep what it has for the TTL, a second or five here.
fn until(resolver: SocketAddr, wanted: &str) {
    for _ in 0..400 {
        if dig(resolver, "moves.gslb.example A").data() == [wanted] {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not {wanted} 20 s after the view changed");
}

//----------- Zonemaster -----------------------------------------------------

/// All its test cases, none left out; that the zone is not signed it notes, and no more.
#[test]
fn zonemaster_finds_nothing_wrong() {
    apart("zonemaster_finds_nothing_wrong", || {
        let config = zone().clusters(&[("one", 1.0, 1.0)]).gateway(
            "shop",
            &["shop.gslb.example"],
            "",
            &[("one", "185.199.0.80,2a0a:e5c0:1::80")],
        );
        let internet = Internet::start();
        let _servers = serve(&config);
        let mut command = Command::new("zonemaster-cli");
        command.args(["--json", "--level", "INFO", "--hints"]).arg(internet.hints()).arg("gslb.example");
        let output = command.output().expect("zonemaster-cli, which ./tests/run installs");
        let text = String::from_utf8_lossy(&output.stdout);
        let said = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        let results: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", said()));
        let results =
            results["results"].as_array().or(results.as_array()).unwrap_or_else(|| panic!("{}", said()));
        let mut counts = std::collections::BTreeMap::<&str, u32>::new();
        for result in results {
            let level = result["level"].as_str().unwrap_or_default();
            *counts.entry(level).or_default() += 1;
            if !["INFO", "DEBUG"].contains(&level) {
                println!("{result}");
            }
        }
        println!("Zonemaster: {counts:?}");
        let levels = ["WARNING", "ERROR", "CRITICAL"];
        let bad = |result: &&Value| levels.contains(&result["level"].as_str().unwrap_or_default());
        let bad: Vec<&Value> = results.iter().filter(bad).collect();
        assert!(results.len() > 40, "only {} results: {}", results.len(), said());
        assert!(bad.is_empty(), "{bad:#?}");
    });
}
