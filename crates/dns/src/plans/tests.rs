//! That what is kept is counted right and bounded, and that without room scopes are narrower and nothing else.

use std::net::{IpAddr, Ipv4Addr};

use meridian_geoip::Locality;
use meridian_model::{
    Catalog, CatalogParts, Cluster, ClusterId, Coordinates, Endpoint, EndpointAddress, Nearest, Policy,
    ProbeAt, Track, Verdict,
};
use meridian_steering::standings;

use super::*;
use crate::select::Asker;

const CLUSTERS: [(f64, f64); 4] = [(53.35, -6.26), (39.04, -77.49), (35.68, 139.77), (-33.87, 151.21)];
const GATEWAYS: usize = 6;

fn catalog() -> Catalog {
    let cluster = |(latitude, longitude)| Cluster {
        name: format!("at {latitude}").into(),
        coordinates: Coordinates::new(latitude, longitude).unwrap(),
        country: None,
        jurisdictions: Vec::new(),
    };
    let endpoint = |index| Endpoint {
        cluster: ClusterId::from_index(index),
        addresses: vec![EndpointAddress { ip: [192, 0, 2, 1].into(), target: None }],
        name: None,
        probe_at: ProbeAt::default(),
        weight: 100,
        track: Track::Stable,
    };
    // Two shapes.
    let gateway = |number: usize| Gateway {
        policy: Policy::Nearest(Nearest::default()),
        endpoints: (number % 2..CLUSTERS.len()).map(endpoint).collect(),
        ..Gateway::default()
    };
    Catalog::new(CatalogParts {
        clusters: CLUSTERS.into_iter().map(cluster).collect(),
        gateways: (0..GATEWAYS).map(gateway).collect(),
        ..CatalogParts::default()
    })
}

/// How the endpoints of a gateway stand, with others unhealthy and in doubt by the bits of a number.
fn standing(gateway: &Gateway, bits: u16) -> Vec<Standing> {
    let mut all = standings(gateway, Family::V4, &meridian_model::Verdicts::default());
    for (index, standing) in all.iter_mut().enumerate() {
        let verdict = if bits >> index & 1 == 1 { Verdict::Unhealthy } else { Verdict::Healthy };
        (standing.verdict, standing.in_doubt) = (Some(verdict), bits >> (index + 8) & 1 == 1);
    }
    all
}

/// The plans after gateways went over to others.
fn after(
    world: (&Catalog, &Shapes),
    before: &(Plans, Vec<PlanNumber>),
    now: &[(usize, u16)],
    most_ranges: usize,
) -> (Plans, Vec<PlanNumber>) {
    let mut planner = Planner { most_ranges, ..Planner::new(world.1, Some(&before.0)) };
    let mut numbers = before.1.clone();
    now.iter().for_each(|(at, _)| planner.give_back(numbers[*at]));
    for &(at, bits) in now {
        let gateway = &world.0.gateways()[at];
        numbers[at] = planner.take((gateway, at), Family::V4, &standing(gateway, bits));
    }
    (planner.finish(), numbers)
}

fn hold_together((plans, numbers): &(Plans, Vec<PlanNumber>)) {
    let Stock { list, known, free, maps, ranges } = &*plans.stock;
    for (number, held) in list.iter().enumerate() {
        let users = numbers.iter().filter(|user| **user as usize == number).count();
        assert_eq!(plans.uses[number] as usize, users);
        let is_idle = plans.idle.contains(&(plans.since[number], u32::try_from(number).unwrap()));
        assert_eq!(is_idle, held.is_some() && users == 0);
        assert_eq!(held.is_none(), free.contains(&u32::try_from(number).unwrap()));
        if let Some(held) = held {
            assert_eq!(known.get(&held.key).map(|known| *known as usize), Some(number));
        }
    }
    assert_eq!(known.len(), list.iter().flatten().count());
    assert!(plans.idle.len() <= IDLE_PLANS);
    assert_eq!(maps.values().map(|(map, _)| map.range_count()).sum::<usize>(), *ranges);
    let merged = |area: &&Area| matches!(area.whereabouts, Whereabouts::Merged(..));
    let areas = list.iter().flatten().flat_map(|held| &held.plan.areas).filter(merged).count();
    assert_eq!(maps.values().map(|(_, areas)| areas).sum::<usize>(), areas);
}

#[test]
fn plans_are_counted_shared_and_dropped_and_without_room_only_narrower() {
    let (catalog, locality) = (catalog(), Locality::load(&[], &[]).unwrap());
    let shapes = Shapes::new(&catalog, &locality, None);
    let nobody = (Plans::default(), vec![PlanNumber::MAX; GATEWAYS]);
    let everyone: Vec<(usize, u16)> = (0..GATEWAYS).map(|at| (at, 0)).collect();
    let first = after((&catalog, &shapes), &nobody, &everyone, SCOPE_RANGES);
    hold_together(&first);
    assert_eq!(first.0.known(), 2, "one a shape");
    let room_for_two = first.0.stock.ranges;

    let mut random = fastrand::Rng::with_seed(3);
    let (mut wide, mut narrow, mut narrower) = (first.clone(), first, 0);
    for step in 0..300 {
        let mut now: Vec<(usize, u16)> = (0..GATEWAYS).map(|at| (at, random.u16(..))).collect();
        random.shuffle(&mut now);
        now.truncate(random.usize(1..=GATEWAYS));
        wide = after((&catalog, &shapes), &wide, &now, SCOPE_RANGES);
        narrow = after((&catalog, &shapes), &narrow, &now, room_for_two);
        hold_together(&wide);
        hold_together(&narrow);
        for (at, _) in now {
            for _ in 0..20 {
                let client = IpAddr::V4(Ipv4Addr::from_bits(random.u32(..)));
                let of = |(plans, numbers): &(Plans, Vec<PlanNumber>)| {
                    let (split, scope) =
                        plans.plan(numbers[at]).unwrap().decide(&Asker::alone(client, client, 0)).unwrap();
                    (split.clone(), scope)
                };
                let (wide, narrow) = (of(&wide), of(&narrow));
                assert_eq!(wide.0, narrow.0, "step {step}, gateway {at}, {client}");
                assert!(wide.1 <= narrow.1);
                narrower += usize::from(wide.1 < narrow.1);
            }
        }
    }
    assert!(narrower > 0 && narrow.0.known() < wide.0.known());
    assert_eq!(wide.0.idle.len(), IDLE_PLANS);
}

#[test]
fn a_change_that_comes_back_is_not_worked_out_again() {
    let (catalog, locality) = (catalog(), Locality::load(&[], &[]).unwrap());
    let shapes = Shapes::new(&catalog, &locality, None);
    let world = (&catalog, &shapes);
    let nobody = (Plans::default(), vec![PlanNumber::MAX; GATEWAYS]);
    let healthy = after(world, &nobody, &[(0, 0)], SCOPE_RANGES);
    let doubted = after(world, &healthy, &[(0, 0x100)], SCOPE_RANGES);
    // The TTL of those who are sent there is another, and the map is not.
    assert_eq!((doubted.0.known(), doubted.0.stock.maps.len()), (2, 1));
    let down = after(world, &doubted, &[(0, 1)], SCOPE_RANGES);
    assert_eq!((down.0.known(), down.0.stock.maps.len()), (3, 2));
    let again = after(world, &down, &[(0, 0x100)], SCOPE_RANGES);
    assert!(Arc::ptr_eq(&down.0.stock, &again.0.stock));
    assert_eq!(again.1, doubted.1);
}

impl Plans {
    fn known(&self) -> usize {
        self.stock.known.len()
    }
}
