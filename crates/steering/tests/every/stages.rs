//! What stands around a policy: panic, `min_healthy`, weight 0, tracks, `all_down` and hostnames.

use std::net::IpAddr;
use std::time::Duration;

use meridian_model::{
    AllDown, DomainName, Endpoint, EndpointName, Gateway, Policy, Rollout, Share, TargetHealth, Tier, Track,
    Trial, Verdicts,
};
use meridian_steering::{
    Basis, Client, Decision, Doubt, Draw, Family, Permit, Split, decide_for_site, decide_for_track,
    live_track, standings,
};

use crate::build::{HEALTHY, UNHEALTHY, World, address, at, chosen, clusters, down, endpoint, gateway, tier};
use crate::draws::Picker;

fn share(fraction: f64) -> Share {
    Share::from_fraction(fraction).expect("a fraction")
}

const IN_DOUBT: TargetHealth = TargetHealth { in_doubt: true, ..HEALTHY };

//----------- panic_below ----------------------------------------------------

#[test]
fn a_gateway_in_panic_counts_as_all_healthy() {
    let world = World::new(Gateway { panic_below: share(0.5), ..gateway(Policy::default(), 4) });
    let asked = |unhealthy: &[usize]| {
        let decision = world.ask(&at(0.0), &down(4, unhealthy));
        (chosen(&decision), decision.basis, decision.doubt)
    };
    assert_eq!(asked(&[0]), (vec![1], Basis::Healthy, None));
    assert_eq!(asked(&[0, 1]), (vec![2], Basis::Healthy, None), "half is not under a half");
    assert_eq!(asked(&[0, 1, 2]), (vec![0], Basis::Panic, Some(Doubt::Fallback)));
    assert_eq!(asked(&[0, 1, 2, 3]), (vec![0], Basis::Panic, Some(Doubt::Fallback)));
}

#[test]
fn a_tier_in_panic_keeps_its_clients() {
    let first = Tier { panic_below: share(0.5), ..tier(&[0, 1, 2], Policy::Weighted) };
    let world = World::new(gateway(Policy::Failover(vec![first, tier(&[3], Policy::All)]), 4));
    let asked = |unhealthy: &[usize]| {
        let decision = world.ask(&at(0.0), &down(4, unhealthy));
        (chosen(&decision), decision.basis)
    };
    assert_eq!(asked(&[0]), (vec![1, 2], Basis::Healthy));
    assert_eq!(asked(&[0, 1]), (vec![0, 1, 2], Basis::Panic));
    assert_eq!(asked(&[0, 1, 2]), (vec![0, 1, 2], Basis::Panic), "the next tier is not moved to");
}

#[test]
fn in_panic_unhealthy_addresses_are_handed_out() {
    let mut endpoints = vec![endpoint(0)];
    endpoints[0].addresses.push(address("192.0.2.100"));
    let shop = Gateway { answers: None, panic_below: share(0.9), ..gateway(Policy::All, 0) };
    let world = World::new(Gateway { endpoints, ..shop });
    let health = [HEALTHY, UNHEALTHY];
    let decision = world.ask(&at(0.0), &health);
    // One endpoint, and it is healthy: no panic, and only its healthy address.
    assert_eq!(
        (decision.basis, addresses(&world, Family::V4, &decision, &health).len()),
        (Basis::Healthy, 1)
    );
    let decision = world.ask(&at(0.0), &[UNHEALTHY, UNHEALTHY]);
    assert_eq!(decision.basis, Basis::Panic);
    assert_eq!(addresses(&world, Family::V4, &decision, &[UNHEALTHY; 2]).len(), 2);
}

fn addresses(world: &World, family: Family, decision: &Decision, health: &[TargetHealth]) -> Vec<IpAddr> {
    let mut into = Vec::new();
    let verdicts = Verdicts::new(health.to_vec());
    Picker::new(world, family).pick(decision, &verdicts, Draw::Random(1), &mut into);
    into
}

#[test]
fn a_doubt_that_can_begin_a_panic_makes_the_ttl_short() {
    let world = World::new(Gateway { panic_below: share(0.5), ..gateway(Policy::default(), 4) });
    let doubt = |health: &[TargetHealth]| world.ask(&at(0.0), health).doubt;
    assert_eq!(doubt(&[HEALTHY, IN_DOUBT, HEALTHY, UNHEALTHY]), None, "two of four would be left");
    assert_eq!(doubt(&[HEALTHY, IN_DOUBT, UNHEALTHY, UNHEALTHY]), Some(Doubt::Verdict));
}

