//! `meridian prove`: that residency holds, without traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use meridian_admin::wire;
use meridian_dns::{Ground, Reach};
use meridian_model::{ClusterId, Gateway, GatewayId, JurisdictionId, Place, ResidencyClients};
use meridian_steering::is_placed;
use tokio::time::Instant;

use crate::exit;
use crate::load::load;
use crate::page::{json, print};

/// What is proven.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The configuration file.
    file: PathBuf,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(asked: &Prove) -> anyhow::Result<u8> {
    let loaded = match load(&asked.file) {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(exit::CONFIG);
        }
    };
    let proof = proof(&loaded.ground, None, |_| true);
    print(&if asked.json { json(&proof)? } else { text(&proof) });
    Ok(if proof.holds { exit::OK } else { exit::FAILED })
}

/// What every gateway with residency that is asked for could ever answer, held against its rules, as far as there is time.
pub(crate) fn proof(
    ground: &Ground,
    until: Option<Instant>,
    is_asked: impl Fn(&Gateway) -> bool,
) -> wire::Proof {
    let mut proof = wire::Proof { holds: true, not_proven: 0, gateways: Vec::new() };
    for (index, gateway) in ground.catalog().gateways().iter().enumerate() {
        if gateway.residency.is_none() || !is_asked(gateway) {
            continue;
        }
        if until.is_some_and(|until| Instant::now() > until) {
            proof.not_proven += 1;
            continue;
        }
        let reach = ground.reach(GatewayId::from_index(index));
        let of = GatewayReach { ground, gateway, reach: &reach };
        let (name, broken) = (gateway.name.to_string(), of.broken());
        proof.holds &= broken.is_empty();
        proof.gateways.push(wire::GatewayProof { gateway: name, reach: of.reached(), broken });
    }
    proof
}

//----------- Text -----------------------------------------------------------

fn text(proof: &wire::Proof) -> String {
    if proof.gateways.is_empty() {
        return "no gateway has [gateways.residency]: nothing to prove\n".to_owned();
    }
    let mut page = String::new();
    for wire::GatewayProof { gateway, reach, broken } in &proof.gateways {
        for wire::Reached { clients, clusters, all } in reach {
            let names = match (clusters.is_empty(), all) {
                (true, _) => "no cluster".to_owned(),
                (false, true) => "any cluster".to_owned(),
                (false, false) => format!("only {}", clusters.join(", ")),
            };
            // A String takes everything.
            let _written = writeln!(page, "{clients} of {gateway}: {names}");
        }
        for one in broken {
            let _written = writeln!(page, "BROKEN {}", broken_text(gateway, one));
        }
    }
    page
}

/// `rule 1 of shop: 192.0.2.0/24 (DE) could be answered with us-east`
pub(crate) fn broken_text(gateway: &str, of: &wire::Broken) -> String {
    let country = of.country.as_ref().map_or_else(String::new, |country| format!(" ({country})"));
    let behind = of
        .resolver
        .as_ref()
        .map_or_else(String::new, |resolver| format!(", behind a resolver in {resolver}"));
    let (rule, client, clusters) = (of.rule, &of.client, of.clusters.join(", "));
    format!("rule {rule} of {gateway}: {client}{country}{behind} could be answered with {clusters}")
}

//----------- Reach ----------------------------------------------------------

/// What one gateway could answer.
struct GatewayReach<'p> {
    ground: &'p Ground,
    gateway: &'p Gateway,
    reach: &'p [Reach],
}

impl GatewayReach<'_> {
    /// By what clients are, in words.
    fn reached(&self) -> Vec<wire::Reached> {
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
        let row = |(clients, clusters): (String, BTreeSet<ClusterId>)| wire::Reached {
            clients,
            all: self.gateway.endpoints.iter().all(|endpoint| clusters.contains(&endpoint.cluster)),
            clusters: self.names(clusters.into_iter()),
        };
        rows.into_iter().map(row).collect()
    }

    /// The jurisdictions that the rules name.
    fn named(&self) -> impl Iterator<Item = JurisdictionId> {
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
    fn broken(&self) -> Vec<wire::Broken> {
        let rules = self.gateway.residency.iter().flat_map(|residency| &residency.rules).enumerate();
        let broken = rules.filter_map(|(index, rule)| {
            let ResidencyClients::In(ids) = &rule.clients else { return None };
            self.against(index, ids, &rule.clusters)
        });
        broken.collect()
    }

    /// A client of these jurisdictions that could be answered with another cluster than these.
    fn against(&self, index: usize, ids: &[JurisdictionId], allowed: &[ClusterId]) -> Option<wire::Broken> {
        let catalog = self.ground.catalog();
        let is_for =
            |place: &Place| ids.iter().any(|&id| catalog.jurisdiction(id).holds(place) == Some(true));
        let is_outside = |cluster: &ClusterId| allowed.binary_search(cluster).is_err();
        let outside = |reach: &&Reach| is_for(self.place(reach)) && reach.clusters.iter().any(&is_outside);
        let example = self.reach.iter().find(outside)?;
        let others = example.clusters.iter().copied().filter(|cluster| is_outside(cluster));
        Some(wire::Broken {
            rule: index + 1,
            client: prefix(example.prefix),
            country: self.place(example).country.map(|country| country.to_string()),
            resolver: example.resolver.map(prefix),
            clusters: self.names(others),
        })
    }

    fn place(&self, reach: &Reach) -> &Place {
        static NOWHERE: Place =
            Place { continent: None, country: None, subdivision: None, coordinates: None, asn: None };
        self.ground.locality().places().get(reach.place.index()).unwrap_or(&NOWHERE)
    }

    fn names(&self, clusters: impl Iterator<Item = ClusterId>) -> Vec<String> {
        clusters.map(|id| self.ground.catalog().cluster(id).name.to_string()).collect()
    }
}

fn prefix((address, length): (IpAddr, u8)) -> String {
    format!("{address}/{length}")
}
