//! What a change of verdicts costs before the next query sees it: the new view. And what the map of a view costs.
//!
//! `cargo bench -p meridian-tests --bench publish`; with a word behind `--`, only the worlds that have it in their
//! name. Those with a database of cities need what `./tests/run` fetches, and are left out without it.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use meridian_dns::{Family, Ground, View};
use meridian_model::{GatewayId, TargetHealth, TargetId, Verdict, Verdicts};
use meridian_tests::{City, now};

/// How often each change is made; the median is told.
const TIMES: usize = 11;

/// What is measured.
struct World {
    gateways: usize,
    hostnames: usize,
    /// Also the endpoints of each gateway.
    clusters: usize,
    city: bool,
}

const WORLDS: [World; 5] = [
    World { gateways: 10, hostnames: 10_000, clusters: 8, city: false },
    World { gateways: 10_000, hostnames: 10, clusters: 8, city: false },
    World { gateways: 100_000, hostnames: 1, clusters: 8, city: false },
    World { gateways: 1000, hostnames: 100, clusters: 8, city: true },
    World { gateways: 10, hostnames: 1, clusters: 300, city: true },
];

impl World {
    fn name(&self) -> String {
        let places = if self.city { "cities" } else { "countries" };
        let Self { gateways, hostnames, clusters, .. } = self;
        format!("{gateways} gateways of {hostnames} hostnames and {clusters} endpoints, {places}")
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut text = String::from("version = 1\n[[zones]]\nname = \"gslb.example\"\n");
        text += "nameservers = [\"ns1.elsewhere.example\"]\nhostmaster = \"hostmaster.example\"\n";
        text += "[[probes]]\nname = \"web\"\ntype = \"tcp\"\nport = 1\n";
        if self.city {
            writeln!(text, "[geoip]\ndatabases = {:?}", City::files())?;
        }
        for cluster in 0..self.clusters {
            let (latitude, longitude) = (random.f64() * 130.0 - 60.0, random.f64() * 360.0 - 180.0);
            writeln!(text, "[[clusters]]\nname = \"c{cluster}\"")?;
            writeln!(text, "latitude = {latitude:.2}\nlongitude = {longitude:.2}")?;
        }
        for gateway in 0..self.gateways {
            writeln!(text, "[[gateways]]\nname = \"g{gateway}\"\nprobe = \"web\"")?;
            let names = (0..self.hostnames).map(|name| format!("n{name}.g{gateway}.gslb.example"));
            writeln!(text, "hostnames = {:?}\nendpoints = [", names.collect::<Vec<_>>())?;
            for cluster in 0..self.clusters {
                let number = u32::try_from(gateway * self.clusters + cluster).unwrap_or_default();
                let v4 = Ipv4Addr::from(0x0a00_0000 + number);
                // Every other gateway has both families.
                let v6 = Ipv6Addr::from((0x2001_0db8 << 96) + u128::from(number));
                let more = if gateway % 2 == 0 { format!(", \"{v6}\"") } else { String::new() };
                writeln!(text, "{{ cluster = \"c{cluster}\", addresses = [\"{v4}\"{more}] }},")?;
            }
            text += "]\n";
        }
        Ok(text)
    }
}

/// One target, or all of the cluster that it is in.
fn targets(ground: &Ground, all: bool) -> Vec<TargetId> {
    let endpoints = ground.catalog().gateways().iter().filter_map(|gateway| gateway.endpoints.first());
    let all_of_it = endpoints.flat_map(|endpoint| &endpoint.addresses).filter_map(|address| address.target);
    all_of_it.take(if all { usize::MAX } else { 1 }).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn measure(world: &World) {
    println!("{}", world.name());
    let text = world.text().expect("a string has room");
    let began = now();
    let loaded =
        meridian::load_text(&text, Path::new("bench.toml")).unwrap_or_else(|issues| panic!("{issues}"));
    let ground = loaded.ground;
    println!("  {:10.1?}  to load it", began.elapsed());
    let healthy = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
    let all_healthy = Verdicts::new(vec![healthy; ground.catalog().targets().len()]);
    let began = now();
    let first = View::new(ground.clone(), all_healthy.clone(), None);
    println!("  {:10.1?}  the first view", began.elapsed());
    for what in ["who is answered by whom, for the first time", "the same again"] {
        let began = now();
        let spread = first.spread(GatewayId::from_index(0), Family::V4);
        let countries = spread.map_or(0, |spread| spread.countries.len());
        println!("  {:10.1?}  {what} ({countries} countries)", began.elapsed());
    }
    for (what, all) in [("one verdict", false), ("all of a cluster", true)] {
        let changed = targets(&ground, all);
        let mut down = all_healthy.clone();
        for (lost, target) in (1..).zip(&changed) {
            down.set(*target, TargetHealth { verdict: Verdict::Unhealthy, in_doubt: true, lost });
        }
        let timed = |verdicts: &Verdicts, before: &View| {
            let began = now();
            let view = View::new(ground.clone(), verdicts.clone(), Some(before));
            (began.elapsed(), view)
        };
        // From the first view each time, it is a plan that was never made.
        let new = (0..TIMES).map(|_| timed(&down, &first).0).collect();
        println!("  {:10.1?}  {what} changes", median(new));
        let (mut view, mut again) = (timed(&down, &first).1, Vec::new());
        for _ in 0..TIMES {
            view = timed(&all_healthy, &view).1;
            let (took, next) = timed(&down, &view);
            (view, _) = (next, again.push(took));
        }
        println!("  {:10.1?}  {what} changes again", median(again));
    }
}

fn main() {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    for world in WORLDS.iter().filter(|world| world.name().contains(&wanted)) {
        if world.city && !City::is_there() {
            println!("{}: left out, ./tests/run fetches the database", world.name());
            continue;
        }
        measure(world);
    }
}
