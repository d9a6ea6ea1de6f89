//! Random configurations from a seed: nested networks, clusters, and gateways among them.
//!
//! Every answer of a [`RandomMap`] is a function of the client: what would be drawn at random is
//! answered whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use ipnet::IpNet;

use crate::city::within;

/// A country a continent, and some large ones.
const COUNTRIES: [&str; 12] = ["IE", "DE", "PL", "US", "CA", "BR", "ZA", "EG", "IN", "JP", "AU", "NZ"];

/// Where most addresses of IPv6 are given out.
const GIVEN_OUT: [&str; 5] = ["2001:200::/23", "2400::/12", "2600::/12", "2800::/12", "2a00::/12"];

/// Where IPv6 carries an IPv4 address, each with the bit at which it begins.
const CARRIERS: [(&str, u8); 4] = [("2002::", 16), ("2001::", 96), ("64:ff9b::", 96), ("::ffff:0:0", 96)];

//----------- The world ------------------------------------------------------

/// What the gateways of one file share: clusters, the operator's networks, addresses to hand out.
pub struct RandomWorld {
    /// Repeats it.
    pub seed: u64,
    clusters: Vec<(String, f64, f64)>,
    networks: BTreeMap<IpNet, String>,
}

/// Addresses that endpoints may have.
pub struct Pool {
    /// Those that a probe finds healthy.
    pub alive: Vec<Ipv4Addr>,
    /// Those that it does not.
    pub dead: Vec<Ipv4Addr>,
}

impl RandomWorld {
    /// The world of a seed: 24 clusters, and 120 networks with up to four more inside each other.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let mut clusters: Vec<(String, f64, f64)> = Vec::new();
        for index in 0..24 {
            let near = if clusters.is_empty() { None } else { random.choice(&clusters) };
            let (latitude, longitude) = match near {
                // One in four stands beside another.
                Some((_, latitude, longitude)) if random.u8(..4) == 0 => (latitude + 0.5, longitude + 0.5),
                _ => (random.f64() * 140.0 - 60.0, random.f64() * 358.0 - 179.0),
            };
            clusters.push((format!("c{index:02}"), latitude, longitude));
        }
        let networks =
            nested_networks(120, random).into_iter().map(|network| (network, any_location(random))).collect();
        Self { seed, clusters, networks }
    }

    /// `[[geoip.networks]]` and `[[clusters]]`.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = String::new();
        for (network, location) in &self.networks {
            put(&mut text, format_args!("[[geoip.networks]]\nprefix = \"{network}\"\n{location}\n"));
        }
        for (name, latitude, longitude) in &self.clusters {
            put(
                &mut text,
                format_args!(
                    "[[clusters]]\nname = \"{name}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}\n"
                ),
            );
        }
        text
    }

    /// Random clients: one half are in a few of the networks, so that they meet there, and at their
    /// edges too; the others are anywhere.
    pub fn clients(&self, count: usize, random: &mut Rng) -> Vec<IpAddr> {
        let few = random.choose_multiple(self.networks.keys(), 8);
        let mut client = || {
            if random.bool() {
                let network = *few[random.usize(..few.len())];
                return match random.u8(..4) {
                    0 => network.network(),
                    1 => network.broadcast(),
                    _ => within(network, random),
                };
            }
            if random.bool() { Ipv4Addr::from_bits(random.u32(..)).into() } else { any_ipv6(random) }
        };
        (0..count).map(|_| client()).collect()
    }
}

/// Random networks of both families, each with up to four more inside each other; sorted.
#[must_use]
pub fn nested_networks(count: usize, random: &mut Rng) -> Vec<IpNet> {
    let mut networks = BTreeSet::new();
    for _ in 0..count {
        let (mut network, longest) = if random.bool() {
            (network(Ipv4Addr::from_bits(random.u32(..)).into(), random.u8(6..=20)), 30)
        } else {
            (network(any_ipv6(random), random.u8(16..=44)), 62)
        };
        for _ in 0..=random.u8(..=4) {
            networks.insert(network);
            if network.prefix_len() + 1 >= longest {
                break;
            }
            let length = random.u8(network.prefix_len() + 1..=longest.min(network.prefix_len() + 10));
            network = IpNet::new(within(network, random), length).expect("of the family").trunc();
        }
    }
    networks.into_iter().collect()
}

fn network(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).expect("of the family").trunc()
}

/// Mostly where addresses are given out; one in eight carries an IPv4 address, one in eight is
/// anything at all.
fn any_ipv6(random: &mut Rng) -> IpAddr {
    match random.u8(..8) {
        0 => Ipv6Addr::from_bits(random.u128(..)).into(),
        1 => {
            let (prefix, at) = CARRIERS[random.usize(..CARRIERS.len())];
            let prefix: Ipv6Addr = prefix.parse().expect("an address");
            Ipv6Addr::from_bits(prefix.to_bits() | u128::from(random.u32(..)) << (96 - at)).into()
        }
        _ => {
            let prefix = GIVEN_OUT[random.usize(..GIVEN_OUT.len())];
            within(prefix.parse().expect("a network"), random)
        }
    }
}

