//! `meridian diff`: what it says that a change moves, against what answers do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use fastrand::Rng;
use hickory_proto::rr::RecordType;
use meridian_dns::{Moment, Peer, Reply, Transport, View, answer};
use meridian_model::Verdicts;
use meridian_tests::{Ask, Asked, Config, WORLD, binary, scratch};
use serde_json::{Value, json};

const SEED: u64 = 0x6469_6666;

/// Exit code, standard output and standard error, without the folder of the files.
struct Ran(Option<i32>, String, String);

/// Compares two texts; `queries`, if not empty, is the log.
fn diff(old: &str, new: &str, queries: &str, flags: &[&str]) -> Ran {
    let folder = scratch();
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let mut arguments = vec!["diff".to_owned(), write("old.toml", old), write("new.toml", new)];
    if !queries.is_empty() {
        arguments.extend(["--queries".to_owned(), write("queries.log", queries)]);
    }
    let output = Command::new(binary()).args(&arguments).args(flags).stdin(Stdio::null()).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).replace(&format!("{}/", folder.display()), "");
    let ran = Ran(output.status.code(), text(&output.stdout), text(&output.stderr));
    std::fs::remove_dir_all(&folder).unwrap();
    ran
}

/// The JSON of a comparison that ends well.
fn compared(old: &str, new: &str, queries: &str) -> Value {
    let Ran(code, out, err) = diff(old, new, queries, &["--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    serde_json::from_str(&out).unwrap()
}

fn percent(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

const SHOP: &[&str] = &["shop.gslb.example"];

/// The three clusters of the world but one, nearest first.
fn world(without: &str) -> String {
    with_networks(&[], without)
}

fn with_networks(networks: &[(&str, &str)], without: &str) -> String {
    let all = [
        ("eu-west", "192.0.2.1,2001:db8::1"),
        ("us-east", "192.0.2.2,2001:db8::2"),
        ("ap-northeast", "192.0.2.3,2001:db8::3"),
    ];
    let left: Vec<_> = all.into_iter().filter(|(cluster, _)| *cluster != without).collect();
    Config::new()
        .networks(networks.iter().copied())
        .clusters(&WORLD)
        .gateway("shop", SHOP, "policy = \"nearest\"\n", &left)
        .text()
        .to_owned()
}

/// Two clusters that share all clients by weight; `keys` are further lines of the gateway.
fn weighted(weights: [u32; 2], keys: &str) -> String {
    let [eu, us] = weights;
    Config::new()
        .clusters(&WORLD)
        .with(&format!(
            "[[gateways]]\nname = \"shop\"\nhostnames = [\"shop.gslb.example\"]\npolicy = \"weighted\"\n{keys}\
             [[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"192.0.2.1\"]\nweight = {eu}\n\
             [[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"192.0.2.2\"]\nweight = {us}\n"
        ))
        .text()
        .to_owned()
}

/// One cluster, and another one on trial.
fn canary(percent: u32) -> String {
    Config::new()
        .clusters(&WORLD)
        .with(&format!(
            "[[gateways]]\nname = \"shop\"\nhostnames = [\"shop.gslb.example\"]\n\
             rollout = {{ track = \"canary\", percent = {percent} }}\n\
             [[gateways.endpoints]]\ncluster = \"eu-west\"\naddresses = [\"192.0.2.1\"]\n\
             [[gateways.endpoints]]\ncluster = \"us-east\"\naddresses = [\"192.0.2.2\"]\ntrack = \"canary\"\n"
        ))
        .text()
        .to_owned()
}

//----------- Address space --------------------------------------------------

#[test]
fn an_unchanged_file_moves_nothing() {
    for text in [world(""), weighted([50, 50], ""), canary(10)] {
        let value = compared(&text, &text, "");
        assert_eq!(value["total"]["moved_percent"], json!({ "ipv4": 0.0, "ipv6": 0.0 }));
        assert_eq!(value["changes"][0]["countries"], json!([]));
    }
    let Ran(code, out, _) = diff(&world(""), &world(""), "", &["--max-moved", "0"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "hostname      IPv4      IPv6\n\
         total        0.0 %     0.0 %\n\
         nothing moves of 1 hostname\n"
    );
}

/// 50/50 to 60/40: a tenth of every country, from the one to the other.
#[test]
fn a_change_of_weights() {
    let value = compared(&weighted([50, 50], ""), &weighted([60, 40], ""), "");
    assert_eq!(value["total"]["moved_percent"], json!({ "ipv4": 10.0, "ipv6": 10.0 }));
    let countries = value["changes"][0]["countries"].as_array().unwrap();
    assert!(countries.len() > 200, "{}", countries.len());
    for country in countries {
        let [flow] = &country["flows"].as_array().unwrap()[..] else { panic!("{country}") };
        assert_eq!((&flow["from"], &flow["to"]), (&json!("us-east"), &json!("eu-west")));
        assert!(country["moved_percent"]["ipv4"].is_null() || country["moved_percent"]["ipv4"] == 10.0);
    }
}

/// A canary takes its share, and a larger one moves only what it adds.
#[test]
fn a_canary() {
    let moved = |old, new| compared(&canary(old), &canary(new), "")["total"]["moved_percent"].clone();
    assert_eq!(moved(0, 10), json!({ "ipv4": 10.0, "ipv6": 10.0 }));
    assert_eq!(moved(10, 25), json!({ "ipv4": 15.0, "ipv6": 15.0 }));
}

/// A cluster that leaves moves the clients that had it, and no others.
#[test]
fn a_removed_cluster_moves_its_own() {
    let value = compared(&world(""), &world("eu-west"), "");
    let countries = value["changes"][0]["countries"].as_array().unwrap();
    for country in countries {
        for flow in country["flows"].as_array().unwrap() {
            assert_eq!(flow["from"], "eu-west", "{country}");
        }
    }
    let of = |code: &str| countries.iter().find(|country| country["country"] == code);
    assert_eq!(of("DE").unwrap()["moved_percent"], json!({ "ipv4": 100.0, "ipv6": 100.0 }));
    assert_eq!((of("US"), of("JP")), (None, None));

    let Ran(code, out, _) = diff(&world(""), &world("eu-west"), "", &[]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with("shop.gslb.example  "), "{out}");
    assert!(
        lines.iter().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words == ["DE", "100.0", "%", "100.0", "%", "eu-west", "->", "us-east"]
        }),
        "{out}"
    );
    assert_eq!(lines.iter().filter(|line| line.contains("->")).count(), 10, "{out}");
    assert!(
        lines.iter().any(|line| line.starts_with("  and ") && line.ends_with(" more countries")),
        "{out}"
    );
    assert!(lines.last().unwrap().starts_with("total  "), "{out}");
}

/// New IPv6 addresses beside those of IPv4 move nobody; IPv6 that alone goes elsewhere does.
#[test]
fn the_family_that_moves_more_counts() {
    let shop = |us: &str| {
        Config::new()
            .clusters(&WORLD)
            .gateway(
                "shop",
                SHOP,
                "policy = { type = \"failover\", tiers = [ { clusters = [\"eu-west\"] }, { clusters = [\"*\"] } ] }\n",
                &[("eu-west", us), ("us-east", "192.0.2.2,2001:db8::2")],
            )
            .text()
            .to_owned()
    };
    let both = shop("192.0.2.1,2001:db8::1");
    let only_v4 = both.replace(", \"2001:db8::1\"", "").replace(", \"2001:db8::2\"", "");
    let value = compared(&only_v4, &both, "");
    assert_eq!(value["total"]["moved_percent"], json!({ "ipv4": 0.0, "ipv6": 0.0 }));
    let value = compared(&both, &shop("192.0.2.1"), "");
    assert_eq!(value["total"]["moved_percent"], json!({ "ipv4": 100.0, "ipv6": 100.0 }));
}

/// An endpoint that is a hostname takes part although nothing is looked up.
#[test]
fn endpoints_that_are_hostnames() {
    let named = |weights| weighted(weights, "").replace("192.0.2.2", "lb.cloud.example.");
    let value = compared(&named([50, 50]), &named([60, 40]), "");
    assert_eq!(value["total"]["moved_percent"], json!({ "ipv4": 10.0, "ipv6": 10.0 }));
}

#[test]
fn hostnames_that_come_and_go() {
    let more = |name: &str| {
        let both = format!("[\"shop.gslb.example\", \"{name}.gslb.example\"]");
        world("").replace("[\"shop.gslb.example\"]", &both)
    };
    let value = compared(&more("old"), &more("new"), "");
    assert_eq!(value["removed"], json!(["old.gslb.example"]));
    assert_eq!(value["added"], json!(["new.gslb.example"]));
    assert_eq!(value["changes"][0]["hostnames"], json!(["shop.gslb.example"]));
    let Ran(_, out, _) = diff(&more("old"), &more("new"), "", &[]);
    assert!(out.ends_with("added: new.gslb.example\nremoved: old.gslb.example\n"), "{out}");
}

#[test]
fn more_than_may_move() {
    let (old, new) = (weighted([50, 50], ""), weighted([60, 40], ""));
    for (most, code) in [("10", 0), ("10%", 0), ("9.9", 3), ("0", 3)] {
        let Ran(found, out, err) = diff(&old, &new, "", &["--max-moved", most]);
        assert_eq!(found, Some(code), "{most}: {err}");
        assert!(out.contains("10.0 %"), "{out}");
        assert_eq!(err.is_empty(), code == 0, "{err}");
    }
    let Ran(code, out, _) = diff(&old, &new, "", &["--max-moved", "9", "--json"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value["over_max_moved"]), (Some(3), &json!(true)));
    assert_eq!(diff(&old, &new, "", &["--max-moved", "101"]).0, Some(2));
}

/// The issues of both files.
#[test]
fn files_with_issues() {
    let bad = world("").replace("53.35", "153.35");
    let Ran(code, out, err) = diff(&bad, &bad, "", &[]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("old.toml:") && lines[1].starts_with("new.toml:"),
        "{err}"
    );
}

//----------- Queries --------------------------------------------------------

/// Each query once, at its own place and in its own type.
#[test]
fn weighed_by_queries() {
    let networks = [("198.51.100.0/25", "IE"), ("198.51.100.128/25", "US"), ("2001:db8:1::/48", "FR")];
    let placed = |without| with_networks(&networks, without);
    let log = "# a comment\n\
               198.51.100.1 shop.gslb.example\n\
               198.51.100.0/26 SHOP.gslb.example. AAAA # a subnet\n\
               \n\
               198.51.100.200\tshop.gslb.example\tA\n\
               2001:db8:1::/48 shop.gslb.example HTTPS\n\
               198.51.100.201 shop.gslb.example A\n\
               198.51.100.1 ns1.gslb.example A\n\
               198.51.100.1 www.elsewhere.example A\n";
    let value = compared(&placed(""), &placed("eu-west"), log);
    assert_eq!(value["weighed_by"], "queries");
    // No HTTPS records are steered here: that query does not count.
    assert_eq!(value["total"], json!({ "moved_percent": 50.0, "queries": 4.0 }));
    assert_eq!(value["not_counted"], json!({ "added": 0, "removed": 0, "not_steered": 3 }));
    let [country] = &value["changes"][0]["countries"].as_array().unwrap()[..] else { panic!("{value}") };
    assert_eq!((&country["country"], &country["moved_percent"]), (&json!("IE"), &json!(100.0)));
    let Ran(code, out, err) = diff(&placed(""), &placed("eu-west"), log, &["--max-moved", "49"]);
    assert_eq!((code, err.as_str()), (Some(3), "meridian: 50 % moves, over --max-moved 49\n"));
    assert_eq!(
        out,
        "hostname                 moved\n\
         shop.gslb.example       50.0 %\n\
         \x20 IE                   100.0 %  eu-west -> us-east\n\
         total (of 4 queries)    50.0 %\n\
         not counted: 3 for what is not steered\n"
    );
}

/// A query for an alias is one for the name that it leads to.
#[test]
fn queries_through_aliases_count() {
    let networks = [("198.51.100.0/24", "IE")];
    let aliased = |without| {
        let alias = "[[zones.records]]\nname = \"buy\"\ntype = \"CNAME\"\ndata = [\"shop\"]\n";
        let config = with_networks(&networks, without);
        let at = config.find("[[clusters]]").unwrap();
        format!("{}{alias}{}", &config[..at], &config[at..])
    };
    let value = compared(&aliased(""), &aliased("eu-west"), "198.51.100.1 buy.gslb.example A\n");
    assert_eq!(value["total"], json!({ "moved_percent": 100.0, "queries": 1.0 }));
    // Without one that counts, nothing moves, and not less than nothing.
    let Ran(code, out, _) =
        diff(&aliased(""), &aliased("eu-west"), "198.51.100.1 nothing.gslb.example\n", &[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("total (of 0 queries)"), "{out}");
}

/// Of a canary and of a sticky gateway each client moves or stays, as its answers say.
#[test]
fn queries_of_sticky_gateways_and_trials_are_exact() {
    let mut rng = Rng::with_seed(SEED);
    let clients: Vec<IpAddr> =
        (0..400).map(|_| IpAddr::V4(Ipv4Addr::from_bits(rng.u32(0x0100_0000..0x0a00_0000)))).collect();
    let log: String = clients.iter().map(|client| format!("{client} shop.gslb.example\n")).collect();
    let sticky = |weights| weighted(weights, "sticky = true\nanswers = 1\n");
    for (old, new) in [(canary(0), canary(30)), (sticky([50, 50]), sticky([70, 30]))] {
        let views = [view(&old), view(&new)];
        let moved =
            clients.iter().filter(|&&client| first(&views[0], client) != first(&views[1], client)).count();
        let value = compared(&old, &new, &log);
        assert!(moved > 40 && moved < 160, "{moved}");
        #[expect(clippy::cast_precision_loss, reason = "up to 400")]
        let wanted = moved as f64 / 4.0;
        assert_eq!(percent(&value["total"]["moved_percent"]), wanted);
    }
}

#[test]
fn errors_in_a_log() {
    let log = "192.0.2.1 shop.gslb.example\n192.0.2.300 shop.gslb.example\n192.0.2.1\n192.0.2.1 shop.gslb.example A 7\n";
    let Ran(code, out, err) = diff(&world(""), &world(""), log, &[]);
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert_eq!(
        err,
        "queries.log:2: expected an address or a prefix, found \"192.0.2.300\"\n\
         queries.log:3: expected CLIENT NAME [TYPE], found only \"192.0.2.1\"\n\
         queries.log:4: expected CLIENT NAME [TYPE], found \"7\" behind it\n"
    );
    let Ran(code, _, err) = diff(&world(""), &world(""), "", &["--queries", "/nonexistent/log"]);
    assert!(code == Some(64) && err.starts_with("/nonexistent/log: "), "{err}");
}

//----------- Against answers ------------------------------------------------

/// No probes: everything is healthy.
fn view(text: &str) -> View {
    match meridian::load_text(text, Path::new("m.toml")) {
        Ok(loaded) => View::new(loaded.ground, Verdicts::new(Vec::new()), None),
        Err(issues) => panic!("{issues}"),
    }
}

/// The first address of the answer that a client gets.
fn first(view: &View, client: IpAddr) -> Option<IpAddr> {
    first_of(view, client, RecordType::A)
}

fn first_of(view: &View, client: IpAddr, question_type: RecordType) -> Option<IpAddr> {
    let ask = Ask::new("shop.gslb.example.", question_type);
    let peer = Peer { address: client, transport: Transport::Tcp };
    let mut out = Vec::new();
    assert_ne!(
        answer(view, &ask.octets(), peer, Moment { random: 7, ..Moment::default() }, &mut out),
        Reply::None
    );
    let asked = Asked::decode(out).unwrap();
    asked.message.answers.first().and_then(|record| record.data.ip_addr())
}

/// What the walk counts is what random clients see, in both families.
#[test]
fn random_clients_move_as_counted() {
    as_counted(&world(""), &world("us-east"));
}

/// Also where residency asks where the resolver is: every client is its own.
#[test]
fn random_clients_under_residency_move_as_counted() {
    let clusters =
        [("eu-west", "IE", 53.35, -6.26), ("london", "GB", 51.51, -0.13), ("us-east", "US", 39.04, -77.49)];
    let cluster = |(name, country, latitude, longitude): (&str, &str, f64, f64)| {
        format!(
            "[[clusters]]\nname = \"{name}\"\ncountry = \"{country}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}\n"
        )
    };
    let shop = |keys: &str| {
        let keys = format!("policy = \"nearest\"\n{keys}");
        let endpoints = [
            ("eu-west", "192.0.2.1,2001:db8::1"),
            ("london", "192.0.2.2"),
            ("us-east", "192.0.2.3,2001:db8::3"),
        ];
        let config = Config::new().with(&clusters.map(cluster).concat());
        config.gateway("shop", SHOP, &keys, &endpoints).text().to_owned()
    };
    let rules = "{ clients = [\"EU\"], clusters = [\"EU\"] }, { clients = [\"*\"], clusters = [\"*\"] }";
    for conflict in ["strictest", "resolver"] {
        let residency = format!("residency = {{ conflict = \"{conflict}\", rules = [ {rules} ] }}\n");
        as_counted(&shop(""), &shop(&residency));
    }
}

/// Where one gateway of two changes, the other stands still; the total is the mean.
#[test]
fn of_two_gateways_one_changes() {
    let both = |weights: [u32; 2]| {
        let [eu, us] = [("eu-west", 7, weights[0]), ("us-east", 8, weights[1])].map(|(cluster, last, weight)| {
            format!("[[gateways.endpoints]]\ncluster = \"{cluster}\"\naddresses = [\"192.0.2.{last}\"]\nweight = {weight}\n")
        });
        let names = "hostnames = [\"mail.gslb.example\", \"*.mail.gslb.example\"]\npolicy = \"weighted\"";
        world("") + &format!("[[gateways]]\nname = \"mail\"\n{names}\n{eu}{us}")
    };
    let value = compared(&both([50, 50]), &both([60, 40]), "");
    let rounded = |family: &str| percent(&value["total"]["moved_percent"][family]);
    assert!(
        (rounded("ipv4") - 20.0 / 3.0).abs() < 1e-5 && (rounded("ipv6") - 20.0 / 3.0).abs() < 1e-5,
        "{value}"
    );
    let Ran(_, out, _) = diff(&both([50, 50]), &both([60, 40]), "", &[]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[1].starts_with("mail.gslb.example  ") && lines[2].starts_with("*.mail.gslb.example  "),
        "{out}"
    );
    assert!(
        out.contains("total (mean of 3 hostnames)     6.7 %     6.7 %\nnothing moves of 1 hostname\n"),
        "{out}"
    );
}

/// Asks 20,000 random clients of each family in both views, for A and for AAAA.
fn as_counted(old: &str, new: &str) {
    const CLIENTS: usize = 20_000;
    let value = compared(old, new, "");
    let views = [view(old), view(new)];
    let locality = views[1].ground().locality();
    let mut rng = Rng::with_seed(SEED);
    let v4 = |rng: &mut Rng| IpAddr::V4(Ipv4Addr::from_bits(rng.u32(..)));
    // Where most of the assigned IPv6 is, 2000::/3.
    let v6 = |rng: &mut Rng| IpAddr::V6(Ipv6Addr::from_bits(rng.u128(..) >> 3 | 1 << 125));
    for (family, make) in [("ipv4", &v4 as &dyn Fn(&mut Rng) -> IpAddr), ("ipv6", &v6)] {
        let (mut clients, mut moved) = (0, 0);
        while clients < CLIENTS {
            let client = make(&mut rng);
            let (place, _) = locality.lookup(client);
            // What stands for IPv4 is counted as that.
            let stands_for_ipv4 =
                matches!(client, IpAddr::V6(v6) if meridian_geoip::ipv4_block(v6).is_some());
            if locality.places()[place.index()].country.is_none() || stands_for_ipv4 {
                continue;
            }
            clients += 1;
            let [before, after] = views
                .each_ref()
                .map(|view| [RecordType::A, RecordType::AAAA].map(|t| first_of(view, client, t)));
            moved += usize::from(before != after);
        }
        #[expect(clippy::cast_precision_loss, reason = "20,000")]
        let found = 100.0 * moved as f64 / CLIENTS as f64;
        let said = percent(&value["total"]["moved_percent"][family]);
        // Four standard deviations of the sample are at most 1.42.
        assert!((found - said).abs() < 1.42, "{family}: {found} % of random clients, said to be {said} %");
        assert!(said > 2.0 && said < 95.0, "{family}: {said}");
    }
}
