//! What placing a client costs, in time and memory.
//!
//! `cargo bench -p meridian-geoip` takes the embedded database; others with
//! `MERIDIAN_GEOIP_DATABASES=a.mmdb:b.mmdb`, by absolute paths. Memory and sizes are printed before the
//! timings; these are over three clusters' worth of classes. `MERIDIAN_GEOIP_WRITE_ASN=asn.mmdb` writes a
//! stand-in for an ASN database and measures nothing.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meridian_geoip::{ClassMap, Locality, PlaceId};
use meridian_model::Coordinates;

use mmdb::{Mmdb, Value};

#[path = "../tests/all/mmdb.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for the tests, which use all of it")]
mod mmdb;

/// Clients a round: more than the first caches hold.
const CLIENTS: usize = 1 << 16;

fn databases() -> Vec<PathBuf> {
    env::var_os("MERIDIAN_GEOIP_DATABASES").map_or_else(Vec::new, |paths| env::split_paths(&paths).collect())
}

/// The nearest of Dublin, Ashburn and Tokyo, by number; 3 for the unknown place.
fn nearest(locality: &Locality) -> ClassMap {
    let clusters = [(53.35, -6.26), (39.04, -77.49), (35.68, 139.77)]
        .map(|(latitude, longitude)| Coordinates::new(latitude, longitude).unwrap_or_else(|e| panic!("{e}")));
    locality.classify(|id| {
        let Some(client) = locality.places()[id.index()].coordinates else { return 3 };
        let by_distance = (0..).zip(clusters.map(|cluster| cluster.distance_km(client)));
        by_distance.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(3, |(number, _)| number)
    })
}

/// Random addresses of the families' public space whose place is known.
fn clients(locality: &Locality, mut address: impl FnMut() -> IpAddr) -> Vec<IpAddr> {
    let mut clients = Vec::with_capacity(CLIENTS);
    while clients.len() < CLIENTS {
        let client = address();
        if locality.lookup(client).0 != PlaceId::UNKNOWN {
            clients.push(client);
        }
    }
    clients
}

fn mean_prefix_len(classes: &ClassMap, clients: &[IpAddr]) -> f64 {
    let sum: u32 = clients.iter().map(|&client| u32::from(classes.lookup(client).1)).sum();
    f64::from(sum) / clients.len() as f64
}

/// The eight sets of clusters that memory is measured with: the first 3 to 8 of these, and two more.
const CITIES: [(f64, f64); 8] = [
    (53.35, -6.26),
    (39.04, -77.49),
    (35.68, 139.77),
    (-23.55, -46.63),
    (-33.87, 151.21),
    (50.11, 8.68),
    (1.35, 103.82),
    (45.52, -122.68),
];

/// Classes by the order of clusters by distance, as `dns::plan` has them.
fn orders(locality: &Locality, clusters: &[(f64, f64)]) -> ClassMap {
    let clusters: Vec<Coordinates> =
        clusters.iter().filter_map(|&(lat, lon)| Coordinates::new(lat, lon).ok()).collect();
    let mut known: HashMap<Vec<usize>, u32> = HashMap::new();
    locality.classify(|id| {
        let mut order: Vec<usize> = (0..clusters.len()).collect();
        match locality.places()[id.index()].coordinates {
            Some(client) => order.sort_by(|&a, &b| {
                clusters[a].distance_km(client).total_cmp(&clusters[b].distance_km(client))
            }),
            None => order.clear(),
        }
        let next = known.len() as u32;
        *known.entry(order).or_insert(next)
    })
}

