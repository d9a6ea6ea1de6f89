//! The addresses of a gateway in one family, laid out for picking.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_model::{Endpoint, Gateway, TargetId};

use crate::draw::text_hash;

/// An address with what checks it. Small: an answer reads those of its gateway, and of ten thousand
/// gateways not all stay in a near cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<A> {
    /// What is answered.
    pub address: A,
    /// What is checked; `None` where the gateway has no probe.
    pub target: Option<TargetId>,
}

/// What can be picked of a gateway in one family.
#[derive(Clone, Copy, Debug)]
pub struct Roster<'r> {
    /// Endpoint by endpoint; candidates name positions in it.
    pub addresses: Addresses<'r>,
    /// By endpoint: [`identity`]; only `sticky` asks for it.
    pub identities: &'r [u64],
}

/// The addresses of one family.
#[derive(Clone, Copy, Debug)]
pub enum Addresses<'r> {
    /// For A records.
    V4(&'r [Listed<Ipv4Addr>]),
    /// For AAAA records.
    V6(&'r [Listed<Ipv6Addr>]),
}

/// What an endpoint is known by in a rendezvous: its cluster and its first address or hostname, so
/// that it stays the same whatever stands before it in the file and whatever its weight.
#[must_use]
pub fn identity(endpoint: &Endpoint, cluster_name: &str) -> u64 {
    match (&endpoint.name, endpoint.addresses.first()) {
        (Some(name), _) => text_hash(&[cluster_name, name.name.as_str()]),
        (None, Some(first)) => text_hash(&[cluster_name, &first.ip.to_string()]),
        (None, None) => text_hash(&[cluster_name]),
    }
}

/// The roster of a gateway for A records.
pub fn listed_v4(gateway: &Gateway) -> impl Iterator<Item = Listed<Ipv4Addr>> {
    listed(gateway, |ip| if let IpAddr::V4(address) = ip { Some(address) } else { None })
}

/// The roster of a gateway for AAAA records.
pub fn listed_v6(gateway: &Gateway) -> impl Iterator<Item = Listed<Ipv6Addr>> {
    listed(gateway, |ip| if let IpAddr::V6(address) = ip { Some(address) } else { None })
}

fn listed<A>(gateway: &Gateway, of_family: impl Fn(IpAddr) -> Option<A>) -> impl Iterator<Item = Listed<A>> {
    let all = gateway.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    all.filter_map(move |listed| Some(Listed { address: of_family(listed.ip)?, target: listed.target }))
}
