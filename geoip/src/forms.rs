//! The IPv6 addresses that stand for IPv4 ones.
//!
//! A client behind a translator or a tunnel is where its IPv4 address is. Six forms are known, the same
//! as gdnsd's: IPv4-compatible and IPv4-mapped (RFC 4291 §2.5.5), the IPv4-translated one of SIIT
//! (RFC 2765 §2.1), NAT64's well-known prefix (RFC 6052 §2.1), Teredo (RFC 4380 §4) and 6to4
//! (RFC 3056 §2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::range_map::Key as _;

/// The blocks of the forms: first and last address. Ascending; the first begins at zero.
const BLOCKS: [(u128, u128); 6] = [
    block(COMPATIBLE << 32, 96),
    block(MAPPED << 32, 96),
    block(TRANSLATED << 32, 96),
    block(NAT64 << 32, 96),
    block(TEREDO << 96, 32),
    block(SIX_TO_FOUR << 112, 16),
];

/// The leading bits of the blocks, as many as their prefix lengths.
const COMPATIBLE: u128 = 0;
const MAPPED: u128 = 0xffff;
const TRANSLATED: u128 = 0xffff_0000;
const NAT64: u128 = 0x0064_ff9b << 64;
const TEREDO: u128 = 0x2001_0000;
const SIX_TO_FOUR: u128 = 0x2002;

const fn block(first: u128, prefix_len: u32) -> (u128, u128) {
    (first, first | u128::MAX >> prefix_len)
}

//----------- Addresses ------------------------------------------------------

/// The IPv4 address that an IPv6 address stands for, and how many bits stand before it. What stands
/// behind it, in 6to4, and a Teredo client's server and port do not say where it is.
pub(crate) fn embedded(address: u128) -> Option<(u32, u8)> {
    #[expect(clippy::cast_possible_truncation, reason = "the last 32 bits, and those after the first 16")]
    let (last, after_16) = (address as u32, (address >> 80) as u32);
    match address >> 112 {
        SIX_TO_FOUR => Some((after_16, 16)),
        // "the obfuscated IPv4 address ... each bit in the address is reversed" (RFC 4380 §4).
        0x2001 if address >> 96 == TEREDO => Some((!last, 96)),
        0x0064 if address >> 32 == NAT64 => Some((last, 96)),
        0 if matches!(address >> 32, COMPATIBLE | MAPPED | TRANSLATED) => Some((last, 96)),
        _ => None,
    }
}

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
    if address >> 112 > SIX_TO_FOUR {
        return address.common_bits(SIX_TO_FOUR << 112) + 1;
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

//----------- Prefixes -------------------------------------------------------

/// The prefix that a prefix of one of the forms means: one of IPv4. None when no lookup can be in it,
/// because those addresses are looked up as IPv4 and it has them only in part: a block other than the
/// mapped one as a whole (which would be every client of IPv4), a Teredo server, or a part of one
/// host's 6to4 network. A prefix wider than a block is about the addresses around it.
pub(crate) fn meant(prefix: IpNet) -> Option<IpNet> {
    let IpNet::V6(ipv6) = prefix else { return Some(prefix.trunc()) };
    let first = ipv6.network().to_bits();
    let Some((address, bits_before)) = embedded(first) else { return Some(IpNet::V6(ipv6.trunc())) };
    let is_wider = BLOCKS.iter().any(|&block| block.0 == first && first.last_of(ipv6.prefix_len()) > block.1);
    if is_wider {
        return Some(IpNet::V6(Ipv6Net::trunc(&ipv6)));
    }
    let prefix_len = ipv6.prefix_len().checked_sub(bits_before)?;
    if prefix_len == 0 && first >> 32 != MAPPED {
        return None;
    }
    Some(Ipv4Net::new(Ipv4Addr::from_bits(address), prefix_len).ok()?.trunc().into())
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
    ClientNetwork { key: MAPPED << 32 | u128::from(network), scope: bits_before + IPV4_BITS }
}
