//! The whole address space, block by block, and how many clients there are in it.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use meridian_geoip::{Locality, ipv4_block};
use meridian_model::CountryCode;

/// The bits of an IPv6 network that counts as one client.
const IPV6_NETWORK_BITS: i32 = 48;

/// Clients in two measures that are not added to each other: addresses of IPv4 and networks (/48) of IPv6.
pub type Clients = [f64; 2];

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

/// Counts the clients of all countries by what holds for them: `at` says it, as for [`walk`]. What has no country counts
/// for nothing. Goes through every block of the locality, which takes as long as there are many.
pub fn weigh<T: Eq + Hash>(
    locality: &Locality,
    at: impl Fn(IpAddr) -> (T, u8),
) -> impl Iterator<Item = ((T, CountryCode), Clients)> {
    let countries: Vec<Option<CountryCode>> = locality.places().iter().map(|place| place.country).collect();
    // Half a million blocks, of a database: nobody chooses what is hashed.
    let mut all: HashMap<(T, CountryCode), Clients, RandomState> = HashMap::default();
    let both = |address: IpAddr| {
        let ((place, near), (value, area)) = (locality.lookup(address), at(address));
        ((value, place), near.max(area))
    };
    walk(both, |address, (value, place), prefix_len| {
        if let Some(country) = countries.get(place.index()).copied().flatten() {
            let bits = if address.is_ipv4() { 32 } else { IPV6_NETWORK_BITS };
            let clients = 2_f64.powi(bits - i32::from(prefix_len));
            all.entry((value, country)).or_default()[usize::from(address.is_ipv6())] += clients;
        }
    });
    all.into_iter()
}
