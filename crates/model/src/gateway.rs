//! Gateways: what clients ask for, who serves it, and in which order.

use std::net::IpAddr;

use crate::{ClusterId, Hostname, ProbeId, TargetId};

//----------- Gateway --------------------------------------------------------

/// A set of hostnames with the endpoints that serve them and the policy that chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// How the eligible endpoints are put in order.
    pub policy: Policy,
    /// What is answered when health leaves nothing.
    pub all_down: AllDown,
    /// The probe of all its endpoints; `None`: they count as healthy.
    pub probe: Option<ProbeId>,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
}

/// One thing to hand out and to probe: some addresses in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub cluster: ClusterId,
    /// At least one, none twice.
    pub addresses: Vec<EndpointAddress>,
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

//----------- Policy ---------------------------------------------------------

/// How eligible endpoints are put in order. Policies nest as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The cluster nearest to the client by great-circle distance, then the next nearest.
    Nearest,
    /// All endpoints in one tier, picked by weight.
    Weighted,
    /// All endpoints in one tier, answered together.
    All,
    /// One tier after the other.
    Failover(Vec<Tier>),
}

/// Some of a gateway's clusters, with the policy among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tier {
    /// At least one, in catalog order; the file's globs are already resolved.
    pub clusters: Vec<ClusterId>,
    /// The order within the tier.
    pub policy: Policy,
}

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
