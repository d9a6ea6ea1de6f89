//! `meridian diff`: what share of clients a change of the configuration moves to another cluster.

mod consequences;
mod json;
mod queries;
mod space;
mod tally;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use meridian_admin::wire;
use meridian_dns::{Ground, View};
use meridian_model::{GatewayId, TargetHealth, Verdict, Verdicts};

use crate::exit;
use crate::load::load;
use crate::page::{self, print};

pub(crate) use consequences::{consequences, consequences_text, endangers};
use queries::{NotCompared, Queries};
use space::Space;
use tally::{Tally, rounded};

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The configuration file that is in force.
    old: PathBuf,
    /// The configuration file that comes after it.
    new: PathBuf,
    /// Weigh by these queries and not by address space.
    ///
    /// One a line: CLIENT NAME [TYPE]. CLIENT is an address, or a prefix as a client subnet discloses it;
    /// TYPE is A when left out. Empty lines and what follows a # are passed over.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// End with 3 when more than this moves, of all hostnames or of all queries together.
    #[arg(long, value_name = "PERCENT", value_parser = to_percent)]
    max_moved: Option<f64>,
    /// Write JSON, with every hostname and country.
    #[arg(long)]
    json: bool,
}

fn to_percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).trim_end().parse::<f64>().ok();
    percent.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| "not 0 to 100".to_owned())
}

/// What moves between two configurations while everything is healthy.
///
/// # Errors
/// When hostnames of endpoints cannot be stood for.
pub(crate) fn between(old: &Arc<Ground>, new: &Arc<Ground>) -> anyhow::Result<wire::Diff> {
    let (old, new) = (healthy(old.clone())?, healthy(new.clone())?);
    Ok(json::diff(&by_space(&old, &new), None, false))
}

pub(crate) fn run(asked: &Diff) -> anyhow::Result<u8> {
    // Both are loaded before either's issues end it: one run shows them all.
    let (old, new) = (view(&asked.old)?, view(&asked.new)?);
    let (Some(old), Some(new)) = (old, new) else { return Ok(exit::CONFIG) };
    let report = match &asked.queries {
        None => by_space(&old, &new),
        Some(file) => match Queries::weigh(&old, &new, file)? {
            Ok(Queries { rows, total, not_compared }) => {
                let total = total.percent();
                Report { rows, total, added: Vec::new(), removed: Vec::new(), queries: Some(not_compared) }
            }
            Err(issues) => {
                eprintln!("{issues}");
                return Ok(exit::CONFIG);
            }
        },
    };
    let moved = report.total.into_iter().flatten().fold(0.0, f64::max);
    let is_over = asked.max_moved.is_some_and(|most| moved > most);
    print(&match asked.json {
        true => page::json(&json::diff(&report, asked.max_moved, is_over))?,
        false => text::render(&report),
    });
    if let Some(most) = asked.max_moved.filter(|_| is_over) {
        eprintln!("meridian: {moved} % moves, over --max-moved {most}");
        return Ok(exit::MOVED);
    }
    Ok(exit::OK)
}

//----------- Report ---------------------------------------------------------

/// What moves.
struct Report<'v> {
    /// In the order of the new file, or of the first queries.
    rows: Vec<Row<'v>>,
    /// Percent of IPv4 and of IPv6: the mean of all hostnames. Of queries: the first alone.
    total: [Option<f64>; 2],
    /// Hostnames that only the new file has.
    added: Vec<String>,
    /// Hostnames that only the old file has.
    removed: Vec<String>,
    /// How many queries could not be compared; `None`: weighed by address space.
    queries: Option<NotCompared>,
}

impl<'v> Report<'v> {
    /// The hostnames that move alike, in the order of the first of each.
    fn alike(&self) -> Vec<(&Rc<Tally<'v>>, Vec<&str>)> {
        let mut numbers: HashMap<*const Tally<'v>, usize> = HashMap::new();
        let mut alike: Vec<(&Rc<Tally<'v>>, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let number = *numbers.entry(Rc::as_ptr(&row.tally)).or_insert(alike.len());
            match alike.get_mut(number) {
                Some((_, names)) => names.push(&row.hostname),
                None => alike.push((&row.tally, vec![&row.hostname])),
            }
        }
        alike
    }
}

/// What moves of one hostname.
struct Row<'v> {
    hostname: String,
    tally: Rc<Tally<'v>>,
}

fn by_space<'v>(old: &'v View, new: &'v View) -> Report<'v> {
    let mut before: BTreeMap<String, GatewayId> = hostnames(old).collect();
    let mut space = Space::new(old, new);
    let (mut rows, mut added) = (Vec::new(), Vec::new());
    for (hostname, gateway) in hostnames(new) {
        match before.remove(&hostname).and_then(|old| space.compare(old, gateway)) {
            Some(tally) => rows.push(Row { hostname, tally }),
            None => added.push(hostname),
        }
    }
    let total = [0, 1].map(|measure| {
        let each: Vec<f64> = rows.iter().filter_map(|row| row.tally.percent()[measure]).collect();
        #[expect(clippy::cast_precision_loss, reason = "far fewer hostnames than 2^52")]
        let mean = rounded(each.iter().sum::<f64>() / each.len() as f64);
        (!each.is_empty()).then_some(mean)
    });
    Report { rows, total, added, removed: before.into_keys().collect(), queries: None }
}

/// All hostnames of a view, in the file's order.
fn hostnames(view: &View) -> impl Iterator<Item = (String, GatewayId)> {
    let gateways = view.ground().catalog().gateways().iter().enumerate();
    gateways.flat_map(|(index, gateway)| {
        gateway.hostnames.iter().map(move |name| (name.to_string(), GatewayId::from_index(index)))
    })
}

//----------- Views ----------------------------------------------------------

/// A file's view with everything healthy; `None` after its issues were printed.
fn view(file: &Path) -> anyhow::Result<Option<View>> {
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(None);
        }
    };
    Ok(Some(healthy(loaded.ground)?))
}

/// A view with everything healthy.
fn healthy(ground: Arc<Ground>) -> anyhow::Result<View> {
    let ground = resolved(ground)?;
    let healthy = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
    let verdicts = Verdicts::new(vec![healthy; ground.catalog().targets().len()]);
    Ok(View::new(ground, verdicts, None))
}

/// Every hostname of an endpoint stands for one IPv4 address, so that its cluster takes part: what it
/// resolves to is not the file's, and not looked up.
pub(crate) fn resolved(ground: Arc<Ground>) -> anyhow::Result<Arc<Ground>> {
    let gateways = ground.catalog().gateways();
    if gateways.iter().flat_map(|gateway| &gateway.endpoints).all(|endpoint| endpoint.name.is_none()) {
        return Ok(ground);
    }
    // From 240.0.0.0/4, which nobody has (RFC 1112 §4), each another one.
    let mut next = 0xf000_0000_u32;
    let catalog = ground.catalog().with_names(|name| {
        next += 1;
        Some((vec![IpAddr::V4(Ipv4Addr::from_bits(next))], name.clone()))
    });
    let (locality, manners) = (ground.locality().clone(), ground.manners().clone());
    let made = Ground::new(Arc::new(catalog), locality, manners, Some(&ground));
    Ok(Arc::new(made.context("the hostnames of endpoints")?))
}
