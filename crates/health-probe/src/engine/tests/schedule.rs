//! When probes start.

use super::*;

/// The most starts within any window of this length.
fn most_within(window: Duration, starts: &[Instant]) -> usize {
    let mut starts = starts.to_vec();
    starts.sort();
    let within =
        |first: &Instant| starts.iter().filter(|at| **at >= *first && **at < *first + window).count();
    starts.iter().map(within).max().unwrap_or(0)
}

fn between(run: &Run, from: Duration, to: Duration) -> Vec<Instant> {
    let (from, to) = (run.started + from, run.started + to);
    run.script.starts().into_iter().map(|(at, _)| at).filter(|at| (from..to).contains(at)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_targets_are_spread_over_the_interval() {
    let targets = addresses(1000);
    let run = Run::start(&catalog(probe(), &targets), &Script::default());
    pass(SECOND * 5).await;

    // The first round within 200 ms, the rest over the interval: 50 in 50 ms on average.
    assert_eq!(between(&run, Duration::ZERO, MS * 202).len(), 1000);
    let first_round = most_within(MS * 50, &between(&run, Duration::ZERO, MS * 202));
    assert!(first_round <= 320, "{first_round}");
    let later = most_within(MS * 50, &between(&run, MS * 500, SECOND * 5));
    assert!(later <= 90, "{later}");

    // Every target in every interval, if by up to twice the jitter early or late.
    for target in &targets {
        let starts = run.script.starts_of(*target);
        for pair in starts[1..].windows(2) {
            let apart = pair[1] - pair[0];
            assert!((MS * 899..MS * 1102).contains(&apart), "{target}: {apart:?}");
        }
        let second = starts[1] - starts[0];
        assert!((MS * 440..MS * 1560).contains(&second), "{target}: {second:?}");
    }
    assert_eq!(run.counts().late, 0);
}

#[tokio::test(start_paused = true)]
async fn beats_do_not_drift() {
    let script = Script::default();
    // Far from instant, one that takes nearly the interval, and one that takes all of it.
    script.tell(address(1), Answer::Slow(MS * 900));
    script.tell(address(2), Answer::Hangs);
    let run = Run::start(&catalog(Probe { timeout: SECOND, ..probe() }, &addresses(3)), &script);
    pass(SECOND * 600).await;
    for target in addresses(3) {
        let starts = script.starts_of(target);
        assert!((599..=601).contains(&starts.len()), "{target}: {}", starts.len());
        // The first probe does not wait for a beat. Each other is within 5 % of its own, the last as
        // the second.
        let phase = |at: &Instant| (*at - run.started).as_millis() % 1000;
        let phases: Vec<u128> = starts[1..].iter().map(phase).collect();
        let origin = phases[0];
        for phase in phases {
            let off = (phase + 1500 - origin) % 1000;
            assert!((398..=602).contains(&off), "{target}: {off}");
        }
    }
    assert_eq!(run.counts().skipped, 0);
}

#[tokio::test(start_paused = true)]
async fn servers_with_other_seeds_do_not_march_in_step() {
    let catalog = catalog(probe(), &addresses(1));
    let mut seen = Vec::new();
    for seed in [1, 2, 1] {
        let run = Run::with_seed(&catalog, &Script::default(), seed);
        pass(SECOND * 10).await;
        let starts = run.script.starts_of(address(0));
        seen.push(starts.iter().map(|at| *at - run.started).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[2], "the same seed, the same starts");
    let apart = seen[0].iter().zip(&seen[1]).skip(1).filter(|(one, other)| one != other).count();
    assert!(apart >= 8, "{apart} of 9 differ");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_does_not_catch_up() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog(probe(), &addresses(1000)), &script).await;
    pass(SECOND * 3).await;
    let before = script.starts().len();
    tokio::time::advance(SECOND * 30).await;
    let resumed = run.elapsed();
    pass(SECOND * 3).await;
    let after = between(&run, resumed, resumed + SECOND * 3);
    assert_eq!(after.len(), script.starts().len() - before);
    let most = most_within(MS * 50, &after);
    assert!(most <= 120, "{most}");
    assert!((2800..=3100).contains(&after.len()), "{}", after.len());
    assert!((28_000..=32_000).contains(&run.counts().skipped), "{}", run.counts().skipped);
}

#[tokio::test(start_paused = true)]
async fn intervals_out_of_range_count_as_the_nearest_in_it() {
    let script = Script::default();
    let none = Probe { interval: Duration::ZERO, ..probe() };
    let run = Run::start(&catalog(none, &addresses(1)), &script);
    pass(SECOND).await;
    let starts = script.starts_of(address(0)).len();
    assert!((18..=22).contains(&starts), "{starts}");
    drop(run);

    let script = Script::default();
    let forever = Thresholds { hold_down: Duration::MAX, rise_for: Duration::MAX, ..probe().thresholds };
    let endless = Probe { interval: Duration::MAX, timeout: Duration::MAX, thresholds: forever, ..probe() };
    let _run = Run::after_first_round(&catalog(endless, &addresses(1)), &script).await;
    pass(SECOND * 3600 * 49).await;
    let starts = script.starts_of(address(0)).len();
    assert!((2..=4).contains(&starts), "{starts}");
}

/// From the first failure to the verdict, and from the first success on: the fast interval. Before, in
/// between and after: the interval, at the same beats.
#[tokio::test(start_paused = true)]
async fn a_verdict_that_settles_is_probed_fast() {
    let script = Script::default();
    let fast = Probe { interval: SECOND * 10, fast_interval: SECOND, ..probe() };
    let mut run = Run::after_first_round(&catalog(fast, &addresses(1)), &script).await;
    pass(SECOND * 100).await;
    assert!(script.starts_of(address(0)).len() <= 12);
    let begin = run.started;
    let phase = |at: Instant| (at - begin).as_millis() % 10_000;
    let before = phase(*script.starts_of(address(0)).last().unwrap());

    script.tell(address(0), Answer::Down);
    let first = script.starts_of(address(0)).len();
    run.next_snapshot().await;
    run.next_snapshot().await;
    assert_eq!(run.verdict(0), Verdict::Unhealthy);
    let starts = script.starts_of(address(0));
    assert_eq!(starts.len() - first, 3);
    assert_eq!([starts[first + 1] - starts[first], starts[first + 2] - starts[first + 1]], [SECOND; 2]);

    pass(SECOND * 50).await;
    let slow = script.starts_of(address(0));
    assert!((4..=6).contains(&(slow.len() - starts.len())), "{}", slow.len() - starts.len());
    let after = phase(*slow.last().unwrap());
    assert!(after.abs_diff(before) <= 1000, "beats at {before} ms, then at {after} ms");

    script.tell(address(0), Answer::Up);
    pass(SECOND * 13).await;
    let healthy = script.starts_of(address(0));
    assert_eq!(run.verdict(0), Verdict::Healthy);
    assert_eq!(healthy[slow.len() + 1] - healthy[slow.len()], SECOND);
}

/// One failure among successes: fast until it is forgiven, and no beat is lost or doubled.
#[tokio::test(start_paused = true)]
async fn fast_probes_end_with_the_doubt() {
    let script = Script::default();
    let fast = Probe { interval: SECOND * 10, fast_interval: MS * 500, ..probe() };
    let run = Run::after_first_round(&catalog(fast, &addresses(1)), &script).await;
    pass(SECOND * 25).await;
    let before = script.starts_of(address(0)).len();
    script.tell(address(0), Answer::Down);
    while script.starts_of(address(0)).len() == before {
        pass(MS * 100).await;
    }
    script.tell(address(0), Answer::Up);
    pass(SECOND * 100).await;
    let starts = script.starts_of(address(0));
    assert_eq!(starts[before + 1] - starts[before], MS * 500);
    // One fast start, then ten or so of the interval.
    assert!((10..=12).contains(&(starts.len() - before - 1)), "{}", starts.len() - before);
    assert_eq!(run.verdict(0), Verdict::Healthy);
    assert_eq!(run.counts().skipped, 0);
}

/// The process stands still while a verdict settles: the fast start that it missed is made up for once, and
/// then others follow.
#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_goes_on_settling() {
    let script = Script::default();
    let fast = Probe { interval: SECOND * 10, fast_interval: SECOND, ..probe() };
    let run = Run::after_first_round(&catalog(fast, &addresses(1)), &script).await;
    let before = script.starts_of(address(0)).len();
    script.tell(address(0), Answer::Down);
    while script.starts_of(address(0)).len() == before {
        pass(MS * 100).await;
    }
    tokio::time::advance(SECOND * 60).await;
    pass(SECOND * 3).await;
    assert_eq!(script.starts_of(address(0)).len(), before + 3);
    assert_eq!(run.verdict(0), Verdict::Unhealthy);
}
