//! Random policies and residency rules that the loader takes.

use std::collections::BTreeSet;

use fastrand::Rng;
use meridian_model::{Continent, CountryCode};

use crate::random_world::{ASNS, COUNTRIES, PARTS, RandomWorld, any_of, put};

/// Jurisdictions that rules name: the file's, and built-in ones.
const JURISDICTIONS: [&str; 7] = ["J0", "J1", "J2", "EU", "US", "JP", "US-CA"];

//----------- Policies -------------------------------------------------------

/// A policy in which each cluster given may be named; `depth`: how far policies may nest.
pub(crate) fn any_policy(clusters: &[&str], world: &RandomWorld, depth: u8, random: &mut Rng) -> String {
    match random.u8(if depth == 0 { 4..12 } else { 0..12 }) {
        0 | 1 => any_failover(clusters, world, depth, random),
        2 | 3 => any_geo(clusters, world, depth, random),
        4 | 5 => {
            let within = if random.bool() { 0 } else { random.u32(1..=60) };
            let table = world.latency_table();
            format!("{{ type = \"latency\", table = {table:?}, within_ms = {within} }}")
        }
        6..=8 => any_nearest(clusters, random),
        // What answers all clients alike is no more than the ground on which the others stand.
        9 => format!("\"{}\"", random.choice(["weighted", "all"]).unwrap_or("all")),
        _ => "\"nearest\"".to_owned(),
    }
}

fn any_nearest(clusters: &[&str], random: &mut Rng) -> String {
    let mut text = "{ type = \"nearest\"".to_owned();
    if random.bool() {
        put(&mut text, format_args!(", within_km = {}", random.u32(..=3000)));
    }
    if random.bool() {
        put(&mut text, format_args!(", max_km = {}", random.u32(500..=12000)));
    }
    if random.bool() {
        let bent = any_of(clusters, 3, random);
        let bent: Vec<String> =
            bent.iter().map(|cluster| format!("\"{cluster}\" = {}", random.i32(-99..=99))).collect();
        put(&mut text, format_args!(", bias = {{ {} }}", bent.join(", ")));
    }
    text + " }"
}

fn any_failover(clusters: &[&str], world: &RandomWorld, depth: u8, random: &mut Rng) -> String {
    let tiers: Vec<String> = (0..random.usize(1..=3))
        .map(|_| format!("{{ {} }}", any_tier(clusters, world, depth, random)))
        .collect();
    // The last tier has them all, so that no endpoint is left out.
    format!("{{ type = \"failover\", tiers = [ {}, {{ clusters = [\"*\"] }} ] }}", tiers.join(", "))
}

/// The keys of a tier.
fn any_tier(clusters: &[&str], world: &RandomWorld, depth: u8, random: &mut Rng) -> String {
    let count = random.usize(clusters.len().div_ceil(2)..=clusters.len());
    let some: Vec<&str> = random.choose_multiple(clusters.iter().copied(), count);
    let mut text = format!("clusters = {some:?}, policy = {}", any_policy(&some, world, depth - 1, random));
    if random.u8(..3) == 0 {
        put(&mut text, format_args!(", min_healthy = {}", random.usize(1..=some.len())));
    }
    if random.u8(..3) == 0 {
        put(&mut text, format_args!(", panic_below = {:.2}", random.f64()));
    }
    text
}

fn any_geo(clusters: &[&str], world: &RandomWorld, depth: u8, random: &mut Rng) -> String {
    let mut taken = Taken::default();
    let mut rules = Vec::new();
    for _ in 0..random.usize(1..=4) {
        let conditions = taken.any_conditions(world, random);
        if !conditions.is_empty() {
            rules.push(format!("{{ {conditions}{} }}", any_tier(clusters, world, depth, random)));
        }
    }
    if rules.is_empty() {
        return "\"nearest\"".to_owned();
    }
    format!("{{ type = \"geo\", rules = [ {} ], default = {{ clusters = [\"*\"] }} }}", rules.join(", "))
}

//----------- Taken ----------------------------------------------------------

/// What rules take so far: a condition that is left no client would be a mistake.
#[derive(Default)]
struct Taken {
    prefixes: Vec<ipnet::IpNet>,
    asns: BTreeSet<u32>,
    /// Continents, countries and parts, as they are written.
    regions: BTreeSet<String>,
}

impl Taken {
    /// One or two conditions of one rule, as keys with a comma behind each; none where all is taken.
    fn any_conditions(&mut self, world: &RandomWorld, random: &mut Rng) -> String {
        let mut text = String::new();
        let kinds = any_of(
            &["prefixes", "asns", "subdivisions", "countries", "continents", "jurisdictions"],
            2,
            random,
        );
        for kind in kinds {
            let found = match kind {
                "prefixes" => self.prefixes(world, random),
                "asns" => {
                    let free = any_of(&ASNS, 2, random).into_iter().filter(|asn| self.asns.insert(*asn));
                    free.map(|asn| asn.to_string()).collect()
                }
                "subdivisions" => self.regions(&PARTS, random),
                "countries" => self.regions(&COUNTRIES, random),
                "continents" => self.regions(&Continent::ALL.map(Continent::code).map(continent), random),
                _ => self.jurisdictions(world, random),
            };
            if !found.is_empty() {
                put(&mut text, format_args!("{kind} = [{}], ", found.join(", ")));
            }
        }
        text
    }

