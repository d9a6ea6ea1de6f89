//! First rounds, thresholds and doubt.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_snapshot_has_an_outcome_of_every_target() {
    let script = Script::default();
    script.tell(address(1), Answer::Down);
    script.tell(address(2), Answer::Slow(MS * 300));
    let catalog = catalog(probe(), &addresses(3));
    let mut run = Run::start(&catalog, &script);
    assert!(run.snapshots.borrow().is_none());
    let first = run.next_snapshot().await;
    assert!(run.elapsed() <= MS * 510, "{:?}", run.elapsed());
    assert!(Arc::ptr_eq(&first.catalog, &catalog));
    let health = |verdict| TargetHealth { verdict, in_doubt: false, lost: 0 };
    let wanted = [Verdict::Healthy, Verdict::Unhealthy, Verdict::Healthy].map(health);
    assert_eq!(first.verdicts, Verdicts::new(wanted.to_vec()));

    let transitions = run.transitions();
    assert_eq!(transitions.len(), 3);
    assert_eq!(
        transitions[1],
        Transition {
            number: 2,
            target: TargetId::from_index(1),
            endpoint: "shop/eu-west/10.0.0.1".into(),
            gateways: 1,
            probe: "web".into(),
            address: address(1),
            from: Verdict::Unknown,
            forced: None,
            observed: Verdict::Unhealthy,
            effective: Verdict::Unhealthy,
            cause: "GET http://10.0.0.1:8080/healthz: 503, wanted 200-299 (first probe)".into(),
            held: None,
            took: None,
        }
    );
    let (transitions, transitions_to) = (3, [1, 0, 0, 2]);
    let wanted =
        Counts { probes: 3, failed: 1, transitions, transitions_to, snapshots: 1, ..Counts::default() };
    assert_eq!(run.counts(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_is_waited_for_up_to_the_cap() {
    let script = Script::default();
    script.tell(address(0), Answer::Hangs);
    let slow = Probe { interval: SECOND * 5, timeout: SECOND * 5, ..probe() };
    let mut run = Run::start(&catalog(slow, &addresses(2)), &script);
    run.next_snapshot().await;
    assert_eq!(run.elapsed().as_millis(), 2000);
    assert_eq!((run.verdict(0), run.verdict(1)), (Verdict::Unknown, Verdict::Healthy));
    assert_eq!(run.transitions().len(), 1);

    // Its outcome counts when it comes.
    run.next_snapshot().await;
    assert!((SECOND * 5..SECOND * 6).contains(&run.elapsed()), "{:?}", run.elapsed());
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 0 });
    let late = run.transitions();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].cause, "GET http://10.0.0.0:8080/healthz: no answer within 5s (first probe)");
}

