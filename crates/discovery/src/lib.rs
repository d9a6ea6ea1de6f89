//! Turns what others know about endpoints into parts of a catalog.
//!
//! Its first part is [`hostnames`]: endpoints that are given as a hostname get their addresses from
//! the DNS, looked up in the background for as long as the server runs.
//!
//! # What this crate does not do
//! It does not answer queries, probe addresses or read the configuration, keeps nothing on disk,
//! and does not validate DNSSEC: whoever needs that asks a validating resolver on loopback.
//!
//! # Invariants
//! - A catalog that leaves is the one that came, with other addresses and states for its hostname
//!   endpoints and nothing else changed; it says which one it was made from.
//! - A catalog without hostname endpoints leaves at once, as the same `Arc`, and nothing is looked up.
//! - A name has at most one lookup under way, and all together at most
//!   [`limits::LOOKUPS_UNDER_WAY_MAX`]; none takes longer than [`limits::LOOKUP_MAX`].
//! - One task owns the state of all names, so nothing here needs a lock.
//! - All time is tokio's clock, which tests pause.

pub mod hostnames;
pub mod limits;
