//! Residency: no stage after it and no fallback goes beyond it, whatever the gateway.

use meridian_model::{
    AllDown, ClusterId, Conflict, CountryCode, Gateway, Jurisdiction, JurisdictionId, Place, Policy,
    PrefixId, Residency, ResidencyClients, ResidencyRule, TargetHealth, UnknownClients, Verdicts,
};
use meridian_steering::{
    Basis, Client, Decision, Draw, Family, Permit, Rank, decide_for_site, decide_for_track, permit, standings,
};
use proptest::prelude::*;

use crate::any::{Case, any_case};
use crate::build::{
    Around, CLUSTERS, HEALTHY, UNHEALTHY, World, address, at, chosen, cluster, clusters, country, down,
    gateway, in_country,
};
use crate::draws::Picker;

//----------- The rules, read naively ----------------------------------------

/// The clusters that may serve, by the rules as the documentation has them: `None` for all.
fn allowed(
    residency: Option<&Residency>,
    jurisdictions: &[Jurisdiction],
    place: &Place,
) -> Option<Vec<ClusterId>> {
    let residency = residency?;
    let mut rule = None;
    let mut unplaced = place.country.is_none();
    for candidate in &residency.rules {
        if unplaced {
            break;
        }
        let answers: Vec<Answer> = match &candidate.clients {
            ResidencyClients::Everyone => vec![Answer::Yes],
            ResidencyClients::In(ids) => {
                ids.iter().map(|id| lies_in(&jurisdictions[id.index()], place)).collect()
            }
        };
        if answers.contains(&Answer::Yes) {
            rule = Some(candidate);
            break;
        }
        unplaced = answers.contains(&Answer::CannotSay);
    }
    if unplaced {
        rule = match residency.unknown {
            UnknownClients::Deny => None,
            UnknownClients::TreatAs(id) => residency
                .rules
                .iter()
                .find(|rule| covers(&rule.clients, &jurisdictions[id.index()], id, jurisdictions)),
        };
    }
    Some(rule.map(|rule| rule.clusters.clone()).unwrap_or_default())
}

#[derive(PartialEq)]
enum Answer {
    Yes,
    No,
    CannotSay,
}

fn lies_in(jurisdiction: &Jurisdiction, place: &Place) -> Answer {
    let Some(country) = place.country else { return Answer::CannotSay };
    if jurisdiction.countries.contains(&country) {
        return Answer::Yes;
    }
    let parts: Vec<&str> =
        jurisdiction.subdivisions.iter().filter(|part| part.0 == country).map(|part| &*part.1).collect();
    match place.subdivision.as_deref() {
        _ if parts.is_empty() => Answer::No,
        None => Answer::CannotSay,
        Some(part) if parts.contains(&part) => Answer::Yes,
        Some(_) => Answer::No,
    }
}

/// Whether a rule is for all of a jurisdiction.
fn covers(
    clients: &ResidencyClients,
    whole: &Jurisdiction,
    id: JurisdictionId,
    all: &[Jurisdiction],
) -> bool {
    let ResidencyClients::In(ids) = clients else { return true };
    let named: Vec<&Jurisdiction> = ids.iter().map(|id| &all[id.index()]).collect();
    let has = |country: &CountryCode| named.iter().any(|one| one.countries.contains(country));
    ids.contains(&id)
        || whole.countries.iter().all(has)
            && whole
                .subdivisions
                .iter()
                .all(|part| has(&part.0) || named.iter().any(|one| one.subdivisions.contains(part)))
}

//----------- By example -----------------------------------------------------

