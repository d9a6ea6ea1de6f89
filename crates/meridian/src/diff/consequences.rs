//! What a change would do now, with the verdicts that there are: by gateway, for who is about to make it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use meridian_admin::wire;
use meridian_dns::View;
use meridian_model::GatewayId;
use tokio::time::Instant;

use super::json::{countries, measures};
use super::space::Space;
use super::tally::Tally;

/// How long is worked on it: who waits has an emergency.
const WORK_MAX: Duration = Duration::from_secs(4);
/// Kinds of moves that are told, countries of each, and names of gateways that have them.
const KINDS_MAX: usize = 16;
const COUNTRIES_MAX: usize = 16;
const NAMES_MAX: usize = 100;

/// What moves from one view to another, and who would lose the last that serves; gateways by their names.
pub(crate) fn consequences(old: &View, new: &View) -> wire::Consequences {
    let until = Instant::now() + WORK_MAX;
    let before: HashMap<&str, GatewayId> = names(old).collect();
    let mut space = Space::of_verdicts(old, new);
    // In the order of the first gateway of each.
    let mut kinds: Vec<(Rc<Tally<'_>>, Vec<&str>)> = Vec::new();
    let mut numbers: BTreeMap<*const Tally<'_>, usize> = BTreeMap::new();
    let mut not_compared = 0;
    for (name, gateway) in names(new) {
        if Instant::now() > until {
            not_compared += 1;
            continue;
        }
        let Some(tally) = before.get(name).and_then(|&old| space.compare(old, gateway)) else { continue };
        if !tally.moves() && tally.losers().next().is_none() {
            continue;
        }
        let number = *numbers.entry(Rc::as_ptr(&tally)).or_insert(kinds.len());
        match kinds.get_mut(number) {
            Some((_, names)) => names.push(name),
            None => kinds.push((tally, vec![name])),
        }
    }
    let gateways_moved = kinds.iter().map(|(_, names)| names.len()).sum();
    let gateways_left =
        kinds.iter().filter(|(tally, _)| tally.losers().next().is_some()).map(|(_, names)| names.len()).sum();
    // What leaves somebody without is told first.
    kinds.sort_by_key(|(tally, _)| tally.losers().next().is_none());
    kinds.truncate(KINDS_MAX);
    wire::Consequences {
        gateways_moved,
        gateways_left,
        not_compared,
        moves: kinds.into_iter().map(|(tally, names)| moves(&tally, &names)).collect(),
    }
}

fn moves(tally: &Tally<'_>, names: &[&str]) -> wire::GatewayMoves {
    let mut countries = countries(false, tally);
    countries.truncate(COUNTRIES_MAX);
    wire::GatewayMoves {
        gateways: names.iter().take(NAMES_MAX).map(|name| (*name).to_owned()).collect(),
        gateways_count: names.len(),
        moved_percent: measures(false, tally.percent()),
        left_percent: measures(false, tally.lost_percent()),
        left_countries: tally.losers().take(COUNTRIES_MAX).map(|country| country.to_string()).collect(),
        countries,
    }
}

fn names(view: &View) -> impl Iterator<Item = (&str, GatewayId)> {
    let gateways = view.ground().catalog().gateways().iter().enumerate();
    gateways.map(|(index, gateway)| (&*gateway.name, GatewayId::from_index(index)))
}
