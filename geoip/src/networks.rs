//! The operator's own networks: nested prefixes, made into ranges.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meridian_model::{Network, Place};

use crate::address_map::{AddressMap, MAPPED_PREFIX_LEN};
use crate::layer::{Layer, Places, is_located};
use crate::range_map::{Builder, Key, RangeMap};
use crate::record::complete;

/// The networks as a layer. Of nested ones the longest prefix holds; of equal ones, the last.
pub(crate) fn layer(networks: &[Network]) -> Layer {
    let mut places = Places::default();
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for network in networks {
        let value = places.id_of(network.place.clone());
        match unmapped(network.prefix) {
            IpNet::V4(net) => {
                ipv4.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
            IpNet::V6(net) => {
                ipv6.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
        }
    }
    Layer::new(places, AddressMap::new(flatten(ipv4), flatten(ipv6)))
}

/// What comes of an operator's place with what the databases say of the same address.
pub(crate) fn merge_network(network: &Place, database: &Place) -> Place {
    let asn = network.asn.or(database.asn);
    if is_located(network) {
        return complete(Place { asn, ..network.clone() });
    }
    Place {
        asn,
        continent: network.continent.or(database.continent),
        subdivision: network.subdivision.clone().or_else(|| database.subdivision.clone()),
        ..database.clone()
    }
}

/// A prefix of IPv4-mapped addresses is one of IPv4.
fn unmapped(prefix: IpNet) -> IpNet {
    let IpNet::V6(ipv6) = prefix else { return prefix };
    let ipv4 = ipv6.network().to_ipv4_mapped().zip(ipv6.prefix_len().checked_sub(MAPPED_PREFIX_LEN));
    match ipv4.map(|(address, prefix_len)| Ipv4Net::new(address, prefix_len)) {
        Some(Ok(ipv4)) => IpNet::V4(ipv4),
        _ => IpNet::V6(Ipv6Net::trunc(&ipv6)),
    }
}

/// A prefix that begins at `start` and has a value.
#[derive(Clone, Copy, Debug)]
struct Prefix<K> {
    start: K,
    prefix_len: u8,
    value: u32,
}

/// One sweep from the lowest address up, with a stack of the prefixes that hold the present one.
fn flatten<K: Key>(mut prefixes: Vec<Prefix<K>>) -> RangeMap<K> {
    // Stable, so that of equal prefixes the last one given is innermost.
    prefixes.sort_by_key(|prefix| (prefix.start, prefix.prefix_len));
    let mut builder = Builder::default();
    builder.push(K::ZERO, 0);
    let mut around: Vec<(K, u32)> = Vec::new();
    for Prefix { start, prefix_len, value } in prefixes {
        leave(&mut builder, &mut around, Some(start));
        builder.push(start, value);
        around.push((start.last_of(prefix_len), value));
    }
    leave(&mut builder, &mut around, None);
    builder.finish()
}

/// Closes the prefixes that end before `next`: after each, the one around it goes on.
fn leave<K: Key>(builder: &mut Builder<K>, around: &mut Vec<(K, u32)>, next: Option<K>) {
    while let Some((last, _)) = around.pop_if(|(last, _)| next.is_none_or(|next| *last < next)) {
        if let Some(after) = last.after() {
            builder.push(after, around.last().map_or(0, |&(_, value)| value));
        }
    }
}
