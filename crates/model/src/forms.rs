//! The IPv6 addresses that stand for IPv4 ones.
//!
//! A client behind a translator or a tunnel is where its IPv4 address is. Six forms are known, the same
//! as gdnsd's: IPv4-compatible and IPv4-mapped (RFC 4291 §2.5.5), the IPv4-translated one of SIIT
//! (RFC 2765 §2.1), NAT64's well-known prefix (RFC 6052 §2.1), Teredo (RFC 4380 §4) and 6to4
//! (RFC 3056 §2).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The blocks of the forms: first and last address. Ascending; the first begins at zero.
pub const IPV4_BLOCKS: [(u128, u128); 6] = [
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

/// The IPv4 address that an IPv6 address stands for, and how many bits stand before it. What stands
/// behind it, in 6to4, and a Teredo client's server and port do not say where it is.
#[must_use]
pub fn embedded_ipv4(address: u128) -> Option<(u32, u8)> {
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

/// The block of a form that a prefix is in or that it is; `None` for one of IPv4, outside of all, or wider.
#[must_use]
pub fn ipv4_block_of(prefix: IpNet) -> Option<Ipv6Net> {
    let IpNet::V6(prefix) = prefix else { return None };
    let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
    let &(from, to) = IPV4_BLOCKS.iter().find(|(from, to)| *from <= first && last <= *to)?;
    let length = u8::try_from((from ^ to).leading_zeros()).ok()?;
    Ipv6Net::new(Ipv6Addr::from_bits(from), length).ok()
}

/// The prefix that a prefix of one of the forms means: one of IPv4. None when no lookup can be in it,
/// because those addresses are looked up as IPv4 and it has them only in part: a block other than the
/// mapped one as a whole (which would be every client of IPv4), a Teredo server, or a part of one
/// host's 6to4 network. A prefix wider than a block is about the addresses around it.
#[must_use]
pub fn meant_network(prefix: IpNet) -> Option<IpNet> {
    let IpNet::V6(ipv6) = prefix else { return Some(prefix.trunc()) };
    let first = ipv6.network().to_bits();
    let Some((address, bits_before)) = embedded_ipv4(first) else { return Some(IpNet::V6(ipv6.trunc())) };
    if ipv4_block_of(prefix).is_none() {
        return Some(IpNet::V6(ipv6.trunc()));
    }
    let prefix_len = ipv6.prefix_len().checked_sub(bits_before)?;
    if prefix_len == 0 && first >> 32 != MAPPED {
        return None;
    }
    Some(Ipv4Net::new(Ipv4Addr::from_bits(address), prefix_len).ok()?.trunc().into())
}
