//! What probes and operators make of the answers: the built binary with clusters that are killed and mended.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_health_probe::{WorstCase, worst_case_failover};
use meridian_model::GatewayId;
use meridian_tests::{Ask, Cluster, Config, Meridian, Site, WORLD, ask_udp, now};

/// A client near each cluster of [`WORLD`].
const CLIENTS: [&str; 3] = ["134.226.0.0", "8.8.8.0", "133.11.0.0"];

const PROBE: &str = "interval = \"100ms\"\ntimeout = \"100ms\"\nfall = 2\nrise = 2\n";

/// One gateway over the clusters of [`WORLD`], on the first addresses of a site.
fn config(site: &Site, probes: &str, gateway: &str) -> String {
    let addresses = [1, 2, 3].map(|host| site.address(host).to_string());
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
    Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n")
        .with(probes)
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], gateway, &endpoints)
        .text()
        .to_owned()
}

fn answer(server: SocketAddr, client: &str) -> Vec<String> {
    let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
    ask_udp(server, &ask).unwrap().addresses()
}

/// Two services of a cluster, of which one ends: with `all` the cluster is left, with `any` it is not.
#[test]
fn a_gateway_whose_probe_is_made_of_others() {
    let (site, other) = (Site::new(), Site::new());
    for (kind, host_after) in [("all", 2), ("any", 1)] {
        let probes = format!(
            "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\n{PROBE}\
             [[probes]]\nname = \"port\"\ntype = \"tcp\"\nport = {}\n{PROBE}\
             [[probes]]\nname = \"both\"\ntype = \"{kind}\"\nprobes = [\"web\", \"port\"]\n",
            site.port, other.port
        );
        let clusters = [1, 2, 3].map(|host| (site.cluster(host), site.cluster_on(host, other.port)));
        let [(_, mut port_of_first), ..] = clusters;
        let mut meridian = Meridian::serve(&config(&site, &probes, "probe = \"both\"\n"));
        let server = meridian.address();
        assert_eq!(answer(server, CLIENTS[0]), [site.address(1).to_string()]);
        port_of_first.kill();
        let deciding = if kind == "all" { "both" } else { "port" };
        let transition = meridian.wait_for_probe(deciding, &site.address(1).to_string(), "unhealthy");
        if kind == "all" {
            let cause = transition["cause"].as_str().unwrap();
            assert!(cause.starts_with("1 of 2 probes serve, wanted 2: connect to 127."), "{cause}");
        }
        assert_eq!(answer(server, CLIENTS[0]), [site.address(host_after).to_string()], "{kind}");
    }
}

//----------- Isolation ------------------------------------------------------

/// All clusters are cut off at once: answers stay as they were, with the short TTL. One that comes back is
/// believed, and then so is what is still away.
#[test]
fn when_everything_is_cut_off_at_once_answers_stay() {
    let site = Site::new();
    let mut clusters = [1, 2, 3].map(|host| site.cluster(host));
    let probe = format!("[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\n{PROBE}", site.port);
    let health = "[health]\nisolation_window = \"5s\"\n";
    let mut meridian =
        Meridian::serve(&config(&site, &format!("{health}{probe}"), "probe = \"web\"\nmin_ttl = 2\n"));
    let server = meridian.address();
    clusters.iter_mut().for_each(Cluster::kill);
    meridian.wait_for("the suspicion", |line| {
        line["level"] == "WARN" && line["message"].as_str().is_some_and(|said| said.contains("cut off"))
    });
    // The verdicts that fell before the last cluster did are taken back in the same moment.
    meridian.wait_for("its view", |line| line["message"] == "view published");
    for (host, client) in (1..).zip(CLIENTS) {
        let ask = Ask::new("shop.gslb.example.", RecordType::A).subnet(client, 24);
        let answer = ask_udp(server, &ask).unwrap();
        assert_eq!((answer.addresses(), answer.ttl()), (vec![site.address(host).to_string()], Some(2)));
    }
    clusters[1].mend();
    meridian.wait_for_verdict(&site.address(1).to_string(), "unhealthy");
    assert_eq!(answer(server, CLIENTS[0]), [site.address(2).to_string()]);
}

//----------- Detection ------------------------------------------------------

/// From killing a cluster's listener to the first answer without it, 100 times: ten times in each of ten
/// gateways. It is a bound and no measurement of speed: intervals and the timeout leave a quarter of it for
/// everything else.
#[test]
fn a_killed_cluster_is_out_of_the_answers_within_600_ms() {
    const GATEWAYS: usize = 10;
    const KILLS: usize = 10;
    let sites: Vec<Site> = (0..GATEWAYS).map(|_| Site::new()).collect();
    let mut config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[health]\nisolation = false\n")
        .clusters(&WORLD[..2]);
    for (index, site) in sites.iter().enumerate() {
        config = config.with(&format!(
            "[[probes]]\nname = \"p{index}\"\ntype = \"http\"\nport = {}\ninterval = \"250ms\"\n\
             timeout = \"200ms\"\nfall = 2\nrise = 1\nflap = {{ changes = 0 }}\n",
            site.port
        ));
        let addresses = [1, 2].map(|host| site.address(host).to_string());
        let endpoints = [(WORLD[0].0, &*addresses[0]), (WORLD[1].0, &*addresses[1])];
        let host = format!("g{index}.gslb.example");
        config =
            config.gateway(&format!("g{index}"), &[&host], &format!("probe = \"p{index}\"\n"), &endpoints);
    }
    let computed = computed(config.text());
    let mut clusters: Vec<_> = sites.iter().map(|site| [site.cluster(1), site.cluster(2)]).collect();
    let meridian = Meridian::serve(config.text());
    let server = meridian.address();
    let kills = |index: usize, clusters: &mut [Cluster; 2]| {
        let asked = |client: &str| {
            let name = format!("g{index}.gslb.example.");
            ask_udp(server, &Ask::new(&name, RecordType::A).subnet(client, 24)).unwrap().addresses()
        };
        let mut took: Vec<Duration> = Vec::with_capacity(KILLS);
        for kill in 0..KILLS {
            let (cluster, client) = (&mut clusters[kill % 2], CLIENTS[kill % 2]);
            let own = cluster.ip();
            let killed = now();
            cluster.kill();
            until(|| asked(client) != [own.as_str()]);
            took.push(killed.elapsed());
            cluster.mend();
            until(|| asked(client) == [own.as_str()]);
        }
        took
    };
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let kills = &kills;
        let all = clusters.iter_mut().enumerate();
        let threads: Vec<_> =
            all.map(|(index, clusters)| scope.spawn(move || kills(index, clusters))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    took.sort_unstable();
    let (median, p99, worst) = (took[took.len() / 2], took[took.len() * 99 / 100 - 1], took[took.len() - 1]);
    println!("{} kills: median {median:?}, p99 {p99:?}, worst {worst:?}", took.len());
    println!("computed: {computed:?}");
    assert!(p99 < Duration::from_millis(600), "median {median:?}, p99 {p99:?}, worst {worst:?}");
    assert!(p99 <= computed.published, "p99 {p99:?}, {computed:?}");
}

/// What the configuration promises for its first gateway.
fn computed(config: &str) -> WorstCase {
    let Ok(loaded) = meridian::load_text(config, Path::new("m.toml")) else { panic!("{config}") };
    worst_case_failover(loaded.ground.catalog(), GatewayId::from_index(0)).unwrap()
}

/// Asks every few milliseconds, as the event is one that only answers show.
fn until(mut holds: impl FnMut() -> bool) {
    let deadline = now() + Duration::from_secs(30);
    while !holds() {
        assert!(now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(4));
    }
}
