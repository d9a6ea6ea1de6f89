//! The JSON of the API. Keys are fixed; what is added later comes beside them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

mod change;
mod dashboard;
mod explain;
mod resources;

pub use change::{
    Audit, AuditQuery, Broken, Change, Consequences, CountryMoves, Diff, Flow, GatewayMoves, GatewayProof,
    Moves, NotCounted, Percent, Proof, Proposed, Reached, Rehearsal, Total,
};
pub use dashboard::{
    ClusterShare, History, Map, MapCountry, MapQuery, PastOutcome, ProbeHistory, Shares, SharesQuery, WhoAsks,
};
pub use explain::{
    Answer, Choice, ExplainQuery, Explanation, ExtendedError, Located, Residency, Stage, Steering, Trial,
};
pub use resources::{
    Addresses, Cluster, EndpointsQuery, GatewayDetail, GatewayEndpoint, List, Page, Transition, Transitions,
    TransitionsQuery, Verdict, Verdicts,
};

/// What `POST /v1/reload` answers: with `dry_run` a rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ReloadAnswer {
    /// What it would do.
    Rehearsal(Box<Rehearsal>),
    /// It is done.
    Reloaded(Reloaded),
}

/// `POST /v1/reload`, when the file was accepted: in force after the first round of new targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// How many gateways the file has.
    pub gateways: usize,
    /// How many addresses are probed.
    pub targets: usize,
    /// What its author should know all the same.
    pub warnings: Vec<String>,
}

/// `GET /v1/log`, and what `PUT /v1/log` says and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The filter of log lines: a level, or levels by where they come from: `info,meridian_dns=debug`.
    pub level: String,
}

/// `GET /v1/process`; and `POST /v1/restart`, which starts a successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// The process that serves.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The process that was started last to take over, if there was one.
    pub successor: Option<Successor>,
}

/// A process that is to take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Successor {
    /// The process.
    pub pid: u32,
    /// Why it will not; `null` while it gets ready.
    pub failed: Option<String>,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// What it runs.
    pub configuration: Configuration,
    /// For how long the server has suspected that it is itself cut off, if it does.
    pub isolated_for_ms: Option<u64>,
    /// The overrides in force, as said first.
    pub overrides: Vec<Override>,
    /// Every gateway, in the file's order.
    pub gateways: Vec<Gateway>,
    /// Every address that is handed out, in the file's order.
    pub endpoints: Vec<Endpoint>,
}

/// `GET /v1/configuration`: what the server runs, and its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Running {
    /// What it runs.
    #[serde(flatten)]
    pub configuration: Configuration,
    /// The text of its file. Secrets are in files of their own.
    pub text: String,
}

/// The configuration that was accepted last, in force after the first round of what was new in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// Its file; `null` for a text that is nobody's file.
    pub file: Option<String>,
    /// The SHA-256 of its text, in hexadecimal digits: what `sha256sum` says of the file.
    pub sha256: String,
    /// When this text was accepted (RFC 3339).
    pub accepted: String,
    /// How long ago.
    pub age_ms: u64,
    /// How long ago its databases, tables and zone files were read last.
    pub data_age_ms: u64,
    /// What the last reload was refused for, if it was.
    pub refused: Option<Refused>,
}

/// A reload that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// When (RFC 3339).
    pub at: String,
    /// How long ago.
    pub ago_ms: u64,
    /// Every issue, one a line.
    pub issues: String,
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// What its configuration promises; `null` where nothing detects a dead address.
    pub fail_over: Option<FailOver>,
}

/// How long fail-over takes at worst, from when an address dies; rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailOver {
    /// Until the first outcome against it.
    pub first_outcome_ms: u64,
    /// Until it counts as dead.
    pub detected_ms: u64,
    /// Until it is out of the answers.
    pub published_ms: u64,
    /// Until it is out of the caches that heed TTLs.
    pub caches_ms: u64,
}

/// One address that is handed out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// Of which gateway.
    pub gateway: String,
    /// In which cluster.
    pub cluster: String,
    /// `null` for a hostname that is handed out itself and has no address yet.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The hostname that the address is of, if it was given by one.
    pub hostname: Option<String>,
    /// What the probes say: `healthy`, `degraded`, `unhealthy`, `unknown`; healthy where there is no probe.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub observed: String,
    /// What an operator says: `up`, `down` or `drain`.
    #[schema(pattern = "^(up|down|drain)$")]
    pub forced: Option<String>,
    /// By which override.
    pub forced_by: Option<String>,
    /// In percent, what a drain has left of the weight.
    pub left_percent: Option<f64>,
    /// What counts.
    #[schema(pattern = "^(healthy|degraded|unhealthy|unknown)$")]
    pub effective: String,
    /// Whether it is held on to although something else is observed: the server suspects itself.
    pub frozen: bool,
    /// What its probe has to say.
    pub probe: Option<Probe>,
}

