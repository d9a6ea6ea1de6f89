//! Runs probes and turns their outcomes into verdicts.
//!
//! [`start`] takes a catalog and probes each of its targets once an interval: one address under one
//! probe is checked once, however many gateways use it. A [`Tracker`] a target counts the outcomes;
//! what it concludes leaves as a [`Snapshot`] (a catalog with the verdict of each of its targets)
//! and as [`meridian_model::Transition`]s, one a change.
//!
//! # What this crate does not do
//! It does not know that our DNS exists: it resolves no names of targets and has no idea what a verdict
//! is used for; a name server is a thing to check as any other. It does not read the configuration or choose
//! defaults, keeps nothing on disk, does not know who may override what, and does not hear other servers'
//! verdicts.
//!
//! # Invariants
//! - A snapshot's verdicts are those of its own catalog, one a target, in its order.
//! - A target has at most one probe under way, an address at most [`limits::PROBES_OF_ADDRESS_MAX`], and
//!   all together at most [`Checker::under_way_max`].
//! - No probe costs more than its timeout, whatever the other side does.
//! - One task owns every tracker, so nothing here needs a lock.
//! - The cost of a snapshot depends on the number of targets, never on how many changed.
//! - All time is tokio's clock, which tests pause.

mod check;
mod checks;
mod combined;
mod counters;
mod engine;
mod flaps;
mod generation;
mod handle;
mod history;
mod isolation;
mod lateness;
pub mod limits;
mod once;
mod overrides;
mod runner;
mod slot;
mod status;
mod tally;
mod timetable;
mod tracker;
mod worst_case;

pub use check::{Checker, Finding, Outcome, action};
pub use checks::{NetworkChecker, Ready, Sent, permitted};
pub use counters::{Counters, Counts};
pub use generation::{User, users};
pub use handle::{Handle, Settings, Snapshot, start};
pub use history::{Past, PastResult};
pub use lateness::{LATENESS_BOUNDS, Lateness};
pub use once::{Found, probe_once};
pub use overrides::{Timed, orders};
pub use status::{EndpointStatus, LastOutcome, OverrideStatus, PastOutcomes, ProbedStatus, Report};
pub use tally::{LATENCY_BOUNDS, ProbeTally};
pub use tracker::{Change, Event, Held, Tracker};
pub use worst_case::{WorstCase, worst_case_failover};