#[test]
fn a_doubt_that_can_skip_a_tier_makes_the_ttl_short() {
    let first = Tier { min_healthy: 2, ..tier(&[0, 1, 2], Policy::default()) };
    let world = World::new(gateway(Policy::Failover(vec![first, tier(&[3], Policy::All)]), 4));
    let doubt = |health: &[TargetHealth]| world.ask(&at(0.0), health).doubt;
    assert_eq!(doubt(&[HEALTHY, IN_DOUBT, HEALTHY, HEALTHY]), None, "two would be left");
    assert_eq!(doubt(&[HEALTHY, IN_DOUBT, UNHEALTHY, HEALTHY]), Some(Doubt::Verdict));
    let recovering = TargetHealth { in_doubt: true, ..UNHEALTHY };
    assert_eq!(doubt(&[HEALTHY, recovering, UNHEALTHY, HEALTHY]), Some(Doubt::Verdict));
    assert_eq!(doubt(&[HEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY]), None);
}

/// Standbys of weight 0 and endpoints of other tracks serve, too: a tier that has them is not short.
#[test]
fn min_healthy_counts_every_track_and_weight() {
    let first = Tier { min_healthy: 2, ..tier(&[0, 1], Policy::Weighted) };
    let two = |change: fn(&mut Endpoint)| {
        let mut all = gateway(Policy::Failover(vec![first.clone(), tier(&[2], Policy::All)]), 3);
        change(&mut all.endpoints[1]);
        World::new(all)
    };
    for world in [two(|one| one.weight = 0), two(|one| one.track = Track::Canary)] {
        assert_eq!(chosen(&world.ask(&at(0.0), &down(3, &[]))), [0]);
        // One alone is too few.
        assert_eq!(chosen(&world.ask(&at(0.0), &down(3, &[1]))), [2]);
        assert_eq!(chosen(&world.ask(&at(0.0), &down(3, &[1, 2]))), [0], "better than nothing");
    }
}

//----------- min_healthy ----------------------------------------------------

#[test]
fn a_tier_with_too_few_healthy_is_skipped_while_another_has_any() {
    let first = Tier { min_healthy: 2, ..tier(&[0, 1, 2], Policy::default()) };
    let second = Tier { min_healthy: 2, ..tier(&[3], Policy::All) };
    let tiers = vec![first.clone(), tier(&[3], Policy::All)];
    let world = World::new(gateway(Policy::Failover(tiers), 4));
    assert_eq!(world.without(&at(0.0), &[0]), [1]);
    assert_eq!(world.without(&at(0.0), &[0, 1]), [3]);
    let last = world.ask(&at(0.0), &down(4, &[0, 1, 3]));
    assert_eq!((chosen(&last), last.basis, last.doubt), (vec![2], Basis::Healthy, None));
    let world = World::new(gateway(Policy::Failover(vec![first, second]), 4));
    assert_eq!(world.without(&at(0.0), &[0, 1]), [2], "both have too few: in their order");
}

//----------- Weight 0 -------------------------------------------------------

#[test]
fn weight_zero_waits_for_every_tier_and_track() {
    let mut shop = gateway(Policy::default(), 3);
    shop.endpoints[0].weight = 0;
    shop.endpoints[2].track = Track::Canary;
    let world = World::new(shop.clone());
    assert_eq!(world.order(&at(0.0)), [vec![1], vec![2], vec![0]]);
    // Nothing healthy: as though all were, so one with a weight.
    assert_eq!(world.without(&at(0.0), &[0, 1, 2]), [1]);
    for endpoint in &mut shop.endpoints {
        endpoint.weight = 0;
    }
    assert_eq!(World::new(shop).order(&at(0.0)), [vec![0], vec![1], vec![2]]);
}

//----------- Tracks ---------------------------------------------------------

/// Three stable endpoints and a canary in the nearest cluster, with a tenth of clients on trial.
fn canary() -> Gateway {
    let mut shop = gateway(Policy::default(), 3);
    shop.endpoints.push(Endpoint {
        track: Track::Canary,
        addresses: vec![address("192.0.2.100")],
        ..endpoint(0)
    });
    shop.rollout.trial = Some(Trial { track: Track::Canary, share: share(0.1) });
    shop
}

