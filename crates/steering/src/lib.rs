//! Which endpoints a client gets, and why.
//!
//! Four pure functions make a selection, in this order:
//! 1. [`permit`]: residency, a place and a gateway's clusters become the clusters that may serve it.
//! 2. [`Ranker::rank`]: a policy and a place become a [`Rank`] of clusters. Permit and rank are an
//!    [`Outlook`]; all clients with one outlook get the same decision, so this is all about a place
//!    that a decision needs.
//! 3. [`decide`]: a gateway, the standing of its endpoints and an outlook become a [`Decision`]: the
//!    candidates, whether the TTL must be short, and the basis. It holds for every client of that
//!    outlook until a verdict changes, so it is computed when something changes, not for each query.
//! 4. [`pick`]: a decision and a random number, or the hash of the client's network, become the
//!    addresses of one answer.
//!
//! The stages are those of the design, in its order: residency, operator, health, track, policy, pick. A
//! [`Trail`] takes notes of each for those who ask why; the answer path takes none.
//!
//! # What this crate does not do
//! It knows no sockets, probes, clocks or client addresses, and draws no random number itself.
//!
//! # Invariants
//! - No candidate is in a cluster that residency does not permit, whatever the verdicts, the rollout
//!   or the fallback.
//! - A candidate has something to hand out in the family that was asked for; where the gateway hands
//!   out a CNAME for some clients, in one of the two, and both choose alike.
//! - No candidate only where no permitted endpoint that is not taken out has such an address, or the gateway
//!   says `nodata`.
//! - What an operator took out is never handed out, in no fallback.
//! - While anything permitted is healthy, no unhealthy or unknown address is handed out, except where
//!   `panic_below` says so.
//! - What a client hash decides is the same on every server.

mod client;
mod courses;
mod decide;
mod draw;
mod permit;
mod pick;
mod rank;
mod roster;
mod standing;
mod trail;
mod walk;

pub use client::Client;
pub use courses::{Courses, Decided};
pub use decide::{
    Basis, Candidate, Decision, Doubt, Outlook, Split, decide, decide_for_site, decide_for_track, live_track,
};
pub use draw::{Draw, client_hash, in_trial, text_hash, trial_draw};
pub use permit::{Permit, is_placed, permit};
pub use pick::{Given, Picked, pick};
pub use rank::{Rank, Ranker, depends_on_place, depends_on_prefix};
pub use roster::{Addresses, Listed, Roster, identity, listed_v4, listed_v6};
pub use standing::{Family, Health, Standing, StandingRoom, standings};
pub use trail::{Note, Trail};
