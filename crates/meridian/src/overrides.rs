//! `meridian override` and `meridian restore`: what operators say of endpoints of a running server.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use hyper::Method;
use meridian_admin::wire;
use meridian_model::OverrideTarget;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{Server, runtime};
use crate::diff;
use crate::exit;
use crate::page::{self, print};

/// How long a change may take: what it would do is worked out first, and many gateways take time.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// What is said.
#[derive(Debug, Args)]
pub(crate) struct Say {
    /// cluster/NAME, gateway/NAME or endpoint/GATEWAY/CLUSTER/ADDRESS; * stands for any characters, ? for one.
    target: OverrideTarget,
    /// What counts for it.
    state: State,
    #[command(flatten)]
    how: How,
}

/// What is drained.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// cluster/NAME, gateway/NAME or endpoint/GATEWAY/CLUSTER/ADDRESS; * stands for any characters, ? for one.
    target: OverrideTarget,
    #[command(flatten)]
    how: How,
}

/// How, why, and by whom.
#[derive(Debug, Args)]
struct How {
    /// Of a drain: the time in which its share falls to nothing, such as 5m. Without it, at once.
    #[arg(long, value_name = "DURATION")]
    over: Option<String>,
    /// How long it holds, such as 2h. Without it, until it is restored.
    #[arg(long = "for", value_name = "DURATION")]
    hold_for: Option<String>,
    /// Why; the others read it in the status, in the audit and in the log.
    #[arg(long)]
    reason: String,
    /// Who says so. Without it, who is logged in.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    judged: Judged,
}

/// Whether and how a change is judged before it is made.
#[derive(Debug, Args)]
struct Judged {
    /// Do it although clients are left with nothing that serves.
    #[arg(long)]
    force: bool,
    /// Say what it would do, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write JSON: what the server's API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What counts whatever the probes find.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// Healthy.
    Up,
    /// Out, even where nothing else is left.
    Down,
    /// Less and less of the clients, then only what has nothing else left.
    Drain,
}

/// What is lifted.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The target, as it was said.
    target: OverrideTarget,
    /// Why; the others read it in the audit.
    #[arg(long)]
    reason: Option<String>,
    /// Who says so. Without it, who is logged in.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    judged: Judged,
}

pub(crate) fn say(asked: &Say) -> anyhow::Result<u8> {
    let state = match asked.state {
        State::Up => "up",
        State::Down => "down",
        State::Drain => "drain",
    };
    put(&asked.target, state, &asked.how)
}

pub(crate) fn drain(asked: &Drain) -> anyhow::Result<u8> {
    put(&asked.target, "drain", &asked.how)
}

fn put(target: &OverrideTarget, state: &str, how: &How) -> anyhow::Result<u8> {
    let Judged { force, dry_run, json, server } = &how.judged;
    let body = wire::Say {
        target: target.to_string(),
        state: state.to_owned(),
        over: how.over.clone(),
        hold_for: how.hold_for.clone(),
        reason: how.reason.clone(),
        by: who(how.by.as_deref())?,
        force: *force,
        dry_run: *dry_run,
    };
    let body = serde_json::to_vec(&body)?;
    let octets = runtime()?.block_on(server.ask_within(WAIT_MAX, Method::PUT, "/v1/overrides", body))?;
    let said: wire::Override = serde_json::from_slice(&octets).context("not the JSON of an override")?;
    if *json {
        print(&page::json(&said)?);
        return kept(&said);
    }
    let until = said.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
    if *dry_run {
        print(&format!("{} would be {}{until}\n{}", said.target, said.state, consequences(&said)));
        return Ok(exit::OK);
    }
    let addresses = said.addresses.unwrap_or_default();
    let plural = if addresses == 1 { "" } else { "es" };
    print(&format!("{} is {}{until}: {addresses} address{plural}\n", said.target, said.state));
    if addresses == 0 {
        eprintln!("meridian: {} decides for no address: none matches, or narrower overrides do", said.target);
    }
    kept(&said)
}

pub(crate) fn restore(asked: &Restore) -> anyhow::Result<u8> {
    let Judged { force, dry_run, json, server } = &asked.judged;
    let of = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path =
        format!("/v1/overrides?target={}&force={force}&dry_run={dry_run}", of(&asked.target.to_string()));
    let by = who(asked.by.as_deref()).ok();
    for (key, said) in [("by", &by), ("reason", &asked.reason)] {
        if let Some(said) = said {
            path.push_str(&format!("&{key}={}", of(said)));
        }
    }
    let octets = runtime()?.block_on(server.ask_within(WAIT_MAX, Method::DELETE, &path, Vec::new()))?;
    let said: wire::Override = serde_json::from_slice(&octets).context("not the JSON of an override")?;
    if *json {
        print(&page::json(&said)?);
        return kept(&said);
    }
    match dry_run {
        true => {
            print(&format!("{} would no longer be {}\n{}", said.target, said.state, consequences(&said)));
        }
        false => print(&format!("{} is no longer {}\n", said.target, said.state)),
    }
    kept(&said)
}

fn consequences(said: &wire::Override) -> String {
    said.consequences.as_deref().map(diff::consequences_text).unwrap_or_default()
}

fn kept(said: &wire::Override) -> anyhow::Result<u8> {
    if let Some(error) = &said.not_kept {
        bail!("it counts now, but a restart will not know of it: {error}");
    }
    Ok(exit::OK)
}

/// Behind sudo, who called it.
pub(crate) fn who(given: Option<&str>) -> anyhow::Result<String> {
    let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let found = given.map(str::to_owned).or_else(|| from("SUDO_USER")).or_else(|| from("USER"));
    found.or_else(|| from("LOGNAME")).context("expected --by, as nobody is logged in")
}
