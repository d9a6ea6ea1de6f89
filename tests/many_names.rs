//! 100,000 hostnames in the built binary: a verdict is in the answers of all that it concerns, and soon.

use std::time::{Duration, SystemTime};

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Site, WORLD, ask_udp, now, scratch};
use serde_json::Value;

const GATEWAYS: usize = 1000;
const HOSTNAMES: usize = 100;

/// From the verdict to the answer. A bound for a debug build on a busy machine and no measurement, which is
/// printed; a release build is to keep 50 ms.
const SOON: Duration = Duration::from_secs(1);

/// The gateway 0 has two clusters of its own, all others share two.
fn config(site: &Site) -> String {
    let mut config = Config::new()
        // The serial goes before each view.
        .with("[zones.transfer]\nallow = [\"127.0.0.0/8\"]\n")
        .with(&format!("[server]\ndata_dir = {:?}\n", scratch()))
        .with("listen = [\"127.0.0.1:0\"]\nworkers = 1\n[health]\nisolation = false\n")
        .with(&format!(
            "[[probes]]\nname = \"web\"\ntype = \"tcp\"\nport = {}\ninterval = \"100ms\"\n",
            site.port
        ))
        .with("timeout = \"100ms\"\nfall = 2\nrise = 1\nhold_down = \"0s\"\nflap = { changes = 0 }\n")
        .clusters(&WORLD[..2]);
    let addresses = [1, 2, 3, 4].map(|host| site.address(host).to_string());
    for gateway in 0..GATEWAYS {
        let names: Vec<String> =
            (0..HOSTNAMES).map(|name| format!("n{name}.g{gateway}.gslb.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let first = if gateway == 0 { 0 } else { 2 };
        let endpoints = [(WORLD[0].0, &*addresses[first]), (WORLD[1].0, &*addresses[first + 1])];
        config = config.gateway(&format!("g{gateway}"), &names, "probe = \"web\"\n", &endpoints);
    }
    config.text().to_owned()
}

#[test]
fn a_verdict_is_in_the_answers_of_all_hostnames_soon() {
    let site = Site::new();
    let mut clusters = [1, 2, 3, 4].map(|host| site.cluster(host));
    let began = now();
    let mut meridian = Meridian::serve(&config(&site));
    println!("ready after {:?}", began.elapsed());
    let (server, random) = (meridian.address(), &mut fastrand::Rng::with_seed(1));
    // In Ireland, beside the first cluster of the world.
    let asked = |gateway: usize, name: usize| {
        let name = format!("n{name}.g{gateway}.gslb.example.");
        ask_udp(server, &Ask::new(&name, RecordType::A).subnet("134.226.0.0", 24)).unwrap().addresses()
    };
    // One gateway, then all others at once; down, and up again.
    for (host, of) in [(1, 0..1), (3, 1..GATEWAYS)] {
        for is_up in [false, true] {
            let wanted = [site.address(if is_up { host } else { host + 1 }).to_string()];
            let cluster = &mut clusters[usize::from(host) - 1];
            if is_up {
                cluster.mend()
            } else {
                cluster.kill()
            }
            let (until, witness) = (now() + Duration::from_secs(20), of.start);
            while asked(witness, 0) != wanted {
                assert!(now() < until, "{} is answered for", site.address(host));
            }
            let answered = time_of_day();
            let verdict = if is_up { "healthy" } else { "unhealthy" };
            let transition = meridian.wait_for_verdict(&site.address(host).to_string(), verdict);
            let took = answered.saturating_sub(time_of(&transition));
            println!("{} gateways, {verdict}: answered {took:?} after the verdict", of.len());
            assert!(took < SOON, "{took:?}");
            // All of them have it, and nobody else anything of it.
            for _ in 0..200 {
                assert_eq!(asked(random.usize(of.clone()), random.usize(..HOSTNAMES)), wanted);
                let other = if of.contains(&0) { random.usize(1..GATEWAYS) } else { 0 };
                let theirs = if of.contains(&0) { 3 } else { 1 };
                assert_eq!(asked(other, random.usize(..HOSTNAMES)), [site.address(theirs).to_string()]);
            }
        }
    }
}

/// Since midnight.
#[expect(clippy::disallowed_methods, reason = "a line of the log has the time of day")]
fn time_of_day() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    since - Duration::from_secs(since.as_secs() / 86_400 * 86_400)
}

/// When a line of the log was written, since midnight: from `2026-11-28T12:39:34.797832Z`.
fn time_of(line: &Value) -> Duration {
    let text = line["timestamp"].as_str().expect("a time");
    let (_, time) = text.trim_end_matches('Z').split_once('T').expect("a day and a time");
    let fields: Vec<f64> = time.split(':').map(|field| field.parse().expect("a number")).collect();
    Duration::from_secs_f64(fields[0] * 3600.0 + fields[1] * 60.0 + fields[2])
}
