//! Rules that no client can reach, because nothing that places clients knows what they ask for.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use meridian_config::{Issue, Matter};
use meridian_geoip::Locality;
use meridian_model::{Catalog, ClientMatch, CountryCode, Gateway, Policy, ResidencyClients};

/// What the databases and networks tell of clients, beside countries.
struct Known<'l> {
    asns: HashSet<u32>,
    subdivisions: HashSet<(CountryCode, &'l str)>,
}

/// A warning for each ASN and part of a country that a gateway's rules name and no place has.
pub(crate) fn warnings(file: &Path, catalog: &Catalog, locality: &Locality) -> Vec<Issue> {
    let places = locality.places();
    let known = Known {
        asns: places.iter().filter_map(|place| place.asn).collect(),
        subdivisions: places
            .iter()
            .filter_map(|place| Some((place.country?, place.subdivision.as_deref()?)))
            .collect(),
    };
    let mut all = Vec::new();
    for (index, gateway) in catalog.gateways().iter().enumerate() {
        let mut warn = |key: &str, unknown: BTreeSet<String>, then: &str| {
            for name in unknown {
                let text = format!("no database or network knows a client in {name}{then}");
                let key = format!("gateways[{index}].{key}");
                all.push(Issue { file: file.into(), position: None, key, matter: Matter::Warning(text) });
            }
        };
        let mut unknown = BTreeSet::new();
        of_policy(&gateway.policy, &known, &mut unknown);
        warn("policy", unknown, ": no client reaches that rule");
        let then = ": clients in that country are in no known part of it, and residency.unknown is theirs";
        warn("residency", of_residency(gateway, catalog, &known), then);
    }
    all
}

fn of_policy(policy: &Policy, known: &Known<'_>, unknown: &mut BTreeSet<String>) {
    match policy {
        Policy::Nearest(_) | Policy::Latency(_) | Policy::Weighted | Policy::All => {}
        Policy::Failover(tiers) => tiers.iter().for_each(|tier| of_policy(&tier.policy, known, unknown)),
        Policy::Geo(geo) => {
            for rule in &geo.rules {
                for client in &rule.clients {
                    match client {
                        ClientMatch::Asn(asn) if !known.asns.contains(asn) => {
                            unknown.insert(format!("AS{asn}"));
                        }
                        ClientMatch::Subdivision(country, part) if !known.has(*country, part) => {
                            unknown.insert(format!("{country}-{part}"));
                        }
                        _ => {}
                    }
                }
                of_policy(&rule.tier.policy, known, unknown);
            }
            of_policy(&geo.default.policy, known, unknown);
        }
    }
}

fn of_residency(gateway: &Gateway, catalog: &Catalog, known: &Known<'_>) -> BTreeSet<String> {
    let rules = gateway.residency.iter().flat_map(|residency| &residency.rules);
    let jurisdictions = rules.flat_map(|rule| match &rule.clients {
        ResidencyClients::In(ids) => &ids[..],
        ResidencyClients::Everyone => &[],
    });
    let parts = jurisdictions.flat_map(|&id| &catalog.jurisdiction(id).subdivisions);
    let unknown = parts.filter(|(country, part)| !known.has(*country, part));
    unknown.map(|(country, part)| format!("{country}-{part}")).collect()
}

impl Known<'_> {
    fn has(&self, country: CountryCode, part: &str) -> bool {
        self.subdivisions.contains(&(country, part))
    }
}
