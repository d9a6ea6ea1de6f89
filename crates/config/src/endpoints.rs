//! `[[gateways.endpoints]]`: who serves.

use std::collections::HashMap;
use std::net::IpAddr;

use meridian_model::{ClusterId, Endpoint, EndpointAddress, Track};

use crate::findings::{Findings, Spotted};
use crate::issue::quote;
use crate::kinds::{At, List, Parsed, Text, Whole};
use crate::limits;
use crate::reader::Table;
use crate::rollout::TRACK;

/// In the middle, so that endpoints can get less and more.
const WEIGHT_DEFAULT: u32 = 100;

const CLUSTER: Text = Text { what: "the name of a cluster", characters: limits::NAME_CHARACTERS };
const ADDRESS: Parsed<IpAddr> = Parsed { what: "an IPv4 or IPv6 address", parse: parse_address };

/// An endpoint as written.
pub(crate) struct EndpointSpec {
    pub(crate) cluster: Option<Spotted<Box<str>>>,
    addresses: Vec<Spotted<IpAddr>>,
    weight: u32,
    /// `None` where it could not be read.
    pub(crate) track: Option<Track>,
}

/// Reads one of `[[gateways.endpoints]]`.
pub(crate) fn read(table: &mut Table<'_>) -> EndpointSpec {
    let addresses = List { of: At(ADDRESS), what: "addresses", min: 1, max: limits::ADDRESSES };
    EndpointSpec {
        cluster: table.required("cluster", &At(CLUSTER)),
        addresses: table.required("addresses", &addresses).unwrap_or_default(),
        weight: table.or("weight", WEIGHT_DEFAULT, &Whole { min: 0, max: limits::WEIGHT, unit: "" }),
        track: table.optional("track", &TRACK).or_else(|| (!table.has("track")).then(Track::default)),
    }
}

/// An address that a client could connect to.
fn parse_address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| String::new())?;
    let reason = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 form",
        _ => return Ok(address),
    };
    Err(reason.into())
}

/// Each address once in a gateway: twice, it would get twice its share.
pub(crate) fn check(endpoints: &[EndpointSpec], findings: &Findings<'_>) {
    let mut first_spots = HashMap::new();
    for address in endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
        if let Some(first) = first_spots.insert(address.value, &address.spot) {
            let line = findings.line(first);
            let found = format_args!("{}: line {line} has it already", quote(&address.value.to_string()));
            findings.mistake(&address.spot, "each address of a gateway once", found);
        }
    }
}

/// Builds an endpoint in its cluster.
pub(crate) fn build((cluster, spec): (ClusterId, EndpointSpec)) -> Endpoint {
    let EndpointSpec { cluster: _, addresses, weight, track } = spec;
    // The catalog links each address to what checks it.
    let addresses = addresses.into_iter().map(|address| EndpointAddress { ip: address.value, target: None });
    let addresses = addresses.collect();
    Endpoint { cluster, addresses, name: None, weight, track: track.unwrap_or_default() }
}