fn split(world: &World, unhealthy: &[usize]) -> (Vec<u16>, Option<Vec<u16>>) {
    let client = Client { place: &at(0.0), prefix: None };
    let Split { live, trial } =
        world.split(client, Family::V4, &down(world.catalog.targets().len(), unhealthy));
    (chosen(&live), trial.as_ref().map(chosen))
}

#[test]
fn each_track_has_its_clients_and_gives_them_to_the_other_when_it_is_down() {
    let world = World::new(canary());
    assert_eq!(split(&world, &[]), (vec![0], Some(vec![3])));
    assert_eq!(split(&world, &[0]), (vec![1], Some(vec![3])));
    assert_eq!(split(&world, &[3]), (vec![0], None), "who is on trial gets what everyone gets");
    assert_eq!(split(&world, &[0, 1, 2]), (vec![3], None));
}

#[test]
fn a_trial_that_fails_is_no_panic() {
    let world = World::new(Gateway { panic_below: share(0.5), ..canary() });
    assert_eq!(split(&world, &[3]), (vec![0], None));
    // A probe network that fails does not send everyone to the one that it did not see.
    assert_eq!(split(&world, &[0, 1, 2]), (vec![0], Some(vec![3])));
    let tiers = vec![Tier { panic_below: share(0.5), ..tier(&[0, 1, 2], Policy::default()) }];
    let world = World::new(Gateway { policy: Policy::Failover(tiers), ..canary() });
    assert_eq!(split(&world, &[3]), (vec![0], None));
    assert_eq!(split(&world, &[0, 1, 2]), (vec![0], Some(vec![3])));
}

#[test]
fn a_rollout_says_which_track_is_live() {
    let mut shop = gateway(Policy::Weighted, 3);
    for (endpoint, track) in shop.endpoints.iter_mut().zip([Track::Green, Track::Blue, Track::Canary]) {
        endpoint.track = track;
    }
    let mut live = |rollout: Rollout| {
        shop.rollout = rollout;
        (live_track(&shop), split(&World::new(shop.clone()), &[]))
    };
    assert_eq!(live(Rollout::default()), (Track::Blue, (vec![1], None)));
    let green = Rollout { live: Some(Track::Green), trial: None };
    assert_eq!(live(green), (Track::Green, (vec![0], None)));
    let trial = |track, part| Rollout { trial: Some(Trial { track, share: part }), ..green };
    assert_eq!(live(trial(Track::Blue, share(0.01))), (Track::Green, (vec![0], Some(vec![1]))));
    assert_eq!(live(trial(Track::Blue, Share::NONE)), (Track::Green, (vec![0], None)));
    assert_eq!(live(trial(Track::Green, Share::ALL)), (Track::Green, (vec![0], None)));
    // A track that no endpoint runs has nothing healthy.
    let absent = Rollout { live: Some(Track::Stable), trial: None };
    assert_eq!(live(absent), (Track::Stable, (vec![0, 1, 2], None)));
}

#[test]
fn one_track_alone_is_decided_as_in_the_split() {
    let world = World::new(canary());
    for unhealthy in [&[][..], &[3], &[0], &[0, 1, 2], &[0, 1, 2, 3]] {
        let health = down(4, unhealthy);
        let split = world.split(Client { place: &at(0.0), prefix: None }, Family::V4, &health);
        let standings = standings(world.gateway(), Family::V4, &Verdicts::new(health));
        let outlook = world.outlook(Client { place: &at(0.0), prefix: None });
        let of = |track| {
            let mut trail = Vec::new();
            decide_for_track(world.gateway(), Family::V4, &standings, &outlook, track, &mut trail)
        };
        assert_eq!(of(Track::Stable), split.live);
        assert_eq!(of(Track::Canary), split.trial.unwrap_or(split.live));
    }
}

//----------- all_down -------------------------------------------------------

fn all_down(policy: Policy, all_down: AllDown, health: &[TargetHealth]) -> (Vec<u16>, Basis) {
    let world = World::new(Gateway { all_down, ..gateway(policy, health.len()) });
    let decision = world.ask(&at(0.0), health);
    assert_eq!(decision.doubt.is_some(), decision.basis != Basis::Healthy);
    (chosen(&decision), decision.basis)
}

