//! Random gateways from a seed, among the clusters of a [`RandomWorld`].
//!
//! Every answer of a [`RandomMap`] is a function of the client: what would be drawn at random is
//! answered whole, or `sticky`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fastrand::Rng;

use crate::random_policy::{RandomResidency, any_policy};
use crate::random_world::{Pool, RandomWorld, put};

/// As many as an answer may hold.
const MOST_ANSWERS: usize = 32;

/// A random gateway: its clusters, endpoints, health and policy.
pub struct RandomMap {
    /// Repeats it in its world.
    pub seed: u64,
    /// What clients ask for, with a final dot: the gateway's hostname, then the test names of its
    /// clusters, which are names that do not exist where it hides them.
    pub hostnames: Vec<String>,
    /// Whether it has IPv6 addresses too.
    pub has_ipv6: bool,
    /// Where data may go.
    pub residency: Option<RandomResidency>,
    /// The cluster of every address.
    pub addresses: BTreeMap<IpAddr, String>,
    toml: String,
}

impl RandomMap {
    /// The map of a seed in a world. Its probe is called `probe`.
    #[must_use]
    pub fn new(seed: u64, world: &RandomWorld, pool: &Pool, probe: &str) -> Self {
        let random = &mut Rng::with_seed(seed);
        let name = format!("m{seed:016x}");
        let count = random.usize(1..=12);
        let clusters = random.choose_multiple(&world.clusters, count);
        let clusters: Vec<&str> = clusters.into_iter().map(|cluster| &cluster.name[..]).collect();
        // Healthy as there is no probe; some of it healthy; nothing healthy.
        let (is_probed, pool) = match random.u8(..10) {
            0 | 1 => (false, pool.dead.clone()),
            2 => (true, pool.dead.clone()),
            _ => (true, pool.alive.iter().chain(&pool.dead).copied().collect()),
        };
        let policy = any_policy(&clusters, world, 2, random);
        let has_rollout = clusters.len() > 1 && random.u8(..4) == 0;
        // One address of many would be drawn: only nearest with one a cluster has no draw in it.
        let is_single = policy == "\"nearest\"" && !has_rollout && random.bool();
        let endpoints = any_endpoints(&clusters, &pool, is_single, has_rollout, !is_probed, random);
        let is_sticky = !is_single && (endpoints.count() > MOST_ANSWERS || random.u8(..3) == 0);
        let answers = match (is_single, is_sticky) {
            (true, _) => 1,
            (_, true) => random.usize(1..=3),
            _ => MOST_ANSWERS,
        };
        let mut toml = format!(
            "[[gateways]]\nname = \"{name}\"\nhostnames = [\"{name}.gslb.example\"]\nttl = 3600\nmin_ttl = 3600\nsticky = {is_sticky}\nanswers = {answers}\n"
        );
        if is_probed {
            put(&mut toml, format_args!("probe = \"{probe}\"\n"));
        }
        if random.u8(..6) == 0 {
            put(&mut toml, format_args!("panic_below = {:.2}\n", random.f64()));
        }
        if random.u8(..4) == 0 {
            toml.push_str("site_names = false\n");
        }
        put(&mut toml, format_args!("policy = {policy}\n"));
        toml.push_str(&any_all_down(&clusters, random));
        if has_rollout {
            let percent = random.choice(["0.5", "10", "33.3", "50", "90", "100"]).unwrap_or("50");
            put(&mut toml, format_args!("[gateways.rollout]\ntrack = \"canary\"\npercent = {percent}\n"));
        }
        let residency =
            if random.u8(..3) == 0 { RandomResidency::any(&clusters, world, random) } else { None };
        toml.push_str(&residency.as_ref().map(RandomResidency::toml).unwrap_or_default());
        toml.push_str(&endpoints.toml);
        let sites = clusters.iter().map(|cluster| format!("{cluster}.{name}.site.gslb.example."));
        let hostnames = std::iter::once(format!("{name}.gslb.example.")).chain(sites).collect();
        Self { seed, hostnames, has_ipv6: !is_probed, residency, addresses: endpoints.addresses, toml }
    }

    /// `[[gateways]]` with its endpoints.
    #[must_use]
    pub fn toml(&self) -> &str {
        &self.toml
    }

    /// A name to ask for: one in eight times a test name.
    ///
    /// # Panics
    /// Never: there is a hostname.
    pub fn any_hostname(&self, random: &mut Rng) -> &str {
        let sites = self.hostnames.len();
        &self.hostnames[if random.u8(..8) == 0 { random.usize(..sites) } else { 0 }]
    }
}

//----------- Endpoints ------------------------------------------------------

/// The endpoints of a gateway.
struct RandomEndpoints {
    toml: String,
    addresses: BTreeMap<IpAddr, String>,
}

impl RandomEndpoints {
    /// Addresses of the family that has more of them: IPv4.
    fn count(&self) -> usize {
        self.addresses.keys().filter(|address| address.is_ipv4()).count()
    }
}

/// One endpoint a cluster; with a rollout some have a second, and some are the only ones there.
fn any_endpoints(
    clusters: &[&str],
    pool: &[std::net::Ipv4Addr],
    is_single: bool,
    has_rollout: bool,
    has_ipv6: bool,
    random: &mut Rng,
) -> RandomEndpoints {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let tracks: &[&str] = match (has_rollout, index) {
            (false, _) | (true, 0) => &["stable"],
            (true, 1) => &["canary"],
            _ => [&["stable"][..], &["canary"], &["stable", "canary"]][random.usize(..3)],
        };
        all.extend(tracks.iter().map(|track| (*cluster, *track)));
    }
    let mut addresses = random.choose_multiple(pool, 3 * all.len()).into_iter().copied().map(IpAddr::from);
    let mut endpoints = RandomEndpoints { toml: String::new(), addresses: BTreeMap::new() };
    for (index, (cluster, track)) in all.iter().enumerate() {
        let count = if is_single { 1 } else { random.usize(1..=if has_rollout { 2 } else { 3 }) };
        let mut listed: Vec<IpAddr> = addresses.by_ref().take(count).collect();
        if has_ipv6 {
            listed.push(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | index as u128).into());
        }
        endpoints.addresses.extend(listed.iter().map(|address| (*address, (*cluster).to_owned())));
        let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
        let weight = random.choice([0, 1, 50, 100]).unwrap_or(100);
        put(
            &mut endpoints.toml,
            format_args!(
                "[[gateways.endpoints]]\ncluster = \"{cluster}\"\ntrack = \"{track}\"\nweight = {weight}\naddresses = {listed:?}\n"
            ),
        );
    }
    endpoints
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