/// EU clients to c0 and c1, Californian ones to c2, other Americans to c2 and c3, all others to c4.
fn strict(unknown: UnknownClients) -> (Residency, Around) {
    let id = JurisdictionId::from_index;
    let rule = |clients, indices: &[usize]| ResidencyRule { clients, clusters: clusters(indices) };
    let residency = Residency {
        rules: vec![
            rule(ResidencyClients::In(vec![id(0)]), &[0, 1]),
            rule(ResidencyClients::In(vec![id(1)]), &[2]),
            rule(ResidencyClients::In(vec![id(2)]), &[2, 3]),
            rule(ResidencyClients::Everyone, &[4]),
        ],
        unknown,
        conflict: Conflict::Strictest,
    };
    let of = |name: &str, countries: &[&str], subdivisions: &[(&str, &str)]| Jurisdiction {
        name: name.into(),
        countries: countries.iter().map(|code| country(code)).collect(),
        subdivisions: subdivisions.iter().map(|(code, part)| (country(code), (*part).into())).collect(),
    };
    let jurisdictions =
        vec![of("EU", &["DE", "IE"], &[]), of("US-CA", &[], &[("US", "CA")]), of("US", &["US"], &[])];
    (residency, Around { jurisdictions, ..Around::default() })
}

fn world(unknown: UnknownClients, all_down: AllDown, endpoints: usize) -> World {
    let (residency, around) = strict(unknown);
    let shop = Gateway { residency: Some(residency), all_down, ..gateway(Policy::Weighted, endpoints) };
    World::with(shop, around)
}

#[test]
fn the_first_rule_that_holds_is_the_only_one() {
    let world = world(UnknownClients::Deny, AllDown::ServeAll, 5);
    let asked = |place: Place| world.without(&place, &[]);
    assert_eq!(asked(in_country("DE")), [0, 1]);
    assert_eq!(asked(Place { subdivision: Some("CA".into()), ..in_country("US") }), [2]);
    assert_eq!(asked(Place { subdivision: Some("NY".into()), ..in_country("US") }), [2, 3]);
    assert_eq!(asked(in_country("JP")), [4]);
}

#[test]
fn a_client_that_cannot_be_placed_is_treated_as_the_gateway_says() {
    let denied = world(UnknownClients::Deny, AllDown::ServeAll, 5);
    let as_eu = world(UnknownClients::TreatAs(JurisdictionId::from_index(0)), AllDown::ServeAll, 5);
    let as_us = world(UnknownClients::TreatAs(JurisdictionId::from_index(2)), AllDown::ServeAll, 5);
    // Coordinates and an ASN are no country; in the US it matters which part.
    for place in [Place::default(), Place { asn: Some(1), ..at(0.0) }, in_country("US")] {
        let decision = denied.ask(&place, &[HEALTHY; 5]);
        assert_eq!((chosen(&decision), decision.basis), (vec![], Basis::Prohibited));
        assert_eq!(as_eu.without(&place, &[]), [0, 1]);
        // Not by the rule for California, which is not for all of the country.
        assert_eq!(as_us.without(&place, &[]), [2, 3]);
    }
}

#[test]
fn no_fall_back_leaves_the_jurisdiction() {
    let fallback = AllDown::Fallback(clusters(&[3, 4]));
    for all_down in [AllDown::ServeAll, AllDown::LastHealthy, fallback, AllDown::NoData] {
        let world = world(UnknownClients::Deny, all_down.clone(), 5);
        let decision = world.ask(&in_country("DE"), &down(5, &[0, 1]));
        if all_down == AllDown::NoData {
            assert_eq!((chosen(&decision), decision.basis), (vec![], Basis::Filtered));
        } else {
            assert_eq!(chosen(&decision), [0, 1], "{all_down:?}");
        }
    }
}