#[test]
fn all_down_keeps_to_the_policy() {
    let tiers = || Policy::Failover(vec![tier(&[2, 3], Policy::Weighted), tier(&[0, 1], Policy::default())]);
    let lost = |lost| TargetHealth { lost, ..UNHEALTHY };
    let health = [lost(4), lost(9), lost(2), lost(0)];
    assert_eq!(all_down(tiers(), AllDown::ServeAll, &health), (vec![2, 3], Basis::ServeAll));
    assert_eq!(all_down(tiers(), AllDown::LastHealthy, &health), (vec![1], Basis::LastHealthy));
    let fallback = |indices| AllDown::Fallback(clusters(indices));
    assert_eq!(all_down(tiers(), fallback(&[0, 1]), &health), (vec![0], Basis::Fallback));
    assert_eq!(all_down(tiers(), fallback(&[1, 3]), &health), (vec![3], Basis::Fallback));
    assert_eq!(all_down(tiers(), fallback(&[5]), &health), (vec![2, 3], Basis::ServeAll));
    assert_eq!(all_down(tiers(), AllDown::NoData, &health), (vec![], Basis::AllDown));
}

#[test]
fn a_fallback_may_be_what_no_tier_names() {
    let tiers = || Policy::Failover(vec![tier(&[0, 1], Policy::Weighted)]);
    let fallback = || AllDown::Fallback(clusters(&[2, 3]));
    assert_eq!(all_down(tiers(), fallback(), &down(4, &[0])), (vec![1], Basis::Healthy));
    assert_eq!(all_down(tiers(), fallback(), &down(4, &[0, 1])), (vec![2, 3], Basis::Fallback));
    assert_eq!(all_down(tiers(), fallback(), &down(4, &[0, 1, 2])), (vec![3], Basis::Fallback));
    assert_eq!(all_down(tiers(), fallback(), &down(4, &[0, 1, 2, 3])), (vec![2, 3], Basis::Fallback));
    // One that is down in the policy waits for a healthy one beside it.
    let both = AllDown::Fallback(clusters(&[0, 3]));
    assert_eq!(all_down(tiers(), both, &down(4, &[0, 1, 2])), (vec![3], Basis::Fallback));
}

#[test]
fn the_last_healthy_is_one_that_the_policy_uses() {
    let lost = |lost| TargetHealth { lost, ..UNHEALTHY };
    let tiers = Policy::Failover(vec![tier(&[0, 1], Policy::Weighted)]);
    let health = [lost(1), lost(5), lost(9)];
    assert_eq!(all_down(tiers, AllDown::LastHealthy, &health), (vec![1], Basis::LastHealthy));
}

//----------- Hostnames ------------------------------------------------------

fn named(at: usize, ips: &[&str], ttl: Option<u32>) -> Endpoint {
    let name = DomainName::parse(&format!("lb-{at}.elb.example")).expect("a name");
    let name =
        EndpointName { name, as_cname: false, stale_for: Duration::ZERO, ttl, lost: false, in_doubt: false };
    Endpoint { name: Some(name), addresses: ips.iter().map(|ip| address(ip)).collect(), ..endpoint(at) }
}

fn with_name(change: impl Fn(&mut EndpointName), endpoint: Endpoint) -> Endpoint {
    let mut endpoint = endpoint;
    change(endpoint.name.as_mut().expect("a hostname"));
    endpoint
}

fn of_endpoints(policy: Policy, endpoints: Vec<Endpoint>) -> World {
    World::new(Gateway { endpoints, ..gateway(policy, 0) })
}

fn ask(world: &World, family: Family, health: &[TargetHealth]) -> Decision {
    world.split(Client { place: &at(0.0), prefix: None }, family, health).live
}

#[test]
fn a_hostname_that_does_not_resolve_is_in_doubt() {
    let failing = with_name(|name| name.in_doubt = true, named(0, &["192.0.2.50"], None));
    let world = of_endpoints(Policy::default(), vec![failing, endpoint(1)]);
    let decision = ask(&world, Family::V4, &[HEALTHY, HEALTHY]);
    assert_eq!((chosen(&decision), decision.doubt), (vec![0], Some(Doubt::Verdict)));
}

/// It can be handed out without an address of ours, when nothing else is left.
#[test]
fn a_cname_that_never_resolved_is_a_last_resort() {
    let cname = with_name(|name| name.as_cname = true, named(0, &[], None));
    let world = of_endpoints(Policy::default(), vec![cname.clone(), endpoint(1)]);
    assert_eq!(chosen(&ask(&world, Family::V4, &[HEALTHY])), [1]);
    let alone = of_endpoints(Policy::default(), vec![cname]);
    let decision = ask(&alone, Family::V6, &[]);
    assert_eq!((chosen(&decision), decision.basis), (vec![0], Basis::ServeAll));
}

