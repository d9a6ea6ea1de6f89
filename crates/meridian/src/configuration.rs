//! `meridian config`: the configuration that a running server runs.

use anyhow::Context;
use clap::Args;
use hyper::Method;
use meridian_admin::wire::Running;

use crate::client::{Server, runtime};
use crate::exit;
use crate::page::print;

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(flatten)]
    server: Server,
    /// Write JSON: its text and digest, since when it runs, and what the last reload was refused for, if it was.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(asked: &Config) -> anyhow::Result<u8> {
    let octets = runtime()?.block_on(asked.server.ask(Method::GET, "/v1/configuration", Vec::new()))?;
    if asked.json {
        let value: serde_json::Value =
            serde_json::from_slice(&octets).context("not the JSON of a configuration")?;
        print(&format!("{value:#}\n"));
        return Ok(exit::OK);
    }
    let running: Running = serde_json::from_slice(&octets).context("not the JSON of a configuration")?;
    print(&running.text);
    Ok(exit::OK)
}
