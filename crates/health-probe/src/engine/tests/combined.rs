//! Probes that are made of others.

use meridian_model::CombinedCheck;

use super::*;

/// `web` on 8080, `db` on 5432, and one of both for the gateway `shop` at these addresses.
fn catalog_of_both(at_least: u16, addresses: &[IpAddr]) -> Arc<Catalog> {
    let id = ProbeId::from_index;
    let check = Check::Combined(CombinedCheck { probes: vec![id(1), id(2)], at_least });
    let probes = vec![
        Probe { name: "both".into(), check, port: 0, ..probe() },
        probe(),
        Probe { name: "db".into(), port: 5432, ..probe() },
    ];
    let parts = CatalogParts {
        clusters: vec![cluster()],
        probes,
        gateways: vec![gateway("shop", addresses)],
        ..CatalogParts::default()
    };
    Arc::new(Catalog::new(parts))
}

/// The health of the combined target of the first gateway's address at this index.
fn both(run: &Run, index: usize) -> Verdict {
    let snapshot = run.snapshots.borrow().clone().unwrap();
    let target = snapshot.catalog.gateways()[0].endpoints[0].addresses[index].target.unwrap();
    snapshot.verdicts.get(target).verdict
}

#[tokio::test(start_paused = true)]
async fn members_are_probed_and_their_verdicts_make_one() {
    let script = Script::default();
    let all = catalog_of_both(2, &addresses(1));
    assert_eq!((all.targets().len(), all.members(TargetId::from_index(2)).len()), (3, 2));
    let mut run = Run::after_first_round(&all, &script).await;
    assert_eq!(both(&run, 0), Verdict::Healthy);
    assert_eq!(script.starts().len(), 2, "one probe a member, none for what is made of them");
    run.transitions();

    script.tell_port(5432, Answer::Down);
    pass(SECOND * 4).await;
    assert_eq!(both(&run, 0), Verdict::Unhealthy);
    let transitions = run.transitions();
    let [member, whole] = &transitions[..] else { panic!("{transitions:?}") };
    assert_eq!((&*member.probe, &*whole.probe), ("db", "both"));
    assert_eq!(&*member.endpoint, "shop/eu-west/10.0.0.0", "a member is told of by who uses the whole");
    let cause =
        "1 of 2 probes serve, wanted 2: GET http://10.0.0.0:5432/healthz: 503, wanted 200-299 (3rd of 3)";
    assert_eq!((&*whole.cause, whole.took), (cause, member.took));
    assert_eq!((whole.from, whole.effective), (Verdict::Healthy, Verdict::Unhealthy));

    script.tell_port(5432, Answer::Up);
    pass(SECOND * 3).await;
    assert_eq!(both(&run, 0), Verdict::Healthy);
}

#[tokio::test(start_paused = true)]
async fn any_of_them_is_enough_where_one_is_wanted() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog_of_both(1, &addresses(1)), &script).await;
    script.tell_port(5432, Answer::Down);
    pass(SECOND * 4).await;
    assert_eq!(both(&run, 0), Verdict::Healthy);
    script.tell_port(8080, Answer::Down);
    pass(SECOND * 4).await;
    assert_eq!(both(&run, 0), Verdict::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_verdict_and_adds_new_addresses() {
    let script = Script::default();
    let mut run = Run::after_first_round(&catalog_of_both(2, &addresses(1)), &script).await;
    script.tell_port(5432, Answer::Down);
    pass(SECOND * 4).await;
    let started = script.starts_of(address(0)).len();
    run.transitions();
    run.snapshots.mark_unchanged();
    run.handle.replace(catalog_of_both(2, &[address(1), address(0)]));
    run.next_snapshot().await;
    assert_eq!((both(&run, 0), both(&run, 1)), (Verdict::Unhealthy, Verdict::Unhealthy));
    // The old address: nothing new. The new one: `db` and `both` are unhealthy, `web` is healthy.
    let told: Vec<IpAddr> = run.transitions().iter().map(|transition| transition.address).collect();
    assert_eq!(told, [address(1); 3]);
    assert!(script.starts_of(address(0)).len() <= started + 2, "probed from the beginning");

    // Another number of members is another verdict, of members that are known.
    run.handle.replace(catalog_of_both(1, &[address(1), address(0)]));
    run.next_snapshot().await;
    assert_eq!((both(&run, 0), both(&run, 1)), (Verdict::Healthy, Verdict::Healthy));
}

#[tokio::test(start_paused = true)]
async fn doubt_of_a_member_is_doubt_of_the_whole_where_it_can_turn_it() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog_of_both(2, &addresses(1)), &script).await;
    script.tell_port(5432, Answer::Down);
    pass(SECOND * 2).await;
    let health = run.health(2);
    assert_eq!((health.verdict, health.in_doubt), (Verdict::Healthy, true));
    let script = Script::default();
    let run = Run::after_first_round(&catalog_of_both(1, &addresses(1)), &script).await;
    script.tell_port(5432, Answer::Down);
    pass(SECOND * 2).await;
    assert!(!run.health(2).in_doubt, "the other is enough");
}

#[tokio::test(start_paused = true)]
async fn the_past_of_an_address_is_that_of_each_of_its_probes() {
    let script = Script::default();
    let run = Run::after_first_round(&catalog_of_both(2, &addresses(2)), &script).await;
    script.tell_port(5432, Answer::Down);
    pass(MS * 3600).await;
    let past = run.handle.history("shop", "eu-west", address(1)).await.unwrap().unwrap();
    let [web, db] = &past[..] else { panic!("{past:?}") };
    assert_eq!((&*web.probe, &*db.probe), ("web", "db"));
    assert_eq!(db.at, SocketAddr::new(address(1), 5432));
    let results = |of: &crate::PastOutcomes| -> Vec<&'static str> {
        of.outcomes.iter().map(|past| past.result.as_str()).collect()
    };
    assert_eq!(results(web), ["good"; 4]);
    assert_eq!(results(db), ["good", "failed", "failed", "failed"]);
    let ago: Vec<u64> = db.outcomes.iter().map(|past| past.ago.as_secs()).collect();
    assert_eq!(ago, [3, 2, 1, 0]);
    for (gateway, cluster, host) in [("shop", "eu-west", 2), ("shop", "eu", 1), ("other", "eu-west", 1)] {
        assert!(run.handle.history(gateway, cluster, address(host)).await.unwrap().is_none());
    }
}
