//! Gateways: what clients ask for, who serves it, and in which order.

use std::net::IpAddr;
use std::time::Duration;

use crate::{ClusterId, DomainName, Hostname, Policy, Probe, ProbeId, Residency, Share, Target, TargetId};

//----------- Gateway --------------------------------------------------------

/// A set of hostnames with the endpoints that serve them and the policy that chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// As operators refer to it.
    pub name: Box<str>,
    /// No other gateway has any of these.
    pub hostnames: Vec<Hostname>,
    /// Seconds, while every verdict that the answer depends on is settled.
    pub ttl: u32,
    /// Seconds, while one is in doubt and for fallback answers; at most `ttl`.
    pub min_ttl: u32,
    /// The most addresses in an answer; `None`: as many as the policy selects.
    pub answers: Option<u16>,
    /// Whether a client's network always gets the same of several equal candidates.
    pub sticky: bool,
    /// Whether `<cluster>.<gateway>.site.<zone>` answers each cluster's endpoints.
    pub site_names: bool,
    /// Which clusters may serve which clients; `None`: all may serve all.
    pub residency: Option<Residency>,
    /// How tracks share the clients.
    pub rollout: Rollout,
    /// How the eligible endpoints are put in order.
    pub policy: Policy,
    /// Under this healthy share of the endpoints that residency leaves, of every track, all count as
    /// healthy.
    pub panic_below: Share,
    /// What is answered when health leaves nothing.
    pub all_down: AllDown,
    /// What HTTPS records say beside the addresses (RFC 9460); `None`: there are none.
    pub https: Option<Https>,
    /// The probe of all its endpoints; `None`: they count as healthy.
    pub probe: Option<ProbeId>,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
}

impl Gateway {
    /// Whether some endpoint is handed out as a CNAME.
    #[must_use]
    pub fn has_cname(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.name.as_ref().is_some_and(|name| name.as_cname))
    }
}

/// One thing to hand out and to probe: some addresses in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub cluster: ClusterId,
    /// None twice; at least one, except where `name` has not been resolved yet.
    pub addresses: Vec<EndpointAddress>,
    /// The hostname that the addresses come from; `None`: they stand in the file.
    pub name: Option<EndpointName>,
    /// What is checked, where that is not the addresses themselves.
    pub probe_at: ProbeAt,
    /// Its share beside the others of its tier, 0 to 1,000,000; 0 only when nothing else is left.
    pub weight: u32,
    /// The release it runs.
    pub track: Track,
}

/// An address of an endpoint, with what checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    /// What is answered.
    pub ip: IpAddr,
    /// What is checked; `None` where the gateway has no probe. [`crate::Catalog::new`] sets it.
    pub target: Option<TargetId>,
}

/// What is checked in place of an endpoint's addresses: behind NAT, or in a network for probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeAt {
    /// One for all addresses, or one each, in order; empty: the probe's own, else the addresses themselves.
    pub addresses: Vec<IpAddr>,
    /// `None`: the probe's.
    pub port: Option<u16>,
}

impl ProbeAt {
    /// What is checked for the address at this index.
    pub(crate) fn target(&self, id: ProbeId, probe: &Probe, index: usize, ip: IpAddr) -> Target {
        let own = match &self.addresses[..] {
            [one] => Some(*one),
            each => each.get(index).copied(),
        };
        let port = if probe.port == 0 { 0 } else { self.port.unwrap_or(probe.port) };
        Target { probe: id, address: own.or(probe.address).unwrap_or(ip), port }
    }
}

/// A hostname as an endpoint: a cloud load balancer's, whose addresses change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointName {
    /// What is resolved.
    pub name: DomainName,
    /// Whether it is handed out as a CNAME rather than as its addresses.
    pub as_cname: bool,
    /// How long its last addresses hold when it no longer resolves.
    pub stale_for: Duration,
    /// The TTL in seconds that its addresses came with; `None` before they came.
    pub ttl: Option<u32>,
    /// Whether it has not resolved for longer than `stale_for`: its endpoint counts as unhealthy.
    pub lost: bool,
    /// Whether it does not resolve now, and so may be lost soon.
    pub in_doubt: bool,
}

/// The release an endpoint runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// What clients get.
    #[default]
    Stable,
    /// The next release, on trial.
    Canary,
    /// One of a blue-green pair; live when no rollout says otherwise.
    Blue,
    /// The other of a blue-green pair.
    Green,
}

impl Track {
    /// As the file writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

//----------- Rollout --------------------------------------------------------

/// How the tracks of a gateway share its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rollout {
    /// The track of all clients that no trial takes; `None`: stable, else blue, else the first
    /// endpoint's.
    pub live: Option<Track>,
    /// The share of clients that another track gets.
    pub trial: Option<Trial>,
}

/// A release on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trial {
    /// Not the live one.
    pub track: Track,
    /// Of the client networks, by a hash that never moves a client out again as the share grows.
    pub share: Share,
}

//----------- Https ----------------------------------------------------------

/// The service parameters of a gateway's HTTPS records (RFC 9460 §7), beside the address hints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Https {
    /// The protocols, most wanted first; empty: the scheme's default.
    pub alpn: Vec<Box<str>>,
    /// The port; `None`: 443.
    pub port: Option<u16>,
    /// The ECHConfigList as octets.
    pub ech: Option<Box<[u8]>>,
}

//----------- AllDown --------------------------------------------------------

/// What is answered when health leaves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AllDown {
    /// The policy as though all endpoints were healthy (Route 53, gdnsd).
    #[default]
    ServeAll,
    /// The policy over the endpoints that were the last to go down.
    LastHealthy,
    /// The policy over the endpoints of these clusters, as though they were healthy.
    Fallback(Vec<ClusterId>),
    /// No address: NOERROR with an empty answer and an Extended DNS Error.
    NoData,
}
