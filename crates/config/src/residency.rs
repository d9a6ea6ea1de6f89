//! `[gateways.residency]`: which clusters may serve which clients.

use std::collections::HashSet;

use meridian_model::{
    ClusterId, Conflict, JurisdictionId, Residency, ResidencyClients, ResidencyRule, UnknownClients,
};

use crate::area::Area;
use crate::findings::{Spot, Spotted};
use crate::issue::quote;
use crate::jurisdictions::JURISDICTION;
use crate::kinds::{At, Choice, List, Section, Sections, Text};
use crate::limits;
use crate::policy::{Candidates, Context};
use crate::reader::Table;

/// In `clients` and `clusters`: all of them.
const EVERYONE: &str = "*";
/// In `unknown`: nothing serves them.
const DENY: &str = "deny";

const CONFLICT: Choice<Conflict> =
    Choice(&[("strictest", Conflict::Strictest), ("ecs", Conflict::Ecs), ("resolver", Conflict::Resolver)]);

const UNKNOWN: Text = Text {
    what: "\"deny\" or the name of a jurisdiction",
    characters: limits::NAME_CHARACTERS,
    pattern: Text::FREE,
};

//----------- ResidencySpec --------------------------------------------------

/// The section as written.
pub(crate) struct ResidencySpec {
    /// `None` where one of them could not be read at all.
    rules: Option<Vec<RuleSpec>>,
    unknown: Option<Spotted<Box<str>>>,
    conflict: Conflict,
}

/// A rule as written.
struct RuleSpec {
    clients: Vec<Spotted<Box<str>>>,
    clusters: Vec<Spotted<Box<str>>>,
    spot: Spot,
}

/// Reads `[gateways.residency]` of a gateway.
pub(crate) fn read(gateway: &mut Table<'_>) -> Option<ResidencySpec> {
    let names =
        List { of: At(JURISDICTION), what: "jurisdictions, or [\"*\"]", min: 1, max: limits::REGIONS };
    let rule = |table: &mut Table<'_>| RuleSpec {
        clients: table.required("clients", &names).unwrap_or_default(),
        clusters: table.required("clusters", &names).unwrap_or_default(),
        spot: table.spot.clone(),
    };
    let rules = Sections {
        header: "rules = [ { clients = [ … ], clusters = [ … ] } ]",
        min: 1,
        max: limits::RULES,
        read: rule,
    };
    let read = |table: &mut Table<'_>| ResidencySpec {
        rules: table.required("rules", &rules).filter(|rules| rules.whole).map(|rules| rules.list),
        unknown: table.optional("unknown", &At(UNKNOWN)),
        conflict: table.or("conflict", Conflict::default(), &CONFLICT),
    };
    gateway.optional("residency", &Section { header: "[gateways.residency]", read })
}

//----------- Building -------------------------------------------------------

/// Builds the section for a gateway with these clusters; `None` where an issue says why.
pub(crate) fn build(
    spec: ResidencySpec,
    candidates: &Candidates<'_>,
    context: &mut Context<'_, '_>,
) -> Option<Residency> {
    let ResidencySpec { rules, unknown, conflict } = spec;
    let unknown = resolve_unknown(unknown, context);
    let mut taken = Taken::default();
    let mut built = Vec::new();
    for rule in rules? {
        built.push(build_rule(rule, &mut taken, candidates, context));
    }
    let rules: Vec<ResidencyRule> = built.into_iter().collect::<Option<_>>()?;
    let unknown = match unknown? {
        None => UnknownClients::Deny,
        Some(Spotted { value: id, spot }) => {
            if !is_whole_in_a_rule(id, &rules, context) {
                let text =
                    "no rule covers all of this jurisdiction: clients that cannot be placed get nothing";
                context.findings.warn(&spot, text);
            }
            UnknownClients::TreatAs(id)
        }
    };
    Some(Residency { rules, unknown, conflict })
}

/// The jurisdiction of `unknown`, none for "deny"; the outer `None` where an issue says why.
fn resolve_unknown(
    unknown: Option<Spotted<Box<str>>>,
    context: &mut Context<'_, '_>,
) -> Option<Option<Spotted<JurisdictionId>>> {
    match unknown {
        Some(name) if &*name.value != DENY => {
            let id = context.shared.jurisdictions.find_or(&name, Some(DENY), context.findings)?;
            Some(Some(Spotted { value: id, spot: name.spot }))
        }
        _ => Some(None),
    }
}

/// What the rules so far take.
#[derive(Default)]
struct Taken {
    area: Area,
    /// The rule for everyone.
    everyone: Option<Spot>,
}

