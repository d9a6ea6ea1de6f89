//! The same questions put to every policy, and what must hold for all gateways.

use std::net::IpAddr;

use meridian_model::{
    AllDown, Catalog, CatalogParts, Check, Cluster, ClusterId, Coordinates, Endpoint, EndpointAddress,
    Gateway, Place, Policy, Probe, ProbeAt, ProbeId, TargetHealth, TcpCheck, Thresholds, Tier, Track,
    Verdict, Verdicts,
};
use meridian_steering::{
    Addresses, Basis, Client, Decision, Doubt, Draw, Family, Given, Outlook, Permit, Ranker, Roster, decide,
    identity, listed_v4, listed_v6, pick, standings,
};
use proptest::prelude::*;

//----------- Building -------------------------------------------------------

const HEALTHY: TargetHealth = TargetHealth { verdict: Verdict::Healthy, in_doubt: false, lost: 0 };
const UNHEALTHY: TargetHealth = TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 1 };
const UNKNOWN: TargetHealth = TargetHealth { verdict: Verdict::Unknown, in_doubt: false, lost: 0 };

fn cluster(index: usize) -> ClusterId {
    ClusterId::from_index(index)
}

/// An endpoint in a cluster with one IPv4 and, where asked, one IPv6 address.
fn endpoint(at: usize, weight: u32, v6: bool) -> Endpoint {
    let mut ips: Vec<IpAddr> = vec![format!("192.0.2.{at}").parse().expect("an address")];
    if v6 {
        ips.push(format!("2001:db8::{at}").parse().expect("an address"));
    }
    let addresses = ips.into_iter().map(|ip| EndpointAddress { ip, target: None }).collect();
    Endpoint {
        cluster: cluster(at),
        addresses,
        name: None,
        probe_at: ProbeAt::default(),
        weight,
        track: Track::Stable,
    }
}

fn gateway(policy: Policy, endpoints: Vec<Endpoint>) -> Gateway {
    let gateway = Gateway {
        name: "shop".into(),
        ttl: 30,
        min_ttl: 5,
        answers: Some(1),
        policy,
        probe: Some(ProbeId::from_index(0)),
        endpoints,
        ..Gateway::default()
    };
    with_targets(gateway)
}

/// Numbers the targets as a catalog does: address by address.
fn with_targets(gateway: Gateway) -> Gateway {
    let somewhere = Coordinates::new(0.0, 0.0).expect("a place");
    let clusters = (0..8)
        .map(|i| Cluster {
            name: format!("c{i}").into(),
            coordinates: somewhere,
            country: None,
            jurisdictions: vec![],
        })
        .collect();
    let probe = Probe {
        name: "p".into(),
        check: Check::Tcp(TcpCheck::default()),
        invert: false,
        address: None,
        port: 80,
        interval: std::time::Duration::from_secs(1),
        fast_interval: std::time::Duration::from_secs(1),
        timeout: std::time::Duration::from_secs(1),
        thresholds: Thresholds::default(),
    };
    let parts =
        CatalogParts { clusters, probes: vec![probe], gateways: vec![gateway], ..CatalogParts::default() };
    Catalog::new(parts).gateways()[0].clone()
}

/// The decision for a client that has the clusters in this order of distance.
fn decided(gateway: &Gateway, family: Family, health: &[TargetHealth], order: &[usize]) -> Decision {
    let outlook = Outlook { permit: Permit::All, rank: rank(gateway, order) };
    let standings = standings(gateway, family, &Verdicts::new(health.to_vec()));
    decide(gateway, family, &standings, &outlook, &mut ()).live
}

/// The gateway's policy for a client at zero north, zero east: the clusters lie along the equator.
fn rank(gateway: &Gateway, order: &[usize]) -> meridian_steering::Rank {
    let clusters = (0..8)
        .map(|index| {
            let position = order.iter().position(|&other| other == index).unwrap_or(order.len());
            let longitude = f64::from(u8::try_from(position).expect("few"));
            Cluster {
                name: format!("c{index}").into(),
                coordinates: Coordinates::new(0.0, longitude).expect("a place"),
                country: None,
                jurisdictions: vec![],
            }
        })
        .collect();
    let catalog = Catalog::new(CatalogParts { clusters, ..CatalogParts::default() });
    let mut all: Vec<ClusterId> = gateway.endpoints.iter().map(|endpoint| endpoint.cluster).collect();
    all.sort_unstable();
    all.dedup();
    let place = Place { coordinates: Coordinates::new(0.0, 0.0).ok(), ..Place::default() };
    Ranker::new(&catalog).rank(&gateway.policy, &all, Client { place: &place, prefix: None }, &mut ())
}

/// The endpoints of the candidates.
fn chosen(decision: &Decision) -> Vec<u16> {
    decision.candidates.iter().map(|candidate| candidate.endpoint).collect()
}

