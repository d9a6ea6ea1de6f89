//! What operators say, beside what is observed.

use meridian_model::{Forced, GatewayId, Order, Override, Share};

use super::*;
use crate::{Report, Timed};

fn said(target: &str, forced: Forced) -> Timed {
    let said =
        Override { target: target.parse().unwrap(), forced, reason: "kernel".into(), by: "ada".into() };
    Timed { said, age: Duration::ZERO, left: None }
}

fn order(run: &Run, gateway: usize, address: IpAddr) -> Option<Order> {
    let snapshot = run.snapshots.borrow().clone().unwrap();
    snapshot.verdicts.orders(GatewayId::from_index(gateway)).get(0, Some(address))
}

async fn report(run: &Run) -> Report {
    run.handle.report().await.unwrap()
}

/// `shop` and `api` share an address, and each has one of its own.
fn two_gateways() -> Arc<Catalog> {
    catalog_of(
        probe(),
        vec![gateway("shop", &[address(0), address(1)]), gateway("api", &[address(0), address(2)])],
    )
}

#[tokio::test(start_paused = true)]
async fn the_narrowest_that_matches_decides_for_each_address() {
    let script = Script::default();
    let mut run = Run::after_first_round(&two_gateways(), &script).await;
    run.handle.override_with(vec![
        said("endpoint/shop/eu-west/10.0.0.0", Forced::Up),
        said("cluster/eu-*", Forced::Down),
        said("gateway/api", Forced::Drain { over: Duration::ZERO }),
    ]);
    let asked = Instant::now();
    run.next_snapshot().await;
    assert_eq!(asked.elapsed(), Duration::ZERO, "what an operator says does not wait");
    assert_eq!(order(&run, 0, address(0)), Some(Order::Up));
    assert_eq!(order(&run, 0, address(1)), Some(Order::Down));
    assert_eq!(order(&run, 1, address(0)), Some(Order::Drain(Share::NONE)));
    assert_eq!(order(&run, 1, address(2)), Some(Order::Drain(Share::NONE)));
    let report = report(&run).await;
    let decided: Vec<usize> = report.overrides.iter().map(|one| one.addresses).collect();
    assert_eq!(decided, [1, 1, 2]);
    let targets: Vec<String> =
        report.endpoints.iter().map(|one| one.forced.as_ref().unwrap().0.to_string()).collect();
    assert_eq!(targets, ["endpoint/shop/eu-west/10.0.0.0", "cluster/eu-*", "gateway/api", "gateway/api"]);
    let effective: Vec<Verdict> = report.endpoints.iter().map(|one| one.effective).collect();
    assert_eq!(effective, [Verdict::Healthy, Verdict::Unhealthy, Verdict::Healthy, Verdict::Healthy]);

    // Said again for the same target: the last counts. Not said any more: lifted.
    run.handle.override_with(vec![said("gateway/api", Forced::Up), said("gateway/api", Forced::Down)]);
    run.next_snapshot().await;
    assert_eq!((order(&run, 0, address(0)), order(&run, 1, address(0))), (None, Some(Order::Down)));
}

#[tokio::test(start_paused = true)]
async fn observed_goes_on_beside_what_is_forced_and_a_transition_says_all_three() {
    let script = Script::default();
    let mut run = Run::after_first_round(&two_gateways(), &script).await;
    run.handle.override_with(vec![said("gateway/shop", Forced::Up)]);
    run.next_snapshot().await;
    run.transitions();
    script.tell(address(1), Answer::Down);
    pass(SECOND * 4).await;
    let told = run.transitions();
    let [transition] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (transition.observed, transition.forced, transition.effective),
        (Verdict::Unhealthy, Some(Order::Up), Verdict::Healthy)
    );
    let report = report(&run).await;
    let of = &report.endpoints[1];
    assert_eq!((of.observed, of.effective), (Verdict::Unhealthy, Verdict::Healthy));
    let probed = of.probed.as_ref().unwrap();
    assert_eq!(probed.cause, "GET http://10.0.0.1:8080/healthz: 503, wanted 200-299 (3rd of 3)");
    let last = probed.last.as_ref().unwrap();
    assert!(last.finding.reason().is_some() && last.ago < SECOND * 2 && probed.held.unwrap() < SECOND * 4);
}

#[tokio::test(start_paused = true)]
async fn a_drain_takes_weight_away_step_by_step() {
    let script = Script::default();
    let mut run = Run::after_first_round(&two_gateways(), &script).await;
    run.handle.override_with(vec![said("cluster/eu-west", Forced::Drain { over: SECOND * 200 })]);
    run.next_snapshot().await;
    let left = |run: &Run| match order(run, 0, address(0)) {
        Some(Order::Drain(left)) => left.millionths() / 10_000,
        other => panic!("{other:?}"),
    };
    assert_eq!(left(&run), 100);
    let snapshots = run.counts().snapshots;
    pass(SECOND * 50 + MS).await;
    assert_eq!(left(&run), 75);
    pass(SECOND * 150).await;
    assert_eq!(left(&run), 0);
    let made = run.counts().snapshots - snapshots;
    assert!((99..=101).contains(&made), "a hundred steps: {made}");
    pass(SECOND * 100).await;
    assert_eq!(run.counts().snapshots - snapshots, made, "nothing more changes");
}

/// It goes on from where it was, and ends when it is over.
#[tokio::test(start_paused = true)]
async fn an_override_that_is_handed_over_late_has_its_age_and_its_end() {
    let script = Script::default();
    let mut run = Run::after_first_round(&two_gateways(), &script).await;
    let drain = said("cluster/eu-west", Forced::Drain { over: SECOND * 100 });
    run.handle.override_with(vec![Timed { age: SECOND * 60, left: Some(SECOND * 10), ..drain }]);
    run.next_snapshot().await;
    let left = Share::from_fraction(0.4).unwrap();
    assert_eq!(order(&run, 0, address(0)), Some(Order::Drain(left)));
    run.lines.take();
    pass(SECOND * 10 + MS).await;
    assert_eq!(order(&run, 0, address(0)), None);
    let lines = run.lines.take();
    assert!(lines.iter().any(|line| line.contains("override ended") && line.contains("by=ada")), "{lines:?}");
    assert!(report(&run).await.overrides.is_empty());
}

#[tokio::test(start_paused = true)]
async fn overrides_hold_for_what_a_reload_brings_and_from_the_first_answer_on() {
    let script = Script::default();
    let mut run = Run::start(&catalog(probe(), &addresses(1)), &script);
    run.handle.override_with(vec![said("cluster/*", Forced::Down)]);
    let first = run.next_snapshot().await;
    assert_eq!(first.verdicts.orders(GatewayId::from_index(0)).get(0, Some(address(0))), Some(Order::Down));
    run.handle.replace(catalog(probe(), &addresses(3)));
    run.next_snapshot().await;
    assert_eq!(order(&run, 0, address(2)), Some(Order::Down));
    assert_eq!(report(&run).await.overrides[0].addresses, 3);
}
