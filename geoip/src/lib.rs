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
//! - An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64, and two deprecated forms)
//!   is where that one is, in every lookup.
//! - No lookup allocates, locks or panics.
//! - No content of a file makes loading panic or run without bound.

mod address_map;
mod class_map;
mod database;
mod error;
mod forms;
mod index;
mod layer;
mod limits;
mod locality;
mod networks;
mod origin;
mod range_map;
mod ranges;
mod record;
mod table;

mod tree;

pub use class_map::{ClassMap, Marks};
pub use error::{DatabaseError, DatabaseProblem};
pub use forms::{ClientNetwork, client_network, ipv4_block};
pub use locality::{Edition, Locality, PlaceId};
pub use origin::{Origin, Source};
