//! What the suites share: the built binary, clusters to probe, a DNS client, replay files.
//!
//! Suites: `tidy.rs` (the house's rules), `replay.rs` (`replay/*.rpl`), `properties.rs`, `command.rs`
//! (the command line), `end_to_end.rs` (the binary with our own client), `clients.rs` (the binary
//! with dig, kdig and Unbound; run by `./tests/run`).
//!
//! Nothing here waits for luck: a test waits for an event (a log line, a view, an exit) with a
//! deadline that only a broken build reaches.

mod ask;
mod binary;
mod clients;
mod cluster;
mod config;
pub mod replay;
mod unbound;

pub use ask::{Ask, Asked, ask_tcp, ask_udp, exchange_tcp, exchange_udp};
pub use binary::{Meridian, Process, binary, scratch, signal};
pub use clients::{Shown, dig, dig_text, kdig};
pub use cluster::{Cluster, Site};
pub use config::{Config, WORLD};
pub use nix::sys::signal::Signal;
pub use unbound::Unbound;
