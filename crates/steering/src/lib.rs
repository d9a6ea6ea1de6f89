//! Which endpoints a client gets, and why.
//!
//! Three pure functions make a selection, in this order:
//! 1. [`order_by_distance`]: a place becomes an order of clusters. All clients with one order get the
//!    same decision, so this is the only thing about a place that a decision needs.
//! 2. [`decide`]: a gateway, the standing of its endpoints and an order become a [`Decision`]: the
//!    candidates, whether the TTL must be short, and the basis. It holds for every client of that
//!    order until a verdict changes, so it is computed when something changes, not for each query.
//! 3. [`pick`]: a decision and a random number become the addresses of one answer.
//!
//! The stages are those of the design, in its order: health, then track, then policy, then pick.
//!
//! # What this crate does not do
//! It knows no sockets, probes, clocks or client addresses, and draws no random number itself.
//!
//! # Invariants
//! - A candidate has an address of the family that was asked for.
//! - No candidate only where no endpoint has such an address, or the gateway says `nodata`.
//! - While anything is healthy, no unhealthy or unknown address is handed out.

mod decide;
mod order;
mod pick;
mod roster;
mod standing;

pub use decide::{Basis, Candidate, Decision, decide};
pub use order::{depends_on_place, order_by_distance};
pub use pick::pick;
pub use roster::{Listed, Roster, listed_v4, listed_v6};
pub use standing::{Family, Standing, standings};
