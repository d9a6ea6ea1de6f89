//! Many targets: limits, bursts, and work that does not depend on the weather.

use super::*;
use crate::limits::COALESCE;
use crate::limits::PROBES_UNDER_WAY_DEFAULT;

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way() {
    let script = Script::default();
    let targets = addresses(1500);
    script.tell_all(&targets, Answer::Hangs);
    let mut run = Run::start(&catalog(probe(), &targets), &script);
    run.next_snapshot().await;
    assert_eq!(script.0.lock().unwrap().under_way_max, PROBES_UNDER_WAY_DEFAULT);
    assert_eq!(run.snapshots.borrow().as_ref().unwrap().verdicts.len(), 1500);
    let late = run.counts().late;
    assert!(late >= 988, "{late}");
    // 512 every 500 ms: each waits its turn, and each has it.
    assert!(run.elapsed() <= MS * 1710, "{:?}", run.elapsed());
    assert!((0..1500).all(|target| run.verdict(target) == Verdict::Unhealthy));

    script.tell_all(&targets, Answer::Up);
    pass(SECOND * 10).await;
    let late = run.counts().late;
    pass(SECOND * 10).await;
    assert_eq!(run.counts().late, late, "still late after the load has gone");
    assert!((0..1500).all(|target| run.verdict(target) == Verdict::Healthy));
}

#[tokio::test(start_paused = true)]
async fn a_target_has_one_probe_at_a_time() {
    let script = Script::default();
    script.tell(address(0), Answer::Hangs);
    // Against its contract the timeout is far above the interval.
    let long = Probe { timeout: SECOND * 7, ..probe() };
    let _run = Run::start(&catalog(long, &addresses(1)), &script);
    pass(SECOND * 70).await;
    assert_eq!(script.0.lock().unwrap().under_way_max, 1);
    assert!((9..=11).contains(&script.starts().len()), "{}", script.starts().len());
}

#[tokio::test(start_paused = true)]
async fn changes_leave_together() {
    let script = Script::default();
    let targets = addresses(5000);
    let quick = Probe { thresholds: Thresholds::default(), ..probe() };
    let run = Run::after_first_round(&catalog(quick, &targets), &script).await;
    pass(SECOND * 2).await;
    let before = run.counts();
    script.tell_all(&targets, Answer::Down);
    pass(MS * 1200).await;
    let after = run.counts();
    assert_eq!(after.transitions - before.transitions, 5000);
    let snapshots = after.snapshots - before.snapshots;
    assert!((50..=120).contains(&snapshots), "{snapshots}");
    assert!((0..5000).all(|target| run.verdict(target) == Verdict::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn a_single_change_is_published_within_the_coalescing_time() {
    let script = Script::default();
    let quick = Probe { thresholds: fall_at_once(), ..probe() };
    let mut run = Run::after_first_round(&catalog(quick, &addresses(100)), &script).await;
    script.tell(address(7), Answer::Down);
    run.next_snapshot().await;
    let failed = script.starts_of(address(7)).pop().unwrap();
    assert!(failed.elapsed() <= COALESCE + MS, "{:?}", failed.elapsed());
    assert_eq!(run.verdict(7), Verdict::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_bad_day_costs_what_a_good_day_costs() {
    let targets = addresses(200);
    let mut costs = Vec::new();
    for down in [0, 100, 200] {
        let script = Script::default();
        script.tell_all(&targets[..down], Answer::Down);
        let run = Run::after_first_round(&catalog(probe(), &targets), &script).await;
        pass(SECOND * 30).await;
        let Counts { probes, late, skipped, transitions, snapshots, .. } = run.counts();
        costs.push((probes, late, skipped, transitions, snapshots));
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0], costs[2]);
    assert_eq!(costs[0].4, 1, "snapshots without news");
}