fn picked(
    gateway: &Gateway,
    family: Family,
    decision: &Decision,
    verdicts: &Verdicts,
    random: u64,
    into: &mut Vec<IpAddr>,
) {
    let (v4, v6): (Vec<_>, Vec<_>) = (listed_v4(gateway).collect(), listed_v6(gateway).collect());
    let addresses = match family {
        Family::V4 => Addresses::V4(&v4),
        Family::V6 => Addresses::V6(&v6),
    };
    let identities: Vec<u64> = gateway.endpoints.iter().map(|endpoint| identity(endpoint, "c")).collect();
    let roster = Roster { addresses, identities: &identities };
    let mut given = Given::new();
    pick(roster, decision, gateway.answers, verdicts, Draw::Random(random), &mut given);
    *into = given.into_vec();
}

fn three(policy: Policy) -> Gateway {
    gateway(policy, vec![endpoint(0, 100, false), endpoint(1, 100, false), endpoint(2, 100, false)])
}

fn policies() -> Vec<Policy> {
    let everyone = vec![cluster(0), cluster(1), cluster(2)];
    vec![
        Policy::default(),
        Policy::Weighted,
        Policy::All,
        Policy::Failover(vec![
            Tier::new(vec![cluster(1)], Policy::All),
            Tier::new(everyone, Policy::default()),
        ]),
    ]
}

//----------- Battery --------------------------------------------------------

#[test]
fn an_unhealthy_endpoint_is_out_under_every_policy() {
    for policy in policies() {
        for down in 0..3 {
            let mut health = [HEALTHY; 3];
            health[down] = UNHEALTHY;
            let decision = decided(&three(policy.clone()), Family::V4, &health, &[0, 1, 2]);
            assert_eq!(decision.basis, Basis::Healthy, "{policy:?}");
            assert!(!chosen(&decision).contains(&u16::try_from(down).unwrap()), "{policy:?} {decision:?}");
            assert!(!decision.candidates.is_empty());
        }
    }
}

#[test]
fn all_down_serves_all_with_a_short_ttl_under_every_policy() {
    for policy in policies() {
        let gateway = three(policy.clone());
        let healthy = decided(&gateway, Family::V4, &[HEALTHY; 3], &[2, 0, 1]);
        let down = decided(&gateway, Family::V4, &[UNHEALTHY; 3], &[2, 0, 1]);
        assert_eq!(down.candidates, healthy.candidates, "{policy:?}");
        assert_eq!((down.doubt, healthy.doubt), (Some(Doubt::Fallback), None));
        assert_eq!(down.basis, Basis::ServeAll);
    }
}

#[test]
fn a_family_without_addresses_is_no_data_under_every_policy() {
    for policy in policies() {
        let decision = decided(&three(policy), Family::V6, &[HEALTHY; 3], &[0, 1, 2]);
        let nothing = Decision { candidates: vec![], doubt: None, ttl_cap: None, basis: Basis::NoAddress };
        assert_eq!(decision, nothing);
    }
}

#[test]
fn the_nearest_cluster_without_ipv6_leaves_aaaa_to_the_next() {
    let gateway = gateway(Policy::default(), vec![endpoint(0, 100, false), endpoint(1, 100, true)]);
    let health = [HEALTHY; 3];
    assert_eq!(chosen(&decided(&gateway, Family::V4, &health, &[0, 1])), [0]);
    assert_eq!(chosen(&decided(&gateway, Family::V6, &health, &[0, 1])), [1]);
}

#[test]
fn failover_goes_tier_by_tier() {
    let policy = policies().remove(3);
    let order = [2, 0, 1];
    let gateway = three(policy);
    let up = |health: [TargetHealth; 3]| chosen(&decided(&gateway, Family::V4, &health, &order));
    assert_eq!(up([HEALTHY, HEALTHY, HEALTHY]), [1]);
    assert_eq!(up([HEALTHY, UNHEALTHY, HEALTHY]), [2]);
    assert_eq!(up([HEALTHY, UNHEALTHY, UNHEALTHY]), [0]);
}

#[test]
fn the_ttl_is_short_only_for_a_doubt_that_can_change_the_answer() {
    let gateway = three(Policy::default());
    let doubt = |at: usize| {
        let mut health = [HEALTHY; 3];
        health[at].in_doubt = true;
        decided(&gateway, Family::V4, &health, &[0, 1, 2]).doubt.is_some()
    };
    assert!(doubt(0), "the answered one may fail");
    assert!(!doubt(1) && !doubt(2), "those further away cannot change the answer");
    // One that is nearer and about to recover can.
    let recovering = TargetHealth { in_doubt: true, ..UNHEALTHY };
    let doubt = |health: &[TargetHealth]| decided(&gateway, Family::V4, health, &[0, 1, 2]).doubt;
    assert_eq!(doubt(&[recovering, HEALTHY, HEALTHY]), Some(Doubt::Verdict));
    assert_eq!(doubt(&[UNHEALTHY, HEALTHY, HEALTHY]), None);
}

