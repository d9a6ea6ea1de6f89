//! `meridian prove`: that residency holds, without traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use meridian_dns::{Ground, Reach};
use meridian_model::{ClusterId, Gateway, GatewayId, Place, ResidencyClients};
use meridian_steering::is_placed;

use crate::exit;
use crate::load::load;
use crate::page::print;

/// What is proven.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The configuration file.
    file: PathBuf,
}

pub(crate) fn run(asked: &Prove) -> anyhow::Result<u8> {
    let loaded = match load(&asked.file) {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(exit::CONFIG);
        }
    };
    let ground = &loaded.ground;
    let mut page = String::new();
    let mut broken = 0;
    let mut any = false;
    for (index, gateway) in ground.catalog().gateways().iter().enumerate() {
        if gateway.residency.is_some() {
            any = true;
            let reach = ground.reach(GatewayId::from_index(index));
            broken += Proof { ground, gateway, reach: &reach }.write(&mut page);
        }
    }
    if !any {
        page.push_str("no gateway has [gateways.residency]: nothing to prove\n");
    }
    print(&page);
    Ok(if broken == 0 { exit::OK } else { exit::FAILED })
}

//----------- Proof ----------------------------------------------------------

/// What one gateway could answer, held against its rules.
struct Proof<'p> {
    ground: &'p Ground,
    gateway: &'p Gateway,
    reach: &'p [Reach],
}

impl Proof<'_> {
    /// Writes the table and what breaks it; returns how many rules can be broken.
    fn write(&self, page: &mut String) -> usize {
        let catalog = self.ground.catalog();
        let mut rows: BTreeMap<String, BTreeSet<ClusterId>> = BTreeMap::new();
        for reach in self.reach {
            let place = self.place(reach);
            let mut of: Vec<String> = self
                .named()
                .filter(|&id| catalog.jurisdiction(id).holds(place) == Some(true))
                .map(|id| format!("{} clients", catalog.jurisdiction(id).name))
                .collect();
            let is_placed = self.gateway.residency.as_ref().is_none_or(|all| is_placed(all, place, catalog));
            if let (Some(country), false) = (place.country, is_placed) {
                // Which rule is theirs depends on the part of the country that they are in.
                of.push(format!("{country} clients (part unknown)"));
            } else if place.country.is_none() {
                of.push("clients that cannot be placed".to_owned());
            } else if of.is_empty() {
                of.push("all other clients".to_owned());
            }
            for row in of {
                rows.entry(row).or_default().extend(&reach.clusters);
            }
        }
        for (clients, clusters) in &rows {
            let names = self.names(clusters.iter().copied());
            let all = self.gateway.endpoints.iter().all(|endpoint| clusters.contains(&endpoint.cluster));
            let only = match (clusters.is_empty(), all) {
                (true, _) => "no cluster".to_owned(),
                (false, true) => "any cluster".to_owned(),
                (false, false) => format!("only {names}"),
            };
            line(page, &format!("{clients} of {}: {only}", self.gateway.name));
        }
        self.broken(page)
    }

    /// The jurisdictions that the rules name.
    fn named(&self) -> impl Iterator<Item = meridian_model::JurisdictionId> {
        let rules = self.gateway.residency.iter().flat_map(|residency| &residency.rules);
        let ids: BTreeSet<_> = rules
            .flat_map(|rule| match &rule.clients {
                ResidencyClients::In(ids) => ids.clone(),
                ResidencyClients::Everyone => Vec::new(),
            })
            .collect();
        ids.into_iter()
    }

    /// Each rule must hold for every client that it is for, also where an earlier rule takes the client.
    fn broken(&self, page: &mut String) -> usize {
        let catalog = self.ground.catalog();
        let mut broken = 0;
        for (index, rule) in self.gateway.residency.iter().flat_map(|residency| &residency.rules).enumerate()
        {
            let ResidencyClients::In(ids) = &rule.clients else { continue };
            let is_for =
                |place: &Place| ids.iter().any(|&id| catalog.jurisdiction(id).holds(place) == Some(true));
            let outside = |reach: &&Reach| {
                is_for(self.place(reach))
                    && reach.clusters.iter().any(|cluster| rule.clusters.binary_search(cluster).is_err())
            };
            let Some(example) = self.reach.iter().find(outside) else { continue };
            broken += 1;
            let others = example
                .clusters
                .iter()
                .copied()
                .filter(|cluster| rule.clusters.binary_search(cluster).is_err());
            let place = self.place(example);
            let country = place.country.map_or_else(String::new, |country| format!(" ({country})"));
            let behind = example
                .resolver
                .map_or_else(String::new, |resolver| format!(", behind a resolver in {}", prefix(resolver)));
            line(
                page,
                &format!(
                    "BROKEN rule {} of {}: {}{country}{behind} could be answered with {}",
                    index + 1,
                    self.gateway.name,
                    prefix(example.prefix),
                    self.names(others),
                ),
            );
        }
        broken
    }

    fn place(&self, reach: &Reach) -> &Place {
        static NOWHERE: Place =
            Place { continent: None, country: None, subdivision: None, coordinates: None, asn: None };
        self.ground.locality().places().get(reach.place.index()).unwrap_or(&NOWHERE)
    }

    fn names(&self, clusters: impl Iterator<Item = ClusterId>) -> String {
        let names: Vec<&str> = clusters.map(|id| &*self.ground.catalog().cluster(id).name).collect();
        names.join(", ")
    }
}

fn prefix((address, length): (IpAddr, u8)) -> String {
    format!("{address}/{length}")
}

fn line(page: &mut String, text: &str) {
    // A String takes everything.
    let _written = writeln!(page, "{text}");
}
