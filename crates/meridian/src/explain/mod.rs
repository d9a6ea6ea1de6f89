//! `meridian explain`: why a client gets the answer it gets.

mod json;
mod names;
mod record;
mod text;

pub(crate) use names::Naming;
pub(crate) use text::stages;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use hyper::Method;
use meridian_admin::Explained;
use meridian_admin::wire::Explanation;
use meridian_config::Geoip;
use meridian_dns::{Asked, Ground, View, explain};
use meridian_health_probe::{self as health_probe, NetworkChecker};
use meridian_model::{
    Catalog, Order, OverrideTarget, OverrideTargetError, Share, TargetHealth, Verdict, Verdicts,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{Server, runtime};
use crate::exit;
use crate::load::{Loaded, load, load_text};
use crate::page::{json, print};
use crate::supply::Supply;

use record::Answered;

/// The demo's configuration, for a first look without a file.
const DEMO: &str = include_str!("../demo/demo.toml");

/// What is asked.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The name, as a client asks for it.
    name: String,
    /// The client: the address, or the network of a client subnet that its resolver discloses.
    #[arg(long, value_name = "ADDRESS")]
    client: IpAddr,
    /// The RR type.
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    question_type: hickory_proto::rr::RecordType,
    /// The resolver that discloses the client's subnet; without it the client asks for itself.
    #[arg(long, value_name = "ADDRESS")]
    resolver: Option<IpAddr>,
    /// The configuration file; without it the demo's configuration is explained.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the addresses of this cluster, or this address, for unhealthy; all others are healthy.
    #[arg(long, value_name = "CLUSTER|ADDRESS", conflicts_with = "probe")]
    down: Vec<String>,
    /// Go by what an operator would say: TARGET is cluster/NAME, gateway/NAME or
    /// endpoint/GATEWAY/CLUSTER/ADDRESS, with patterns, and STATE is up, down or drain (to its end).
    #[arg(long = "override", value_name = "TARGET=STATE", value_parser = parse_override)]
    overrides: Vec<(OverrideTarget, Order)>,
    /// Probe every address once, as serve does before its first answer, and go by that.
    #[arg(long)]
    probe: bool,
    /// What chance draws, where it chooses between equals.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    random: u64,
    /// Ask the server on this machine that keeps its data in DIR: why clients get the answers that they get now.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "down", "overrides", "probe"])]
    data_dir: Option<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(asked: &Explain) -> anyhow::Result<u8> {
    if let Some(data_dir) = &asked.data_dir {
        return ask(asked, &Server::of(data_dir));
    }
    let name = match meridian_config::name(&asked.name) {
        Ok(name) => name,
        Err(reason) => {
            eprintln!("meridian: {:?} is not a domain name: {reason}", asked.name);
            return Ok(exit::CONFIG);
        }
    };
    let loaded = match &asked.config {
        Some(file) => load(file),
        None => load_text(
            &DEMO.replace("{listen}", "127.0.0.1:5300").replace("{http_port}", "8080"),
            Path::new("demo.toml"),
        ),
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(issues) => {
            eprintln!("{issues}");
            return Ok(exit::CONFIG);
        }
    };
    let geoip = loaded.settings.geoip.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let (ground, verdicts) = runtime.block_on(standing(loaded, asked))?;
    let said: Vec<(&OverrideTarget, Order)> =
        asked.overrides.iter().map(|(of, order)| (of, *order)).collect();
    let orders = health_probe::orders(ground.catalog(), &said);
    let view = View::new(ground, verdicts.with_orders(Arc::new(orders)), None);
    let question = Asked {
        name,
        question_type: asked.question_type.into(),
        client: asked.client,
        resolver: asked.resolver,
        random: asked.random,
    };
    let Explained { explanation, text } = explained(&view, &question, &geoip)?;
    print(&if asked.json { json(&explanation)? } else { text });
    Ok(exit::OK)
}

/// Has a running server explain it.
fn ask(asked: &Explain, server: &Server) -> anyhow::Result<u8> {
    let of = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (name, client) = (of(&asked.name), of(&asked.client.to_string()));
    let (question_type, random) = (of(&asked.question_type.to_string()), asked.random);
    let mut path = format!("/v1/explain?name={name}&client={client}&type={question_type}&random={random}");
    if let Some(resolver) = asked.resolver {
        path.push_str(&format!("&resolver={}", of(&resolver.to_string())));
    }
    if asked.json {
        let octets = runtime()?.block_on(server.ask(Method::GET, &path, Vec::new()))?;
        let explanation: Explanation =
            serde_json::from_slice(&octets).context("not the JSON of an explanation")?;
        print(&json(&explanation)?);
    } else {
        print(&runtime()?.block_on(server.text(&path))?);
    }
    Ok(exit::OK)
}

/// Explains the answer to a question from a view whose databases are named there.
///
/// # Errors
/// When the question cannot be put.
pub(crate) fn explained(view: &View, question: &Asked, geoip: &Geoip) -> anyhow::Result<Explained> {
    let explanation = explain(view, question);
    let answered = Answered::ask(view, question)?;
    let naming = Naming::new(view.ground().catalog().clone(), geoip);
    let text = text::render(question, &explanation, &answered, &naming);
    Ok(Explained { explanation: json::explanation(question, &explanation, answered, &naming), text })
}

/// The ground with hostnames resolved, and the verdicts to go by.
async fn standing(loaded: Loaded, asked: &Explain) -> anyhow::Result<(Arc<Ground>, Verdicts)> {
    let first_round = loaded.settings.server.first_round;
    let supply = Supply::start(loaded, None, 0).await?;
    let ground = supply.ground().clone();
    let catalog = ground.catalog();
    if !asked.probe {
        let verdicts = assumed(catalog, &asked.down)?;
        return Ok((ground, verdicts));
    }
    let probes =
        health_probe::start(catalog.clone(), health_probe::Settings { first_round, seed: 0 }, NetworkChecker);
    let mut snapshots = probes.snapshots();
    let first = snapshots.wait_for(Option::is_some).await.ok().and_then(|first| first.clone());
    let verdicts = first.context("the probes ended before their first round")?.verdicts;
    probes.stop().await;
    Ok((ground, verdicts))
}

fn parse_override(text: &str) -> Result<(OverrideTarget, Order), String> {
    let (target, state) = text.split_once('=').ok_or("expected TARGET=STATE")?;
    let order = match state {
        "up" => Order::Up,
        "down" => Order::Down,
        "drain" => Order::Drain(Share::NONE),
        _ => return Err(format!("expected up, down or drain, found {state:?}")),
    };
    Ok((target.parse().map_err(|error: OverrideTargetError| error.to_string())?, order))
}

/// Everything healthy, but what is named.
fn assumed(catalog: &Catalog, down: &[String]) -> anyhow::Result<Verdicts> {
    let health = |verdict| TargetHealth { verdict, ..TargetHealth::default() };
    let mut all = vec![health(Verdict::Healthy); catalog.targets().len()];
    for wanted in down {
        let mut any = false;
        for endpoint in catalog.gateways().iter().flat_map(|gateway| &gateway.endpoints) {
            let in_cluster = *catalog.cluster(endpoint.cluster).name == **wanted;
            for address in &endpoint.addresses {
                let named = wanted.parse::<IpAddr>().is_ok_and(|wanted| wanted == address.ip);
                if let Some(target) = address.target.filter(|_| in_cluster || named) {
                    all[target.index()] = health(Verdict::Unhealthy);
                    any = true;
                }
            }
        }
        if !any {
            bail!("--down {wanted}: no probed address is in a cluster of this name, or is this address");
        }
    }
    Ok(Verdicts::new(all))
}