/// What a probe has to say of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// For how long the observed verdict has held; `null` before the first.
    pub held_ms: Option<u64>,
    /// Since when, by the server's wall clock (RFC 3339).
    pub since: Option<String>,
    /// Whether the verdict may be about to change, or just did.
    pub in_doubt: bool,
    /// For how much longer a recovery is put off because the address comes and goes.
    pub put_off_ms: Option<u64>,
    /// Why the verdict is what it is.
    pub cause: String,
    /// The last outcome; `null` before the first, and where the probe is made of others.
    pub last: Option<Last>,
}

/// The last outcome of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Last {
    /// `good`, `degraded`, `failed` or `no_data`.
    #[schema(pattern = "^(good|degraded|failed|no_data)$")]
    pub result: String,
    /// What was done and found, unless it is good.
    pub reason: Option<String>,
    /// How long it took.
    pub latency_ms: f64,
    /// How long ago it ended.
    pub ago_ms: u64,
}

/// An override in force: in the status, of `GET /v1/overrides`, and what `PUT` and `DELETE` answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Override {
    /// `cluster/NAME`, `gateway/NAME` or `endpoint/GATEWAY/CLUSTER/ADDRESS`, with `*` and `?`.
    pub target: String,
    /// `up`, `down` or `drain`.
    #[schema(pattern = "^(up|down|drain)$")]
    pub state: String,
    /// Of a drain: in which time.
    pub over: Option<String>,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When (RFC 3339).
    pub since: String,
    /// Until when it holds; `null`: until it is lifted.
    pub until: Option<String>,
    /// For how many addresses it decides; `null` where the probes were not asked.
    pub addresses: Option<usize>,
    /// In an answer to `PUT` and `DELETE`: why a restart would not know of it, if the disk did not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
    /// In an answer to `PUT` and `DELETE`: what it does, or would do, if that was worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequences: Option<Box<Consequences>>,
}

/// The body of `PUT /v1/overrides`. One of the same target is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// As [`Override::target`].
    #[schema(
        max_length = 512,
        pattern = "^((cluster|gateway)/[A-Za-z0-9_.:*?-]+|endpoint(/[A-Za-z0-9_.:*?-]+){3})$"
    )]
    pub target: String,
    /// `up`, `down` or `drain`.
    #[schema(pattern = "^(up|down|drain)$")]
    pub state: String,
    /// Of a drain: in which time, such as `5m`; at once without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "5m")]
    pub over: Option<String>,
    /// How long it holds, such as `2h`; until it is lifted without it.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    #[schema(example = "2h")]
    pub hold_for: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 512, example = "disk change")]
    pub reason: String,
    /// Who says so.
    #[schema(min_length = 1, max_length = 64, example = "ann")]
    pub by: String,
    /// Say it although clients are left with nothing that serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Say what it would do, and do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The query of `DELETE /v1/overrides`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lift {
    /// As it was said.
    #[param(max_length = 512)]
    pub target: String,
    /// Lift it although clients are left with nothing that serves.
    #[serde(default)]
    #[param(required = false)]
    pub force: bool,
    /// Say what it would do, and do nothing.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
    /// Who lifts it.
    #[param(max_length = 64)]
    pub by: Option<String>,
    /// Why.
    #[param(max_length = 512)]
    pub reason: Option<String>,
}

/// The query of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Reload {
    /// Say what it would do, and do nothing.
    #[param(required = false)]
    pub dry_run: bool,
    /// Reload although clients are left with nothing that serves, or residency would break.
    #[param(required = false)]
    pub force: bool,
    /// Who asks.
    #[param(max_length = 64)]
    pub by: Option<String>,
    /// Why.
    #[param(max_length = 512)]
    pub reason: Option<String>,
}

/// The query of `POST /v1/restart`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Restart {
    /// Who asks.
    #[param(max_length = 64)]
    pub by: Option<String>,
    /// Why.
    #[param(max_length = 512)]
    pub reason: Option<String>,
}

/// The body of every answer that is not 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// What was expected and what was found.
    pub error: String,
    /// Of a change that was refused: what it would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consequences: Option<Box<Consequences>>,
}
