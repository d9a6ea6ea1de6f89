//! `meridian demo`: three clusters and the server for them, on loopback addresses.

mod clusters;
mod keys;
mod story;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use meridian_dns::{Bound, Inherited, Listen};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::exit;
use crate::load::load_text;
use crate::running::Running;
use crate::serve::workers;
use clusters::Clusters;
use keys::Key;
use story::Story;

/// The demo's configuration; the ports are put in for `{listen}` and `{http_port}`.
const CONFIG: &str = include_str!("demo.toml");

pub(crate) fn run(listen: SocketAddr, http_port: u16) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(demo(listen, http_port))?;
    Ok(exit::OK)
}

async fn demo(listen: SocketAddr, http_port: u16) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let wanted = Listen { plain: vec![listen], ..Listen::default() };
    let bound = Bound::bind(&wanted, workers(0), &mut Inherited::default())
        .context("cannot listen; choose another with --listen")?;
    let listen = bound.listening().first().map_or(listen, |listening| listening.address);
    let clusters = Clusters::start(http_port).await?;
    let text =
        CONFIG.replace("{listen}", &listen.to_string()).replace("{http_port}", &clusters.port().to_string());
    let loaded = load_text(&text, Path::new("demo.toml"))
        .map_err(|issues| anyhow!("the demo's own configuration: {issues}"))?;
    let mut running = Running::start(loaded, None, bound, None, None).await?;
    running.start_quic()?;
    let mut transitions = running.probes.transitions();

    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let raw = if terminal { Some(keys::RawTerminal::enter()?) } else { None };
    let mut keys = if terminal { Some(keys::read()?) } else { None };
    let story = Story::new(listen, Arc::clone(running.publisher.live()), terminal);
    story.opening(&clusters);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            key = next(&mut keys) => match key {
                Some(Key::Cluster(index)) => story.key(&clusters, index),
                Some(Key::Quit) => break,
                None => keys = None,
            },
            transition = transitions.recv() => match transition {
                Ok(transition) => story.transition(&clusters, &transition).await,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
        }
    }
    drop(raw);
    println!("stopping");
    running.stop().await;
    Ok(())
}

/// The next key; without a keyboard there never is one.
async fn next(keys: &mut Option<mpsc::Receiver<Key>>) -> Option<Key> {
    match keys {
        Some(keys) => keys.recv().await,
        None => std::future::pending().await,
    }
}
