//! `meridian probe`: what each probe does and finds, once and now.

mod json;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use meridian_health_probe::{
    self as health_probe, Checker, Finding, Found, NetworkChecker, Ready, Sent, User, action, probe_once,
};
use meridian_model::{Catalog, ProbeId, Target, TargetId, glob_matches};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;
use crate::load::{Loaded, load};
use crate::page::print;
use crate::supply::Supply;

/// What is probed.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// The configuration file.
    file: PathBuf,
    /// Only targets of which the gateway, the cluster, the address, the probe's name or GATEWAY/CLUSTER/ADDRESS
    /// is this; * stands for any characters, ? for any one. Several add up.
    #[arg(long = "target", value_name = "TEXT")]
    targets: Vec<String>,
    /// Write JSON: an array with an object for each target.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(asked: &Probe) -> anyhow::Result<u8> {
    let loaded = match load(&asked.file) {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(exit::CONFIG);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // Heard, so that commands of probes end with this one.
        tokio::select! {
            code = probe(loaded, asked) => code,
            _ = terminate.recv() => bail!("ended by SIGTERM"),
            _ = interrupt.recv() => bail!("ended by SIGINT"),
        }
    })
}

async fn probe(loaded: Loaded, asked: &Probe) -> anyhow::Result<u8> {
    let supply = Supply::start(loaded, None, 0).await?;
    let catalog = supply.ground().catalog();
    unresolved(catalog);
    let users = health_probe::users(catalog);
    let wanted = match wanted(catalog, &users, &asked.targets) {
        Ok(wanted) => wanted,
        Err(unknown) => {
            for text in unknown {
                eprintln!(
                    "meridian: --target {text:?}: no target is of such a gateway, cluster, address or probe"
                );
            }
            return Ok(exit::CONFIG);
        }
    };
    let found = probe_once(catalog, wanted.iter().copied(), NetworkChecker).await;
    let report = Report::new(catalog, users, &wanted, found);
    print(&if asked.json { json::render(&report) } else { text::render(&report) });
    let serves = |row: &Row| row.finding.verdict().serves();
    Ok(if report.rows().all(serves) { exit::OK } else { exit::FAILED })
}

/// Says which endpoints have nothing to probe because their hostnames do not resolve.
fn unresolved(catalog: &Catalog) {
    for gateway in catalog.gateways().iter().filter(|gateway| gateway.probe.is_some()) {
        for endpoint in gateway.endpoints.iter().filter(|endpoint| endpoint.addresses.is_empty()) {
            if let Some(of) = &endpoint.name {
                let (gateway, cluster) = (&gateway.name, &catalog.cluster(endpoint.cluster).name);
                eprintln!("meridian: {gateway}/{cluster}: {} has no address: nothing to probe", of.name);
            }
        }
    }
}

/// The targets that one of the texts matches, all without a text; or the texts that match none.
fn wanted<'t>(
    catalog: &Catalog,
    users: &[Vec<User>],
    texts: &'t [String],
) -> Result<Vec<TargetId>, Vec<&'t str>> {
    let names: Vec<Vec<String>> =
        catalog.targets().iter().zip(users).map(|(target, users)| names(catalog, target, users)).collect();
    let is_match = |text: &str, names: &[String]| names.iter().any(|name| glob_matches(text, name));
    let unknown: Vec<&str> = texts
        .iter()
        .map(String::as_str)
        .filter(|text| !names.iter().any(|names| is_match(text, names)))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let is_wanted = |names: &[String]| texts.is_empty() || texts.iter().any(|text| is_match(text, names));
    let wanted = names.iter().enumerate().filter(|(_, names)| is_wanted(names));
    Ok(wanted.map(|(index, _)| TargetId::from_index(index)).collect())
}

/// All that a target can be named by.
fn names(catalog: &Catalog, target: &Target, users: &[User]) -> Vec<String> {
    let mut names = vec![catalog.probe(target.probe).name.to_string(), target.address.to_string()];
    for user in users {
        names.push(catalog.gateway(user.gateway).name.to_string());
        names.push(catalog.cluster(user.cluster).name.to_string());
        names.push(user.address.to_string());
        names.push(user.name(catalog));
    }
    names
}

//----------- Report ---------------------------------------------------------

/// What was done and found.
struct Report<'c> {
    catalog: &'c Catalog,
    users: Vec<Vec<User>>,
    /// Those that were asked for, and what they are made of.
    all: BTreeMap<TargetId, Row<'c>>,
    /// Those that were asked for, in the catalog's order.
    wanted: &'c [TargetId],
}

/// One target.
struct Row<'c> {
    id: TargetId,
    probe: &'c meridian_model::Probe,
    at: SocketAddr,
    action: String,
    sent: Sent,
    finding: Finding,
    /// `None` for one that is made of others.
    latency_ms: Option<f64>,
}

impl<'c> Report<'c> {
    fn new(
        catalog: &'c Arc<Catalog>,
        users: Vec<Vec<User>>,
        wanted: &'c [TargetId],
        found: BTreeMap<TargetId, Found>,
    ) -> Self {
        // Once a probe: certificates are read for it.
        let mut ready: BTreeMap<ProbeId, Option<Ready>> = BTreeMap::new();
        let mut row = |id: TargetId, found: Found| {
            let target = catalog.targets()[id.index()];
            let probe = catalog.probe(target.probe);
            let at = SocketAddr::new(target.address, target.port);
            // One that cannot be made ready sends nothing, and its finding says why.
            let ready = ready.entry(target.probe).or_insert_with(|| NetworkChecker.ready(probe).ok());
            let sent = ready.as_ref().map(|ready| ready.sent(at)).unwrap_or_default();
            let latency_ms = found.latency.map(|latency| latency.as_secs_f64() * 1e3);
            Row { id, probe, at, action: action(probe, at), sent, finding: found.finding, latency_ms }
        };
        let all = found.into_iter().map(|(id, found)| (id, row(id, found))).collect();
        Self { catalog, users, all, wanted }
    }

    fn rows(&self) -> impl Iterator<Item = &Row<'c>> {
        self.wanted.iter().filter_map(|id| self.all.get(id))
    }

    /// What a target is made of.
    fn members(&self, row: &Row) -> impl Iterator<Item = &Row<'c>> {
        self.catalog.members(row.id).iter().filter_map(|id| self.all.get(id))
    }

    /// The first address that depends on a target, and of how many gateways some do.
    fn used_by(&self, row: &Row) -> (Option<User>, usize) {
        let users = self.users.get(row.id.index()).map_or(&[][..], |users| users);
        let mut gateways: Vec<_> = users.iter().map(|user| user.gateway).collect();
        gateways.dedup();
        (users.first().copied(), gateways.len())
    }
}

impl Row<'_> {
    fn result(&self) -> &'static str {
        match self.finding {
            Finding::Good => "good",
            Finding::Degraded(_) => "degraded",
            Finding::Failed(_) => "failed",
            Finding::NoData(_) => "no data",
        }
    }

    /// Why it is not good, without what was done, which stands beside it.
    fn reason(&self) -> Option<&str> {
        let reason = self.finding.reason()?;
        let found = reason.strip_prefix(&*self.action).and_then(|found| found.strip_prefix(": "));
        Some(found.unwrap_or(reason))
    }
}
