//! Going over to another catalog.

use tokio::sync::mpsc;

use super::*;

#[tokio::test(start_paused = true)]
async fn history_stays_new_targets_come_first_and_old_ones_stop() {
    let script = Script::default();
    let quick = Probe { thresholds: fall_at_once(), ..probe() };
    let mut run = Run::after_first_round(&catalog(quick.clone(), &addresses(2)), &script).await;
    script.tell(address(1), Answer::Down);
    pass(SECOND * 3).await;
    run.transitions();
    assert_eq!(run.health(1), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 1 });

    // Without 0, with 2, and 1 in another place.
    script.tell(address(2), Answer::Down);
    let next = catalog(quick, &[address(2), address(1)]);
    run.snapshots.mark_unchanged();
    run.handle.replace(Arc::clone(&next));
    let replaced = Instant::now();
    let snapshot = run.next_snapshot().await;
    assert!(Arc::ptr_eq(&snapshot.catalog, &next));
    assert!(replaced.elapsed() <= MS * 210, "{:?}", replaced.elapsed());
    assert_eq!(script.starts_of(address(2)).len(), 1, "probed before the switch");
    let unhealthy = |lost| TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost };
    assert_eq!(snapshot.verdicts, Verdicts::new(vec![unhealthy(0), unhealthy(1)]));
    let transitions = run.transitions();
    assert_eq!(transitions.len(), 1, "{transitions:?}");
    assert_eq!((transitions[0].target, transitions[0].address), (TargetId::from_index(0), address(2)));

    // What stayed goes on from where it was: `rise` successes, then the new id in the transition.
    script.tell(address(1), Answer::Up);
    let probed = script.starts_of(address(0)).len();
    pass(SECOND * 4).await;
    assert_eq!(run.verdict(1), Verdict::Healthy);
    let transitions = run.transitions();
    assert_eq!((transitions.len(), transitions[0].target), (1, TargetId::from_index(1)));
    assert_eq!(script.starts_of(address(0)).len(), probed, "a target that is gone was probed");
}

#[tokio::test(start_paused = true)]
async fn a_count_under_way_survives_a_reload() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    script.tell(address(0), Answer::Down);
    run.next_snapshot().await;
    run.handle.replace(catalog(probe(), &addresses(1)));
    run.next_snapshot().await;
    assert!(run.health(0).in_doubt);
    run.next_snapshot().await;
    let failures = script.starts_of(address(0)).len() - 1;
    assert_eq!((run.verdict(0), failures), (Verdict::Unhealthy, 3));
}

#[tokio::test(start_paused = true)]
async fn another_probe_is_another_target() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    script.tell(address(0), Answer::Down);
    run.handle.replace(catalog(Probe { port: 9090, ..probe() }, &addresses(1)));
    let snapshot = run.next_snapshot().await;
    let health = snapshot.verdicts.get(TargetId::from_index(0));
    assert_eq!(health, TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_new_target_that_hangs_delays_the_switch_up_to_the_cap() {
    let script = Script::default();
    let slow = Probe { thresholds: fall_at_once(), timeout: SECOND * 10, interval: SECOND * 10, ..probe() };
    let old = catalog(slow.clone(), &addresses(1));
    let mut run = Run::after_first_round(&old, &script).await;
    pass(SECOND * 10).await;
    script.tell(address(1), Answer::Hangs);
    let next = catalog(slow, &[address(1), address(0)]);
    run.handle.replace(Arc::clone(&next));
    let replaced = Instant::now();
    let snapshot = run.next_snapshot().await;
    assert_eq!(replaced.elapsed().as_millis(), 2000);
    assert!(Arc::ptr_eq(&snapshot.catalog, &next));
    assert_eq!((run.verdict(0), run.verdict(1)), (Verdict::Unknown, Verdict::Healthy));
}

#[tokio::test(start_paused = true)]
async fn meanwhile_the_old_catalog_goes_on() {
    let script = Script::default();
    let quick = Probe { thresholds: fall_at_once(), interval: MS * 600, timeout: MS * 600, ..probe() };
    let old = catalog(quick.clone(), &addresses(2));
    let mut run = Run::after_first_round(&old, &script).await;
    run.transitions();
    // The new target of the next catalog hangs for its 10 s, which the cap cuts to 2 s.
    script.tell(address(9), Answer::Hangs);
    let slow = Probe { name: "slow".into(), timeout: SECOND * 10, interval: SECOND * 10, ..probe() };
    let mut other = gateway("slow", &[address(9)]);
    other.probe = Some(ProbeId::from_index(1));
    let parts = CatalogParts {
        clusters: old.clusters().to_vec(),
        probes: vec![quick, slow],
        gateways: vec![other, gateway("shop", &addresses(2))],
        ..CatalogParts::default()
    };
    let next = Arc::new(Catalog::new(parts));
    script.tell(address(1), Answer::Down);
    run.handle.replace(Arc::clone(&next));
    let snapshot = run.next_snapshot().await;
    assert!(Arc::ptr_eq(&snapshot.catalog, &old));
    assert_eq!(snapshot.verdicts.get(TargetId::from_index(1)).verdict, Verdict::Unhealthy);
    assert_eq!(run.transitions()[0].target, TargetId::from_index(1));
    let snapshot = run.next_snapshot().await;
    assert!(Arc::ptr_eq(&snapshot.catalog, &next));
    assert_eq!(
        [0, 1, 2].map(|target| run.verdict(target)),
        [Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy]
    );
}

#[tokio::test(start_paused = true)]
async fn of_several_catalogs_the_last_counts() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    let made: Vec<Arc<Catalog>> = (2..6).map(|count| catalog(probe(), &addresses(count))).collect();
    run.handle.replace(Arc::clone(&made[0]));
    pass(MS).await;
    for next in &made[1..] {
        run.handle.replace(Arc::clone(next));
    }
    // The first is having its round; those between are never seen.
    assert!(Arc::ptr_eq(&run.next_snapshot().await.catalog, &made[0]));
    let last = run.next_snapshot().await;
    assert!(Arc::ptr_eq(&last.catalog, &made[3]));
    assert_eq!(last.verdicts.len(), 5);
    assert_eq!(run.counts().snapshots, 3);
}