#[test]
fn weight_zero_serves_only_when_nothing_else_is_left() {
    for policy in [Policy::default(), Policy::Weighted, Policy::All] {
        let gateway = gateway(policy, vec![endpoint(0, 0, false), endpoint(1, 100, false)]);
        assert_eq!(chosen(&decided(&gateway, Family::V4, &[HEALTHY, HEALTHY], &[0, 1])), [1]);
        assert_eq!(chosen(&decided(&gateway, Family::V4, &[HEALTHY, UNHEALTHY], &[0, 1])), [0]);
        assert_eq!(chosen(&decided(&gateway, Family::V4, &[UNHEALTHY, UNHEALTHY], &[0, 1])), [1]);
    }
}

#[test]
fn a_track_that_is_not_live_serves_only_for_a_live_one_that_is_down() {
    let mut gateway = three(Policy::default());
    gateway.endpoints[0].track = Track::Canary;
    let up = |health: [TargetHealth; 3]| chosen(&decided(&gateway, Family::V4, &health, &[0, 1, 2]));
    assert_eq!(up([HEALTHY, HEALTHY, HEALTHY]), [1]);
    assert_eq!(up([HEALTHY, UNHEALTHY, UNHEALTHY]), [0]);
}

#[test]
fn unknown_is_not_healthy() {
    let gateway = three(Policy::default());
    assert_eq!(chosen(&decided(&gateway, Family::V4, &[UNKNOWN, HEALTHY, HEALTHY], &[0, 1, 2])), [1]);
    let none_known = decided(&gateway, Family::V4, &[UNKNOWN; 3], &[0, 1, 2]);
    assert_eq!((none_known.basis, none_known.doubt), (Basis::ServeAll, Some(Doubt::Fallback)));
}

#[test]
fn the_four_ways_of_all_down() {
    let lost = |lost| TargetHealth { lost, ..UNHEALTHY };
    let health = [lost(7), lost(9), lost(3)];
    let mut gateway = three(Policy::default());
    let mut ask = |all_down| {
        gateway.all_down = all_down;
        let decision = decided(&gateway, Family::V4, &health, &[0, 1, 2]);
        assert!(decision.doubt.is_some());
        (chosen(&decision), decision.basis)
    };
    assert_eq!(ask(AllDown::ServeAll), (vec![0], Basis::ServeAll));
    assert_eq!(ask(AllDown::LastHealthy), (vec![1], Basis::LastHealthy));
    assert_eq!(ask(AllDown::Fallback(vec![cluster(2)])), (vec![2], Basis::Fallback));
    assert_eq!(ask(AllDown::NoData), (vec![], Basis::AllDown));
    // Nothing ever was healthy: an empty answer is never made up.
    gateway.all_down = AllDown::LastHealthy;
    let never = TargetHealth { lost: 0, ..UNHEALTHY };
    assert_eq!(decided(&gateway, Family::V4, &[never; 3], &[0, 1, 2]).basis, Basis::ServeAll);
}

//----------- Pick -----------------------------------------------------------

#[test]
fn weights_hold_within_one_percent() {
    let gateway = gateway(
        Policy::Weighted,
        vec![endpoint(0, 700, false), endpoint(1, 200, false), endpoint(2, 100, false)],
    );
    let verdicts = Verdicts::new(vec![HEALTHY; 3]);
    let decision = decided(&gateway, Family::V4, &[HEALTHY; 3], &[0, 1, 2]);
    let mut counts = [0_u32; 3];
    let mut addresses = Vec::new();
    let mut random = fastrand_like(1);
    for _ in 0..200_000 {
        picked(&gateway, Family::V4, &decision, &verdicts, random(), &mut addresses);
        let [IpAddr::V4(only)] = addresses[..] else { panic!("{addresses:?}") };
        counts[usize::from(only.octets()[3])] += 1;
    }
    for (count, share) in counts.into_iter().zip([0.7, 0.2, 0.1]) {
        assert!((f64::from(count) / 200_000.0 - share).abs() < 0.01, "{counts:?}");
    }
}

/// A xorshift generator: any numbers do, as long as they are the same each run.
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn answers_bounds_the_addresses_and_all_gives_everything() {
    let mut gateway = three(Policy::All);
    let verdicts = Verdicts::new(vec![HEALTHY; 3]);
    let decision = decided(&gateway, Family::V4, &[HEALTHY; 3], &[0, 1, 2]);
    let mut addresses = Vec::new();
    for (answers, wanted) in [(Some(2), 2), (Some(9), 3), (None, 3)] {
        gateway.answers = answers;
        picked(&gateway, Family::V4, &decision, &verdicts, 7, &mut addresses);
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), wanted);
    }
}

