//! Draws from decisions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_model::{Endpoint, TargetHealth, Verdicts};
use meridian_steering::{
    Addresses, Decision, Draw, Family, Given, Health, Listed, Picked, Roster, client_hash, identity,
    listed_v4, listed_v6, pick, text_hash,
};

use crate::build::{World, at};

/// A gateway's roster, laid out once for many draws.
pub(crate) struct Picker {
    pub(crate) answers: Option<u16>,
    family: Family,
    v4: Vec<Listed<Ipv4Addr>>,
    v6: Vec<Listed<Ipv6Addr>>,
    identities: Vec<u64>,
}

impl Picker {
    pub(crate) fn new(world: &World, family: Family) -> Self {
        let gateway = world.gateway();
        let identity =
            |endpoint: &Endpoint| identity(endpoint, &world.catalog.cluster(endpoint.cluster).name);
        Self {
            answers: gateway.answers,
            family,
            v4: listed_v4(gateway).collect(),
            v6: listed_v6(gateway).collect(),
            identities: gateway.endpoints.iter().map(identity).collect(),
        }
    }

    pub(crate) fn pick<'v>(
        &self,
        decision: &Decision,
        health: impl Into<Health<'v>>,
        draw: Draw,
        into: &mut Vec<IpAddr>,
    ) -> Picked {
        let addresses = match self.family {
            Family::V4 => Addresses::V4(&self.v4),
            Family::V6 => Addresses::V6(&self.v6),
        };
        let roster = Roster { addresses, identities: &self.identities };
        let mut given = Given::new();
        let picked = pick(roster, decision, self.answers, health, draw, &mut given);
        *into = given.into_vec();
        picked
    }
}

//----------- Clients --------------------------------------------------------

/// How many clients the tests of shares ask for.
pub(crate) const CLIENTS: u32 = 1_000_000;

/// A million different networks, one /24 and one /48 after the other, hashed for a gateway.
pub(crate) fn client_hashes(gateway: &str) -> impl Iterator<Item = u64> {
    let salt = text_hash(&[gateway]);
    (0..CLIENTS / 2)
        .flat_map(|number| {
            let v4 = u128::from(0x0100_0000 + (number << 8));
            [v4, 0x2a00 << 112 | u128::from(number) << 80]
        })
        .map(move |network| client_hash(salt, network))
}

/// The addresses that each client gets, as a set: one bit for each last octet below 64.
pub(crate) fn given(world: &World, health: &[TargetHealth]) -> Vec<u64> {
    given_at("shop", world, health)
}

/// As [`given`], were the gateway called so.
pub(crate) fn given_at(gateway: &str, world: &World, health: &[TargetHealth]) -> Vec<u64> {
    let decision = world.ask(&at(0.0), health);
    let (picker, verdicts) = (Picker::new(world, Family::V4), Verdicts::new(health.to_vec()));
    let mut into = Vec::new();
    let mut of_client = |hash| {
        picker.pick(&decision, &verdicts, Draw::Client(hash), &mut into);
        set_of(&into)
    };
    client_hashes(gateway).map(&mut of_client).collect()
}

pub(crate) fn set_of(addresses: &[IpAddr]) -> u64 {
    let bit = |address: &IpAddr| match address {
        IpAddr::V4(address) => 1 << (address.octets()[3] % 64),
        IpAddr::V6(_) => 0,
    };
    addresses.iter().fold(0, |set, address| set | bit(address))
}

/// The part of all clients of whom this holds.
pub(crate) fn part(holds: impl Iterator<Item = bool>) -> f64 {
    let (mut count, mut of) = (0_u32, 0_u32);
    for one in holds {
        count += u32::from(one);
        of += 1;
    }
    f64::from(count) / f64::from(of)
}

/// Whether two shares are within one in a hundred of each other.
#[track_caller]
pub(crate) fn assert_within_one_percent(found: f64, wanted: f64) {
    assert!((found / wanted - 1.0).abs() < 0.01, "{found}, not {wanted}");
}
