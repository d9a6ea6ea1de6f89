//! Who shares what, over a million clients, and whom a change moves.

use meridian_model::{Endpoint, EndpointAddress, Gateway, Policy, TargetHealth, Verdicts};
use meridian_steering::{Draw, Family};

use crate::build::{HEALTHY, UNHEALTHY, World, address, at, down, endpoint, gateway};
use crate::draws::{CLIENTS, Picker, assert_within_one_percent, given, part, set_of};

const WEIGHTS: [u32; 4] = [400, 300, 200, 100];

/// A sticky gateway with an endpoint of each weight, the first with the address 192.0.2.0.
fn weighted(weights: &[u32]) -> Gateway {
    let mut shop = Gateway { sticky: true, ..gateway(Policy::Weighted, weights.len()) };
    for (endpoint, &weight) in shop.endpoints.iter_mut().zip(weights) {
        endpoint.weight = weight;
    }
    shop
}

fn given_by(gateway: Gateway, unhealthy: &[usize]) -> Vec<u64> {
    let world = World::new(gateway);
    let targets = world.catalog.targets().len();
    given(&world, &down(targets, unhealthy))
}

/// The part of clients that have an endpoint.
fn part_with(given: &[u64], bit: usize) -> f64 {
    part(given.iter().map(|set| set >> bit & 1 == 1))
}

#[test]
fn weights_hold_for_networks() {
    let all = given_by(weighted(&WEIGHTS), &[]);
    for (index, weight) in WEIGHTS.into_iter().enumerate() {
        assert_within_one_percent(part_with(&all, index), f64::from(weight) / 1000.0);
    }
    // A thousand to one: four times the spread of chance, 32 in 1,000.
    let few = part_with(&given_by(weighted(&[999_000, 1_000]), &[]), 1);
    assert!((few - 0.001).abs() < 0.000_13, "{few}");
    // Nothing but weight 0: all alike.
    let alike = given_by(weighted(&[0, 0, 0]), &[]);
    (0..3).for_each(|index| assert_within_one_percent(part_with(&alike, index), 1.0 / 3.0));
}

#[test]
fn losing_an_endpoint_moves_only_its_own_clients() {
    let before = given_by(weighted(&WEIGHTS), &[]);
    for lost in [0, 3] {
        let after = given_by(weighted(&WEIGHTS), &[lost]);
        let moved = || before.iter().zip(&after).filter(|(was, is)| was != is);
        assert!(moved().all(|(was, _)| *was == 1 << lost), "a client of another endpoint moved");
        // The others take them over by their weights.
        let left = f64::from(1000 - WEIGHTS[lost]);
        for (index, weight) in WEIGHTS.into_iter().enumerate().filter(|(index, _)| *index != lost) {
            let taken = part(moved().map(|(_, is)| *is == 1 << index));
            assert!((taken - f64::from(weight) / left).abs() < 0.01, "{lost} to {index}: {taken}");
        }
        // Out of the file it is as when it is down.
        let mut without = weighted(&WEIGHTS);
        without.endpoints.remove(lost);
        assert!(given_by(without, &[]) == after, "{lost}: removed is not as down");
    }
}

#[test]
fn a_weight_that_changes_moves_only_the_share_that_it_must() {
    let before = given_by(weighted(&WEIGHTS), &[]);
    for (at, weight) in [(2, 300), (0, 100), (1, 0)] {
        let mut weights = WEIGHTS;
        weights[at] = weight;
        let after = given_by(weighted(&weights), &[]);
        let grows = weight > WEIGHTS[at];
        let moved = before.iter().zip(&after).filter(|(was, is)| was != is);
        let mut to_or_from = moved.clone().map(|(was, is)| if grows { *is } else { *was });
        assert!(to_or_from.all(|set| set == 1 << at), "{at} to {weight}: others moved");
        let sum = |weights: [u32; 4]| f64::from(weights.iter().sum::<u32>());
        let must = f64::from(weight) / sum(weights) - f64::from(WEIGHTS[at]) / sum(WEIGHTS);
        let count = f64::from(u32::try_from(moved.count()).expect("a million"));
        assert_within_one_percent(count / f64::from(CLIENTS), must.abs());
    }
}

#[test]
fn the_order_in_the_file_moves_nobody() {
    let before = given_by(weighted(&WEIGHTS), &[]);
    let mut turned = weighted(&WEIGHTS);
    turned.endpoints.rotate_left(1);
    turned.endpoints.swap(0, 2);
    assert!(given_by(turned, &[]) == before);
}