#[test]
fn an_endpoint_hands_out_only_its_healthy_addresses() {
    let mut two = endpoint(0, 100, false);
    two.addresses.push(EndpointAddress { ip: "192.0.2.77".parse().unwrap(), target: None });
    let gateway = gateway(Policy::default(), vec![two]);
    let mut addresses = Vec::new();
    for random in 0..50 {
        let health = [UNHEALTHY, HEALTHY];
        let decision = decided(&gateway, Family::V4, &health, &[0]);
        picked(&gateway, Family::V4, &decision, &Verdicts::new(health.to_vec()), random, &mut addresses);
        assert_eq!(addresses, ["192.0.2.77".parse::<IpAddr>().unwrap()]);
    }
}

//----------- Properties -----------------------------------------------------

fn any_health() -> impl Strategy<Value = TargetHealth> {
    (0..4_usize, any::<bool>(), 0..5_u64).prop_map(|(verdict, in_doubt, lost)| TargetHealth {
        verdict: [Verdict::Unknown, Verdict::Healthy, Verdict::Degraded, Verdict::Unhealthy][verdict],
        in_doubt,
        lost,
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let leaf = prop_oneof![Just(Policy::default()), Just(Policy::Weighted), Just(Policy::All)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::vec((prop::collection::btree_set(0..5_usize, 1..4), inner), 1..4).prop_map(
            |tiers| {
                let tier = |(clusters, policy): (std::collections::BTreeSet<usize>, Policy)| {
                    Tier::new(clusters.into_iter().map(cluster).collect(), policy)
                };
                Policy::Failover(tiers.into_iter().map(tier).collect())
            },
        )
    })
}

fn any_gateway() -> impl Strategy<Value = Gateway> {
    let endpoints = prop::collection::vec((0..5_usize, 0..3_u32, any::<bool>(), 0..2_usize), 1..6);
    let all_down = prop_oneof![
        Just(AllDown::ServeAll),
        Just(AllDown::LastHealthy),
        Just(AllDown::Fallback(vec![cluster(1)])),
        Just(AllDown::NoData)
    ];
    (any_policy(), endpoints, all_down, prop::option::of(1..4_u16)).prop_map(
        |(policy, endpoints, all_down, answers)| {
            let endpoints = endpoints
                .into_iter()
                .map(|(at, weight, v6, track)| Endpoint {
                    track: [Track::Stable, Track::Canary][track],
                    ..endpoint(at, weight * 50, v6)
                })
                .collect();
            let mut gateway = gateway(policy, endpoints);
            gateway.all_down = all_down;
            gateway.answers = answers;
            gateway
        },
    )
}

proptest! {
    #[test]
    fn what_holds_for_every_answer(
        gateway in any_gateway(),
        health in prop::collection::vec(any_health(), 12),
        order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        random in any::<u64>(),
    ) {
        let verdicts = Verdicts::new(health.clone());
        for family in Family::ALL {
            let decision = decided(&gateway, family, &health, &order);
            let mut addresses = Vec::new();
            picked(&gateway, family, &decision, &verdicts, random, &mut addresses);
            let of_family = || gateway.endpoints.iter().flat_map(|e| &e.addresses).filter(|a| family.has(a.ip));
            prop_assert!(addresses.iter().all(|ip| of_family().any(|a| a.ip == *ip)));
            let of = |ip: IpAddr| of_family().filter(move |a| a.ip == ip).map(|a| verdicts.get(a.target.unwrap()).verdict);
            match decision.basis {
                Basis::Healthy => {
                    let is_healthy = |ip: IpAddr| of(ip).any(|verdict| verdict == Verdict::Healthy);
                    prop_assert!(addresses.iter().all(|&ip| is_healthy(ip)), "not healthy: {addresses:?}");
                }
                Basis::Degraded => {
                    let is_degraded = |ip: IpAddr| of(ip).any(|verdict| verdict == Verdict::Degraded);
                    prop_assert!(addresses.iter().all(|&ip| is_degraded(ip)), "not degraded: {addresses:?}");
                }
                _ => prop_assert!(decision.doubt.is_some() || decision.basis == Basis::NoAddress),
            }
            // An empty answer is never made by health alone.
            let may_be_empty = of_family().next().is_none()
                || (decision.basis == Basis::AllDown && gateway.all_down == AllDown::NoData);
            prop_assert!(!addresses.is_empty() || may_be_empty);
            prop_assert!(addresses.len() <= gateway.answers.map_or(usize::MAX, usize::from));
            let mut again = Vec::new();
            picked(&gateway, family, &decision, &verdicts, random, &mut again);
            prop_assert_eq!(&addresses, &again);
        }
    }
}
