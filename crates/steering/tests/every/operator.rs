//! Stage 2: what an operator takes out is out, whatever else holds; what is drained goes last.

use std::collections::BTreeMap;
use std::net::IpAddr;

use meridian_model::{AllDown, Gateway, GatewayId, Order, Orders, Policy, Share, TargetHealth, Verdicts};
use meridian_steering::{
    Basis, Client, Decision, Draw, Family, Health, Note, Permit, decide, decide_for_site, standings,
};

use crate::build::{HEALTHY, UNHEALTHY, World, address, at, chosen, down, endpoint, gateway, tier};
use crate::draws::Picker;

/// A world with orders for some addresses: of an endpoint, by the index of the address in it.
struct Ordered {
    world: World,
    verdicts: Verdicts,
}

impl Ordered {
    fn new(gateway: Gateway, health: Vec<TargetHealth>, orders: &[(usize, usize, Order)]) -> Self {
        let world = World::new(gateway);
        let mut all = Orders::default();
        for &(endpoint, address, order) in orders {
            let ip = world.gateway().endpoints[endpoint].addresses[address].ip;
            all.give(first(), endpoint, Some(ip), order);
        }
        Self { world, verdicts: Verdicts::new(health).with_orders(all.into()) }
    }

    fn health(&self) -> Health<'_> {
        Health::new(&self.verdicts, self.verdicts.orders(first()))
    }

    fn decide(&self, notes: &mut Vec<Note>) -> Decision {
        let standings = standings(self.world.gateway(), Family::V4, self.health());
        let outlook = self.world.outlook(Client { place: &at(0.0), prefix: None });
        decide(self.world.gateway(), Family::V4, &standings, &outlook, notes).live
    }

    fn asked(&self) -> (Vec<u16>, Basis) {
        let decision = self.decide(&mut Vec::new());
        (chosen(&decision), decision.basis)
    }

    /// How often each address is answered, of a thousand times.
    fn answered(&self) -> BTreeMap<IpAddr, usize> {
        let decision = self.decide(&mut Vec::new());
        let picker = Picker::new(&self.world, Family::V4);
        let mut counts = BTreeMap::new();
        let mut into = Vec::new();
        for random in 0..1000 {
            picker.pick(&decision, self.health(), Draw::Random(random), &mut into);
            for address in &into {
                *counts.entry(*address).or_default() += 1;
            }
        }
        counts
    }
}

fn first() -> GatewayId {
    GatewayId::from_index(0)
}

