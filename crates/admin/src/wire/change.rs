//! What a change moves, and whether residency holds: what `meridian diff --json` and `prove --json` write, too.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// What a change moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// `address_space` or `queries`.
    #[schema(pattern = "^(address_space|queries)$")]
    pub weighed_by: String,
    /// Hostnames that move alike share one entry.
    pub changes: Vec<Moves>,
    /// All together.
    pub total: Total,
    /// What was allowed to move.
    pub max_moved_percent: Option<f64>,
    /// Whether more moves.
    pub over_max_moved: bool,
    /// Hostnames that are new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Vec<String>>,
    /// Hostnames that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<String>>,
    /// Queries that could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<NotCounted>,
}

/// Percent of clients: one number of queries, and one a family of address space; `null` where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Percent {
    /// Of address space.
    OfSpace {
        /// Of IPv4 addresses.
        ipv4: Option<f64>,
        /// Of IPv6 networks of 48 bits.
        ipv6: Option<f64>,
    },
    /// Of queries.
    OfQueries(Option<f64>),
}

/// What moves of some hostnames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Moves {
    /// They move alike.
    pub hostnames: Vec<String>,
    /// How much of their clients does.
    pub moved_percent: Percent,
    /// Of how many queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<f64>,
    /// Where from, most clients first; those where nothing moves are left out.
    pub countries: Vec<CountryMoves>,
}

/// What moves of one country.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CountryMoves {
    /// Which (ISO 3166-1 alpha-2); `null`: of clients whose country is not known.
    pub country: Option<String>,
    /// How much of its clients does.
    pub moved_percent: Percent,
    /// From where to where.
    pub flows: Vec<Flow>,
}

/// Clients that move alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// The cluster before; `null`: none answered.
    pub from: Option<String>,
    /// The cluster after; `null`: none answers.
    pub to: Option<String>,
    /// Of the country's clients.
    pub percent: Percent,
}

/// All hostnames together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Total {
    /// The mean of all.
    pub moved_percent: Percent,
    /// How many queries there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<f64>,
}

/// Queries that could not be compared, by why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotCounted {
    /// Their names are new.
    pub added: u64,
    /// Their names are gone.
    pub removed: u64,
    /// Their answers do not depend on who asks.
    pub not_steered: u64,
}

/// What a change would do now, with the verdicts that there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Consequences {
    /// Of how many gateways clients would move to another cluster.
    pub gateways_moved: usize,
    /// Of how many gateways clients would lose the last that serves them.
    pub gateways_left: usize,
    /// How many gateways were not looked at, as that took too long.
    pub not_compared: usize,
    /// What moves, those first that leave somebody without; at most 16 kinds, of 16 countries each.
    pub moves: Vec<GatewayMoves>,
}

/// Which changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Those after the one of this number.
    #[param(minimum = 0)]
    pub after: Option<u64>,
    /// The most, the newest of them: 1 to 1,000; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// `GET /v1/audit`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// The number of the last change of all.
    pub last: u64,
    /// Oldest first.
    pub items: Vec<Change>,
}

/// A change that was made of the server, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Counts all, across restarts, from 1.
    pub number: u64,
    /// When, by the server's wall clock (RFC 3339).
    pub at: String,
    /// Who said that it was them; empty where nobody said.
    pub by: String,
    /// Who it was: `token NAME`, `user NUMBER` at the Unix socket, `loopback`, `signal`, `file`, `clock`.
    pub caller: String,
    /// `override`, `restore`, `expire`, `reload`, `restart` or `log`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Why.
    pub reason: String,
    /// What was so before; `null` where there was nothing.
    pub before: Value,
    /// What is so now.
    pub after: Value,
    /// Whether it was done although clients lose by it.
    pub forced: bool,
    /// Why it was not done; `null`: it was.
    pub refused: Option<String>,
}

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rehearsal {
    /// The SHA-256 of the file as it is.
    pub sha256: String,
    /// As the reload would say.
    pub reloaded: super::Reloaded,
    /// What it moves with everything healthy.
    pub diff: Diff,
    /// What it would do now. An address that is not probed yet counts as healthy.
    pub consequences: Consequences,
    /// Whether residency holds with it.
    pub proof: Proof,
    /// Whether it holds without.
    pub holds_now: bool,
}

/// What moves of gateways that move alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayMoves {
    /// Their names, at most 100.
    pub gateways: Vec<String>,
    /// How many they are.
    pub gateways_count: usize,
    /// How much of their clients moves to another cluster.
    pub moved_percent: Percent,
    /// How much of their clients would have nothing left that serves and that residency lets serve them.
    pub left_percent: Percent,
    /// The countries of those.
    pub left_countries: Vec<String>,
    /// Where from and where to, most clients first.
    pub countries: Vec<CountryMoves>,
}

/// The configuration that is compared with the one in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// The text of its file. Files that it names are looked for where the server looks for its own.
    pub text: String,
}

/// Whether residency holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// Whether every rule that was looked at does.
    pub holds: bool,
    /// Gateways that were not looked at, as that took too long.
    pub not_proven: usize,
    /// Gateways that have residency.
    pub gateways: Vec<GatewayProof>,
}

/// What one gateway could ever answer, held against its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayProof {
    /// Its name.
    pub gateway: String,
    /// What clients could be answered, whatever is healthy.
    pub reach: Vec<Reached>,
    /// Rules that can be broken, each with a client for which it can.
    pub broken: Vec<Broken>,
}

/// What some clients could be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reached {
    /// Which, in words.
    pub clients: String,
    /// The clusters; empty: none.
    pub clusters: Vec<String>,
    /// Whether that is every cluster of the gateway.
    pub all: bool,
}

/// A rule that can be broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broken {
    /// Its number, from 1.
    pub rule: usize,
    /// A network of clients for which it can.
    pub client: String,
    /// Their country.
    pub country: Option<String>,
    /// The network and the country of the resolver that they would ask through.
    pub resolver: Option<String>,
    /// The clusters that they could be answered with, against the rule.
    pub clusters: Vec<String>,
}
