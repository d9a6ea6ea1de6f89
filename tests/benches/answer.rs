//! The cost of `answer()` for a steered A with a client subnet, with few and with many gateways; and
//! that of a new view; and what floods cost.
//!
//! `cargo bench -p meridian-tests --bench answer`.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hickory_proto::rr::RecordType;
use meridian_dns::{Ground, Moment, Peer, Transport, View, answer};
use meridian_model::{TargetHealth, Verdict, Verdicts};
use meridian_tests::{Ask, Config, WORLD};

/// Clients whose packets are asked in turn; enough that no branch is learnt by heart.
const PACKETS: usize = 4096;

fn ground(gateways: usize) -> Arc<Ground> {
    let mut config = Config::new().with("[[probes]]\nname = \"web\"\ntype = \"http\"\n").clusters(&WORLD);
    for number in 0..gateways {
        let addresses: Vec<String> = (0..WORLD.len())
            .map(|index| Ipv4Addr::from(0x0a00_0000 + u32::try_from(number * 4 + index).unwrap()).to_string())
            .collect();
        let endpoints: Vec<(&str, &str)> =
            WORLD.iter().map(|(name, ..)| *name).zip(addresses.iter().map(String::as_str)).collect();
        let hostname = format!("g{number:05}.gslb.example");
        config = config.gateway(&format!("g{number}"), &[&hostname], "probe = \"web\"\n", &endpoints);
    }
    let loaded = meridian::load_text(config.text(), Path::new("bench.toml"))
        .unwrap_or_else(|issues| panic!("{issues}"));
    loaded.ground
}

/// All healthy, but the first target if `first` is not.
fn verdicts(ground: &Ground, first: Verdict) -> Verdicts {
    let health = |verdict| TargetHealth { verdict, ..TargetHealth::default() };
    let mut all = vec![health(Verdict::Healthy); ground.catalog().targets().len()];
    all[0] = health(first);
    Verdicts::new(all)
}

fn steered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer steered A with ECS");
    for gateways in [10, 10_000] {
        let ground = ground(gateways);
        let view = View::new(ground.clone(), verdicts(&ground, Verdict::Healthy), None);
        let mut random = fastrand::Rng::with_seed(1);
        let packets: Vec<Vec<u8>> = (0..PACKETS)
            .map(|_| {
                let name = format!("g{:05}.gslb.example.", random.usize(0..gateways));
                Ask::new(&name, RecordType::A)
                    .subnet(&Ipv4Addr::from(random.u32(..)).to_string(), 24)
                    .octets()
            })
            .collect();
        let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Udp };
        let (mut next, mut out) = (0, Vec::with_capacity(1232));
        group.bench_function(BenchmarkId::new("gateways", gateways), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % PACKETS;
                answer(
                    &view,
                    black_box(&packets[next]),
                    peer,
                    Moment { random: next as u64, ..Moment::default() },
                    &mut out,
                )
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

/// What a change of verdict costs before the next query sees it.
fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("view after one change of verdict");
    for gateways in [10, 10_000] {
        let ground = ground(gateways);
        let changes = [Verdict::Unhealthy, Verdict::Healthy].map(|verdict| verdicts(&ground, verdict));
        let mut before = View::new(ground.clone(), changes[1].clone(), None);
        let mut next = 0;
        group.bench_function(BenchmarkId::new("gateways", gateways), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % 2;
                before = View::new(ground.clone(), changes[next].clone(), Some(&before));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steered, floods, publish);
criterion_main!(benches);
