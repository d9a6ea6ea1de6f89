//! What a change would do now, with the verdicts that there are: by gateway, for who is about to make it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use meridian_admin::wire;
use meridian_dns::View;
use meridian_model::GatewayId;
use meridian_steering::Family;
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

/// Whether some clients may have nothing that serves in the new view who have something in the old one: by what can be
/// decided at all, not by who it is decided for, which takes long.
pub(crate) fn endangers(old: &View, new: &View) -> bool {
    let before: HashMap<&str, GatewayId> = names(old).collect();
    let is_same_ground = std::sync::Arc::ptr_eq(old.ground(), new.ground());
    names(new).any(|(name, gateway)| {
        let Some(&known) = before.get(name) else { return false };
        Family::ALL.into_iter().any(|family| {
            let (Some(old), Some(new)) = (old.shares(known, family), new.shares(gateway, family)) else {
                return false;
            };
            // A plan that was taken over.
            let is_same = is_same_ground && old.key() == new.key();
            !is_same && old.serving().contains(&true) && new.serving().contains(&false)
        })
    })
}

/// What moves from one view to another, and who would lose the last that serves; gateways by their names.
pub(crate) fn consequences(old: &View, new: &View) -> wire::Consequences {
    let before: HashMap<&str, GatewayId> = names(old).collect();
    let mut space = Space::of_verdicts(old, new);
    let until = Instant::now() + WORK_MAX;
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
        if !tally.moves() && tally.losers().is_empty() {
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
        kinds.iter().filter(|(tally, _)| !tally.losers().is_empty()).map(|(_, names)| names.len()).sum();
    // What leaves somebody without is told first.
    kinds.sort_by_key(|(tally, _)| tally.losers().is_empty());
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
        left_countries: tally
            .losers()
            .into_iter()
            .take(COUNTRIES_MAX)
            .map(|country| country.to_string())
            .collect(),
        countries,
    }
}

fn names(view: &View) -> impl Iterator<Item = (&str, GatewayId)> {
    let gateways = view.ground().catalog().gateways().iter().enumerate();
    gateways.map(|(index, gateway)| (&*gateway.name, GatewayId::from_index(index)))
}

/// The same for people.
pub(crate) fn consequences_text(of: &wire::Consequences) -> String {
    let wire::Consequences { gateways_moved, gateways_left, not_compared, moves } = of;
    let mut page = match (gateways_moved, gateways_left) {
        (0, 0) => "nobody moves now\n".to_owned(),
        (moved, 0) => format!("clients of {} move now; nobody is left with nothing\n", gateways(*moved)),
        (_, left) => format!("clients of {} would be left with NOTHING that serves\n", gateways(*left)),
    };
    if *not_compared > 0 {
        page.push_str(&format!("{} were not looked at, as that took too long\n", gateways(*not_compared)));
    }
    for one in moves {
        let names = one.gateways.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = one.gateways_count.saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        page.push_str(&format!("  {names}{more}: {} of clients move", percent_text(&one.moved_percent)));
        if !one.left_countries.is_empty() {
            let (left, countries) = (percent_text(&one.left_percent), one.left_countries.join(" "));
            page.push_str(&format!("; {left} are left with nothing: {countries}"));
        }
        page.push('\n');
        for country in one.countries.iter().take(5) {
            for flow in &country.flows {
                let name = |cluster: &Option<String>| cluster.clone().unwrap_or_else(|| "nobody".to_owned());
                let place = country.country.as_deref().unwrap_or("unknown");
                let (percent, from, to) = (percent_text(&flow.percent), name(&flow.from), name(&flow.to));
                page.push_str(&format!("    {place}: {percent} from {from} to {to}\n"));
            }
        }
    }
    page
}

fn gateways(count: usize) -> String {
    format!("{count} gateway{}", if count == 1 { "" } else { "s" })
}

/// `33.1 % of IPv4, 30 % of IPv6`.
fn percent_text(of: &wire::Percent) -> String {
    let one = |percent: f64| format!("{} %", (percent * 10.0).round() / 10.0);
    match of {
        wire::Percent::OfQueries(percent) => percent.map_or_else(|| "none".to_owned(), one),
        wire::Percent::OfSpace { ipv4, ipv6 } => {
            let of = |percent: &Option<f64>, family: &str| {
                percent.map(|percent| format!("{} of {family}", one(percent)))
            };
            let both: Vec<String> = [of(ipv4, "IPv4"), of(ipv6, "IPv6")].into_iter().flatten().collect();
            if both.is_empty() { "none".to_owned() } else { both.join(", ") }
        }
    }
}