fn drain(percent: u32) -> Order {
    Order::Drain(Share::from_fraction(f64::from(percent) / 100.0).expect("a fraction"))
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn what_is_down_is_out_also_when_nothing_else_is_left() {
    let two_tiers = || Policy::Failover(vec![tier(&[0], Policy::All), tier(&[1, 2], Policy::All)]);
    let of = |health, orders: &[(usize, usize, Order)]| {
        Ordered::new(gateway(two_tiers(), 3), health, orders).asked()
    };
    let healthy = || vec![HEALTHY; 3];
    assert_eq!(of(healthy(), &[(0, 0, Order::Down)]), (vec![1, 2], Basis::Healthy));
    assert_eq!(of(healthy(), &[(0, 0, Order::Down), (1, 0, Order::Down)]), (vec![2], Basis::Healthy));
    // All that is left is unhealthy: as though it were healthy, without what is out.
    assert_eq!(of(down(3, &[1, 2]), &[(0, 0, Order::Down)]), (vec![1, 2], Basis::ServeAll));
    let all = [(0, 0, Order::Down), (1, 0, Order::Down), (2, 0, Order::Down)];
    assert_eq!(of(healthy(), &all), (vec![], Basis::TakenOut));
}

#[test]
fn no_fallback_brings_back_what_is_out() {
    let half = Share::from_fraction(0.5).expect("a fraction");
    for all_down in [AllDown::ServeAll, AllDown::LastHealthy, AllDown::Fallback(crate::build::clusters(&[0]))]
    {
        let gateway = Gateway { all_down, panic_below: half, ..gateway(Policy::All, 3) };
        let ordered = Ordered::new(gateway, down(3, &[0, 1, 2]), &[(0, 0, Order::Down)]);
        assert!(!ordered.asked().0.contains(&0));
    }
}

#[test]
fn what_is_up_counts_as_healthy_and_is_handed_out() {
    let nearest = gateway(Policy::default(), 2);
    let ordered = Ordered::new(nearest, down(2, &[0]), &[(0, 0, Order::Up)]);
    assert_eq!(ordered.asked(), (vec![0], Basis::Healthy));
    assert_eq!(ordered.answered().into_keys().collect::<Vec<_>>(), [v4(0)]);
}

#[test]
fn a_drain_takes_weight_and_at_last_everything_but_the_last_resort() {
    let weighted = || gateway(Policy::Weighted, 2);
    let share = |order| {
        let answered = Ordered::new(weighted(), vec![HEALTHY; 2], &[(0, 0, order)]).answered();
        answered.get(&v4(0)).copied().unwrap_or(0)
    };
    let (half, tenth) = (share(drain(50)), share(drain(10)));
    assert!((270..400).contains(&half), "a third was wanted: {half}");
    assert!((60..125).contains(&tenth), "one in eleven was wanted: {tenth}");
    assert_eq!((share(drain(1)) > 0, share(drain(0))), (true, 0));
    // With one cluster a tier, the next takes over at the end.
    let nearest =
        |left| Ordered::new(gateway(Policy::default(), 2), vec![HEALTHY; 2], &[(0, 0, drain(left))]).asked();
    assert_eq!((nearest(1), nearest(0)), ((vec![0], Basis::Healthy), (vec![1], Basis::Healthy)));
    // Drained, but all that serves.
    let last = Ordered::new(weighted(), down(2, &[1]), &[(0, 0, drain(0))]);
    assert_eq!(last.asked(), (vec![0], Basis::Healthy));
    assert_eq!(last.answered().into_keys().collect::<Vec<_>>(), [v4(0)]);
}

#[test]
fn one_address_of_an_endpoint_is_taken_out_or_drained() {
    let two = || {
        let mut two = endpoint(0);
        two.addresses.push(address("192.0.2.100"));
        Gateway { endpoints: vec![two, endpoint(1)], answers: None, ..gateway(Policy::default(), 0) }
    };
    for order in [Order::Down, drain(0)] {
        let ordered = Ordered::new(two(), vec![HEALTHY; 3], &[(0, 0, order)]);
        assert_eq!(ordered.asked().0, [0]);
        assert_eq!(ordered.answered().into_keys().collect::<Vec<_>>(), [v4(100)], "{order:?}");
    }
    let both = [(0, 0, Order::Down), (0, 1, Order::Down)];
    assert_eq!(Ordered::new(two(), vec![HEALTHY; 3], &both).asked().0, [1]);
    // What is left of it is unhealthy, so all of it is.
    let unhealthy = vec![HEALTHY, UNHEALTHY, HEALTHY];
    assert_eq!(Ordered::new(two(), unhealthy, &[(0, 0, Order::Down)]).asked().0, [1]);
}

#[test]
fn notes_say_what_is_out_draining_and_raised() {
    let mut notes = Vec::new();
    let orders = [(0, 0, Order::Down), (1, 0, drain(40)), (2, 0, Order::Up)];
    Ordered::new(gateway(Policy::Weighted, 3), vec![UNHEALTHY; 3], &orders).decide(&mut notes);
    assert_eq!(notes[0], Note::Operator { removed: vec![0], draining: vec![1], raised: vec![2] });
    assert_eq!(notes[1], Note::Health { kept: vec![2], degraded: vec![], removed: vec![1] });
}

#[test]
fn a_test_name_answers_what_is_out() {
    let ordered = Ordered::new(gateway(Policy::default(), 2), vec![HEALTHY; 2], &[(0, 0, Order::Down)]);
    let standings = standings(ordered.world.gateway(), Family::V4, &ordered.verdicts);
    let site = decide_for_site(
        ordered.world.gateway(),
        Family::V4,
        &standings,
        &Permit::All,
        crate::build::cluster(0),
    );
    assert_eq!(chosen(&site), [0]);
}
