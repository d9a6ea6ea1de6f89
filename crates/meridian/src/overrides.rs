//! `meridian override` and `meridian restore`: what operators say of endpoints of a running server.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use hyper::Method;
use meridian_admin::wire;
use meridian_model::OverrideTarget;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{Server, runtime};
use crate::exit;
use crate::page::print;

/// What is said.
#[derive(Debug, Args)]
pub(crate) struct Say {
    /// cluster/NAME, gateway/NAME or endpoint/GATEWAY/CLUSTER/ADDRESS; * stands for any characters, ? for one.
    target: OverrideTarget,
    /// What counts for it.
    state: State,
    /// Of a drain: the time in which its share falls to nothing, such as 5m. Without it, at once.
    #[arg(long, value_name = "DURATION")]
    over: Option<String>,
    /// How long it holds, such as 2h. Without it, until it is restored.
    #[arg(long = "for", value_name = "DURATION")]
    hold_for: Option<String>,
    /// Why; the others read it in the status and in the log.
    #[arg(long)]
    reason: String,
    /// Who says so. Without it, who is logged in.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
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
    #[command(flatten)]
    server: Server,
}

pub(crate) fn say(asked: &Say) -> anyhow::Result<u8> {
    let state = match asked.state {
        State::Up => "up",
        State::Down => "down",
        State::Drain => "drain",
    };
    let body = wire::Say {
        target: asked.target.to_string(),
        state: state.to_owned(),
        over: asked.over.clone(),
        hold_for: asked.hold_for.clone(),
        reason: asked.reason.clone(),
        by: who(asked.by.as_deref())?,
    };
    let body = serde_json::to_vec(&body)?;
    let octets = runtime()?.block_on(asked.server.ask(Method::PUT, "/v1/overrides", body))?;
    let said: wire::Override = serde_json::from_slice(&octets).context("not the JSON of an override")?;
    let until = said.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
    let addresses = said.addresses.unwrap_or_default();
    let plural = if addresses == 1 { "" } else { "es" };
    print(&format!("{} is {}{until}: {addresses} address{plural}\n", said.target, said.state));
    if addresses == 0 {
        eprintln!("meridian: {} decides for no address: none matches, or narrower overrides do", said.target);
    }
    kept(&said)
}

pub(crate) fn restore(asked: &Restore) -> anyhow::Result<u8> {
    let target = asked.target.to_string();
    let path = format!("/v1/overrides?target={}", utf8_percent_encode(&target, NON_ALPHANUMERIC));
    let octets = runtime()?.block_on(asked.server.ask(Method::DELETE, &path, Vec::new()))?;
    let said: wire::Override = serde_json::from_slice(&octets).context("not the JSON of an override")?;
    print(&format!("{} is no longer {}\n", said.target, said.state));
    kept(&said)
}

fn kept(said: &wire::Override) -> anyhow::Result<u8> {
    if let Some(error) = &said.not_kept {
        bail!("it counts now, but a restart will not know of it: {error}");
    }
    Ok(exit::OK)
}

/// Behind sudo, who called it.
fn who(given: Option<&str>) -> anyhow::Result<String> {
    let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let found = given.map(str::to_owned).or_else(|| from("SUDO_USER")).or_else(|| from("USER"));
    found.or_else(|| from("LOGNAME")).context("expected --by, as nobody is logged in")
}
