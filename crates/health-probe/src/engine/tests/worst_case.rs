//! What is computed beforehand, and what happens.

use fastrand::Rng;
use meridian_model::{CombinedCheck, GatewayId};

use super::*;
use crate::limits::COALESCE;
use crate::{WorstCase, worst_case_failover};

/// How often each target is killed.
const KILLS: u32 = 300;

/// A timer fires up to a millisecond late; a kill waits for two a check and for the one of the snapshot.
const TIMERS: Duration = Duration::from_millis(7);

/// How long a target that was killed took to be in doubt, and to be out.
#[derive(Clone, Copy, Default)]
struct Took {
    first: Duration,
    published: Duration,
}

/// Kills the address of a run until its last target, the gateway's, has fallen.
async fn kill(run: &mut Run, target: usize, how: Answer) -> Took {
    run.snapshots.mark_unchanged();
    run.script.tell(address(0), how);
    let killed = Instant::now();
    let mut took = Took::default();
    loop {
        let before = run.health(target);
        run.next_snapshot().await;
        let passed = killed.elapsed();
        if before.verdict.serves() && !before.in_doubt {
            took.first = passed;
        }
        if !run.verdict(target).serves() {
            took.published = passed;
            return took;
        }
    }
}

/// The worst of many kills at random phases: of a target that has been healthy for long, and of one that was
/// mended just before.
async fn worst_measured(catalog: &Arc<Catalog>, seed: u64) -> Took {
    let target = catalog.gateways()[0].endpoints[0].addresses[0].target.unwrap().index();
    let longest = catalog.probes().iter().map(|probe| probe.interval).max().unwrap();
    let mut run = Run::with_seed(catalog, &Script::default(), seed);
    run.next_snapshot().await;
    let mut rng = Rng::with_seed(seed);
    let mut worst = Took::default();
    // What comes once in a target's life: its first probe waits for no beat.
    pass(longest * 2).await;
    for number in 0..KILLS {
        let calm = if number % 2 == 0 { longest * 3 } else { longest / 4 };
        pass(calm.mul_f64(rng.f64())).await;
        let how = if rng.u8(..4) == 0 { Answer::Down } else { Answer::Hangs };
        let took = kill(&mut run, target, how).await;
        worst.first = worst.first.max(took.first);
        worst.published = worst.published.max(took.published);
        run.script.tell(address(0), Answer::Up);
        while run.verdict(target) != Verdict::Healthy {
            run.next_snapshot().await;
        }
    }
    worst
}

async fn holds(name: &str, probes: Vec<Probe>) {
    let gateways = vec![gateway("shop", &addresses(1))];
    let parts = CatalogParts { clusters: vec![cluster()], probes, gateways, ..CatalogParts::default() };
    let catalog = Arc::new(Catalog::new(parts));
    let computed = worst_case_failover(&catalog, GatewayId::from_index(0)).unwrap();
    let WorstCase { first, published, .. } = computed;
    let measured = worst_measured(&catalog, 7).await;
    println!(
        "{name}: first {:?} of {:?}, published {:?} of {published:?}",
        measured.first,
        first + COALESCE,
        measured.published,
    );
    assert!(measured.first <= first + COALESCE + TIMERS, "{name}: {:?}, {computed:?}", measured.first);
    assert!(measured.published <= published + TIMERS, "{name}: {:?}, {computed:?}", measured.published);
    assert!(published <= measured.published * 2, "{name}: {:?}, {computed:?}", measured.published);
}

fn timed(interval: u64, fast_interval: u64, timeout: u64, fall: u32) -> Probe {
    let thresholds = Thresholds { fall, rise: 2, ..Thresholds::default() };
    let [interval, fast_interval, timeout] = [interval, fast_interval, timeout].map(Duration::from_millis);
    Probe { interval, fast_interval, timeout, thresholds, ..probe() }
}

#[tokio::test(start_paused = true)]
async fn no_kill_takes_longer_than_computed() {
    holds("plain", vec![timed(1000, 1000, 500, 3)]).await;
    holds("one failure", vec![timed(1000, 1000, 500, 1)]).await;
    holds("a timeout of an interval", vec![timed(1000, 1000, 1000, 3)]).await;
    holds("fast", vec![timed(1000, 250, 100, 3)]).await;
    holds("fast, long timeout", vec![timed(1000, 100, 500, 3)]).await;
    // Half an interval after the beat that its recovery began with: the next beat does not count, it is too near.
    let settles = timed(1000, 260, 500, 2);
    let thresholds = Thresholds { rise: 3, ..settles.thresholds.clone() };
    holds("fast, just mended", vec![Probe { thresholds, ..settles }]).await;
    holds("fast, rarely probed", vec![timed(10_000, 1000, 500, 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn no_kill_of_a_combined_target_takes_longer_than_computed() {
    for (at_least, name) in [(3, "all"), (2, "two of three"), (1, "any")] {
        let probes = (1..4).map(ProbeId::from_index).collect();
        let check = Check::Combined(CombinedCheck { probes, at_least });
        let whole = Probe { name: "whole".into(), check, port: 0, ..probe() };
        let members = [timed(1000, 1000, 500, 1), timed(700, 700, 200, 3), timed(2000, 250, 100, 3)];
        let members = (0..).zip(members).map(|(number, probe)| Probe { port: 8080 + number, ..probe });
        holds(name, std::iter::once(whole).chain(members).collect()).await;
    }
}