#[test]
fn prohibited_filtered_and_all_down_are_told_apart() {
    let basis = |endpoints, health: &[TargetHealth], family, place: &Place| {
        let world = world(UnknownClients::Deny, AllDown::NoData, endpoints);
        world.split(Client { place, prefix: None }, family, health).live.basis
    };
    let germany = in_country("DE");
    assert_eq!(basis(5, &[UNHEALTHY; 5], Family::V4, &germany), Basis::AllDown, "no other could either");
    assert_eq!(basis(5, &down(5, &[0, 1]), Family::V4, &germany), Basis::Filtered);
    assert_eq!(basis(5, &[HEALTHY; 5], Family::V6, &germany), Basis::NoAddress);
    assert_eq!(basis(3, &[HEALTHY; 3], Family::V4, &in_country("JP")), Basis::Prohibited);
    // The clusters that may serve have no IPv6 address, another has.
    let (residency, around) = strict(UnknownClients::Deny);
    let mut shop = Gateway { residency: Some(residency), ..gateway(Policy::Weighted, 5) };
    shop.endpoints[4].addresses.push(address("2001:db8::4"));
    let world = World::with(shop, around);
    let decision = world.split(Client { place: &germany, prefix: None }, Family::V6, &[HEALTHY; 6]).live;
    assert_eq!((chosen(&decision), decision.basis), (vec![], Basis::Filtered));
}

#[test]
fn what_two_permits_both_allow() {
    let only = |indices: &[usize]| Permit::Only(clusters(indices).into());
    assert_eq!(Permit::All.and(&only(&[1])), only(&[1]));
    assert_eq!(only(&[1]).and(&Permit::All), only(&[1]));
    assert_eq!(only(&[0, 1, 3]).and(&only(&[1, 2, 3])), only(&[1, 3]));
    assert_eq!(only(&[0]).and(&only(&[1])), only(&[]));
    assert!(!only(&[]).allows(cluster(0)) && Permit::All.allows(cluster(CLUSTERS - 1)));
}

//----------- Properties -----------------------------------------------------

impl Case {
    fn allowed(&self) -> Option<Vec<ClusterId>> {
        let catalog = &self.world.catalog;
        allowed(self.world.gateway().residency.as_ref(), catalog.jurisdictions(), &self.place)
    }

    fn may_serve(&self, index: usize) -> bool {
        let cluster = self.world.gateway().endpoints[index].cluster;
        self.allowed().is_none_or(|allowed| allowed.contains(&cluster))
    }

    fn client(&self) -> Client<'_> {
        Client { place: &self.place, prefix: self.prefix.map(PrefixId::from_index) }
    }

    /// The decisions of every kind that this client can meet.
    fn decisions(&self, family: Family) -> Vec<Decision> {
        let split = self.world.split(self.client(), family, &self.health);
        std::iter::once(split.live).chain(split.trial).collect()
    }

    /// The same, were there no residency.
    fn free(&self) -> Self {
        let gateway = Gateway { residency: None, ..self.world.gateway().clone() };
        let around = Around {
            jurisdictions: self.world.catalog.jurisdictions().to_vec(),
            latency_tables: self.world.catalog.latency_tables().to_vec(),
            prefixes: self.world.catalog.prefixes().to_vec(),
        };
        let (place, health) = (self.place.clone(), self.health.clone());
        Self { world: World::with(gateway, around), place, health, prefix: self.prefix, draw: self.draw }
    }

    fn verdicts(&self) -> Verdicts {
        Verdicts::new(self.health.clone())
    }

    /// Whether an endpoint has a healthy address of the family and the policy gives its cluster a turn.
    fn can_serve(&self, index: usize, family: Family) -> bool {
        let cluster = self.world.gateway().endpoints[index].cluster;
        let rank = self.world.outlook(self.client()).rank;
        has_turn(&rank, cluster) && self.is_serving(index, family)
    }

    /// Where one endpoint is a CNAME, which holds for every type, both families choose alike.
    fn decides_for_both(&self) -> bool {
        let endpoints = &self.world.gateway().endpoints;
        endpoints.iter().any(|endpoint| endpoint.name.as_ref().is_some_and(|name| name.as_cname))
    }

    fn is_serving(&self, index: usize, family: Family) -> bool {
        let endpoint = &self.world.gateway().endpoints[index];
        let both = self.decides_for_both();
        !endpoint.name.as_ref().is_some_and(|name| name.lost)
            && endpoint.addresses.iter().any(|address| {
                let target = address.target.expect("the gateway has a probe");
                (both || family.has(address.ip)) && self.health[target.index()].verdict.serves()
            })
    }
}