fn any_location(random: &mut Rng) -> String {
    if random.bool() {
        return format!("country = \"{}\"", COUNTRIES[random.usize(..COUNTRIES.len())]);
    }
    let (latitude, longitude) = (random.f64() * 178.0 - 89.0, random.f64() * 358.0 - 179.0);
    format!("latitude = {latitude:.3}\nlongitude = {longitude:.3}")
}

//----------- A map ----------------------------------------------------------

/// A random gateway: its clusters, endpoints, health and policy.
pub struct RandomMap {
    /// Repeats it in its world.
    pub seed: u64,
    /// What clients ask for, with a final dot.
    pub hostname: String,
    /// Whether it has IPv6 addresses too.
    pub has_ipv6: bool,
    toml: String,
}

impl RandomMap {
    /// The map of a seed in a world. Its probe is called `probe`.
    #[must_use]
    pub fn new(seed: u64, world: &RandomWorld, pool: &Pool, probe: &str) -> Self {
        let random = &mut Rng::with_seed(seed);
        let name = format!("m{seed:016x}");
        let count = random.usize(1..=12);
        let clusters: Vec<&str> =
            random.choose_multiple(&world.clusters, count).into_iter().map(|(name, ..)| &name[..]).collect();
        // Healthy as there is no probe; some of it healthy; nothing healthy.
        let (is_probed, pool): (bool, Vec<Ipv4Addr>) = match random.u8(..10) {
            0 | 1 => (false, pool.dead.clone()),
            2 => (true, pool.dead.clone()),
            _ => (true, pool.alive.iter().chain(&pool.dead).copied().collect()),
        };
        let mut toml = format!(
            "[[gateways]]\nname = \"{name}\"\nhostnames = [\"{name}.gslb.example\"]\nttl = 3600\nmin_ttl = 3600\n"
        );
        if is_probed {
            put(&mut toml, format_args!("probe = \"{probe}\"\n"));
        }
        let policy = any_policy(&clusters, 2, random);
        // One address of many would be drawn: only nearest with one a cluster has no draw in it.
        let is_single = policy == "\"nearest\"" && random.bool();
        let answers = if is_single { 1 } else { 32 };
        put(&mut toml, format_args!("answers = {answers}\npolicy = {policy}\n"));
        toml.push_str(&any_all_down(&clusters, random));
        let mut addresses = random.choose_multiple(&pool, 4 * clusters.len()).into_iter();
        for cluster in &clusters {
            let count = if is_single { 1 } else { random.usize(1..=3) };
            let mut listed: Vec<String> =
                addresses.by_ref().take(count).map(|ip| format!("\"{ip}\"")).collect();
            if !is_probed {
                listed.push(format!("\"2001:db8::{}\"", cluster.trim_start_matches('c')));
            }
            let weight = random.choice([0, 1, 50, 100]).unwrap_or(100);
            put(
                &mut toml,
                format_args!(
                    "[[gateways.endpoints]]\ncluster = \"{cluster}\"\nweight = {weight}\naddresses = [{}]\n",
                    listed.join(", ")
                ),
            );
        }
        Self { seed, hostname: format!("{name}.gslb.example."), has_ipv6: !is_probed, toml }
    }

    /// `[[gateways]]` with its endpoints.
    #[must_use]
    pub fn toml(&self) -> &str {
        &self.toml
    }
}

/// A policy in which each cluster given may be named; `depth`: how far tiers may nest.
fn any_policy(clusters: &[&str], depth: u8, random: &mut Rng) -> String {
    if depth == 0 || random.u8(..3) > 0 {
        // What answers all clients alike is no more than the ground on which the others stand.
        let simple = match random.u8(..16) {
            0 => "weighted",
            1 => "all",
            _ => "nearest",
        };
        return format!("\"{simple}\"");
    }
    let tiers: Vec<String> = (0..random.usize(1..=3))
        .map(|_| {
            let count = random.usize(clusters.len().div_ceil(2)..=clusters.len());
            let some = random.choose_multiple(clusters, count);
            let some: Vec<&str> = some.into_iter().copied().collect();
            format!("{{ clusters = {some:?}, policy = {} }}", any_policy(&some, depth - 1, random))
        })
        .collect();
    // The last tier has them all, so that no endpoint is left out.
    format!("{{ type = \"failover\", tiers = [ {}, {{ clusters = [\"*\"] }} ] }}", tiers.join(", "))
}

fn any_all_down(clusters: &[&str], random: &mut Rng) -> String {
    match random.u8(..6) {
        0 => "all_down = \"nodata\"\n".to_owned(),
        1 => "all_down = \"last_healthy\"\n".to_owned(),
        2 => {
            format!(
                "all_down = \"fallback\"\nfallback = [\"{}\"]\n",
                clusters[random.usize(..clusters.len())]
            )
        }
        _ => String::new(),
    }
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = text.write_fmt(more);
}
