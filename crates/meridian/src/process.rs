//! `meridian reload` and `meridian restart`: what operators ask of a running process.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use hyper::{Method, StatusCode};
use meridian_admin::wire::{Process, ReloadAnswer, Reloaded, Successor};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{Instant, sleep};

use crate::client::{ANSWER_WAIT_MAX, Refused, Server, runtime};
use crate::overrides::who;
use crate::page::{self, print};
use crate::{diff, exit};

/// How long a file may take to be loaded: as long as the API keeps a connection.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(60);
/// Between two looks at what becomes of a new process.
const LOOK: Duration = Duration::from_millis(100);

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// Do it although clients are left with nothing that serves, or residency breaks.
    #[arg(long)]
    force: bool,
    /// Say what it would do, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Why; the others read it in the audit.
    #[arg(long)]
    reason: Option<String>,
    /// Who says so. Without it, who is logged in.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Write JSON: what the server's API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Write JSON: the process that serves then, as the server's API says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn reload(asked: &Reload) -> anyhow::Result<u8> {
    let Reload { force, dry_run, reason, by, json, server } = asked;
    let of = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = format!("/v1/reload?force={force}&dry_run={dry_run}");
    let by = who(by.as_deref()).ok();
    for (key, said) in [("by", &by), ("reason", reason)] {
        if let Some(said) = said {
            path.push_str(&format!("&{key}={}", of(said)));
        }
    }
    let answer = server.ask_within(RELOAD_WAIT_MAX, Method::POST, &path, Vec::new());
    let octets = match runtime()?.block_on(answer) {
        Ok(octets) => octets,
        Err(error) => match error.downcast::<Refused>() {
            Ok(refused) if refused.status == StatusCode::UNPROCESSABLE_ENTITY => {
                eprintln!("{refused}\nmeridian: the configuration before it stays in force");
                return Ok(exit::CONFIG);
            }
            Ok(refused) => return Err(refused.into()),
            Err(error) => return Err(error),
        },
    };
    let answer: ReloadAnswer = serde_json::from_slice(&octets).context("not the JSON of a reload")?;
    if *json {
        print(&page::json(&answer)?);
        return Ok(exit::OK);
    }
    let (Reloaded { gateways, targets, warnings }, rehearsal) = match answer {
        ReloadAnswer::Reloaded(reloaded) => (reloaded, None),
        ReloadAnswer::Rehearsal(rehearsal) => (rehearsal.reloaded.clone(), Some(rehearsal)),
    };
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    match rehearsal {
        None => print(&format!(
            "reloaded: {gateways} gateways, {targets} addresses to probe; in force after the first round of new ones\n"
        )),
        Some(rehearsal) => {
            print(&format!("would be reloaded: {gateways} gateways, {targets} addresses to probe\n"));
            if rehearsal.holds_now && !rehearsal.proof.holds {
                print("residency would break: see meridian prove\n");
            }
            print(&diff::consequences_text(&rehearsal.consequences));
        }
    }
    Ok(exit::OK)
}

pub(crate) fn restart(asked: &Restart) -> anyhow::Result<u8> {
    runtime()?.block_on(async {
        let octets = asked.server.ask(Method::POST, "/v1/restart", Vec::new()).await?;
        let before = process(&octets)?;
        let new = before.successor.context("the server did not say which process it has started")?.pid;
        if !asked.json {
            print(&format!("process {new} gets ready, process {} serves\n", before.pid));
        }
        let began = Instant::now();
        // While the new one gets ready the old one waits for it, and says when it gives up.
        let mut heard = began;
        loop {
            sleep(LOOK).await;
            let now = match asked.server.ask(Method::GET, "/v1/process", Vec::new()).await {
                Ok(octets) => process(&octets)?,
                // In between, nobody may be at the socket.
                Err(error) if heard.elapsed() > ANSWER_WAIT_MAX => return Err(error),
                Err(_) => continue,
            };
            heard = Instant::now();
            if now.pid == new {
                let after =
                    || format!("process {new} serves, after {:.1} s\n", began.elapsed().as_secs_f64());
                print(&if asked.json { page::json(&now)? } else { after() });
                return Ok(exit::OK);
            }
            match now.successor {
                Some(Successor { pid, failed: Some(why) }) if pid == new => {
                    bail!("process {} serves on, the new one failed: {why}", now.pid)
                }
                Some(Successor { pid, .. }) if pid == new => {}
                _ => bail!("process {new} is gone, and process {} serves", now.pid),
            }
        }
    })
}

fn process(octets: &[u8]) -> anyhow::Result<Process> {
    serde_json::from_slice(octets).context("not the JSON of a process")
}
