//! What the demo says.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use meridian_dns::{Live, Moment, Peer, Transport, answer};
use meridian_model::{TargetId, Transition};
use tokio::time::Instant;

use super::clusters::Clusters;

/// The demo's one hostname.
const HOSTNAME: &str = "shop.gslb.example";

/// Somebody to ask for: a network that the embedded database knows.
const CLIENTS: [(&str, Ipv4Addr); 3] = [
    ("Ireland", Ipv4Addr::new(134, 226, 0, 0)),
    ("the USA", Ipv4Addr::new(8, 8, 8, 0)),
    ("Japan", Ipv4Addr::new(133, 11, 0, 0)),
];

/// How long a transition may take to reach the view before it is told without.
const PUBLISH_WAIT: Duration = Duration::from_secs(1);

/// Prints to standard output what happens.
pub(super) struct Story {
    listen: SocketAddr,
    live: Arc<Live>,
    /// At a terminal with keys; its lines then end in CR LF.
    terminal: bool,
    started: Instant,
}

impl Story {
    pub(super) fn new(listen: SocketAddr, live: Arc<Live>, terminal: bool) -> Self {
        Self { listen, live, terminal, started: Instant::now() }
    }

    /// Who is there, and what to try.
    pub(super) fn opening(&self, clusters: &Clusters) {
        let port = clusters.port();
        let mut text = String::from("Meridian demo: one gateway, three clusters\n\n");
        for (index, cluster) in clusters.iter().enumerate() {
            let (name, town, address) = (cluster.name, cluster.town, cluster.address);
            let _infallible =
                writeln!(text, "  {}  {name:<13} {town:<9} http://{address}:{port}/", index + 1);
        }
        text.push_str("\nAsk as a client from somewhere (in another terminal):\n");
        for (place, network) in CLIENTS {
            let _infallible = writeln!(
                text,
                "  dig @{} -p {} {HOSTNAME} +short +subnet={network}/24    # {place}: {}",
                self.listen.ip(),
                self.listen.port(),
                self.named(clusters.iter(), network),
            );
        }
        text.push_str(if self.terminal {
            "\nKeys: 1 2 3 break and mend a cluster, q leaves.\n"
        } else {
            "\nNo terminal: it just runs; SIGTERM or Ctrl-C ends it.\n"
        });
        self.say(&text);
    }

    /// A key was pressed.
    pub(super) fn key(&self, clusters: &Clusters, index: usize) {
        let Some((cluster, broken)) = clusters.toggle(index) else {
            return;
        };
        let now = if broken { "broken: it answers 503" } else { "mended" };
        self.say(&format!("{} {} ({}) is {now}", self.at(), cluster.name, cluster.town));
    }

    /// A verdict changed: what, why, and who gets what from now on.
    pub(super) async fn transition(&self, clusters: &Clusters, transition: &Transition) {
        let published = async {
            while self.live.load().verdicts().get(transition.target).verdict != transition.effective {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Told all the same when something later has overtaken it.
        let _overtaken = tokio::time::timeout(PUBLISH_WAIT, published).await;
        let now: Vec<String> = CLIENTS
            .iter()
            .map(|(place, network)| format!("{place} -> {}", self.named(clusters.iter(), *network)))
            .collect();
        let all_down = if self.all_down() { " (all are down: as though all were healthy)" } else { "" };
        self.say(&format!(
            "{} {} is {} (was {}): {}\n          now {}{all_down}",
            self.at(),
            transition.endpoint,
            transition.effective.as_str(),
            transition.from.as_str(),
            transition.cause,
            now.join(", "),
        ));
    }

    /// Whether health leaves nothing.
    fn all_down(&self) -> bool {
        let view = self.live.load();
        let targets = view.ground().catalog().targets().len();
        (0..targets).all(|index| !view.verdicts().is_healthy(TargetId::from_index(index)))
    }

    /// The cluster that a client is sent to now.
    fn named<'c>(
        &self,
        mut clusters: impl Iterator<Item = &'c super::clusters::Cluster>,
        client: Ipv4Addr,
    ) -> String {
        match self.ask(client) {
            Some(address) => clusters
                .find(|cluster| IpAddr::V4(cluster.address) == address)
                .map_or_else(|| address.to_string(), |cluster| cluster.town.to_owned()),
            None => "no answer".to_owned(),
        }
    }

    /// Asks the live view as a client would ask the server.
    fn ask(&self, client: Ipv4Addr) -> Option<IpAddr> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_str(HOSTNAME).ok()?, RecordType::A));
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(client.into(), 24, 0)));
        message.set_edns(edns);
        let query = message.to_vec().ok()?;
        let peer = Peer { address: self.listen.ip(), transport: Transport::Tcp };
        let mut reply = Vec::new();
        answer(&self.live.load(), &query, peer, Moment::default(), &mut reply);
        let reply = Message::from_vec(&reply).ok()?;
        reply.answers.iter().find_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
    }

    /// Seconds since the start, for the margin.
    fn at(&self) -> String {
        format!("{:>7.1} s", self.started.elapsed().as_secs_f64())
    }

    fn say(&self, text: &str) {
        if self.terminal {
            println!("{}\r", text.replace('\n', "\r\n"));
        } else {
            println!("{text}");
        }
    }
}
