//! Clusters, gateways, endpoints, verdicts and transitions, each by itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Endpoint, FailOver};

/// All of one kind, as far as a page goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// How many there are with the filter, on whatever page.
    pub total: usize,
    /// Those of the page, in the file's order.
    pub items: Vec<T>,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Those whose name has this in it.
    #[param(max_length = 255)]
    pub contains: Option<String>,
    /// How many come before the page.
    #[param(minimum = 0, maximum = 4294967295u64)]
    pub offset: Option<u32>,
    /// The most on a page: 1 to 1,000; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// A cluster, and how its addresses do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The country it is in (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// All that it is in.
    pub jurisdictions: Vec<String>,
    /// The best that counts for one of its addresses; `unknown` where it has none.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub effective: String,
    /// How many of its addresses an operator has taken out or drains.
    pub forced: usize,
    /// How many of its addresses there are, by what counts.
    pub addresses: Addresses,
    /// The gateways that have an endpoint there.
    pub gateways: usize,
}

/// How many addresses, by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Addresses {
    /// They serve.
    pub healthy: usize,
    /// They serve where nothing healthy does.
    pub degraded: usize,
    /// They do not serve.
    pub unhealthy: usize,
    /// Nothing is known of them yet.
    pub unknown: usize,
}

/// A gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayDetail {
    /// Its name.
    pub name: String,
    /// The names that clients ask for: all of them of one gateway, the first of each in a list.
    pub hostnames: Vec<String>,
    /// How many hostnames it has.
    pub hostnames_count: usize,
    /// Seconds that an answer may be kept.
    pub ttl: u32,
    /// Seconds that one may be kept while a change is near.
    pub min_ttl: u32,
    /// `nearest`, `geo`, `latency`, `weighted`, `all` or `failover`.
    #[schema(pattern = "^(nearest|geo|latency|weighted|all|failover)$")]
    pub policy: String,
    /// The most addresses in an answer; `null`: all that the policy selects.
    pub answers: Option<u16>,
    /// What is answered when health leaves nothing.
    #[schema(pattern = "^(serve_all|last_healthy|fallback|nodata)$")]
    pub all_down: String,
    /// Whether residency says which clusters may serve which clients.
    pub residency: bool,
    /// The probe of its endpoints.
    pub probe: Option<String>,
    /// What its configuration promises; `null` where nothing detects a dead address.
    pub fail_over: Option<FailOver>,
    /// How many of its addresses there are, by what counts.
    pub addresses: Addresses,
    /// Its endpoints, of one gateway alone; empty in a list.
    pub endpoints: Vec<GatewayEndpoint>,
}

/// One endpoint of a gateway, with all its addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayEndpoint {
    /// In which cluster.
    pub cluster: String,
    /// Its share beside the others of its tier.
    pub weight: u32,
    /// The release that it runs.
    pub track: String,
    /// Its addresses.
    pub addresses: Vec<Endpoint>,
}

/// Which addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct EndpointsQuery {
    /// Those of this gateway.
    #[param(max_length = 255)]
    pub gateway: Option<String>,
    /// Those in this cluster.
    #[param(max_length = 255)]
    pub cluster: Option<String>,
    /// Those of which this counts: `healthy`, `degraded`, `unhealthy` or `unknown`.
    #[param(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub effective: Option<String>,
    /// How many come before the page.
    #[param(minimum = 0, maximum = 4294967295u64)]
    pub offset: Option<u32>,
    /// The most on a page: 1 to 1,000; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// `GET /v1/verdicts`: how many addresses have which, and those that are not simply healthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdicts {
    /// The number of the last transition.
    pub transitions: u64,
    /// By what probes say.
    pub observed: Addresses,
    /// By what counts.
    pub effective: Addresses,
    /// How many addresses operators decide for, by what they say.
    pub forced: BTreeMap<String, usize>,
    /// At most 1,000 that are observed or forced to be anything but healthy, in the file's order.
    pub not_healthy: Vec<Verdict>,
}

/// What is held of one address: observed, forced and effective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Of which gateway.
    pub gateway: String,
    /// In which cluster.
    pub cluster: String,
    /// The address, or the hostname that has none yet.
    pub address: String,
    /// What the probes say.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub observed: String,
    /// What an operator says.
    #[schema(pattern = "^(up|down|drain)$")]
    pub forced: Option<String>,
    /// What counts.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub effective: String,
}

/// Which transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct TransitionsQuery {
    /// Those after the one of this number.
    #[param(minimum = 0)]
    pub after: Option<u64>,
    /// The most, the newest of them: 1 to 1,000; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// `GET /v1/transitions`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transitions {
    /// Changes of verdict since the start, the first verdicts included: the number of the last one.
    pub last: u64,
    /// How many of those asked for are no longer kept.
    pub lost: u64,
    /// Oldest first.
    pub items: Vec<Transition>,
}

/// A change of verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// Counts all transitions since the start, from 1.
    pub number: u64,
    /// When, by the server's wall clock (RFC 3339).
    pub at: String,
    /// The first endpoint that has the address, as `gateway/cluster/address`.
    pub endpoint: String,
    /// How many gateways use it.
    pub gateways: usize,
    /// The probe's name.
    pub probe: String,
    /// The address that was checked.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// What counted before.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub from: String,
    /// What the probes say now.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub observed: String,
    /// What an operator says.
    #[schema(pattern = "^(up|down|drain)$")]
    pub forced: Option<String>,
    /// What counts now.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub effective: String,
    /// Why.
    pub cause: String,
    /// For how long the verdict before had held; `null` for the first.
    pub held_ms: Option<u64>,
    /// How long detection took; `null` for the first.
    pub took_ms: Option<u64>,
}
