//! Decisions for many outlooks at once are those of each.

use meridian_model::{Place, PrefixId, Verdicts};
use meridian_steering::{Client, Courses, Decided, Family, Outlook, Permit, decide, standings};
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
}