#[test]
fn of_several_answers_the_others_stay() {
    let answers = 3;
    let shop = || Gateway { answers: Some(answers), ..weighted(&[100, 100, 300, 100, 200]) };
    let before = given_by(shop(), &[]);
    assert!(before.iter().all(|set| set.count_ones() == u32::from(answers)));
    let after = given_by(shop(), &[2]);
    for (was, is) in before.iter().zip(&after) {
        let stay = was & !(1 << 2);
        assert_eq!((is & stay, is.count_ones()), (stay, u32::from(answers)));
    }
    // One more endpoint takes at most one place in an answer.
    let mut more = shop();
    more.endpoints.push(endpoint(5));
    for (was, is) in before.iter().zip(&given_by(more, &[])) {
        assert!(was == is || (is & !was == 1 << 5 && (was & !is).count_ones() == 1));
    }
}

/// Two endpoints: one with the addresses 192.0.2.0 to .2, the other with .10 and .11.
fn with_several_addresses() -> Gateway {
    let of = |octets: &[u8]| -> Vec<EndpointAddress> {
        octets.iter().map(|octet| address(&format!("192.0.2.{octet}"))).collect()
    };
    let mut shop = weighted(&[300, 100]);
    shop.endpoints[0] = Endpoint { addresses: of(&[0, 1, 2]), ..shop.endpoints[0].clone() };
    shop.endpoints[1] = Endpoint { addresses: of(&[10, 11]), ..shop.endpoints[1].clone() };
    shop
}

#[test]
fn an_address_that_fails_moves_only_its_own_clients() {
    let octets = [0, 1, 2, 10, 11];
    let before = given_by(with_several_addresses(), &[]);
    let shares = [0.25, 0.25, 0.25, 0.125, 0.125];
    for (octet, share) in octets.into_iter().zip(shares) {
        assert_within_one_percent(part_with(&before, octet), share);
    }
    for (target, octet) in octets.into_iter().enumerate().step_by(3) {
        let after = given_by(with_several_addresses(), &[target]);
        let mut moved = before.iter().zip(&after).filter(|(was, is)| was != is);
        // Its endpoint keeps them.
        let same_endpoint = |set: u64| (set >> 10 == 0) == (octet < 10);
        assert!(moved.all(|(was, is)| *was == 1 << octet && same_endpoint(*is)), "{octet}");
        assert!(part_with(&after, octet) == 0.0);
    }
}

#[test]
fn random_draws_hold_weights() {
    let draw_all = |gateway: Gateway, health: &[TargetHealth]| -> Vec<u64> {
        let world = World::new(gateway);
        let decision = world.ask(&at(0.0), health);
        let (picker, verdicts) = (Picker::new(&world, Family::V4), Verdicts::new(health.to_vec()));
        let mut into = Vec::new();
        let mut state = 1_u64;
        let mut next = || {
            // xorshift64: any numbers do, as long as they are the same each run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            picker.pick(&decision, &verdicts, Draw::Random(state), &mut into);
            set_of(&into)
        };
        (0..CLIENTS).map(|_| next()).collect()
    };
    let all = draw_all(weighted(&WEIGHTS), &[HEALTHY; 4]);
    for (index, weight) in WEIGHTS.into_iter().enumerate() {
        assert_within_one_percent(part_with(&all, index), f64::from(weight) / 1000.0);
    }
    let three = draw_all(weighted(&WEIGHTS), &[HEALTHY, UNHEALTHY, HEALTHY, HEALTHY]);
    for (index, weight) in [(0, 400), (2, 200), (3, 100)] {
        assert_within_one_percent(part_with(&three, index), f64::from(weight) / 700.0);
    }
    // The addresses of one endpoint share its clients, and are left with those of one that fails.
    let addresses = draw_all(with_several_addresses(), &[HEALTHY; 5]);
    assert_within_one_percent(part_with(&addresses, 1), 0.25);
    assert_within_one_percent(part_with(&addresses, 11), 0.125);
    let two = draw_all(with_several_addresses(), &[HEALTHY, UNHEALTHY, HEALTHY, HEALTHY, HEALTHY]);
    assert_within_one_percent(part_with(&two, 0), 0.375);
    // Two of three without replacement: the second by the weights that the first leaves.
    let pair = Gateway { answers: Some(2), ..weighted(&[200, 100, 100]) };
    let pairs = draw_all(pair, &[HEALTHY; 3]);
    assert!(pairs.iter().all(|set| set.count_ones() == 2));
    // 1/2 to come first, else 2/3 as the second.
    assert_within_one_percent(part_with(&pairs, 0), 0.5 + 0.5 * 2.0 / 3.0);
}
