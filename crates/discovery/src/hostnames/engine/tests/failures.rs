//! Names that do not resolve, in part or at all.

use super::*;

const BOTH: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

fn both(ttl: u32) -> (Answer, Answer) {
    (is(&BOTH[..1], ttl), is(&BOTH[1..], ttl))
}

fn resolving() -> Script {
    let (v4, v6) = both(10);
    Script::of("lb.example", v4, v6)
}

#[tokio::test(start_paused = true)]
async fn whatever_the_failure_the_last_addresses_hold_for_stale_for() {
    let late = || slow(SECOND * 100, NO_DATA);
    for (v4, v6) in [
        (NO_NAME, NO_NAME),
        (NO_DATA, NO_DATA),
        (servfail(), servfail()),
        (NO_DATA, servfail()),
        (late(), late()),
        (Answer::Panics, NO_DATA),
        (is(&["0.0.0.0"], 60), is(&["::"], 60)),
    ] {
        let script = resolving();
        let base = catalog(vec![hostname("lb.example", SECOND * 600)]);
        let mut run = Run::after_first_round(&base, &script).await;
        let resolved = run.started;
        script.tell("lb.example", v4.clone(), v6.clone());
        // From its first failure on it is in doubt, and otherwise as before.
        run.next().await;
        assert!(run.is_in_doubt(0));
        let failed = resolved.elapsed();
        pass(SECOND * 590 - failed).await;
        assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&BOTH), false), "{v4:?} {v6:?}");
        assert_eq!(run.counts().catalogs, 2);
        run.next().await;
        assert_eq!(resolved.elapsed(), SECOND * 600 + COALESCE, "since the last success");
        assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&BOTH), true), "{v4:?} {v6:?}");
        assert!(!run.is_in_doubt(0));

        let (v4, v6) = both(10);
        script.tell("lb.example", v4, v6);
        run.next().await;
        assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&BOTH), false));
    }
}

#[tokio::test(start_paused = true)]
async fn stale_for_is_the_endpoints() {
    let script = resolving();
    let base = catalog(vec![
        hostname("lb.example", SECOND * 60),
        hostname("lb.example", SECOND * 120),
        hostname("lb.example", Duration::MAX),
    ]);
    let mut run = Run::after_first_round(&base, &script).await;
    script.tell("lb.example", NO_NAME, NO_NAME);
    let lost = |run: &Run| [0, 1, 2].map(|index| run.is_lost(index));
    run.next().await;
    assert!([0, 1, 2].iter().all(|index| run.is_in_doubt(*index)) && lost(&run) == [false; 3]);
    run.next().await;
    assert_eq!((run.started.elapsed(), lost(&run)), (SECOND * 60 + COALESCE, [true, false, false]));
    run.next().await;
    assert_eq!((run.started.elapsed(), lost(&run)), (SECOND * 120 + COALESCE, [true, true, false]));
    pass(HOUR * 48).await;
    assert_eq!(lost(&run), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn without_stale_for_a_name_is_lost_with_its_first_failure() {
    let script = resolving();
    let mut run =
        Run::after_first_round(&catalog(vec![hostname("lb.example", Duration::ZERO)]), &script).await;
    assert!(!run.is_lost(0));
    script.tell("lb.example", NO_NAME, NO_NAME);
    run.next().await;
    assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&BOTH), true));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_resolved_is_lost_at_once() {
    let script = Script::default();
    let run = Run::after_first_round(&one(), &script).await;
    assert_eq!((run.addresses(0), run.ttl(0), run.is_lost(0)), (Vec::new(), None, true));
    assert_eq!(run.started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn no_data_of_one_family_is_an_empty_family_at_once() {
    for nothing in [NO_DATA, NO_NAME] {
        let script = resolving();
        let mut run = Run::after_first_round(&one(), &script).await;
        script.tell("lb.example", is(&BOTH[..1], 10), nothing);
        run.next().await;
        assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&BOTH[..1]), false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_family_that_fails_keeps_its_last_addresses_for_stale_for() {
    let script = resolving();
    let base = catalog(vec![hostname("lb.example", SECOND * 600), hostname("lb.example", HOUR)]);
    let mut run = Run::after_first_round(&base, &script).await;
    script.tell("lb.example", is(&["192.0.2.7"], 10), servfail());
    run.next().await;
    assert_eq!(run.addresses(0), parse(&["192.0.2.7", BOTH[1]]));
    run.next().await;
    assert_eq!(run.started.elapsed(), SECOND * 600 + COALESCE);
    assert_eq!((run.addresses(0), run.is_lost(0)), (parse(&["192.0.2.7"]), false));
    assert_eq!(run.addresses(1), parse(&["192.0.2.7", BOTH[1]]));
    assert!(run.counts().partial > 20 && run.counts().failures == 0);
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_from_min_ttl_to_half_a_minute() {
    let script = Script::default();
    let _run = Run::after_first_round(&one(), &script).await;
    pass(SECOND * 200).await;
    let waits: Vec<u64> = script.waits("lb.example").iter().map(Duration::as_secs).collect();
    let wanted = [5, 10, 20, 30, 30, 30];
    for (wait, wanted) in waits.iter().zip(wanted) {
        assert!((wanted..=wanted + wanted / 20 + 1).contains(wait), "{waits:?}");
    }
    assert!(waits.len() >= wanted.len());
}

#[tokio::test(start_paused = true)]
async fn a_family_that_fails_is_retried_before_a_long_ttl_ends() {
    let script = Script::of("lb.example", is(&BOTH[..1], 3600), servfail());
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", is(&BOTH[..1], 3600), is(&BOTH[1..], 3600));
    run.next().await;
    assert_eq!(run.addresses(0), parse(&BOTH));
    assert!(run.started.elapsed() < SECOND * 6);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_never_ends_is_a_failure() {
    let script = Script::of("lb.example", slow(HOUR, NO_DATA), is(&BOTH[1..], 60));
    let mut run = Run::after_first_round(&one(), &script).await;
    run.next().await;
    assert_eq!(run.started.elapsed(), SECOND * 60 + COALESCE);
    assert!(run.is_lost(0));
    assert_eq!(script.under_way(), 0);
}
