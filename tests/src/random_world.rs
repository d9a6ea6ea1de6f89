//! What random gateways stand in: nested networks, clusters, jurisdictions, measured latencies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use fastrand::Rng;
use ipnet::IpNet;
use meridian_model::meant_network;

use crate::binary::scratch;
use crate::city::within;

/// A country a continent, and some large ones.
pub(crate) const COUNTRIES: [&str; 12] =
    ["IE", "DE", "PL", "US", "CA", "BR", "ZA", "EG", "IN", "JP", "AU", "NZ"];

/// Parts of some of them.
pub(crate) const PARTS: [&str; 6] = ["US-CA", "US-VA", "CA-ON", "DE-BE", "BR-SP", "AU-NSW"];

/// Numbers of autonomous systems.
pub(crate) const ASNS: [u32; 4] = [64500, 64501, 64502, 13335];

/// The jurisdictions of the file.
const OWN_JURISDICTIONS: [&str; 3] = ["J0", "J1", "J2"];

/// Where most addresses of IPv6 are given out.
const GIVEN_OUT: [&str; 5] = ["2001:200::/23", "2400::/12", "2600::/12", "2800::/12", "2a00::/12"];

/// Where IPv6 carries an IPv4 address, each with the bit at which it begins.
const CARRIERS: [(&str, u8); 4] = [("2002::", 16), ("2001::", 96), ("64:ff9b::", 96), ("::ffff:0:0", 96)];

//----------- The world ------------------------------------------------------

/// What the gateways of one file share.
pub struct RandomWorld {
    /// Repeats it.
    pub seed: u64,
    pub(crate) clusters: Vec<RandomCluster>,
    networks: BTreeMap<IpNet, String>,
    jurisdictions: BTreeMap<&'static str, Vec<&'static str>>,
    /// Holds the latency table.
    folder: PathBuf,
}

/// A cluster and the law it is under.
pub(crate) struct RandomCluster {
    pub(crate) name: String,
    latitude: f64,
    longitude: f64,
    country: Option<&'static str>,
    jurisdictions: Vec<&'static str>,
}

/// Addresses that endpoints may have.
pub struct Pool {
    /// Those that a probe finds healthy.
    pub alive: Vec<Ipv4Addr>,
    /// Those that it does not.
    pub dead: Vec<Ipv4Addr>,
}

