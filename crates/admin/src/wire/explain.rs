//! Why a client gets the answer it gets: what `meridian explain --json` writes, too.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is asked, by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// The name, as a client asks for it.
    #[param(max_length = 1024, example = "shop.gslb.example")]
    pub name: String,
    /// The client: an address, or the network that its resolver discloses of it.
    #[param(value_type = String, example = "192.0.2.1")]
    pub client: IpAddr,
    /// The RR type; `A` without it.
    #[serde(rename = "type")]
    #[param(max_length = 16, example = "A")]
    pub question_type: Option<String>,
    /// The resolver that discloses the client's network; without it the client asks for itself.
    #[param(value_type = Option<String>)]
    pub resolver: Option<IpAddr>,
    /// What chance draws, where it chooses between equals; 0 without it.
    pub random: Option<u64>,
}

/// Why an answer is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The name that was asked for.
    pub name: String,
    /// The RR type.
    #[serde(rename = "type")]
    pub question_type: String,
    /// The client.
    #[schema(value_type = String)]
    pub client: IpAddr,
    /// The resolver, where it is another.
    #[schema(value_type = Option<String>)]
    pub resolver: Option<IpAddr>,
    /// What the zones have: `not_ours`, `no_name`, `no_data`, `static`, `alias`, `delegated`, `any_type` or `steered`.
    #[schema(pattern = "^(not_ours|no_name|no_data|static|alias|delegated|any_type|steered)$")]
    pub matter: String,
    /// How a steered answer comes about.
    pub steering: Option<Steering>,
    /// What the client gets.
    pub answer: Answer,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// The mnemonic of the response code.
    pub rcode: String,
    /// The answer section in presentation format.
    pub records: Vec<String>,
    /// The scope that goes to the resolver; `null` where no subnet was disclosed.
    pub scope: Option<u8>,
    /// The Extended DNS Error (RFC 8914).
    pub extended_error: Option<ExtendedError>,
}

/// An Extended DNS Error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExtendedError {
    /// Its code.
    pub code: u16,
    /// Its text.
    pub text: String,
}

/// How a steered answer comes about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Steering {
    /// The names that the question goes through.
    pub aliases: Vec<String>,
    /// Whose name it is.
    pub gateway: String,
    /// Of which cluster it is the test name, if it is one.
    pub site: Option<String>,
    /// Where the client is.
    pub client: Located,
    /// Where the resolver is, if it is another and residency asks.
    pub resolver: Option<Located>,
    /// Which clusters may serve.
    pub residency: Residency,
    /// How the policy came to its order.
    pub ranking: Vec<Stage>,
    /// One for each family that is asked for.
    pub choices: Vec<Choice>,
    /// How long fail-over takes at worst; `null` where a dead address is never detected, and for a test name.
    pub fail_over: Option<super::FailOver>,
}

/// A place, and where it is known from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Located {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The continent's code.
    pub continent: Option<String>,
    /// The country (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The part of it.
    pub subdivision: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// The autonomous system.
    pub asn: Option<u32>,
    /// For which prefix around the address this holds.
    pub prefix_len: u8,
    /// The longest prefix around the address that policies and tables name.
    pub prefix: Option<String>,
    /// Which database or network of the operator's says so.
    pub source: String,
}

/// What residency says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Residency {
    /// The number of the rule that holds for the client, from 1.
    pub rule: Option<usize>,
    /// The same for the resolver.
    pub resolver_rule: Option<usize>,
    /// The clusters that may serve; `null`: all.
    pub clusters: Option<Vec<String>>,
}

/// What is chosen in one family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Choice {
    /// `ipv4` or `ipv6`.
    #[schema(pattern = "^(ipv4|ipv6)$")]
    pub family: String,
    /// The client's track.
    pub track: Option<String>,
    /// Where the client stands in the trial of a rollout.
    pub trial: Option<Trial>,
    /// What each stage kept and removed.
    pub stages: Vec<Stage>,
    /// The grounds of the decision.
    pub grounds: Option<String>,
    /// The addresses that are handed out.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The hostname that is handed out in their place.
    pub cname: Option<String>,
    /// Whether another client, or another time, could have got others of the same candidates.
    pub drawn: bool,
    /// Seconds.
    pub ttl: u32,
    /// Why it is so long.
    pub ttl_reason: String,
    /// The prefix length in which clients get the same.
    pub scope: u8,
    /// That of the decision alone.
    pub scope_of_decision: u8,
    /// Whether the client's network chooses.
    pub scope_by_network: bool,
}

/// Where a client stands in the trial of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// Its place, which does not change.
    pub position_millionths: u32,
    /// Those whose place is below this are in the trial.
    pub share_millionths: u32,
}

/// What one stage of a decision kept, removed or found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// A rule of residency holds.
    Rule {
        /// Its number, from 1; `null`: none.
        rule: Option<usize>,
    },
    /// The client cannot be placed.
    Unplaced,
    /// Residency.
    Residency {
        /// May serve.
        kept: Vec<String>,
        /// May not.
        removed: Vec<String>,
    },
    /// A rule of the policy `geo` holds.
    GeoRule {
        /// Its number, from 1; `null`: the default.
        rule: Option<usize>,
        /// What it asks for.
        condition: Option<String>,
    },
    /// How far a cluster is.
    Distance {
        /// The cluster.
        cluster: String,
        /// Kilometres.
        km: f64,
        /// As which it counts.
        counts_km: f64,
        /// Whether that is beyond `max_km`.
        beyond_max_km: bool,
    },
    /// The client has no coordinates.
    NoCoordinates,
    /// How long the way to a cluster is.
    Latency {
        /// The cluster.
        cluster: String,
        /// Microseconds.
        rtt_us: u32,
        /// For whom that was measured; `null`: it is estimated by distance.
        measured_for: Option<String>,
    },
    /// These have no address of the family.
    Family {
        /// Out.
        removed: Vec<String>,
    },
    /// What operators say.
    Operator {
        /// Out.
        removed: Vec<String>,
        /// Less and less.
        draining: Vec<String>,
        /// Healthy whatever is found.
        up: Vec<String>,
    },
    /// What probes find.
    Health {
        /// Healthy.
        kept: Vec<String>,
        /// Degraded.
        degraded: Vec<String>,
        /// Out.
        removed: Vec<String>,
    },
    /// One track of a rollout.
    Track {
        /// Which; `null`: the others.
        track: Option<String>,
        /// Whether it is about those of weight 0.
        weightless: bool,
        /// Its endpoints.
        members: Vec<String>,
    },
    /// A tier is skipped.
    TooFewHealthy {
        /// Its endpoints.
        members: Vec<String>,
        /// How many of them serve.
        healthy: usize,
        /// How many must.
        min_healthy: u16,
    },
    /// So few serve that all count as healthy.
    Panic {
        /// All of them.
        members: Vec<String>,
        /// How many serve.
        healthy: usize,
    },
    /// Nothing of a tier is healthy, and these are degraded.
    OnlyDegraded {
        /// Those.
        members: Vec<String>,
    },
    /// Nothing of a tier serves.
    NothingHealthy {
        /// Its endpoints.
        members: Vec<String>,
    },
    /// What is picked from.
    Chosen {
        /// Those.
        members: Vec<String>,
    },
    /// Nothing serves.
    AllDown,
}
