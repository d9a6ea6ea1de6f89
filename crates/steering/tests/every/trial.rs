//! Whom a trial takes.

use meridian_model::{Gateway, Policy, Share};
use meridian_steering::in_trial;

use crate::build::{World, gateway};
use crate::draws::{CLIENTS, client_hashes, given, part};

fn share(fraction: f64) -> Share {
    Share::from_fraction(fraction).expect("a fraction")
}

/// Four times the spread that chance gives to this share of a million; never above 0.2 %.
fn spread(share: f64) -> f64 {
    4.0 * (share * (1.0 - share) / f64::from(CLIENTS)).sqrt()
}

#[track_caller]
fn assert_share(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < spread(wanted), "{found}, not {wanted}");
}

#[test]
fn the_share_on_trial_is_as_asked() {
    for fraction in [0.001, 0.01, 0.1, 0.5, 0.99] {
        let taken = part(client_hashes("shop").map(|hash| in_trial(share(fraction), hash)));
        assert_share(taken, fraction);
        assert!((taken - fraction).abs() < 0.005);
    }
    assert!(client_hashes("shop").all(|hash| in_trial(Share::ALL, hash) && !in_trial(Share::NONE, hash)));
}

#[test]
fn who_is_in_stays_in_as_the_share_grows() {
    let steps: Vec<Share> = (0..=200_u32).map(|step| share(f64::from(step) / 200.0)).collect();
    for hash in client_hashes("shop").step_by(10) {
        let first = steps.partition_point(|&step| !in_trial(step, hash));
        assert!(steps[first..].iter().all(|&step| in_trial(step, hash)));
        assert!(steps[..first].iter().all(|&step| !in_trial(step, hash)));
    }
}

#[test]
fn each_gateway_begins_with_other_clients() {
    let tenth = share(0.1);
    let of = |gateway| client_hashes(gateway).map(move |hash| in_trial(tenth, hash));
    assert_share(part(of("shop").zip(of("blog")).map(|(shop, blog)| shop && blog)), 0.01);
    // Neither does a client bring in its neighbours: two steps on is the next network of its family.
    assert_share(part(of("shop").zip(of("shop").skip(2)).map(|(one, next)| one && next)), 0.01);
    assert_share(
        part(of("shop").step_by(2).zip(of("shop").skip(1).step_by(2)).map(|(v4, v6)| v4 == v6)),
        0.82,
    );
}

#[test]
fn a_trial_takes_from_every_endpoint_alike() {
    let world = World::new(Gateway { sticky: true, ..gateway(Policy::Weighted, 4) });
    let all = given(&world, &[crate::build::HEALTHY; 4]);
    for fraction in [0.01, 0.1, 0.5] {
        let on_trial: Vec<bool> = client_hashes("shop").map(|hash| in_trial(share(fraction), hash)).collect();
        // Chi-square with one degree of freedom an endpoint and one less: above 16.3 once in a thousand.
        let size = f64::from(CLIENTS) * part(on_trial.iter().copied());
        let chi_square: f64 = (0..4)
            .map(|index| {
                let both = part(on_trial.iter().zip(&all).map(|(&on, &set)| on && set == 1 << index));
                let expected = size * part(all.iter().map(|&set| set == 1 << index));
                (both * f64::from(CLIENTS) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 16.3, "{fraction}: {chi_square}");
    }
}

#[test]
fn the_endpoint_at_one_gateway_says_nothing_of_the_other() {
    let world = World::new(Gateway { sticky: true, ..gateway(Policy::Weighted, 4) });
    let shop = given(&world, &[crate::build::HEALTHY; 4]);
    let blog: Vec<u64> = crate::draws::given_at("blog", &world, &[crate::build::HEALTHY; 4]);
    for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
        let both = part(shop.iter().zip(&blog).map(|(&at, &there)| at == 1 << one && there == 1 << other));
        assert_share(both, 1.0 / 16.0);
    }
}
