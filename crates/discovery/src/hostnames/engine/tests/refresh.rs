//! When names are looked up again, and what then leaves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_again_when_its_ttl_ends() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 60), is(&["2001:db8::1"], 40));
    let _run = Run::after_first_round(&one(), &script).await;
    pass(SECOND * 600).await;
    let waits = script.waits("lb.example");
    assert!(waits.len() >= 14, "{waits:?}");
    assert!(waits.iter().all(|wait| (SECOND * 40..=SECOND * 42).contains(wait)), "{waits:?}");
    assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "no jitter: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn the_wait_has_a_least_and_a_most() {
    let script = Script::of("short.example", is(&["192.0.2.1"], 0), NO_DATA);
    script.tell("long.example", is(&["192.0.2.2"], 86_400), NO_DATA);
    let base = catalog(vec![hostname("short.example", HOUR), hostname("long.example", HOUR)]);
    let run = Run::after_first_round(&base, &script).await;
    assert_eq!((run.ttl(0), run.ttl(1)), (Some(0), Some(86_400)));
    pass(HOUR).await;
    let within = |name, least: Duration, most: Duration| {
        let waits = script.waits(name);
        assert!(!waits.is_empty() && waits.iter().all(|wait| (least..=most).contains(wait)), "{waits:?}");
    };
    within("short.example", SECOND * 5, MS * 5250);
    within("long.example", REFRESH_MAX, REFRESH_MAX);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_times() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let script = Script::of("lb.example", is(&["192.0.2.1"], 60), NO_DATA);
        let _run = Run::after_first_round(&one(), &script).await;
        pass(SECOND * 600).await;
        runs.push(script.waits("lb.example"));
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn what_stays_the_same_makes_no_catalog() {
    let script = Script::of("lb.example", is(&["192.0.2.1", "192.0.2.2"], 3600), NO_DATA);
    let run = Run::after_first_round(&one(), &script).await;
    for ttl in [3300, 3000, 2700, 2400] {
        // Another order, and what a cache has left of the TTL.
        script.tell("lb.example", is(&["192.0.2.2", "192.0.2.1"], ttl), NO_DATA);
        pass(SECOND * 310).await;
    }
    let Counts { lookups, changes, catalogs, .. } = run.counts();
    assert!(lookups >= 4);
    assert_eq!((changes, catalogs, run.ttl(0)), (1, 1, Some(3600)));
}

#[tokio::test(start_paused = true)]
async fn other_addresses_and_another_ttl_make_a_catalog() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 60), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", is(&["192.0.2.2"], 20), NO_DATA);
    let next = run.next().await;
    assert_eq!(run.addresses(0), parse(&["192.0.2.2"]));
    assert_eq!(run.ttl(0), Some(20), "of a new answer the TTL counts as it is");
    assert_eq!(next.catalog.targets().len(), 1);
    script.tell("lb.example", is(&["192.0.2.2"], 10), NO_DATA);
    run.next().await;
    assert_eq!(run.ttl(0), Some(10), "lowered by its owner");
}

#[tokio::test(start_paused = true)]
async fn changes_that_come_together_leave_together() {
    let script = Script::default();
    let names: Vec<String> = (0..20).map(|n| format!("n{n}.example")).collect();
    for (name, delay) in names.iter().zip(0..) {
        script.tell(name, slow(SECOND * 3 + MS * delay / 4, is(&["192.0.2.1"], 300)), NO_DATA);
    }
    let base = catalog(names.iter().map(|name| hostname(name, HOUR)).collect());
    let mut run = Run::after_first_round(&base, &script).await;
    run.next().await;
    assert_eq!(run.started.elapsed(), SECOND * 3 + COALESCE);
    pass(SECOND).await;
    assert_eq!(run.counts().catalogs, 2);
    assert_eq!(run.counts().changes, 20);
}
