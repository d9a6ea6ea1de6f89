//! The cost of `answer()` for a steered A with a client subnet, with few and with many hostnames and
//! clusters; and what floods cost.
//!
//! `cargo bench -p meridian-tests --bench answer`. What a new view costs is the bench `publish`.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hickory_proto::rr::RecordType;
use meridian_dns::{Ground, Moment, Peer, Room, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};
use meridian_tests::{Ask, Config};

/// Clients whose packets are asked in turn; so many names that they are in no near cache because they were asked for
/// before.
const PACKETS: usize = 1 << 16;

/// As the server receives them.
const BATCH: usize = 64;

/// Gateways, hostnames of each, and clusters with an endpoint of each gateway.
const WORLDS: [(usize, usize, usize); 6] =
    [(1, 1, 8), (10, 100, 8), (1000, 100, 8), (10_000, 100, 8), (10, 100, 3), (10, 100, 300)];

fn ground((gateways, hostnames, clusters): (usize, usize, usize)) -> Arc<Ground> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::from("[[probes]]\nname = \"web\"\ntype = \"http\"\n");
    for cluster in 0..clusters {
        let (latitude, longitude) = (random.f64() * 130.0 - 60.0, random.f64() * 360.0 - 180.0);
        writeln!(text, "[[clusters]]\nname = \"c{cluster}\"").unwrap();
        writeln!(text, "latitude = {latitude:.2}\nlongitude = {longitude:.2}").unwrap();
    }
    for gateway in 0..gateways {
        let names: Vec<String> = (0..hostnames).map(|name| hostname(gateway * hostnames + name)).collect();
        writeln!(text, "[[gateways]]\nname = \"g{gateway}\"\nprobe = \"web\"\nhostnames = {names:?}")
            .unwrap();
        text += "endpoints = [";
        for cluster in 0..clusters {
            let address = Ipv4Addr::from(0x0a00_0000 + u32::try_from(gateway * clusters + cluster).unwrap());
            write!(text, "{{ cluster = \"c{cluster}\", addresses = [\"{address}\"] }},").unwrap();
        }
        text += "]\n";
    }
    let config = Config::new().with(&text);
    let loaded = meridian::load_text(config.text(), Path::new("bench.toml"))
        .unwrap_or_else(|issues| panic!("{issues}"));
    loaded.ground
}

fn hostname(number: usize) -> String {
    format!("n{number:07}.gslb.example")
}

/// Uniformly random names and clients.
fn packets(names: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut packet = || {
        let name = format!("{}.", hostname(random.usize(0..names)));
        Ask::new(&name, RecordType::A).subnet(&Ipv4Addr::from(random.u32(..)).to_string(), 24).octets()
    };
    (0..PACKETS).map(|_| packet()).collect()
}

fn steered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer steered A with ECS");
    for world in WORLDS {
        let (gateways, hostnames, clusters) = world;
        let name = format!("{} hostnames of {gateways} gateways, {clusters} clusters", gateways * hostnames);
        let ground = ground(world);
        let health = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
        let verdicts = Verdicts::new(vec![health; ground.catalog().targets().len()]);
        let view = View::new(ground, verdicts, None);
        let packets = packets(gateways * hostnames);
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let peer = Peer { address, transport: Transport::Udp };
        let (mut next, mut out, mut room) = (0, Vec::with_capacity(1232), Room::default());
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("one by one", &name), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % PACKETS;
                let moment = Moment { random: next as u64, ..Moment::default() };
                answer(&view, black_box(&packets[next]), peer, moment, &mut out)
            });
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new("in batches of 64", &name), |bencher| {
            bencher.iter(|| {
                next = (next / BATCH + 1) * BATCH % PACKETS;
                let batch: [_; BATCH] = std::array::from_fn(|index| (peer, &packets[next + index][..]));
                let mut random = next as u64;
                let moment = || {
                    random += 1;
                    Moment { random, ..Moment::default() }
                };
                room.answer(&view, black_box(&batch), moment, |reply, _| {
                    black_box(reply);
                });
            });
        });
    }
    group.finish();
}

/// What floods are made of, beside an honest question; with the rate limit, nearly all of it is over the rate.
fn floods(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer to a flood");
    let limit = "[server.rate_limit]\nper_client = 10\n";
    for (with, more) in [("without a limit", ""), ("limited", limit)] {
        let config = Config::new().record("www", "A", "\"192.0.2.10\"").with(more);
        let loaded = meridian::load_text(config.text(), Path::new("bench.toml"))
            .unwrap_or_else(|issues| panic!("{issues}"));
        let view = View::new(loaded.ground, Verdicts::new(Vec::new()), None);
        let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Udp };
        let mut malformed = Ask::new("www.gslb.example.", RecordType::A).octets();
        malformed[12] = 0xc0;
        for (what, packet) in [
            ("a good question", Ask::new("www.gslb.example.", RecordType::A).octets()),
            ("no such name", Ask::new("x1y2z3.gslb.example.", RecordType::A).octets()),
            ("refused", Ask::new("www.elsewhere.example.", RecordType::A).octets()),
            ("malformed", malformed),
        ] {
            let mut out = Vec::with_capacity(1232);
            group.bench_function(BenchmarkId::new(what, with), |bencher| {
                bencher.iter(|| answer(&view, black_box(&packet), peer, Moment::default(), &mut out));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steered, floods);
criterion_main!(benches);
