//! What placing a client costs, over three clusters' worth of classes.
//!
//! `cargo bench -p meridian-geoip` takes the embedded database; others with
//! `MERIDIAN_GEOIP_DATABASES=a.mmdb:b.mmdb`. Sizes are printed before the timings.

use std::env;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meridian_geoip::{ClassMap, Locality, PlaceId};
use meridian_model::Coordinates;

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

fn bench(criterion: &mut Criterion) {
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
    group.bench_function("merge", |bencher| bencher.iter(|| classes.merge(|class| class / 2)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
