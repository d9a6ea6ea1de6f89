//! Lookups around the IPv6 addresses that stand for IPv4 ones, whose forms the model has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_model::{IPV4_BLOCKS as BLOCKS, embedded_ipv4 as embedded};

use crate::range_map::Key as _;

//----------- Addresses ------------------------------------------------------

/// The length of the prefix of the block that an IPv6 address is in, if it stands for an IPv4 one: who
/// goes through all of IPv6 can pass over the block.
#[must_use]
pub fn ipv4_block(address: Ipv6Addr) -> Option<u8> {
    let address = address.to_bits();
    let (first, last) = *BLOCKS.iter().find(|(first, last)| (first..=last).contains(&&address))?;
    Some(first.common_bits(last))
}

/// The length of the widest prefix around an address outside of all blocks that reaches none.
pub(crate) fn clear_prefix_len(address: u128) -> u8 {
    // The next block on either side has the most leading bits in common. Above 2002::/16, where most
    // of what is given out is, there is one alone.
    let [.., (last_block, _)] = BLOCKS;
    if address >> 112 > last_block >> 112 {
        return address.common_bits(last_block) + 1;
    }
    let next = BLOCKS.partition_point(|&(first, _)| first <= address);
    let around = [next.checked_sub(1).and_then(|previous| BLOCKS.get(previous)), BLOCKS.get(next)];
    around.into_iter().flatten().map(|&(first, _)| address.common_bits(first) + 1).fold(0, u8::max)
}

/// The blocks: first and last address, ascending.
pub(crate) fn blocks() -> &'static [(u128, u128)] {
    &BLOCKS
}

/// What is left of a range of IPv6 addresses without the blocks, in order.
pub(crate) fn outside_blocks(first: u128, last: u128) -> impl Iterator<Item = (u128, u128)> {
    let nexts = BLOCKS.iter().skip(1).map(|&(next, _)| next.checked_sub(1)).chain([Some(u128::MAX)]);
    BLOCKS.iter().zip(nexts).filter_map(move |(&(_, end), before_next)| {
        let (from, to) = (first.max(end.checked_add(1)?), last.min(before_next?));
        (from <= to).then_some((from, to))
    })
}

//----------- ClientNetwork --------------------------------------------------

/// The network that stands for a client where a share of all clients is chosen by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork {
    /// The first address of the network: of IPv6, or of IPv4 in its mapped form. No two networks have
    /// the same.
    pub key: u128,
    /// The length of the widest prefix around the client whose addresses all have this key, in the
    /// family that the client's address is written in.
    pub scope: u8,
}

/// The network of a client: its /24 of IPv4 or /48 of IPv6. An IPv6 address that stands for an IPv4
/// one (mapped, 6to4, Teredo, NAT64 and the like) is in the network of that one, with the scope counted
/// from the start of the IPv6 address: 120, and for 6to4 40.
///
/// ```
/// use meridian_geoip::client_network;
///
/// let (direct, nat64) = (client_network("192.0.2.1".parse()?), client_network("64:ff9b::192.0.2.9".parse()?));
/// assert_eq!(direct.key, nat64.key);
/// assert_eq!((direct.scope, nat64.scope), (24, 120));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn client_network(address: IpAddr) -> ClientNetwork {
    const IPV4_BITS: u8 = 24;
    const IPV6_BITS: u8 = 48;
    let (ipv4, bits_before) = match address {
        IpAddr::V4(ipv4) => (ipv4.to_bits(), 0),
        IpAddr::V6(ipv6) => match embedded(ipv6.to_bits()) {
            Some(found) => found,
            None => {
                let bits = ipv6.to_bits();
                let key = bits & !(u128::MAX >> IPV6_BITS);
                // ::/48 and 64:ff9b::/48 have blocks in them, whose addresses have other keys.
                return ClientNetwork { key, scope: clear_prefix_len(bits).max(IPV6_BITS) };
            }
        },
    };
    let network = ipv4 & !(u32::MAX >> IPV4_BITS);
    ClientNetwork {
        key: Ipv4Addr::from_bits(network).to_ipv6_mapped().to_bits(),
        scope: bits_before + IPV4_BITS,
    }
}
