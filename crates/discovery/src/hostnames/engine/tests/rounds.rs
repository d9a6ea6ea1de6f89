//! The first round, reloads and the end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_catalog_without_hostnames_is_there_at_once_as_the_same_arc() {
    let base = catalog(vec![fixed(&["192.0.2.1"])]);
    let script = Script::default();
    let mut run = Run::start(&base, &script);
    let first = run.catalogs.borrow_and_update().clone().unwrap();
    assert!(Arc::ptr_eq(&first.base, &base) && Arc::ptr_eq(&first.catalog, &base));

    let other = catalog(vec![fixed(&["192.0.2.2"])]);
    run.handle.replace(Arc::clone(&other));
    let next = run.next().await;
    assert!(Arc::ptr_eq(&next.catalog, &other));
    assert_eq!(run.started.elapsed(), Duration::ZERO);
    pass(HOUR).await;
    assert_eq!(run.counts(), Counts { catalogs: 2, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn the_first_catalog_comes_with_the_addresses_of_all_names() {
    let script = Script::of("a.example", is(&["192.0.2.2", "192.0.2.1"], 60), is(&["2001:db8::1"], 20));
    script.tell("b.example", slow(SECOND, is(&["198.51.100.1"], 300)), NO_DATA);
    let endpoints = vec![hostname("a.example", HOUR), fixed(&["203.0.113.1"]), hostname("b.example", HOUR)];
    let base = catalog(endpoints);
    let mut run = Run::start(&base, &script);
    assert!(run.catalogs.borrow().is_none());
    let first = run.next().await;
    assert_eq!(run.started.elapsed(), SECOND);
    assert!(Arc::ptr_eq(&first.base, &base));
    assert_eq!(run.addresses(0), parse(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    assert_eq!((run.ttl(0), run.ttl(2)), (Some(20), Some(300)));
    assert_eq!(run.addresses(1), parse(&["203.0.113.1"]));
    assert_eq!(run.addresses(2), parse(&["198.51.100.1"]));
    assert_eq!(first.catalog.targets().len(), 5, "found addresses are probed");
    assert!(!run.is_lost(0) && !run.is_lost(2));
    assert_eq!(run.counts(), Counts { lookups: 2, changes: 2, catalogs: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_once_for_all_its_endpoints() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 60), NO_DATA);
    let base = catalog(vec![hostname("lb.example", HOUR), hostname("LB.example.", SECOND)]);
    let run = Run::after_first_round(&base, &script).await;
    assert_eq!(script.asked("lb.example").len(), 1);
    assert_eq!(run.addresses(0), run.addresses(1));
}

#[tokio::test(start_paused = true)]
async fn the_first_catalog_does_not_wait_longer_than_the_first_round() {
    let script = Script::of("lb.example", slow(SECOND * 10, is(&["192.0.2.1"], 60)), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    assert_eq!(run.started.elapsed(), SECOND * 2);
    assert_eq!((run.addresses(0), run.ttl(0), run.is_lost(0)), (Vec::new(), None, false));
    run.next().await;
    assert_eq!(run.started.elapsed(), SECOND * 10 + COALESCE);
    assert_eq!(run.addresses(0), parse(&["192.0.2.1"]));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_known_and_resolves_what_is_new_first() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 300), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", servfail(), servfail());
    script.tell("new.example", slow(SECOND, is(&["192.0.2.2"], 300)), NO_DATA);
    let next = catalog(vec![hostname("new.example", HOUR), hostname("lb.example", HOUR)]);
    run.handle.replace(Arc::clone(&next));
    let switched = run.next().await;
    assert!(Arc::ptr_eq(&switched.base, &next));
    assert_eq!(run.started.elapsed(), SECOND);
    assert_eq!((run.addresses(0), run.addresses(1)), (parse(&["192.0.2.2"]), parse(&["192.0.2.1"])));
    assert_eq!(script.asked("lb.example").len(), 1, "what is known is not asked again");

    // The same names again: at once.
    let same = catalog(vec![hostname("lb.example", HOUR)]);
    run.handle.replace(Arc::clone(&same));
    assert!(Arc::ptr_eq(&run.next().await.base, &same));
    assert_eq!(run.started.elapsed(), SECOND);
    let asked = script.asked("new.example").len();
    pass(HOUR).await;
    assert_eq!(script.asked("new.example").len(), asked, "what is gone is not asked for");
}

#[tokio::test(start_paused = true)]
async fn while_a_reload_waits_the_catalog_in_force_goes_on() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 5), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("new.example", slow(SECOND * 30, NO_NAME), NO_DATA);
    script.tell("lb.example", is(&["192.0.2.9"], 5), NO_DATA);
    pass(SECOND * 4).await;
    let next = catalog(vec![hostname("lb.example", HOUR), hostname("new.example", HOUR)]);
    run.handle.replace(Arc::clone(&next));
    let before = run.next().await;
    assert!(!Arc::ptr_eq(&before.base, &next));
    assert_eq!(run.addresses(0), parse(&["192.0.2.9"]));
    let after = run.next().await;
    assert!(Arc::ptr_eq(&after.base, &next));
    assert_eq!(run.started.elapsed(), SECOND * 6, "the first round is the longest wait");
}

#[tokio::test(start_paused = true)]
async fn a_reload_with_a_shorter_stale_for_counts_from_the_last_success() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 60), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", NO_NAME, NO_NAME);
    run.next().await;
    pass(SECOND * 600).await;
    assert!(!run.is_lost(0));
    run.handle.replace(catalog(vec![hostname("lb.example", SECOND * 60)]));
    run.next().await;
    assert!(run.is_lost(0));
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_lookups_are_under_way() {
    let script = Script::default();
    let names: Vec<String> = (0..200).map(|n| format!("n{n}.example")).collect();
    for name in &names {
        script.tell(name, slow(MS * 100, is(&["192.0.2.1"], 300)), NO_DATA);
    }
    let base = catalog(names.iter().map(|name| hostname(name, HOUR)).collect());
    let run = Run::after_first_round(&base, &script).await;
    assert_eq!(run.started.elapsed(), MS * 700, "200 names, 32 at once");
    // Each is two queries, of which the one for AAAA ends at once.
    assert!(script.0.lock().unwrap().under_way_max <= 2 * LOOKUPS_UNDER_WAY_MAX);
    assert_eq!(run.counts().catalogs, 1);
}

#[tokio::test(start_paused = true)]
async fn stop_and_drop_end_all_lookups() {
    let script = Script::of("lb.example", slow(HOUR, NO_DATA), slow(HOUR, NO_DATA));
    let run = Run::start(&one(), &script);
    pass(MS).await;
    assert_eq!(script.under_way(), 2);
    let mut catalogs = run.catalogs.clone();
    run.handle.stop().await;
    assert_eq!(script.under_way(), 0);
    assert!(catalogs.changed().await.is_err());

    let run = Run::start(&one(), &script);
    pass(MS).await;
    assert_eq!(script.under_way(), 2);
    drop(run);
    pass(MS).await;
    assert_eq!(script.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_of_a_name_that_is_gone_stops() {
    let script = Script::of("lb.example", is(&["192.0.2.1"], 5), NO_DATA);
    let mut run = Run::after_first_round(&one(), &script).await;
    script.tell("lb.example", slow(HOUR, NO_DATA), NO_DATA);
    pass(SECOND * 6).await;
    assert_eq!(script.under_way(), 1);
    run.handle.replace(catalog(Vec::new()));
    run.next().await;
    pass(MS).await;
    assert_eq!(script.under_way(), 0);
}
