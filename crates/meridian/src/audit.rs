//! `meridian audit`: who changed what of a running server, when and why.

use anyhow::Context;
use clap::Args;
use hyper::Method;
use meridian_admin::wire::{Audit, Change};

use crate::client::{Server, runtime};
use crate::exit;
use crate::page::{json, print};

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Only changes after the one of this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most, the newest of them: 1 to 1000.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: u32,
    /// Write JSON: what the server's API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(asked: &Asked) -> anyhow::Result<u8> {
    let path = format!("/v1/audit?after={}&limit={}", asked.after, asked.limit);
    let octets = runtime()?.block_on(asked.server.ask(Method::GET, &path, Vec::new()))?;
    let audit: Audit = serde_json::from_slice(&octets).context("not the JSON of an audit")?;
    if asked.json {
        print(&json(&audit)?);
        return Ok(exit::OK);
    }
    let page: String = audit.items.iter().map(line).collect();
    print(if page.is_empty() { "no changes\n" } else { &page });
    Ok(exit::OK)
}

/// `7 2026-11-28T22:59:21.123Z override cluster/eu-west by ann (token ann): disk change`
fn line(of: &Change) -> String {
    let Change { number, at, by, caller, action, target, reason, forced, refused, .. } = of;
    let by = if by.is_empty() { format!("by {caller}") } else { format!("by {by} ({caller})") };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let target = if target.is_empty() { String::new() } else { format!(" {target}") };
    let forced = if *forced { ", forced" } else { "" };
    let refused = refused.as_ref().map_or_else(String::new, |why| format!("\n    REFUSED: {why}"));
    format!("{number} {at} {action}{target} {by}{forced}{reason}{refused}\n")
}
