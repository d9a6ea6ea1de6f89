//! The operator's own networks: nested prefixes, made into ranges.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meridian_model::{Network, Place};

use crate::address_map::AddressMap;
use crate::embedded_v4::form_of;
use crate::layer::{Layer, Places, is_located};
use crate::range_map::{Builder, Key, RangeMap};
use crate::record::complete;

/// The networks as a layer. Of nested ones the longest prefix holds; of equal ones, the last.
pub(crate) fn layer(networks: &[Network]) -> Layer {
    let mut places = Places::default();
    let numbered: Vec<(IpNet, u32)> =
        networks.iter().map(|network| (network.prefix, places.id_of(network.place.clone()))).collect();
    Layer::new(places, flatten_prefixes(numbered.into_iter()))
}

/// A map of values by prefix, 0 outside of all. Of nested prefixes the longest holds; of equal ones,
/// the last. A prefix of IPv4 addresses in an IPv6 form is one of IPv4.
pub(crate) fn flatten_prefixes(prefixes: impl Iterator<Item = (IpNet, u32)>) -> AddressMap {
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for (prefix, value) in prefixes {
        match as_ipv4(prefix) {
            IpNet::V4(net) => {
                ipv4.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
            IpNet::V6(net) => {
                ipv6.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
        }
    }
    AddressMap::new(flatten(ipv4), flatten(ipv6))
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

/// A prefix of addresses that hold IPv4 addresses is one of IPv4, where it is about those: not where
/// it goes on behind them (6to4), or is about the server of a Teredo client.
fn as_ipv4(prefix: IpNet) -> IpNet {
    let IpNet::V6(ipv6) = prefix else { return prefix };
    let start = ipv6.network().to_bits();
    let ipv4 = form_of(start).and_then(|form| {
        let prefix_len = ipv6.prefix_len().checked_sub(form.before)?;
        // Inverted, a prefix's addresses keep to a prefix, which begins where its last bits are zero.
        Ipv4Net::new(Ipv4Addr::from_bits(form.v4(start)), prefix_len).ok()
    });
    match ipv4 {
        Some(ipv4) => IpNet::V4(ipv4.trunc()),
        None => IpNet::V6(Ipv6Net::trunc(&ipv6)),
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