#[tokio::test(start_paused = true)]
async fn a_catalog_without_news_switches_at_once() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(3)), &script).await;
    let next = catalog(probe(), &addresses(2));
    run.handle.replace(Arc::clone(&next));
    let replaced = Instant::now();
    assert!(Arc::ptr_eq(&run.next_snapshot().await.catalog, &next));
    assert_eq!(replaced.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_is_new_and_never_probed_twice_at_once() {
    let script = Script::default();
    script.tell(address(0), Answer::Hangs);
    let slow = Probe { interval: SECOND * 10, timeout: SECOND * 10, ..probe() };
    let mut run = Run::start(&catalog(slow.clone(), &addresses(1)), &script);
    run.next_snapshot().await;
    assert_eq!(script.under_way(), 1);
    run.handle.replace(catalog(slow.clone(), &[]));
    run.next_snapshot().await;
    run.handle.replace(catalog(slow, &addresses(1)));
    pass(MS * 300).await;
    assert_eq!(script.starts_of(address(0)).len(), 2);
    assert_eq!(script.under_way(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_catalog_again_is_no_news() {
    let catalog = catalog(probe(), &addresses(3));
    let run = Run::after_first_round(&catalog, &Script::default()).await;
    run.handle.replace(catalog);
    pass(SECOND * 3).await;
    assert_eq!(run.counts().snapshots, 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_goes_with_its_catalog() {
    let script = Script::default();
    script.tell_all(&addresses(1500), Answer::Hangs);
    let slow = Probe { interval: SECOND * 10, timeout: SECOND * 10, ..probe() };
    let mut run = Run::after_first_round(&catalog(slow, &addresses(1500)), &script).await;
    let started = script.starts().len();
    assert_eq!((started, script.under_way()), (512, 512));
    run.handle.replace(catalog(probe(), &[]));
    run.next_snapshot().await;
    pass(SECOND * 30).await;
    assert_eq!((script.starts().len(), script.under_way()), (started, 0));
    assert_eq!(run.counts().probes, 0, "an outcome that nobody waited for");
}

#[tokio::test(start_paused = true)]
async fn reloads_leave_nothing_behind() {
    let _logs = Lines::capture();
    let settings = Settings { first_round: Duration::ZERO, seed: 1 };
    let inputs = Inputs {
        catalogs: watch::channel(Arc::default()).1,
        overrides: watch::channel(Arc::default()).1,
        questions: mpsc::channel(1).1,
    };
    let outputs = Outputs {
        snapshots: watch::channel(None).0,
        transitions: broadcast::channel(1).0,
        counters: Arc::default(),
    };
    let mut engine = Engine::new(Script::default(), settings, inputs, outputs);
    for reload in 0..100 {
        let targets: Vec<IpAddr> = (0..10).map(|number| address(reload * 10 + number)).collect();
        engine.prepare(catalog(probe(), &targets), Instant::now());
        engine.switch_if_ready(Instant::now());
    }
    assert_eq!((engine.slots.len(), engine.slot_of.len(), engine.due.len()), (10, 10, 10));
    assert!(engine.coming.is_none());
}
