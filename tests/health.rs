//! What probes and operators make of the answers: the built binary with clusters that are killed and mended.

use std::net::SocketAddr;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Site, WORLD, ask_udp};

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
