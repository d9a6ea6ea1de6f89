//! `geo`: rules about where the client is.

use std::collections::HashSet;

use ipnet::IpNet;
use meridian_model::{ClientMatch, Continent, CountryCode, Geo, GeoRule};

use crate::area::Area;
use crate::countries::{COUNTRY, PART};
use crate::findings::Spotted;
use crate::issue::quote;
use crate::jurisdictions::JURISDICTION;
use crate::kinds::{At, List, Section, Sections, Whole};
use crate::limits;
use crate::places::CONTINENT;
use crate::policy::tiers::{self, TierSpec, read_tier};
use crate::policy::{Candidates, Context, PolicyKind};
use crate::prefixes::CLIENT_PREFIX;
use crate::reader::{Kind, Table};

/// By rules, as written.
pub(crate) struct GeoSpec {
    rules: Vec<RuleSpec>,
    default: TierSpec,
}

/// A rule as written.
struct RuleSpec {
    clients: Vec<Spotted<Condition>>,
    tier: TierSpec,
}

/// A condition as written.
enum Condition {
    Prefix(IpNet),
    Asn(u32),
    Part(CountryCode, Box<str>),
    Country(CountryCode),
    Continent(Continent),
    Jurisdiction(Box<str>),
}

//----------- Reading --------------------------------------------------------

/// Reads the keys of the policy; policies within are of this kind.
pub(super) fn read(table: &mut Table<'_>, kind: PolicyKind<'_>, required: bool) -> Option<GeoSpec> {
    let rules = Sections {
        header: "rules = [ { countries = [ … ], clusters = [ … ] } ]",
        min: 1,
        max: limits::RULES,
        read: |rule: &mut Table<'_>| read_rule(rule, kind),
    };
    let default = Section {
        header: "default = { clusters = [ … ] }",
        read: |tier: &mut Table<'_>| read_tier(tier, kind),
    };
    let rules = table.wanted("rules", required, &rules);
    let default = table.wanted("default", required, &default);
    Some(GeoSpec { rules: rules?.list, default: default? })
}

fn read_rule(table: &mut Table<'_>, kind: PolicyKind<'_>) -> RuleSpec {
    const CONDITIONS: [&str; 6] =
        ["countries", "prefixes", "asns", "subdivisions", "continents", "jurisdictions"];
    table.any_of(&CONDITIONS, "a condition: countries, or another of the keys for whom it is");
    // RFC 7607: 0 is no autonomous system.
    let asn = Whole { min: 1_u32, max: u32::MAX, unit: "" };
    let mut clients = Vec::new();
    conditions(table, "prefixes", CLIENT_PREFIX, Condition::Prefix, &mut clients);
    conditions(table, "asns", asn, Condition::Asn, &mut clients);
    conditions(table, "subdivisions", PART, |(of, part)| Condition::Part(of, part), &mut clients);
    conditions(table, "countries", COUNTRY, Condition::Country, &mut clients);
    conditions(table, "continents", CONTINENT, Condition::Continent, &mut clients);
    conditions(table, "jurisdictions", JURISDICTION, Condition::Jurisdiction, &mut clients);
    RuleSpec { clients, tier: read_tier(table, kind) }
}

/// Reads the conditions of one key.
fn conditions<K: Kind>(
    table: &mut Table<'_>,
    key: &'static str,
    kind: K,
    condition: impl Fn(K::Value) -> Condition,
    clients: &mut Vec<Spotted<Condition>>,
) {
    let list = List { of: At(kind), what: key, min: 1, max: limits::REGIONS };
    let values = table.or(key, Vec::new(), &list);
    clients
        .extend(values.into_iter().map(|Spotted { value, spot }| Spotted { value: condition(value), spot }));
}

//----------- Resolving ------------------------------------------------------

/// The policy over the candidates; `None` where an issue says why.
pub(super) fn resolve(
    spec: GeoSpec,
    candidates: &Candidates<'_>,
    context: &mut Context<'_, '_>,
) -> Option<Geo> {
    let GeoSpec { rules, default } = spec;
    let mut area = Area::default();
    let mut resolved = Vec::with_capacity(rules.len());
    for RuleSpec { clients, tier } in rules {
        let clients = resolve_clients(clients, &mut area, context);
        let tier = tiers::resolve(tier, candidates, context);
        resolved.push(clients.zip(tier).map(|(clients, tier)| GeoRule { clients, tier }));
    }
    let default = tiers::resolve(default, candidates, context);
    Some(Geo { rules: resolved.into_iter().collect::<Option<_>>()?, default: default? })
}

/// The conditions of a rule, which the area then holds; reports those that nobody reaches.
fn resolve_clients(
    clients: Vec<Spotted<Condition>>,
    area: &mut Area,
    context: &mut Context<'_, '_>,
) -> Option<Vec<ClientMatch>> {
    let mut found: Vec<Option<ClientMatch>> = Vec::with_capacity(clients.len());
    let mut own: HashSet<ClientMatch> = HashSet::new();
    for client in &clients {
        let resolved = resolve_client(client, context);
        if let Some(resolved) = &resolved {
            let earlier = area.covering(resolved, context.shared);
            if let Some(earlier) = earlier {
                let line = context.findings.line(earlier);
                let words = words(&client.value);
                let (what, found) = match client.value {
                    Condition::Jurisdiction(_) => (
                        "a jurisdiction with clients that no earlier rule takes",
                        format!("{words}: earlier rules take all of them, from line {line} on"),
                    ),
                    _ => (
                        "clients that no earlier rule takes",
                        format!("{words}: an earlier rule takes all of them in line {line}"),
                    ),
                };
                context.findings.mistake(&client.spot, what, found);
            } else if !own.insert(resolved.clone()) {
                let found = format_args!("{} a second time", words(&client.value));
                context.findings.mistake(&client.spot, "each condition of a rule once", found);
            }
        }
        found.push(resolved);
    }
    for (client, resolved) in clients.iter().zip(&found) {
        if let Some(resolved) = resolved {
            area.take(resolved, &client.spot, context.shared);
        }
    }
    found.into_iter().collect()
}

fn resolve_client(client: &Spotted<Condition>, context: &mut Context<'_, '_>) -> Option<ClientMatch> {
    Some(match &client.value {
        Condition::Prefix(net) => ClientMatch::Prefix(context.shared.prefixes.intern(*net)),
        Condition::Asn(asn) => ClientMatch::Asn(*asn),
        Condition::Part(of, part) => ClientMatch::Subdivision(*of, part.clone()),
        Condition::Country(code) => ClientMatch::Country(*code),
        Condition::Continent(continent) => ClientMatch::Continent(*continent),
        Condition::Jurisdiction(name) => {
            let name = Spotted { value: name.clone(), spot: client.spot.clone() };
            ClientMatch::Jurisdiction(context.shared.jurisdictions.find(&name, context.findings)?)
        }
    })
}

/// A condition as it is written.
fn words(condition: &Condition) -> String {
    match condition {
        Condition::Prefix(net) => quote(&net.to_string()),
        Condition::Asn(asn) => asn.to_string(),
        Condition::Part(of, part) => quote(&format!("{of}-{part}")),
        Condition::Country(code) => quote(code.as_str()),
        Condition::Continent(continent) => quote(continent.code()),
        Condition::Jurisdiction(name) => quote(name),
    }
}
