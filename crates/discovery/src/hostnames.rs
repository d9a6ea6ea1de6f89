//! Endpoints that are hostnames: their addresses from the DNS, kept up to date.
//!
//! [`start`] takes a catalog and looks up each distinct name of its endpoints, A and AAAA together,
//! again when the TTL of the answer ends; a [`Resolved`] leaves whenever addresses, a TTL or the
//! standing of a name changed. The rules are in the crate's README.

mod counters;
mod engine;
mod generation;
mod handle;
mod hickory;
mod lookup;
mod name;
mod refused;
mod ttl;

pub use counters::{Counters, Counts};
pub use handle::{Handle, Resolved, Settings, start};
pub use hickory::{HickoryLookup, HickoryLookupError};
pub use lookup::{Family, Found, Lookup, NotFound};
