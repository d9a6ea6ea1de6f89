//! `meridian watch`: what a running server believes, live in a terminal.
//!
//! `source` asks the server and sends what it says; `state` is what is known and what is looked at, changed by
//! those answers and by keys; `draw` puts a state on a screen. Only this module knows of a terminal and a clock.

mod details;
mod draw;
mod keys;
mod look;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::client::{Server, runtime};
use crate::exit;

use look::Look;
use source::Source;
use state::{Flow, State};

/// How often ages are drawn anew where nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// Answers on their way to the screen.
const ON_THE_WAY: usize = 16;

/// What is watched.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(asked: &Watch) -> anyhow::Result<u8> {
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        bail!("watch needs a terminal; for programs and files there is `meridian status --watch --json`");
    }
    runtime()?.block_on(async {
        // Where there is no server to begin with, most likely --data-dir is wrong: said before the screen is taken.
        let first = source::first(&asked.server).await?;
        let ends = Ends::new()?;
        // The screen is given back when this ends, however it does: a panic has a hook that does it.
        let terminal = ratatui::try_init().context("the terminal")?;
        let shown = show(terminal, asked.server.clone(), first, ends).await;
        ratatui::restore();
        shown?;
        Ok(exit::OK)
    })
}

/// Shows until it is ended.
async fn show(
    mut terminal: DefaultTerminal,
    server: Server,
    first: source::Update,
    mut ends: Ends,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let look = Look::of_environment(|name| std::env::var(name).ok());
    let mut state = State::default();
    state.update(first, Duration::ZERO);
    let (sender, mut updates) = mpsc::channel(ON_THE_WAY);
    let (selected, selection) = watch::channel(None);
    tokio::spawn(Source::new(server, sender, selection).run());
    let mut keys = keys::read().context("the keyboard")?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        selected.send_if_modified(|of| {
            let now = state.selected().map(state::id);
            let changed = *of != now;
            *of = now;
            changed
        });
        terminal
            .draw(|frame| draw::screen(frame, &mut state, begun.elapsed(), &look))
            .context("the terminal")?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(key) => if state.key(key) == Flow::End { return Ok(()) },
                // The terminal is gone.
                None => return Ok(()),
            },
            Some(update) = updates.recv() => state.update(update, begun.elapsed()),
            _ = ticks.tick() => {}
            () = ends.any() => return Ok(()),
        }
    }
}

/// The signals that end it. Interrupt is a key as a rule, and may be sent all the same.
struct Ends([Signal; 3]);

impl Ends {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals");
        Ok(Self([of(SignalKind::terminate())?, of(SignalKind::hangup())?, of(SignalKind::interrupt())?]))
    }

    async fn any(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