/// Prints what is resident at each step. It must come first: what timings free would count.
fn memory(databases: &[PathBuf]) {
    println!("resident: {}", resident());
    let start = Instant::now();
    let locality = Locality::load(databases, &[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    println!("resident: {}, loaded in {} ms", resident(), start.elapsed().as_millis());
    let sets =
        [3, 4, 5, 6, 7, 8].map(|count| &CITIES[..count]).into_iter().chain([&CITIES[2..6], &CITIES[3..]]);
    let mut maps = Vec::new();
    for clusters in sets {
        let map = orders(&locality, clusters);
        let (ranges, bytes) = (map.range_count(), map.size_bytes());
        maps.push(map);
        println!(
            "resident: {}, with {} clusters' orders: {ranges} ranges, {bytes} bytes",
            resident(),
            clusters.len()
        );
    }
}

/// The lines of `/proc/self/status` about resident memory, now and at most.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

/// As many networks as an ASN database has, at random: 80,000 ASNs in 500,000 networks of IPv4 and
/// 150,000 of IPv6. Real ones go along with places more than these, so that fewer pairs occur.
fn asn_stand_in() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(2);
    let mut database = Mmdb::new("stand-in for ASN", vec![]);
    database.share_records = true;
    let mut add = |net: IpNet, asn: u32| {
        database
            .networks
            .push((net.trunc(), Value::Map(vec![("autonomous_system_number", Value::U32(asn))])));
    };
    for _ in 0..500_000 {
        let address = Ipv4Addr::from_bits(random.u32(0x0100_0000..0xe000_0000));
        add(Ipv4Net::new_assert(address, random.u8(18..=24)).into(), random.u32(1..=80_000));
    }
    for _ in 0..150_000 {
        let bits = (2_u128 << 124 | random.u128(..) >> 4) & !(0xfff0 << 96);
        add(Ipv6Net::new_assert(bits.into(), random.u8(32..=48)).into(), random.u32(1..=80_000));
    }
    database.networks.sort_by_key(|(net, _)| net.prefix_len());
    database.to_bytes()
}

fn bench(criterion: &mut Criterion) {
    if let Some(path) = env::var_os("MERIDIAN_GEOIP_WRITE_ASN") {
        fs::write(&path, asn_stand_in()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        return;
    }
    memory(&databases());
    let databases = databases();
    let load = || Locality::load(&databases, &[]).unwrap_or_else(|errors| panic!("{errors:?}"));
    let locality = load();
    let classes = nearest(&locality);
    let mut random = fastrand::Rng::with_seed(1);
    let ipv4 = clients(&locality, || Ipv4Addr::from_bits(random.u32(..)).into());
    // 2000::/4 has all that is given out, and is mostly empty: stay near the start of a /32.
    let ipv6 = clients(&locality, || {
        let bits = 2_u128 << 124 | random.u128(..) >> 4;
        Ipv6Addr::from_bits(bits & !(0xfff0 << 96)).into()
    });
    println!(
        "{} places, {} ranges, {} bytes; classes: {} ranges, {} bytes; mean prefix /{:.1} and /{:.1}",
        locality.places().len(),
        locality.range_count(),
        locality.size_bytes(),
        classes.range_count(),
        classes.size_bytes(),
        mean_prefix_len(&classes, &ipv4),
        mean_prefix_len(&classes, &ipv6),
    );

    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(CLIENTS as u64));
    for (name, clients) in [("class_ipv4", &ipv4), ("class_ipv6", &ipv6)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| clients.iter().map(|&client| classes.lookup(black_box(client)).0).sum::<u32>());
        });
    }
    for (name, clients) in [("place_ipv4", &ipv4), ("place_ipv6", &ipv6)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                clients.iter().map(|&client| locality.lookup(black_box(client)).0.index()).sum::<usize>()
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("load", |bencher| bencher.iter(load));
    group.bench_function("classify", |bencher| bencher.iter(|| nearest(&locality)));
    let marks =
        Locality::marks(&["192.0.2.0/24", "2001:db8::/32"].map(|net| net.parse().unwrap_or_default()));
    group.bench_function("classify_marked", |bencher| {
        bencher.iter(|| {
            locality.classify_marked(&marks, |id, mark| u32::from(id.index() % 2 == 0 || mark.is_some()))
        });
    });
    group.bench_function("merge", |bencher| bencher.iter(|| classes.merge(|class| class / 2)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