fn has_turn(rank: &Rank, cluster: ClusterId) -> bool {
    match rank {
        Rank::Together(clusters) => clusters.contains(&cluster),
        Rank::InTurn(ranks) => ranks.iter().any(|rank| has_turn(rank, cluster)),
        Rank::Tier { inner, .. } => has_turn(inner, cluster),
    }
}

/// Whether a tier is skipped that has too few.
fn wants_several(rank: &Rank) -> bool {
    match rank {
        Rank::Together(_) => false,
        Rank::InTurn(ranks) => ranks.iter().any(wants_several),
        Rank::Tier { min_healthy, inner, .. } => *min_healthy > 1 || wants_several(inner),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_leaks(case in any_case()) {
        let gateway = case.world.gateway();
        for family in Family::ALL {
            let picker = Picker::new(&case.world, family);
            for decision in case.decisions(family) {
                for candidate in &decision.candidates {
                    prop_assert!(case.may_serve(usize::from(candidate.endpoint)), "{decision:?}");
                }
                let mut into = Vec::new();
                for draw in [Draw::Random(case.draw), Draw::Client(case.draw)] {
                    let picked = picker.pick(&decision, &case.verdicts(), draw, &mut into);
                    let of_allowed = |ip| (0..gateway.endpoints.len()).any(|index| {
                        case.may_serve(index) && gateway.endpoints[index].addresses.iter().any(|own| own.ip == ip)
                    });
                    prop_assert!(into.iter().all(|&ip| of_allowed(ip)), "{into:?}");
                    prop_assert!(picked.cname.is_none_or(|index| case.may_serve(usize::from(index))));
                    let given = !into.is_empty() || picked.cname.is_some();
                    // Who decides for both families may have nothing in this one.
                    let may_be_empty = decision.candidates.is_empty() || case.decides_for_both();
                    prop_assert!(given || may_be_empty);
                    prop_assert!(!given || !decision.candidates.is_empty());
                }
            }
            // Test names, and tracks that no rollout names, keep to it too.
            let outlook = case.world.outlook(case.client());
            let standings = standings(gateway, family, &case.verdicts());
            for index in 0..CLUSTERS {
                let site = decide_for_site(gateway, family, &standings, &outlook.permit, cluster(index));
                prop_assert!(chosen(&site).iter().all(|&index| case.may_serve(usize::from(index))));
            }
            for track in crate::any::TRACKS {
                let of = decide_for_track(gateway, family, &standings, &outlook, track, &mut ());
                prop_assert!(chosen(&of).iter().all(|&index| case.may_serve(usize::from(index))));
            }
        }
    }

    #[test]
    fn an_empty_answer_says_why(case in any_case()) {
        let count = case.world.gateway().endpoints.len();
        let any_permitted = (0..count).any(|index| case.may_serve(index));
        for family in Family::ALL {
            let free = case.free();
            for (decision, free) in case.decisions(family).iter().zip(free.decisions(family)) {
                let empty = decision.candidates.is_empty();
                prop_assert_eq!(decision.basis == Basis::Prohibited, !any_permitted);
                let filtered = any_permitted && empty && !free.candidates.is_empty();
                prop_assert_eq!(decision.basis == Basis::Filtered, filtered, "{:?}", decision);
                let said = matches!(
                    decision.basis,
                    Basis::Prohibited | Basis::Filtered | Basis::NoAddress | Basis::AllDown
                );
                prop_assert_eq!(said, empty, "{:?}", decision);
                // To take residency away never leaves a client with less.
                prop_assert!(empty || !free.candidates.is_empty());
            }
        }
    }

    #[test]
    fn nothing_unhealthy_while_anything_that_serves_may(case in any_case()) {
        let count = case.world.gateway().endpoints.len();
        for family in Family::ALL {
            let serves = (0..count).any(|index| case.may_serve(index) && case.can_serve(index, family));
            for decision in case.decisions(family) {
                if !serves {
                    prop_assert!(!matches!(decision.basis, Basis::Healthy | Basis::Degraded));
                    continue;
                }
                prop_assert!(matches!(decision.basis, Basis::Healthy | Basis::Degraded | Basis::Panic), "{decision:?}");
                if decision.basis == Basis::Panic {
                    continue;
                }
                prop_assert!(decision.candidates.iter().all(|one| case.is_serving(one.endpoint.into(), family)));
                let (mut into, verdicts) = (Vec::new(), case.verdicts());
                let picker = Picker::new(&case.world, family);
                picker.pick(&decision, &verdicts, Draw::Client(case.draw), &mut into);
                let serves = |ip| {
                    let all = case.world.gateway().endpoints.iter().flat_map(|each| &each.addresses);
                    all.filter(|own| own.ip == ip).any(|own| verdicts.get(own.target.expect("a probe")).verdict.serves())
                };
                prop_assert!(into.iter().all(|&ip| serves(ip)), "{into:?}");
            }
        }
    }

    #[test]
    fn one_more_that_is_healthy_never_empties_an_answer(case in any_case(), recovers in any::<prop::sample::Index>()) {
        let mut better = case.health.clone();
        let index = recovers.index(better.len());
        better[index] = HEALTHY;
        for family in Family::ALL {
            let before = case.world.split(case.client(), family, &case.health).live;
            let after = case.world.split(case.client(), family, &better).live;
            prop_assert!(before.candidates.is_empty() || !after.candidates.is_empty());
            let fell_back = |basis| !matches!(basis, Basis::Healthy | Basis::Panic);
            // With it a tier may have as many that serve as `min_healthy` wants, of which those with a weight are
            // degraded.
            let tier_is_back = after.basis == Basis::Degraded && wants_several(&case.world.outlook(case.client()).rank);
            prop_assert!(before.basis != Basis::Healthy || tier_is_back || !fell_back(after.basis));
        }
    }

    #[test]
    fn a_permit_is_what_the_rules_say(case in any_case()) {
        let gateway = case.world.gateway();
        if let Some(residency) = &gateway.residency {
            let ours = case.world.clusters();
            let found = permit(residency, &ours, &case.place, &case.world.catalog, &mut ());
            let allowed = case.allowed().unwrap_or_default();
            for index in 0..CLUSTERS {
                let wanted = allowed.contains(&cluster(index)) && ours.contains(&cluster(index));
                prop_assert_eq!(found.allows(cluster(index)), wanted);
            }
        }
    }
}

/// The cases reach every basis, every kind of condition and both kinds of unknown clients: what holds
/// for all of them holds for something.
#[test]
fn the_cases_reach_everything() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut bases, mut trials, mut empty) = (std::collections::HashSet::new(), 0, 0);
    for _ in 0..3_000 {
        let case = any_case().new_tree(&mut runner).expect("a case").current();
        let split = case.world.split(case.client(), Family::V4, &case.health);
        trials += usize::from(split.trial.is_some());
        bases.insert(split.live.basis);
        empty += usize::from(case.allowed().is_some_and(|allowed| allowed.is_empty()));
    }
    let all = [
        Basis::Healthy,
        Basis::Panic,
        Basis::ServeAll,
        Basis::LastHealthy,
        Basis::Fallback,
        Basis::AllDown,
        Basis::NoAddress,
        Basis::Prohibited,
        Basis::Filtered,
    ];
    let missing: Vec<Basis> = all.into_iter().filter(|basis| !bases.contains(basis)).collect();
    assert!(missing.is_empty() && trials > 20 && empty > 100, "{missing:?} {trials} {empty}");
}
