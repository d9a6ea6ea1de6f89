//! Degraded endpoints: they serve when none of their tier is healthy, and not before.

use meridian_model::{AllDown, Gateway, Policy, Share, TargetHealth, Tier, Verdict, Verdicts};
use meridian_steering::{Basis, Doubt, Draw, Family};

use crate::build::{HEALTHY, UNHEALTHY, World, address, at, chosen, endpoint, gateway, tier};
use crate::draws::Picker;

const DEGRADED: TargetHealth = TargetHealth { verdict: Verdict::Degraded, in_doubt: false, lost: 0 };

fn asked(world: &World, health: &[TargetHealth]) -> (Vec<u16>, Basis, Option<Doubt>) {
    let decision = world.ask(&at(0.0), health);
    (chosen(&decision), decision.basis, decision.doubt)
}

#[test]
fn a_tier_uses_degraded_endpoints_when_none_is_healthy() {
    for policy in [Policy::Weighted, Policy::All] {
        let tiers = vec![tier(&[0, 1, 2], policy), tier(&[3], Policy::All)];
        let world = World::new(gateway(Policy::Failover(tiers), 4));
        let health = |first: [TargetHealth; 3]| asked(&world, &[first[0], first[1], first[2], HEALTHY]);
        assert_eq!(health([DEGRADED, HEALTHY, DEGRADED]), (vec![1], Basis::Healthy, None));
        // Their own tier goes before a healthy one behind it; what does not serve stays out.
        assert_eq!(health([DEGRADED, UNHEALTHY, DEGRADED]), (vec![0, 2], Basis::Degraded, None));
        assert_eq!(health([UNHEALTHY; 3]), (vec![3], Basis::Healthy, None));
    }
}

/// With `nearest` each cluster is a tier of its own.
#[test]
fn the_nearest_cluster_keeps_its_clients_while_degraded() {
    let world = World::new(gateway(Policy::default(), 2));
    assert_eq!(asked(&world, &[DEGRADED, HEALTHY]), (vec![0], Basis::Degraded, None));
    assert_eq!(asked(&world, &[UNHEALTHY, DEGRADED]), (vec![1], Basis::Degraded, None));
}

#[test]
fn degraded_counts_as_serving_for_min_healthy_and_panic() {
    let first = Tier { min_healthy: 2, ..tier(&[0, 1, 2], Policy::Weighted) };
    let world = World::new(gateway(Policy::Failover(vec![first, tier(&[3], Policy::All)]), 4));
    assert_eq!(asked(&world, &[DEGRADED, HEALTHY, UNHEALTHY, HEALTHY]).0, [1]);
    assert_eq!(asked(&world, &[UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY]).0, [3]);
    let half = Share::from_fraction(0.5).expect("a fraction");
    let world = World::new(Gateway { panic_below: half, ..gateway(Policy::All, 4) });
    let (of, basis, _) = asked(&world, &[DEGRADED, DEGRADED, UNHEALTHY, UNHEALTHY]);
    assert_eq!((of, basis), (vec![0, 1], Basis::Degraded));
    assert_eq!(asked(&world, &[DEGRADED, UNHEALTHY, UNHEALTHY, UNHEALTHY]).1, Basis::Panic);
}

#[test]
fn while_one_is_degraded_nothing_is_all_down() {
    let world = World::new(Gateway { all_down: AllDown::NoData, ..gateway(Policy::default(), 2) });
    assert_eq!(asked(&world, &[UNHEALTHY, DEGRADED]), (vec![1], Basis::Degraded, None));
    assert_eq!(asked(&world, &[UNHEALTHY, UNHEALTHY]).1, Basis::AllDown);
}

#[test]
fn of_a_degraded_endpoint_only_addresses_that_serve_are_handed_out() {
    let mut two = endpoint(0);
    two.addresses.push(address("192.0.2.100"));
    let world = World::new(Gateway { endpoints: vec![two], answers: None, ..gateway(Policy::All, 0) });
    let health = vec![UNHEALTHY, DEGRADED];
    let decision = world.ask(&at(0.0), &health);
    let mut addresses = Vec::new();
    let verdicts = Verdicts::new(health);
    Picker::new(&world, Family::V4).pick(&decision, &verdicts, Draw::Random(1), &mut addresses);
    assert_eq!(addresses, [std::net::IpAddr::from([192, 0, 2, 100])]);
}