#[tokio::test(start_paused = true)]
async fn no_setting_makes_the_first_round_endless() {
    let script = Script::default();
    script.tell(address(0), Answer::Hangs);
    let endless = Probe { interval: SECOND * 3600, timeout: SECOND * 3600, ..probe() };
    let settings = Settings { first_round: Duration::MAX, seed: 1 };
    let mut run = Run::with(&catalog(endless, &addresses(1)), &script, settings);
    run.next_snapshot().await;
    assert_eq!(run.elapsed().as_millis(), FIRST_ROUND_MAX.as_millis());
    assert_eq!(run.verdict(0), Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn without_targets_the_snapshot_comes_at_once() {
    let mut run = Run::start(&catalog(probe(), &[]), &Script::default());
    let snapshot = run.next_snapshot().await;
    assert!(snapshot.verdicts.is_empty());
    assert_eq!(run.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fall_and_rise_take_their_number_of_intervals() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    pass(SECOND * 10).await;
    run.transitions();

    script.tell(address(0), Answer::Down);
    let down_at = Instant::now();
    assert!(run.next_snapshot().await.verdicts.get(TargetId::from_index(0)).in_doubt);
    let first_failure = run.script.starts_of(address(0)).pop().unwrap();
    assert!(first_failure - down_at <= MS * 1100);
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Healthy, in_doubt: true, lost: 0 });
    run.next_snapshot().await;
    let took = first_failure.elapsed();
    assert!((MS * 1900..MS * 2120).contains(&took), "{took:?}");
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 1 });

    script.tell(address(0), Answer::Up);
    run.next_snapshot().await;
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: true, lost: 1 });
    let first_success = run.script.starts_of(address(0)).pop().unwrap();
    run.next_snapshot().await;
    let took = first_success.elapsed();
    assert!((MS * 900..MS * 1120).contains(&took), "{took:?}");
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Healthy, in_doubt: false, lost: 1 });

    let causes: Vec<String> = run.transitions().into_iter().map(|transition| transition.cause).collect();
    assert_eq!(
        causes,
        [
            "GET http://10.0.0.0:8080/healthz: 503, wanted 200-299 (3rd of 3)",
            "GET http://10.0.0.0:8080/healthz: success in 0ms (2nd of 2)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_contrary_outcome_that_passes_leaves_the_verdict() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    script.tell(address(0), Answer::Down);
    run.next_snapshot().await;
    assert!(run.health(0).in_doubt);
    script.tell(address(0), Answer::Up);
    run.next_snapshot().await;
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Healthy, in_doubt: false, lost: 0 });
    let snapshots = run.counts().snapshots;
    pass(SECOND * 20).await;
    assert_eq!(run.counts().snapshots, snapshots, "a snapshot without news");
    assert_eq!(run.counts().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn the_doubt_of_a_change_ends_at_most_an_interval_after_hold_down() {
    let script = Script::default();
    let held = Probe { thresholds: Thresholds { hold_down: SECOND * 5, ..Thresholds::default() }, ..probe() };
    let mut run = Run::after_first_round(&catalog(held, &addresses(1)), &script).await;
    script.tell(address(0), Answer::Down);
    run.next_snapshot().await;
    let changed = Instant::now();
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: true, lost: 1 });
    run.next_snapshot().await;
    assert_eq!(run.health(0), TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 1 });
    let took = changed.elapsed();
    assert!((MS * 4980..MS * 6150).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn lost_tells_which_went_down_last() {
    let script = Script::default();
    script.tell(address(2), Answer::Down);
    let quick = Probe { thresholds: Thresholds::default(), ..probe() };
    let run = Run::after_first_round(&catalog(quick, &addresses(3)), &script).await;
    for target in [1, 0] {
        script.tell(address(target), Answer::Down);
        pass(SECOND * 2).await;
    }
    assert_eq!([0, 1, 2].map(|target| run.health(target).lost), [2, 1, 0]);
    script.tell(address(1), Answer::Up);
    pass(SECOND * 2).await;
    script.tell(address(1), Answer::Down);
    pass(SECOND * 2).await;
    assert_eq!([0, 1, 2].map(|target| run.health(target).lost), [2, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_is_a_failure_and_goes_on() {
    let script = Script::default();
    script.tell(address(0), Answer::Panics);
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(1)), &script).await;
    assert_eq!(run.verdict(0), Verdict::Unhealthy);
    let cause = &run.transitions()[0].cause;
    assert!(cause.starts_with("GET http://10.0.0.0:8080/healthz: the check itself failed: "), "{cause}");
    script.tell(address(0), Answer::Up);
    pass(SECOND * 3).await;
    assert_eq!(run.verdict(0), Verdict::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_target_of_two_gateways_is_probed_once() {
    // In the first of them by two of its endpoints.
    let mut gateways = vec![gateway("shop", &addresses(1)), gateway("blog", &addresses(2))];
    let twice = gateways[0].endpoints[0].clone();
    gateways[0].endpoints.push(twice);
    let catalog = catalog_of(probe(), gateways);
    assert_eq!(catalog.targets().len(), 2);
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog, &script).await;
    assert_eq!(script.starts_of(address(0)).len(), 1);
    let used: Vec<(Box<str>, usize)> =
        run.transitions().into_iter().map(|transition| (transition.endpoint, transition.gateways)).collect();
    assert_eq!(used, [("shop/eu-west/10.0.0.0".into(), 2), ("blog/eu-west/10.0.0.1".into(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn stopping_drops_every_probe() {
    let script = Script::default();
    script.tell_all(&addresses(20), Answer::Hangs);
    let run = Run::start(&catalog(probe(), &addresses(20)), &script);
    pass(MS * 250).await;
    assert_eq!(script.under_way(), 20);
    let mut snapshots = run.snapshots;
    run.handle.stop().await;
    assert_eq!(script.under_way(), 0);
    assert!(snapshots.changed().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_stops_too() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog(probe(), &addresses(5)), &script).await;
    drop(run);
    pass(MS).await;
    let starts = script.starts().len();
    pass(SECOND * 10).await;
    assert_eq!(script.starts().len(), starts);
}

#[tokio::test(start_paused = true)]
async fn degraded_is_told_with_its_reason_and_is_no_loss() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog(probe(), &addresses(2)), &script).await;
    run.transitions();
    script.tell(address(0), Answer::Degraded);
    run.next_snapshot().await;
    assert_eq!(run.verdict(0), Verdict::Healthy, "in doubt, not yet degraded");
    run.next_snapshot().await;
    assert_eq!(run.verdict(0), Verdict::Degraded);
    let told = run.transitions();
    let [transition] = &told[..] else { panic!("{told:?}") };
    assert!(transition.cause.ends_with("certificate ends in 3 days, wanted 14 (3rd of 3)"), "{transition:?}");
    let health = run.snapshots.borrow().as_ref().unwrap().verdicts.get(TargetId::from_index(0));
    assert_eq!(health.lost, 0);
    assert_eq!(run.counts().failed, 0);
}