#[test]
fn a_hostname_that_is_lost_is_unhealthy() {
    let lost = with_name(|name| name.lost = true, named(0, &["192.0.2.50"], Some(60)));
    let world = of_endpoints(Policy::default(), vec![lost, endpoint(1)]);
    assert_eq!(chosen(&ask(&world, Family::V4, &[HEALTHY, HEALTHY])), [1]);
    // Its last addresses are better than none.
    let both = ask(&world, Family::V4, &[HEALTHY, UNHEALTHY]);
    assert_eq!((chosen(&both), both.basis), (vec![0], Basis::ServeAll));
    // One that never resolved has nothing to hand out.
    let world = of_endpoints(Policy::default(), vec![named(0, &[], None)]);
    assert_eq!(ask(&world, Family::V4, &[]).basis, Basis::NoAddress);
}

#[test]
fn the_ttl_of_a_hostname_caps_that_of_the_answer() {
    let endpoints =
        vec![named(0, &["192.0.2.50"], Some(60)), named(1, &["192.0.2.51"], Some(7)), endpoint(2)];
    let cap = |policy, unhealthy: &[usize]| {
        ask(&of_endpoints(policy, endpoints.clone()), Family::V4, &down(3, unhealthy)).ttl_cap
    };
    assert_eq!(cap(Policy::Weighted, &[]), Some(7));
    assert_eq!(cap(Policy::Weighted, &[1]), Some(60));
    assert_eq!(cap(Policy::Weighted, &[0, 1]), None);
    assert_eq!(cap(Policy::default(), &[]), Some(60), "only of those that may be picked");
}

#[test]
fn a_cname_answers_both_families() {
    let cname = with_name(|name| name.as_cname = true, named(0, &["192.0.2.50", "2001:db8::50"], Some(7)));
    let addresses = vec![address("192.0.2.1"), address("2001:db8::1")];
    let world = of_endpoints(Policy::default(), vec![cname, Endpoint { addresses, ..endpoint(1) }]);
    for family in Family::ALL {
        let decision = ask(&world, family, &[HEALTHY; 4]);
        assert_eq!((chosen(&decision), decision.ttl_cap), (vec![0], None));
        let (mut into, verdicts) = (Vec::new(), Verdicts::new(vec![HEALTHY; 4]));
        for draw in [Draw::Random(3), Draw::Client(3)] {
            let picked = Picker::new(&world, family).pick(&decision, &verdicts, draw, &mut into);
            assert_eq!((picked.cname, picked.drawn, into.len()), (Some(0), false, 0));
        }
        // Who follows it may use any of its addresses, so one that is healthy is enough, in both.
        assert_eq!(chosen(&ask(&world, family, &down(4, &[0]))), [0]);
        assert_eq!(chosen(&ask(&world, family, &down(4, &[1]))), [0]);
        assert_eq!(chosen(&ask(&world, family, &down(4, &[0, 1]))), [1]);
    }
}

//----------- Site names -----------------------------------------------------

#[test]
fn a_site_name_answers_its_cluster_whatever_its_health() {
    let mut shop = canary();
    shop.endpoints[0].weight = 0;
    let world = World::new(shop);
    let site = |index: usize, permit: Permit, unhealthy: &[usize]| {
        let standings = standings(world.gateway(), Family::V4, &Verdicts::new(down(4, unhealthy)));
        let site = clusters(&[index])[0];
        let decision = decide_for_site(world.gateway(), Family::V4, &standings, &permit, site);
        (chosen(&decision), decision.basis)
    };
    assert_eq!(site(0, Permit::All, &[]), (vec![0, 3], Basis::ServeAll));
    assert_eq!(site(1, Permit::All, &[1]), (vec![1], Basis::ServeAll));
    assert_eq!(site(5, Permit::All, &[]), (vec![], Basis::NoAddress));
    let only = Permit::Only(clusters(&[1]).into());
    assert_eq!(site(0, only.clone(), &[]), (vec![], Basis::Prohibited));
    assert_eq!(site(1, only, &[]), (vec![1], Basis::ServeAll));
}
