//! `meridian status`: what a running server holds of every address.

mod table;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::Method;
use meridian_admin::wire;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Server, runtime};
use crate::exit;
use crate::page::print;

/// How often a status that is watched is asked for again.
const WATCH: Duration = Duration::from_secs(1);
/// Home, and nothing below (ECMA-48 §8.3.57, §8.3.39).
const CLEAR: &str = "\x1b[H\x1b[J";

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    server: Server,
    /// Write JSON: what the server's API answers.
    #[arg(long)]
    json: bool,
    /// Show it again every second, until interrupted.
    #[arg(long)]
    watch: bool,
}

pub(crate) fn run(asked: &Status) -> anyhow::Result<u8> {
    runtime()?.block_on(async {
        if !asked.watch {
            print(&page(asked).await?);
            return Ok(exit::OK);
        }
        let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
        let mut ticks = interval(WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A server that restarts is there again soon.
            let page = page(asked).await.unwrap_or_else(|error| format!("{error:#}\n"));
            print(&format!("{clear}{page}"));
        }
    })
}

async fn page(asked: &Status) -> anyhow::Result<String> {
    let octets = asked.server.ask(Method::GET, "/v1/status", Vec::new()).await?;
    if asked.json {
        let value: serde_json::Value = serde_json::from_slice(&octets).context("not the JSON of a status")?;
        // One line each where it is watched, so that programs can read it as it comes.
        return Ok(if asked.watch { format!("{value}\n") } else { format!("{value:#}\n") });
    }
    let status: wire::Status = serde_json::from_slice(&octets).context("not the JSON of a status")?;
    Ok(table::render(&status))
}
