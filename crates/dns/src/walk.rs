//! The whole address space, block by block.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_geoip::ipv4_block;

/// Goes through the whole address space of both families, block by block: `at` says what holds at an
/// address and how long the prefix is in which it does. IPv6 addresses that hold an IPv4 address are
/// passed over: they are answered as that.
pub fn walk<T>(at: impl Fn(IpAddr) -> (T, u8), mut visit: impl FnMut(IpAddr, T, u8)) {
    let mut next = Some(0_u32);
    while let Some(start) = next {
        let address = IpAddr::V4(Ipv4Addr::from_bits(start));
        let (value, prefix_len) = at(address);
        visit(address, value, prefix_len);
        next = 1_u32.checked_shl(32 - u32::from(prefix_len)).and_then(|size| start.checked_add(size));
    }
    let mut next = Some(0_u128);
    while let Some(start) = next {
        let v6 = Ipv6Addr::from_bits(start);
        let prefix_len = ipv4_block(v6).unwrap_or_else(|| {
            let address = IpAddr::V6(v6);
            let (value, prefix_len) = at(address);
            visit(address, value, prefix_len);
            prefix_len
        });
        next = 1_u128.checked_shl(128 - u32::from(prefix_len)).and_then(|size| start.checked_add(size));
    }
}
