//! Who is answered by whom, the past of addresses, and who asks.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct MapQuery {
    /// Whose clients; those of the first gateway without it.
    #[param(max_length = 255)]
    pub gateway: Option<String>,
    /// `A` or `AAAA`; without it `A`, unless nobody gets an answer to that.
    #[serde(rename = "type")]
    #[param(pattern = "^(A|AAAA)$")]
    pub question_type: Option<String>,
}

/// Which shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct SharesQuery {
    /// As in the query of a map.
    #[serde(rename = "type")]
    #[param(pattern = "^(A|AAAA)$")]
    pub question_type: Option<String>,
}

/// `GET /v1/map`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Map {
    /// All clients together.
    #[serde(flatten)]
    pub shares: Shares,
    /// Every country that a client is in, by its code.
    pub countries: Vec<MapCountry>,
}

/// `GET /v1/gateways/{gateway}/shares`: which share of the clients each cluster answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shares {
    /// Whose clients.
    pub gateway: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(A|AAAA)$")]
    pub question_type: String,
    /// Of which view: it counts those that were published.
    pub generation: u64,
    /// By address space, largest first; together 1.
    pub clusters: Vec<ClusterShare>,
}

/// The clients of one country.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MapCountry {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// In English; the code where it is none of ISO's.
    pub name: String,
    /// Where its people are, on average; `null` where that is not known.
    pub latitude: Option<f64>,
    /// As `latitude`.
    pub longitude: Option<f64>,
    /// Its share of all clients.
    pub share: f64,
    /// Which share of its own clients each cluster answers, largest first; together 1.
    pub clusters: Vec<ClusterShare>,
}

/// A cluster and its share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterShare {
    /// Its name; `null` for answers that name no cluster.
    pub cluster: Option<String>,
    /// From 0 to 1.
    pub share: f64,
}

//----------- History --------------------------------------------------------

/// The last outcomes of every probe of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Of which gateway.
    pub gateway: String,
    /// In which cluster.
    pub cluster: String,
    /// What is handed out.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Its probe, or those that its probe is made of; none where nothing is probed.
    pub probes: Vec<ProbeHistory>,
}

/// The last outcomes of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeHistory {
    /// Its name.
    pub name: String,
    /// What is checked: address and port.
    pub at: String,
    /// Within which time it has to answer.
    pub timeout_ms: u64,
    /// Oldest first, the last two minutes at one a second; fewer with more than 35,000 targets.
    pub outcomes: Vec<PastOutcome>,
}

/// One outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PastOutcome {
    /// `good`, `degraded`, `failed` or `no_data`.
    #[schema(pattern = "^(good|degraded|failed|no_data)$")]
    pub result: String,
    /// How long it took.
    pub latency_ms: f64,
    /// How long ago it ended.
    pub ago_ms: u64,
}

//----------- Who asks -------------------------------------------------------

/// `GET /v1/caller`: who asks, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAsks {
    /// The name of the token; `null` where none is needed.
    pub name: Option<String>,
    /// `viewer` or `operator`.
    #[schema(pattern = "^(viewer|operator)$")]
    pub role: String,
}