    fn prefixes(&mut self, world: &RandomWorld, random: &mut Rng) -> Vec<String> {
        let mut found = Vec::new();
        for prefix in any_of(&world.client_prefixes(), 6, random) {
            // Not only where networks begin.
            let prefix = if random.bool() {
                prefix
            } else {
                prefix
                    .subnets(prefix.prefix_len() + 1)
                    .map_or(prefix, |mut halves| halves.next().unwrap_or(prefix))
            };
            if !self.prefixes.iter().any(|taken| taken.contains(&prefix)) {
                self.prefixes.push(prefix);
                found.push(format!("\"{prefix}\""));
            }
        }
        found
    }

    /// Of one to three regions those that are not taken.
    fn regions(&mut self, of: &[&str], random: &mut Rng) -> Vec<String> {
        let chosen = any_of(of, 3, random).into_iter().filter(|region| !self.has(region));
        let chosen: Vec<&str> = chosen.collect();
        self.regions.extend(chosen.iter().map(|region| (*region).to_owned()));
        chosen.iter().map(|region| format!("\"{}\"", region.trim_start_matches('+'))).collect()
    }

    fn jurisdictions(&mut self, world: &RandomWorld, random: &mut Rng) -> Vec<String> {
        let mut found = Vec::new();
        for name in any_of(&JURISDICTIONS, 2, random) {
            let regions = world.regions(name);
            if !regions.iter().all(|region| self.has(region)) {
                found.push(format!("\"{name}\""));
                self.regions.extend(regions.into_iter().map(str::to_owned));
            }
        }
        found
    }

    /// Whether a region is taken, or what it is a part of.
    fn has(&self, region: &str) -> bool {
        let country = CountryCode::parse(region.get(..2).unwrap_or_default()).ok();
        let known = country.filter(|_| !region.starts_with('+')).and_then(meridian_model::country);
        self.regions.contains(region)
            || known.is_some_and(|known| {
                self.regions.contains(&region[..2])
                    || self.regions.contains(continent(known.continent.code()))
            })
    }
}

/// A continent, set apart from the country that may have the same letters.
fn continent(code: &str) -> &'static str {
    ["+AF", "+AN", "+AS", "+EU", "+NA", "+OC", "+SA"]
        .into_iter()
        .find(|known| &known[1..] == code)
        .unwrap_or_default()
}

//----------- Residency ------------------------------------------------------

/// `[gateways.residency]`, as it is written.
#[derive(Clone, Debug)]
pub struct RandomResidency {
    /// Names of jurisdictions or `*`: of the clients, and of the clusters that may serve them.
    pub rules: Vec<(Vec<&'static str>, Vec<&'static str>)>,
    /// `deny`, or the name of a jurisdiction.
    pub unknown: &'static str,
    /// `strictest`, `ecs` or `resolver`.
    pub conflict: &'static str,
}

impl RandomResidency {
    /// Rules for a gateway's clusters; `None` where those are in no jurisdiction of any rule.
    pub(crate) fn any(clusters: &[&str], world: &RandomWorld, random: &mut Rng) -> Option<Self> {
        let has_one = |name: &&'static str| clusters.iter().any(|cluster| world.is_under(cluster, name));
        let homes: Vec<&'static str> = JURISDICTIONS.into_iter().filter(has_one).collect();
        let mut taken = Taken::default();
        let mut rules = Vec::new();
        for _ in 0..random.usize(..=3) {
            let mut names = any_of(&JURISDICTIONS, 2, random);
            names.retain(|name| !world.regions(name).iter().all(|region| taken.has(region)));
            if names.is_empty() || homes.is_empty() {
                continue;
            }
            taken.regions.extend(names.iter().flat_map(|name| world.regions(name)).map(str::to_owned));
            rules.push((names, any_of(&homes, 2, random)));
        }
        if rules.is_empty() || random.bool() {
            let homes = if homes.is_empty() || random.bool() { vec!["*"] } else { any_of(&homes, 3, random) };
            rules.push((vec!["*"], homes));
        }
        let unknown = random.choice(["deny", "J0", "EU", "US", "US-CA"])?;
        let conflict = random.choice(["strictest", "strictest", "ecs", "resolver"])?;
        Some(Self { rules, unknown, conflict })
    }

    /// The section.
    #[must_use]
    pub fn toml(&self) -> String {
        let Self { rules, unknown, conflict } = self;
        let rules: Vec<String> = rules
            .iter()
            .map(|(clients, clusters)| format!("{{ clients = {clients:?}, clusters = {clusters:?} }}"))
            .collect();
        format!(
            "[gateways.residency]\nrules = [ {} ]\nunknown = \"{unknown}\"\nconflict = \"{conflict}\"\n",
            rules.join(", ")
        )
    }
}