fn build_rule(
    spec: RuleSpec,
    taken: &mut Taken,
    candidates: &Candidates<'_>,
    context: &mut Context<'_, '_>,
) -> Option<ResidencyRule> {
    let RuleSpec { clients, clusters, spot } = spec;
    let for_whom = resolve_names(&clients, context);
    let where_to = resolve_names(&clusters, context);
    let for_whom = for_whom?;
    check_reach(&for_whom, &spot, taken, context);
    let where_to = where_to?;
    let allowed: Vec<ClusterId> = match &where_to {
        ResidencyClients::Everyone => context.clusters.everywhere(),
        ResidencyClients::In(ids) => context.clusters.within(ids, &context.shared.jurisdictions),
    };
    // A cluster whose jurisdictions could not be read may be the one that is meant.
    if context.clusters.placed
        && !candidates.clusters.iter().any(|one| allowed.binary_search(&one.id).is_ok())
    {
        let names: Vec<String> = clusters.iter().map(|name| quote(&name.value)).collect();
        let expected = format_args!("jurisdictions with a cluster of this {}", candidates.listed());
        let found = format_args!("{}, which have none: its clients would get no answer", names.join(", "));
        context.findings.mistake(&clusters.first()?.spot, expected, found);
    }
    Some(ResidencyRule { clients: for_whom, clusters: allowed })
}

/// Reports a rule that no client comes to, and takes its clients.
fn check_reach(clients: &ResidencyClients, spot: &Spot, taken: &mut Taken, context: &Context<'_, '_>) {
    let jurisdictions = &context.shared.jurisdictions;
    let findings = context.findings;
    let expected = "a rule with clients that no earlier rule takes";
    if let Some(first) = &taken.everyone {
        let line = findings.line(first);
        findings.mistake(spot, expected, format_args!("one behind the rule for \"*\" in line {line}"));
        return;
    }
    match clients {
        ResidencyClients::Everyone => taken.everyone = Some(spot.clone()),
        ResidencyClients::In(ids) => {
            let each: Vec<_> = ids.iter().filter_map(|id| jurisdictions.get(*id)).collect();
            let covered: Option<Vec<&Spot>> = each.iter().map(|one| taken.area.jurisdiction(one)).collect();
            if let Some(first) = covered.as_deref().and_then(<[&Spot]>::first) {
                let line = findings.line(first);
                let found = format_args!("one whose clients earlier rules take, from line {line} on");
                findings.mistake(spot, expected, found);
            }
            each.iter().for_each(|one| taken.area.take_jurisdiction(one, spot));
        }
    }
}

/// The jurisdictions of a list, or all with "*"; `None` where an issue says why.
fn resolve_names(names: &[Spotted<Box<str>>], context: &mut Context<'_, '_>) -> Option<ResidencyClients> {
    if let [name] = names
        && &*name.value == EVERYONE
    {
        return Some(ResidencyClients::Everyone);
    }
    let mut seen = HashSet::new();
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        if &*name.value == EVERYONE {
            let expected = "the names of jurisdictions, or \"*\" alone";
            context.findings.mistake(&name.spot, expected, "\"*\" beside other names");
            ids.push(None);
            continue;
        }
        if !seen.insert(&name.value) {
            let found = format_args!("{} a second time", quote(&name.value));
            context.findings.mistake(&name.spot, "each jurisdiction once", found);
        }
        ids.push(context.shared.jurisdictions.find(name, context.findings));
    }
    // An empty list is an issue where it was read.
    let ids: Vec<JurisdictionId> = ids.into_iter().collect::<Option<_>>()?;
    (!ids.is_empty()).then_some(ResidencyClients::In(ids))
}

/// Whether one rule takes all clients of a jurisdiction, as steering asks for those of `unknown`.
fn is_whole_in_a_rule(id: JurisdictionId, rules: &[ResidencyRule], context: &Context<'_, '_>) -> bool {
    let jurisdictions = &context.shared.jurisdictions;
    rules.iter().any(|rule| match &rule.clients {
        ResidencyClients::Everyone => true,
        ResidencyClients::In(ids) => {
            let mut area = Area::default();
            let nowhere = Spot::here(0, crate::findings::KeyPath::default());
            ids.iter()
                .filter_map(|id| jurisdictions.get(*id))
                .for_each(|one| area.take_jurisdiction(one, &nowhere));
            ids.contains(&id) || jurisdictions.get(id).is_some_and(|one| area.jurisdiction(one).is_some())
        }
    })
}
