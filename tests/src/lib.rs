//! What the suites share: the built binary, clusters to probe, a DNS client, replay files.
//!
//! Suites: `tidy.rs` (the house's rules), `checklist/` (the protocol, by statement), `replay.rs`
//! (`replay/*.rpl`), `corpus.rs` (what fuzzers made, `fuzz/`), `qtypes.rs` (every type there is),
//! `zone_files.rs` (zones from zone files), `properties.rs`, `worlds.rs` (what holds in random worlds),
//! `steered.rs` (what a gateway's keys mean), `logs.rs` and `traces.rs` (what others are told), `command.rs`, `explain.rs` and `diff.rs` (the command line),
//! `end_to_end.rs` (the binary with our own client), `connections.rs`, `encrypted.rs`, `quic.rs` and `proxy.rs`
//! (its transports), `transport_clients.rs` (these with the clients of others), `hostile.rs` (thirty thousand
//! hostile connections), `clients.rs` (the binary with dig, kdig and Unbound), `reference.rs` (gdnsd and an
//! independent calculation), `resolver.rs` (random maps through Unbound's cache), `compare.rs` (Knot and NSD
//! on the same zone files), `secondary.rs` (Knot and dig take zones from us), `prometheus.rs` (probes that ask Prometheus), `map.rs` and `dashboard.rs` (the dashboard's API, and the page in Chromium), `python.rs` (dnspython and
//! the fuzzers' packets), `restart.rs` (reloads and restarts), `service.rs` (under systemd), `loss.rs` (that these lose
//! nothing at fifty thousand queries a second), `many_names.rs` (a hundred thousand hostnames), `internet.rs` (resolvers and Zonemaster below a root), `faults/` (what breaks
//! name servers and their control, with figures). Those that need what `./tests/run` installs, or root, it runs by name.
//!
//! Nothing here waits for luck: a test waits for an event (a log line, a view, an exit) with a
//! deadline that only a broken build reaches.

mod api;
mod ask;
mod authority;
mod binary;
mod browser;
pub mod city;
mod clients;
mod cluster;
mod collector;
mod config;
mod daemon;
pub mod fuzzing;
mod gdnsd;
mod internet;
mod load;
pub mod mmdb;
mod prometheus;
pub mod quic;
mod random_map;
mod random_policy;
mod random_world;
pub mod replay;
mod static_zone;
pub mod stream;
pub mod tls;
mod unbound;
mod walk;
mod wire;

pub use api::{api_address, curl};
pub use ask::{Ask, Asked, ask_tcp, ask_udp, exchange_tcp, exchange_udp};
pub use authority::Authority;
pub use binary::{Meridian, NO_FILES, Process, binary, now, says, scratch, signal};
pub use browser::{Browser, DESKTOP};
pub use city::City;
pub use clients::{Shown, delv, dig, dig_text, kdig};
pub use cluster::{Cluster, Site};
pub use collector::{Collector, TracedSpan};
pub use config::{Config, FIRST_UNLESS_DOWN, WORLD};
pub use daemon::Daemon;
pub use gdnsd::{Chosen, Gdnsd};
pub use internet::{Internet, LAB, SERVERS, apart, ip};
pub use load::{Answered, Load};
pub use nix::sys::signal::Signal;
pub use prometheus::Prometheus;
pub use random_map::RandomMap;
pub use random_policy::RandomResidency;
pub use random_world::{Pool, RandomWorld, nested_networks};
pub use static_zone::StaticZone;
pub use unbound::{Unbound, free_port};
pub use wire::{Wire, WireRecord};
