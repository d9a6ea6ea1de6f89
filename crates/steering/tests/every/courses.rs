//! What is worked out for many at once, or the short way, is what is worked out for each.

use meridian_model::{Endpoint, Place, PrefixId, Verdicts};
use meridian_steering::{
    Client, Courses, Decided, Family, Outlook, Permit, StandingRoom, decide, listed_v4, listed_v6, standings,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::any::{any_case, any_place};
use crate::build::clusters;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_decided_at_once_is_what_each_is_decided(
        case in any_case(),
        clients in vec((any_place(), prop::option::of(0..3_usize)), 1..40),
        theirs in prop::option::of(vec(0..5_usize, 0..4)),
    ) {
        let (gateway, verdicts) = (case.world.gateway(), Verdicts::new(case.health.clone()));
        let outlook = |(place, prefix): &(Place, Option<usize>)| {
            case.world.outlook(Client { place, prefix: prefix.map(PrefixId::from_index) })
        };
        let outlooks: Vec<Outlook> = clients.iter().map(outlook).collect();
        let courses = Courses::new(&outlooks);
        let behind = theirs.map(|mut theirs| {
            theirs.sort_unstable();
            theirs.dedup();
            Permit::Only(clusters(&theirs).into())
        });
        let seen = |outlook: &Outlook| match &behind {
            Some(theirs) => Outlook { permit: outlook.permit.and(theirs), rank: outlook.rank.clone() },
            None => outlook.clone(),
        };
        for family in Family::ALL {
            let standings = standings(gateway, family, &verdicts);
            let Decided { splits, of } = courses.decide(gateway, family, &standings, &outlooks, seen);
            let mut next = 0;
            prop_assert_eq!(of.len(), outlooks.len());
            for (outlook, &number) in outlooks.iter().zip(&of) {
                let alone = decide(gateway, family, &standings, &seen(outlook), &mut ());
                prop_assert_eq!(&splits[number as usize], &alone);
                // Numbered as they come.
                prop_assert!(number <= next);
                next = next.max(number + 1);
            }
            prop_assert_eq!(splits.len(), next as usize);
            let distinct = (0..splits.len()).all(|index| !splits[..index].contains(&splits[index]));
            prop_assert!(distinct);
        }
    }

    #[test]
    fn standings_are_those_of_the_roster(case in any_case()) {
        let (mut gateway, verdicts) = (case.world.gateway().clone(), Verdicts::new(case.health.clone()));
        gateway.endpoints.iter_mut().for_each(|endpoint| endpoint.name = None);
        let mut room = StandingRoom::default();
        for family in Family::ALL {
            let of_family = |endpoint: &Endpoint| {
                endpoint.addresses.iter().filter(|address| family.has(address.ip)).count()
            };
            let counts: Vec<u16> =
                gateway.endpoints.iter().map(|endpoint| of_family(endpoint).try_into().unwrap()).collect();
            let wanted = standings(&gateway, family, &verdicts);
            let found = match family {
                Family::V4 => room.of_roster(&listed_v4(&gateway).collect::<Vec<_>>(), &counts, &verdicts),
                Family::V6 => room.of_roster(&listed_v6(&gateway).collect::<Vec<_>>(), &counts, &verdicts),
            };
            prop_assert_eq!(found, &wanted[..]);
        }
    }
}
