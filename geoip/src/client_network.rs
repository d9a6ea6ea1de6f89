//! The network that stands for a client where not its place but a hash of it decides.

use std::net::{IpAddr, Ipv4Addr};

use crate::embedded_v4::embedded_v4;

/// The bits of an IPv4 client's network: what resolvers disclose at most (RFC 7871 §11.1).
const IPV4_BITS: u8 = 24;
/// The bits of an IPv6 client's network: a site (RFC 6177).
const IPV6_BITS: u8 = 48;

/// The network of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork {
    /// The network's address; that of IPv4 as IPv4-mapped, so that no two are alike.
    pub key: u128,
    /// The prefix length, counted in the family that the client's address is written in.
    pub scope: u8,
}

/// The /24 of an IPv4 client, the /48 of an IPv6 one. IPv4 addresses in IPv6 forms have the network
/// of the IPv4 address.
#[must_use]
pub fn client_network(address: IpAddr) -> ClientNetwork {
    let of_v4 = |v4: Ipv4Addr, before: u8| {
        let network = Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - IPV4_BITS)));
        ClientNetwork { key: network.to_ipv6_mapped().to_bits(), scope: before + IPV4_BITS }
    };
    match address {
        IpAddr::V4(v4) => of_v4(v4, 0),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some((v4, before)) => of_v4(v4, before),
            None => ClientNetwork { key: v6.to_bits() & (u128::MAX << (128 - IPV6_BITS)), scope: IPV6_BITS },
        },
    }
}
