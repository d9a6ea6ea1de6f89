//! The operator's own networks: nested prefixes, made into ranges.

use ipnet::IpNet;
use meridian_model::{Network, Place, meant_network};

use crate::address_map::AddressMap;
use crate::layer::{Layer, Places, is_located};
use crate::origin::{PackedSource, Sourced};
use crate::range_map::{Builder, Key, RangeMap};
use crate::record::complete;

/// The networks as a layer. Of nested ones the longest prefix holds; of equal ones, the last.
pub(crate) fn layer(networks: &[Network]) -> Layer {
    let mut places = Places::default();
    let values: Vec<(IpNet, u32)> = (0..)
        .zip(networks)
        .map(|(index, network)| {
            let place = Sourced::new(network.place.clone(), PackedSource::network(index));
            (network.prefix, places.id_of(place))
        })
        .collect();
    Layer::new(places, longest_prefixes(values))
}

/// For every address the value of the longest prefix that holds it, of equal ones the last; 0 where
/// none does.
pub(crate) fn longest_prefixes(prefixes: impl IntoIterator<Item = (IpNet, u32)>) -> AddressMap {
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for (prefix, value) in prefixes {
        match meant_network(prefix) {
            None => {}
            Some(IpNet::V4(net)) => {
                ipv4.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
            Some(IpNet::V6(net)) => {
                ipv6.push(Prefix { start: net.network().to_bits(), prefix_len: net.prefix_len(), value })
            }
        }
    }
    AddressMap::new(flatten(ipv4), flatten(ipv6))
}

/// What comes of an operator's place with what the databases say of the same address.
pub(crate) fn merge_network(network: &Sourced, database: &Sourced) -> Sourced {
    let asn_source = if network.place.asn.is_some() { network.asn_source } else { database.asn_source };
    let asn = network.place.asn.or(database.place.asn);
    if is_located(&network.place) {
        let place = complete(Place { asn, ..network.place.clone() });
        return Sourced { place, asn_source, ..*network };
    }
    let refines = network.place.continent.is_some() || network.place.subdivision.is_some();
    Sourced {
        place: Place {
            asn,
            continent: network.place.continent.or(database.place.continent),
            subdivision: network.place.subdivision.clone().or_else(|| database.place.subdivision.clone()),
            ..database.place.clone()
        },
        location_source: if refines { network.location_source } else { database.location_source },
        asn_source,
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
