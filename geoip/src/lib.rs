//! Where an address is, and how far around it that holds.
//!
//! [`Locality::load`] compiles GeoIP databases (or the embedded one) and the operator's own networks
//! into sorted ranges of address space, each with a [place](meridian_model::Place).
//! [`Locality::classify`] turns places into whatever classes a caller steers by: a [`ClassMap`] gives
//! an address its class and the widest prefix around it that has this class throughout, which is what
//! a DNS answer needs as its ECS scope (RFC 7871 §7.2.1).
//!
//! # What this crate does not do
//! It knows no cluster, no distance between two of them and no DNS message; it reloads nothing by
//! itself and logs nothing. After loading, no file is open and none is read.
//!
//! # Invariants
//! - The ranges of a map cover the whole of both address families, in order, and no two neighbours
//!   have the same value.
//! - A prefix that a lookup returns has one value throughout, and the next wider one does not.
//! - An IPv6 address that holds an IPv4 address (IPv4-mapped, NAT64, Teredo, 6to4) is where that is, in
//!   every lookup.
//! - No lookup allocates, locks or panics.
//! - No content of a file makes loading panic or run without bound.

mod address_map;
mod client_network;
mod database;
mod embedded_v4;
mod error;
mod layer;
mod limits;
mod locality;
mod marks;
mod networks;
mod range_map;
mod record;
mod tree;

pub use client_network::{ClientNetwork, client_network};
pub use error::{DatabaseError, DatabaseProblem};
pub use locality::{ClassMap, Locality, PlaceId};
pub use marks::Marks;
