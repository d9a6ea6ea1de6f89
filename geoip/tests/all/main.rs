//! What a caller sees of the crate.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but does not see their helpers")]

mod damage;
mod databases;
mod embedded;
mod marks;
mod mmdb;
mod ranges;
mod schemas;

use meridian_model::{CountryCode, Place};

/// A country's code.
fn code(text: &str) -> CountryCode {
    CountryCode::parse(text).unwrap()
}

/// The place and the prefix length that a locality gives for an address.
fn place(locality: &meridian_geoip::Locality, address: &str) -> (Place, u8) {
    let (id, prefix_len) = locality.lookup(address.parse().unwrap());
    (locality.places()[id.index()].clone(), prefix_len)
}