impl RandomWorld {
    /// The world of a seed: 24 clusters, 120 networks with up to four more inside each other, three
    /// jurisdictions, and a latency table. In worlds of odd seeds the host itself is placed, and with it
    /// every resolver on it.
    ///
    /// # Panics
    /// When the table cannot be written.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let mut clusters: Vec<RandomCluster> = Vec::new();
        for index in 0..24 {
            let near = if clusters.is_empty() { None } else { random.choice(&clusters) };
            let (latitude, longitude) = match near {
                // One in four stands beside another.
                Some(near) if random.u8(..4) == 0 => (near.latitude + 0.5, near.longitude + 0.5),
                _ => (random.f64() * 140.0 - 60.0, random.f64() * 358.0 - 179.0),
            };
            let country = if random.u8(..4) > 0 { random.choice(COUNTRIES) } else { None };
            let count = random.usize(..=2);
            let jurisdictions = random.choose_multiple(["J0", "J1", "J2", "EU", "US-CA", "JP"], count);
            let name = format!("c{index:02}");
            clusters.push(RandomCluster { name, latitude, longitude, country, jurisdictions });
        }
        let mut networks: BTreeMap<IpNet, String> =
            nested_networks(120, random).into_iter().map(|network| (network, any_location(random))).collect();
        if places_host(seed) {
            let here = random.choice(COUNTRIES).unwrap_or("IE");
            networks.insert(network(Ipv4Addr::LOCALHOST.into(), 8), format!("country = \"{here}\""));
        }
        let jurisdictions = OWN_JURISDICTIONS.into_iter().map(|name| (name, any_regions(random))).collect();
        let world = Self { seed, clusters, networks, jurisdictions, folder: scratch() };
        std::fs::write(world.latency_table(), world.latencies(random)).expect("the table is written");
        world
    }

    /// `[[geoip.networks]]`, `[[jurisdictions]]` and `[[clusters]]`.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = String::new();
        for (network, location) in &self.networks {
            put(&mut text, format_args!("[[geoip.networks]]\nprefix = \"{network}\"\n{location}\n"));
        }
        for (name, regions) in &self.jurisdictions {
            put(&mut text, format_args!("[[jurisdictions]]\nname = \"{name}\"\ncountries = {regions:?}\n"));
        }
        for RandomCluster { name, latitude, longitude, country, jurisdictions } in &self.clusters {
            put(
                &mut text,
                format_args!(
                    "[[clusters]]\nname = \"{name}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}\njurisdictions = {jurisdictions:?}\n"
                ),
            );
            if let Some(country) = country {
                put(&mut text, format_args!("country = \"{country}\"\n"));
            }
        }
        text
    }

    /// The path of the latency table.
    pub(crate) fn latency_table(&self) -> PathBuf {
        self.folder.join("latency.csv")
    }

    /// Rows for a few of the clusters by each kind of client.
    fn latencies(&self, random: &mut Rng) -> String {
        let mut text = "clients,cluster,ms\n".to_owned();
        let prefixes = random.choose_multiple(self.client_prefixes(), 40);
        // A prefix of a network, one in three, rather than all of it.
        let prefixes: BTreeSet<IpNet> = prefixes
            .into_iter()
            .map(|prefix| if random.u8(..3) == 0 { prefix.supernet().unwrap_or(prefix) } else { prefix })
            .filter(|prefix| !is_carrier(*prefix))
            .collect();
        let clients = prefixes.iter().map(ToString::to_string);
        let clients = clients.chain(ASNS.map(|asn| format!("AS{asn}"))).chain(COUNTRIES.map(str::to_owned));
        for client in clients {
            let count = random.usize(1..=12);
            for cluster in random.choose_multiple(&self.clusters, count) {
                put(&mut text, format_args!("{client},{},{}\n", cluster.name, random.u32(1..=300)));
            }
        }
        text
    }

    /// Whether the host itself has a place, and so every resolver on it.
    #[must_use]
    pub fn places_host(&self) -> bool {
        places_host(self.seed)
    }

    /// The operator's networks, each with its keys as the file writes them.
    pub fn networks(&self) -> impl Iterator<Item = (IpNet, &str)> {
        self.networks.iter().map(|(network, location)| (*network, &location[..]))
    }

    /// Some addresses within a subnet: of each of the world's networks in it, and anywhere.
    pub fn in_each_network_within(&self, subnet: IpNet, random: &mut Rng) -> Vec<IpAddr> {
        let inside = self.networks.keys().filter(|network| subnet.contains(*network)).take(40);
        let mut all: Vec<IpAddr> = inside.flat_map(|one| [one.network(), one.broadcast()]).collect();
        all.extend((0..8).map(|_| within(subnet, random)));
        all
    }

    /// The names of all clusters.
    pub fn cluster_names(&self) -> impl Iterator<Item = &str> {
        self.clusters.iter().map(|cluster| &cluster.name[..])
    }

    /// The networks whose clients are found by their own addresses.
    pub(crate) fn client_prefixes(&self) -> Vec<IpNet> {
        self.networks.keys().copied().filter(|network| !is_carrier(*network)).collect()
    }

    /// What a jurisdiction consists of: countries, and parts as `US-CA`.
    #[must_use]
    pub fn regions<'r>(&'r self, jurisdiction: &'r str) -> Vec<&'r str> {
        match (self.jurisdictions.get(jurisdiction), jurisdiction) {
            (Some(regions), _) => regions.clone(),
            (None, "EU") => meridian_model::EU.to_vec(),
            (None, region) => vec![region],
        }
    }

    /// Whether a cluster is under a jurisdiction: it says so, or its country is a part of that.
    ///
    /// # Panics
    /// For a cluster that is not there.
    #[must_use]
    pub fn is_under(&self, cluster: &str, jurisdiction: &str) -> bool {
        let cluster = self.clusters.iter().find(|one| one.name == cluster).expect("a cluster of this world");
        cluster.jurisdictions.contains(&jurisdiction)
            || cluster.country.is_some_and(|country| self.regions(jurisdiction).contains(&country))
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
    // IPv4 networks have several names; parts of what one address stands for have no clients.
    let mut meant = BTreeSet::new();
    networks
        .into_iter()
        .filter(|network| meant_network(*network).is_some_and(|one| meant.insert(one)))
        .collect()
}

fn places_host(seed: u64) -> bool {
    seed % 2 == 1
}

/// One to five countries, or parts of countries that are not there as a whole.
fn any_regions(random: &mut Rng) -> Vec<&'static str> {
    let mut regions = any_of(&COUNTRIES, 4, random);
    let parts = random.choice(PARTS).filter(|part| !regions.contains(&&part[..2]));
    regions.extend(parts);
    regions
}

/// One to `most` different ones.
pub(crate) fn any_of<T: Copy>(all: &[T], most: usize, random: &mut Rng) -> Vec<T> {
    let count = random.usize(1..=most);
    random.choose_multiple(all.iter().copied(), count)
}

/// Whether clients here are found by an IPv4 address within theirs.
fn is_carrier(prefix: IpNet) -> bool {
    let IpAddr::V6(first) = prefix.addr() else { return false };
    let [a, b, ..] = first.segments();
    matches!((a, b), (0x2002, _) | (0x2001, 0) | (0x64, 0xff9b) | (0, 0))
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

/// One in four networks has the number of an autonomous system too, one in eight nothing else.
fn any_location(random: &mut Rng) -> String {
    let asn = format!("asn = {}", ASNS[random.usize(..ASNS.len())]);
    let location = match random.u8(..8) {
        0 => return asn,
        1 => {
            let (country, part) = PARTS[random.usize(..PARTS.len())].split_at(2);
            format!("country = \"{country}\"\nsubdivision = \"{}\"", &part[1..])
        }
        2 => "continent = \"EU\"".to_owned(),
        3..=5 => format!("country = \"{}\"", COUNTRIES[random.usize(..COUNTRIES.len())]),
        _ => {
            let (latitude, longitude) = (random.f64() * 178.0 - 89.0, random.f64() * 358.0 - 179.0);
            format!("latitude = {latitude:.3}\nlongitude = {longitude:.3}")
        }
    };
    if random.u8(..4) == 0 { format!("{location}\n{asn}") } else { location }
}

pub(crate) fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = text.write_fmt(more);
}

impl Drop for RandomWorld {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}
