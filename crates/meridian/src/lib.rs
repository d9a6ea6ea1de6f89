//! The wiring of the one binary: commands, signals, logs, and the one function that publishes views.
//!
//! Files become a catalog (`config`) and places (`geoip`); `discovery` fills hostnames in; probes
//! (`health-probe`) add verdicts; the module `publish` joins them to a view, which the server (`dns`)
//! answers from. `supply` keeps all but the verdicts up to date.
//!
//! # What this crate does not do
//! It decides nothing about answers and parses nothing but the command line.
//!
//! # Invariants
//! - Exactly one function publishes a view: `publish::Publisher::publish`.
//! - A failing reload leaves everything as it was.

mod access;
mod advisor;
mod audit;
mod certificate;
mod check;
mod client;
mod command;
mod configuration;
mod demo;
mod descriptors;
mod diff;
mod exit;
mod explain;
mod handover;
mod kept;
mod live;
mod load;
mod log_level;
mod logs;
mod manners;
mod overrides;
mod page;
mod probe;
mod probes;
mod process;
mod prove;
mod publish;
mod running;
mod serials;
mod serve;
mod status;
mod supply;
mod systemd;
mod telemetry;
mod token;
mod unreached;
mod watch;

pub use command::run;
pub use load::{Loaded, load, load_text};
