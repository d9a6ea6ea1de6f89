//! What the server says, asked for again and again.
//!
//! Changes of verdict are asked for four times a second, which costs the server next to nothing; all the rest when there
//! are some, and otherwise once a second. A stream of events would take a connection that ends with each restart, and
//! tells the same no sooner than anybody sees it.

use std::time::Duration;

use anyhow::Context;
use hyper::{Method, StatusCode};
use meridian_admin::wire::{
    Cluster, ClusterShare, History, List, ProbeHistory, Process, Shares, Status, Transitions,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::client::{Refused, Server};

/// A server that says nothing for so long is said to be away; one that restarts is there again soon.
const WAIT: Duration = Duration::from_secs(2);
/// Between two questions for changes of verdict.
const SOON: Duration = Duration::from_millis(250);
/// Between two questions for all the rest, where nothing changes.
const LATER: Duration = Duration::from_secs(1);
/// The server is busy with us for one part of so many at most: with a hundred thousand addresses a status is large.
const PATIENCE: u32 = 4;

/// What has become known.
#[derive(Debug)]
pub(super) enum Update {
    /// Everything, as it is now.
    All(Box<All>),
    /// Changes of verdict behind those that were asked for last.
    Transitions(Transitions),
    /// What is known of the address that is looked at.
    Selected(Box<Selected>),
    /// The server does not answer, and why.
    Lost(String),
}

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct All {
    pub(super) status: Status,
    pub(super) clusters: Vec<Cluster>,
    pub(super) process: Process,
}

/// Gateway, cluster and address.
pub(super) type Id = [String; 3];

/// What is known of one address.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) id: Id,
    /// The last outcomes of its probes; none of a server that does not keep them.
    pub(super) history: Vec<ProbeHistory>,
    /// Which share of its gateway's clients each cluster answers.
    pub(super) shares: Vec<ClusterShare>,
}

/// Asks one server.
pub(super) struct Source {
    server: Server,
    to: mpsc::Sender<Update>,
    selection: watch::Receiver<Option<Id>>,
    /// The number of the last change that is known.
    last: u64,
}

/// What there is to begin with.
///
/// # Errors
/// When there is no server.
pub(super) async fn first(server: &Server) -> anyhow::Result<Update> {
    all(server).await.map(|all| Update::All(Box::new(all)))
}

impl Source {
    pub(super) fn new(
        server: Server,
        to: mpsc::Sender<Update>,
        selection: watch::Receiver<Option<Id>>,
    ) -> Self {
        Self { server, to, selection, last: 0 }
    }

    /// Until nobody looks.
    pub(super) async fn run(mut self) {
        let mut next = Instant::now();
        loop {
            let (news, changed) = match self.transitions().await {
                Ok(transitions) => {
                    let changed = !transitions.items.is_empty();
                    (Update::Transitions(transitions), changed)
                }
                Err(error) => (Update::Lost(format!("{error:#}")), false),
            };
            let is_lost = matches!(news, Update::Lost(_));
            if self.to.send(news).await.is_err() {
                return;
            }
            let is_asked = self.selection.has_changed().unwrap_or(false);
            if !is_lost && (changed || is_asked || next <= Instant::now()) {
                let begun = Instant::now();
                if self.rest().await.is_none() {
                    return;
                }
                next = Instant::now() + LATER.max(begun.elapsed() * PATIENCE);
                // Also while there is a change at every look.
                sleep(begun.elapsed()).await;
            }
            tokio::select! {
                () = sleep(SOON) => {}
                _ = self.selection.changed() => self.selection.mark_changed(),
            }
        }
    }

    async fn transitions(&mut self) -> anyhow::Result<Transitions> {
        let path = |after: u64| format!("/v1/transitions?after={after}");
        let mut found: Transitions = get(&self.server, &path(self.last)).await?;
        if found.last < self.last {
            // Of another process, which counts anew.
            found = get(&self.server, &path(0)).await?;
        }
        self.last = found.last;
        Ok(found)
    }

    /// `None`: nobody looks.
    async fn rest(&mut self) -> Option<()> {
        let update = match all(&self.server).await {
            Ok(all) => Update::All(Box::new(all)),
            Err(error) => Update::Lost(format!("{error:#}")),
        };
        self.to.send(update).await.ok()?;
        let id = self.selection.borrow_and_update().clone();
        if let Some(id) = id {
            let selected = selected(&self.server, id).await;
            self.to.send(Update::Selected(Box::new(selected))).await.ok()?;
        }
        Some(())
    }
}

async fn all(server: &Server) -> anyhow::Result<All> {
    let status = get(server, "/v1/status").await?;
    let clusters: List<Cluster> = get(server, "/v1/clusters?limit=1000").await?;
    Ok(All { status, clusters: clusters.items, process: get(server, "/v1/process").await? })
}

/// What there is of one address; a server that has less to say of it, as one of another version, leaves it away.
async fn selected(server: &Server, id: Id) -> Selected {
    let [gateway, cluster, address] = &id;
    let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (gateway, cluster, address) = (part(gateway), part(cluster), part(address));
    let history: Option<History> =
        get(server, &format!("/v1/endpoints/{gateway}/{cluster}/{address}/history")).await.ok();
    let shares: Option<Shares> = get(server, &format!("/v1/gateways/{gateway}/shares")).await.ok();
    Selected {
        id,
        history: history.map_or_else(Vec::new, |history| history.probes),
        shares: shares.map_or_else(Vec::new, |shares| shares.clusters),
    }
}

async fn get<T: DeserializeOwned>(server: &Server, path: &str) -> anyhow::Result<T> {
    let asked = server.ask_within(WAIT, Method::GET, path, Vec::new()).await;
    let octets = asked.map_err(|error| match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == StatusCode::NOT_FOUND => {
            error.context("the server is of a version that does not say this")
        }
        _ => error,
    })?;
    serde_json::from_slice(&octets).with_context(|| format!("{path}: not the JSON that was expected"))
}
