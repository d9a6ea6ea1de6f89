//! Each policy alone, then nested.

use meridian_model::{
    ClientMatch, Continent, Geo, GeoRule, Jurisdiction, JurisdictionId, Latency, LatencyRow, LatencyTable,
    LatencyTableId, Nearest, Place, Policy, Prefix, PrefixId,
};

use crate::build::{Around, World, at, cluster, country, gateway, in_country, tier};

fn nearest(within_km: u32, max_km: Option<u32>, bias: &[(usize, i8)]) -> Policy {
    let bias = bias.iter().map(|&(index, bias)| (cluster(index), bias)).collect();
    Policy::Nearest(Nearest { within_km, max_km, bias })
}

//----------- nearest --------------------------------------------------------

#[test]
fn near_equals_share_and_each_group_begins_at_its_nearest() {
    // From 10° east: c1 at 0 km, c0 and c2 at 1,112, c3 at 2,224, c4 at 3,336.
    let order = |within_km| World::new(gateway(nearest(within_km, None, &[]), 5)).order(&at(10.0));
    assert_eq!(order(0), [vec![1], vec![0], vec![2], vec![3], vec![4]], "equals in the file's order");
    assert_eq!(order(1), [vec![1], vec![0, 2], vec![3], vec![4]]);
    assert_eq!(order(1113), [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(order(1111), [vec![1], vec![0, 2], vec![3], vec![4]]);
    assert_eq!(order(30_000), [vec![0, 1, 2, 3, 4]]);
}

#[test]
fn bias_is_that_of_route_53() {
    // From 12.5° east c1 is at 278 km and c2 at 834: a third.
    let first = |bias: &[(usize, i8)]| World::new(gateway(nearest(0, None, bias), 3)).without(&at(12.5), &[]);
    assert_eq!(first(&[]), [1]);
    // 834 × (1 - bias/100) falls under 278 after 66.
    assert_eq!(first(&[(2, 66)]), [1]);
    assert_eq!(first(&[(2, 67)]), [2]);
    // 278 ÷ (1 + bias/100) rises over 834 after -66.
    assert_eq!(first(&[(1, -66)]), [1]);
    assert_eq!(first(&[(1, -67)]), [2]);
    // c0 is at 1,390 km.
    assert_eq!(first(&[(0, 99)]), [0]);
    assert_eq!(first(&[(1, -99), (2, -99)]), [0]);
}

#[test]
fn within_km_compares_biased_distances_and_max_km_real_ones() {
    let world = |policy| World::new(gateway(policy, 3));
    // From 0°: c1 at 1,112 km counts as 111, c2 at 2,224.
    assert_eq!(world(nearest(112, None, &[(1, 90)])).without(&at(0.0), &[]), [0, 1]);
    assert_eq!(world(nearest(110, None, &[(1, 90)])).without(&at(0.0), &[]), [0]);
    // However large its bias, c1 is beyond 1,000 km and waits.
    let order = world(nearest(3000, Some(1000), &[(1, 99)])).order(&at(0.0));
    assert_eq!(order, [vec![0], vec![1], vec![2]]);
}

#[test]
fn what_is_beyond_max_km_comes_last_by_distance() {
    let order = |east| World::new(gateway(nearest(0, Some(1500), &[]), 5)).order(&at(east));
    assert_eq!(order(20.0), [vec![2], vec![1], vec![3], vec![0], vec![4]]);
    // Even where nothing is within: an answer by distance, never none.
    assert_eq!(order(70.0), [vec![4], vec![3], vec![2], vec![1], vec![0]]);
}

#[test]
fn beyond_max_km_the_next_tier_is_asked_first() {
    let tiers = vec![tier(&[0, 1, 2], nearest(0, Some(1500), &[])), tier(&[3, 4], Policy::Weighted)];
    let order = |east| World::new(gateway(Policy::Failover(tiers.clone()), 5)).order(&at(east));
    assert_eq!(order(0.0), [vec![0], vec![1], vec![3, 4], vec![2]]);
    assert_eq!(order(70.0), [vec![3, 4], vec![2], vec![1], vec![0]]);
    // A later tier that names it takes it in its own order.
    let tiers = vec![tier(&[0, 1, 2], nearest(0, Some(1500), &[])), tier(&[2, 3, 4], Policy::Weighted)];
    let world = World::new(gateway(Policy::Failover(tiers), 5));
    assert_eq!(world.order(&at(0.0)), [vec![0], vec![1], vec![2, 3, 4]]);
}

#[test]
fn equals_that_a_tier_left_stay_in_the_file_order() {
    // c0 is too far for the first tier; in the second it is as far as c6, and stands before it.
    let tiers = vec![tier(&[0], nearest(0, Some(1), &[])), tier(&[0, 6], Policy::default())];
    let world = World::new(gateway(Policy::Failover(tiers), 7));
    assert_eq!(world.order(&at(30.0)), [vec![0], vec![6]]);
}

#[test]
fn without_coordinates_the_file_order_holds() {
    let order = World::new(gateway(nearest(9000, Some(10), &[(2, 99)]), 3)).order(&Place::default());
    assert_eq!(order, [vec![0], vec![1], vec![2]]);
}

//----------- geo ------------------------------------------------------------

fn rule(clients: Vec<ClientMatch>, cluster: usize) -> GeoRule {
    GeoRule { clients, tier: tier(&[cluster], Policy::Weighted) }
}

/// Every kind of condition, most specific first, each with its own cluster; the default is c7.
fn every_condition() -> World {
    let id = PrefixId::from_index;
    let rules = vec![
        rule(vec![ClientMatch::Prefix(id(1))], 0),
        rule(vec![ClientMatch::Prefix(id(0)), ClientMatch::Prefix(id(2))], 1),
        rule(vec![ClientMatch::Asn(64_500)], 2),
        rule(vec![ClientMatch::Subdivision(country("US"), "CA".into())], 3),
        rule(vec![ClientMatch::Country(country("US"))], 4),
        rule(vec![ClientMatch::Jurisdiction(JurisdictionId::from_index(0))], 5),
        rule(vec![ClientMatch::Continent(Continent::Europe)], 6),
    ];
    let policy = Policy::Geo(Box::new(Geo { rules, default: tier(&[7], Policy::Weighted) }));
    let prefix = |net: &str, parent: Option<usize>| Prefix {
        net: net.parse().expect("valid"),
        parent: parent.map(PrefixId::from_index),
    };
    let eu = Jurisdiction {
        name: "Union".into(),
        countries: vec![country("DE"), country("IE")],
        subdivisions: vec![(country("FR"), "GF".into())],
    };
    let around = Around {
        jurisdictions: vec![eu],
        prefixes: vec![
            prefix("10.0.0.0/8", None),
            prefix("10.1.0.0/16", Some(0)),
            prefix("2001:db8::/32", None),
            // Named by a table alone: what holds it holds its clients too.
            prefix("10.1.2.0/24", Some(1)),
        ],
        ..Around::default()
    };
    World::with(gateway(policy, 8), around)
}

#[test]
fn geo_rules_ask_for_every_part_of_a_place() {
    let world = every_condition();
    let asked = |place: Place| world.without(&place, &[]);
    assert_eq!(asked(Place { asn: Some(64_500), ..in_country("US") }), [2]);
    assert_eq!(asked(Place { subdivision: Some("CA".into()), ..in_country("US") }), [3]);
    assert_eq!(asked(Place { subdivision: Some("CA".into()), ..in_country("IT") }), [7], "another's CA");
    assert_eq!(asked(in_country("US")), [4]);
    assert_eq!(asked(in_country("DE")), [5]);
    assert_eq!(asked(Place { subdivision: Some("GF".into()), ..in_country("FR") }), [5]);
    let europe = Some(Continent::Europe);
    assert_eq!(asked(Place { continent: europe, ..in_country("FR") }), [6], "which part is not known");
    assert_eq!(asked(Place { continent: europe, ..Place::default() }), [6]);
    assert_eq!(asked(Place::default()), [7]);
}

#[test]
fn nested_prefixes_hold_for_all_within_them() {
    let world = every_condition();
    let nowhere = Place::default();
    assert_eq!(world.within(0, &nowhere, &[]), [1]);
    assert_eq!(world.within(1, &nowhere, &[]), [0]);
    assert_eq!(world.within(2, &nowhere, &[]), [1], "one of several conditions");
    assert_eq!(world.within(3, &nowhere, &[]), [0], "a prefix within a prefix");
}

#[test]
fn a_rule_with_nothing_healthy_gives_to_the_next_that_holds() {
    let world = every_condition();
    let place = Place {
        asn: Some(64_500),
        subdivision: Some("CA".into()),
        continent: Some(Continent::NorthAmerica),
        ..in_country("US")
    };
    let asked = |unhealthy: &[usize]| world.within(1, &place, unhealthy);
    assert_eq!(asked(&[0]), [1], "the prefix around it");
    assert_eq!(asked(&[0, 1]), [2], "its ASN");
    assert_eq!(asked(&[0, 1, 2]), [3], "its subdivision");
    assert_eq!(asked(&[0, 1, 2, 3]), [4], "its country");
    // Neither the Union's nor Europe's: those do not hold.
    assert_eq!(asked(&[0, 1, 2, 3, 4]), [7], "the default");
    // Nothing that is for this client is healthy: all that is for it counts so.
    assert_eq!(asked(&[0, 1, 2, 3, 4, 7]), [0]);
}

//----------- latency --------------------------------------------------------

fn by_latency(within_ms: u32, rows: Vec<(ClientMatch, usize, u32)>, endpoints: usize) -> World {
    let row = |(clients, index, ms)| LatencyRow { clients, cluster: cluster(index), rtt_us: ms * 1000 };
    let table = LatencyTable { name: "t".into(), rows: rows.into_iter().map(row).collect() };
    let policy = Policy::Latency(Latency { table: LatencyTableId::from_index(0), within_ms });
    let prefix = |net: &str, parent: Option<usize>| Prefix {
        net: net.parse().expect("valid"),
        parent: parent.map(PrefixId::from_index),
    };
    let prefixes = vec![prefix("10.0.0.0/8", None), prefix("10.1.0.0/16", Some(0))];
    let around = Around { latency_tables: vec![table], prefixes, ..Around::default() };
    World::with(gateway(policy, endpoints), around)
}

#[test]
fn the_most_specific_measurement_counts() {
    let prefix = |index| ClientMatch::Prefix(PrefixId::from_index(index));
    let rows = vec![
        (prefix(0), 0, 90),
        (prefix(1), 0, 10),
        (ClientMatch::Asn(64_500), 0, 70),
        (ClientMatch::Country(country("US")), 0, 30),
        (prefix(0), 1, 50),
        (ClientMatch::Asn(64_500), 1, 50),
        (ClientMatch::Country(country("US")), 1, 50),
    ];
    let world = by_latency(0, rows, 2);
    let place = Place { asn: Some(64_500), ..in_country("US") };
    assert_eq!(world.within(1, &place, &[]), [0], "10 ms by the /16 before 90 by the /8");
    assert_eq!(world.within(0, &place, &[]), [1], "90 ms by the /8 before 70 by the ASN");
    assert_eq!(world.without(&place, &[]), [1], "70 ms by the ASN before 30 by the country");
    assert_eq!(world.without(&in_country("US"), &[]), [0], "30 ms by the country");
    assert_eq!(world.within(1, &place, &[0]), [1]);
}

#[test]
fn what_nobody_measured_is_estimated_by_distance() {
    // c1 is 1,112 km from zero: 22 ms. c2 is 2,224 km: 44 ms.
    let us = || ClientMatch::Country(country("US"));
    let from_zero = Place { coordinates: at(0.0).coordinates, ..in_country("US") };
    let measured = |ms| by_latency(0, vec![(us(), 2, ms)], 3);
    assert_eq!(measured(22).order(&from_zero), [vec![0], vec![2], vec![1]]);
    assert_eq!(measured(23).order(&from_zero), [vec![0], vec![1], vec![2]]);
    // No coordinates: what was measured goes first, the rest in the file's order.
    assert_eq!(measured(400).order(&in_country("US")), [vec![2], vec![0], vec![1]]);
    assert_eq!(measured(400).order(&in_country("DE")), [vec![0], vec![1], vec![2]]);
}

#[test]
fn clusters_within_ms_of_the_fastest_share() {
    let us = || ClientMatch::Country(country("US"));
    let world =
        |within| by_latency(within, vec![(us(), 0, 20), (us(), 1, 25), (us(), 2, 30), (us(), 3, 31)], 4);
    assert_eq!(world(0).order(&in_country("US")), [vec![0], vec![1], vec![2], vec![3]]);
    assert_eq!(world(5).order(&in_country("US")), [vec![0, 1], vec![2, 3]]);
    assert_eq!(world(10).order(&in_country("US")), [vec![0, 1, 2], vec![3]]);
}

//----------- Nested ---------------------------------------------------------

#[test]
fn policies_nest_three_deep() {
    // Germany: nearest of c0 to c2, then c3 and c4 by weight. Everyone: c5, then c6 with c7.
    let germany =
        Policy::Failover(vec![tier(&[0, 1, 2], nearest(0, None, &[])), tier(&[3, 4], Policy::Weighted)]);
    let everyone = Policy::Failover(vec![tier(&[5], Policy::All), tier(&[6, 7], Policy::All)]);
    let rules = vec![GeoRule {
        clients: vec![ClientMatch::Country(country("DE"))],
        tier: tier(&[0, 1, 2, 3, 4], germany),
    }];
    let policy = Policy::Geo(Box::new(Geo { rules, default: tier(&[5, 6, 7], everyone) }));
    let world = World::new(gateway(policy, 8));
    let german = Place { coordinates: at(20.0).coordinates, ..in_country("DE") };
    let order = [vec![2], vec![1], vec![0], vec![3, 4], vec![5], vec![6, 7]];
    assert_eq!(world.order(&german), order);
    assert_eq!(world.order(&in_country("FR")), [vec![5], vec![6, 7]]);
}

#[test]
fn what_a_nested_policy_leaves_out_is_for_the_next_tier() {
    // The geo policy gives Germany c0 and everyone else c1; whoever is left takes the other of them.
    let rules = vec![rule(vec![ClientMatch::Country(country("DE"))], 0)];
    let geo = Policy::Geo(Box::new(Geo { rules, default: tier(&[1], Policy::Weighted) }));
    let tiers = vec![tier(&[0, 1, 2], geo), tier(&[0, 1, 2], Policy::Weighted)];
    let world = World::new(gateway(Policy::Failover(tiers), 3));
    assert_eq!(world.order(&in_country("FR")), [vec![1], vec![0, 2]]);
    assert_eq!(world.order(&in_country("DE")), [vec![0], vec![1], vec![2]]);
}
