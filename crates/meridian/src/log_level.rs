//! `meridian log-level`: what a running server logs.

use anyhow::Context;
use clap::Args;
use hyper::Method;
use meridian_admin::wire::Log;

use crate::client::{Server, runtime};
use crate::exit;
use crate::page::print;

/// What is shown or said.
#[derive(Debug, Args)]
pub(crate) struct LogLevel {
    /// What is logged from now on.
    filter: Option<String>,
    #[command(flatten)]
    server: Server,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(asked: &LogLevel) -> anyhow::Result<u8> {
    let (method, body) = match &asked.filter {
        Some(filter) => (Method::PUT, serde_json::to_vec(&Log { level: filter.clone() })?),
        None => (Method::GET, Vec::new()),
    };
    let octets = runtime()?.block_on(asked.server.ask(method, "/v1/log", body))?;
    let log: Log = serde_json::from_slice(&octets).context("not the JSON of a log")?;
    match asked.json {
        true => print(&format!("{:#}\n", serde_json::to_value(&log)?)),
        false => print(&format!("{}\n", log.level)),
    }
    Ok(exit::OK)
}
