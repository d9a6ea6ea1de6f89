//! `[[gateways.endpoints]]`: who serves, by addresses or by a hostname.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use meridian_model::{
    ClusterId, DomainName, Endpoint, EndpointAddress, EndpointName, Hostname, ProbeAt, Track,
};

use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::issue::quote;
use crate::kinds::{At, Choice, List, Parsed, Span, Text, Whole};
use crate::limits;
use crate::probes;
use crate::reader::{Kind, Table};
use crate::rollout::TRACK;
use crate::sites::SITE;
use crate::zones::Zones;

/// In the middle, so that endpoints can get less and more.
const WEIGHT_DEFAULT: u32 = 100;
/// Clients get addresses, which work at a zone's apex too.
const AS_CNAME_DEFAULT: bool = false;
/// Outlasts an outage of a resolver, not a load balancer that was deleted.
const STALE_FOR_DEFAULT: Duration = Duration::from_secs(600);

const CLUSTER: Text =
    Text { what: "the name of a cluster", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };
const ADDRESS: Parsed<Address> = Parsed {
    what: "an IPv4 or IPv6 address, or a hostname with its final dot",
    pattern: forms::ADDRESS_OR_NAME,
    parse: |text| match text.parse() {
        Ok(ip) => check_ip(ip).map(Address::Ip),
        Err(_) => parse_name(text).map(Address::Name),
    },
};
const AS_CNAME: Choice<bool> = Choice(&[("addresses", false), ("cname", true)]);

//----------- EndpointSpec ---------------------------------------------------

/// An endpoint as written.
pub(crate) struct EndpointSpec {
    pub(crate) cluster: Option<Spotted<Box<str>>>,
    addresses: Vec<Spotted<Address>>,
    as_cname: bool,
    stale_for: Duration,
    weight: u32,
    probe_addresses: Vec<Spotted<IpAddr>>,
    probe_port: Option<u16>,
    /// `None` where it could not be read.
    pub(crate) track: Option<Track>,
}

impl EndpointSpec {
    /// The hostname in place of addresses.
    fn names(&self) -> impl Iterator<Item = Spotted<&DomainName>> {
        self.addresses.iter().filter_map(|address| match &address.value {
            Address::Name(name) => Some(Spotted { value: name, spot: address.spot.clone() }),
            Address::Ip(_) => None,
        })
    }

    /// Whether clients get a CNAME.
    pub(crate) fn is_cname(&self) -> bool {
        self.as_cname && self.names().next().is_some()
    }
}

/// An element of `addresses`.
enum Address {
    Ip(IpAddr),
    Name(DomainName),
}

/// Reads one of `[[gateways.endpoints]]`.
pub(crate) fn read(table: &mut Table<'_>) -> EndpointSpec {
    let addresses = List { of: At(ADDRESS), what: "addresses", min: 1, max: limits::ADDRESSES };
    let cluster = table.required("cluster", &At(CLUSTER));
    let addresses = table.required("addresses", &addresses).unwrap_or_default();
    // What could not be read at all may be meant as a hostname.
    let only_ips =
        !addresses.is_empty() && addresses.iter().all(|address| matches!(address.value, Address::Ip(_)));
    if only_ips {
        table.refused("answer", "no answer: only an endpoint with a hostname in addresses has one");
        table.refused("stale_for", "no stale_for: only an endpoint with a hostname in addresses has one");
    }
    let probe_addresses = List { of: At(probes::ADDRESS), what: "addresses", min: 1, max: limits::ADDRESSES };
    let stale_for = Span { min: Duration::ZERO, max: limits::STALE_FOR_MAX };
    let track = table.optional("track", &TRACK).or_else(|| (!table.has("track")).then(Track::default));
    table.default("track", || TRACK.written(&Track::default()));
    EndpointSpec {
        cluster,
        addresses,
        as_cname: !only_ips && table.or("answer", AS_CNAME_DEFAULT, &AS_CNAME),
        stale_for: if only_ips {
            STALE_FOR_DEFAULT
        } else {
            table.or("stale_for", STALE_FOR_DEFAULT, &stale_for)
        },
        weight: table.or("weight", WEIGHT_DEFAULT, &Whole { min: 0, max: limits::WEIGHT, unit: "" }),
        probe_addresses: table.or("probe_addresses", Vec::new(), &probe_addresses),
        probe_port: table.optional("probe_port", &Whole { min: 1, max: u16::MAX, unit: "" }),
        track,
    }
}

/// An address that a client could connect to.
pub(crate) fn check_ip(address: IpAddr) -> Result<IpAddr, String> {
    let reason = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 form",
        _ => return Ok(address),
    };
    Err(reason.into())
}

/// An absolute hostname; its final dot tells it from an address that is misspelt.
fn parse_name(text: &str) -> Result<DomainName, String> {
    let name = DomainName::parse(text);
    // The last label of a hostname is never a number (RFC 1123 §2.1).
    let last = text.strip_suffix('.').unwrap_or(text).rsplit('.').next().unwrap_or("");
    let numeric = last.chars().all(|c| c.is_ascii_digit());
    match name {
        Ok(name) if text.ends_with('.') && !numeric && !name.is_wildcard() => Ok(name),
        Ok(_) if !numeric && text.contains('.') && !text.ends_with('.') && !text.starts_with('*') => {
            Err(format!("a hostname ends in a dot: write {}", quote(&format!("{text}."))))
        }
        Err(error) if text.ends_with('.') => Err(error.to_string()),
        _ => Err(String::new()),
    }
}

//----------- Checks ---------------------------------------------------------

/// What the endpoints of a gateway need of each other and of its hostnames.
pub(crate) fn check(
    endpoints: &[EndpointSpec],
    gateway: Option<&str>,
    hostnames: &[Spotted<Hostname>],
    zones: &Zones,
    findings: &Findings<'_>,
) {
    check_each_once(endpoints, findings);
    for endpoint in endpoints {
        let (written, checked) = (endpoint.addresses.len(), endpoint.probe_addresses.len());
        let fits = matches!(checked, 0 | 1) || checked == written && endpoint.names().next().is_none();
        if let Some(first) = endpoint.probe_addresses.first().filter(|_| !fits) {
            let expected = "one address to check for all, or one for each of addresses, in their order";
            findings.mistake(&first.spot, expected, format_args!("{checked} for {written}"));
        }
    }
    for endpoint in endpoints {
        if let Some(name) = endpoint.names().next()
            && endpoint.addresses.len() > 1
        {
            let found = format_args!("{} among {}", quote(&name.value.to_string()), endpoint.addresses.len());
            findings.mistake(&name.spot, "IP addresses, or one hostname alone", found);
        }
        for name in endpoint.names() {
            let expected = "a hostname that does not lead to this gateway itself";
            let shown = quote(&name.value.to_string());
            for leads_to in chain(name.value, zones) {
                if let Some(own) = hostnames.iter().find(|own| covers(&own.value, &leads_to)) {
                    let line = findings.line(&own.spot);
                    findings.mistake(
                        &name.spot,
                        expected,
                        format_args!("{shown}: {} in line {line}", own.value),
                    );
                } else if gateway.is_some_and(|gateway| is_test_name(&leads_to, gateway, zones)) {
                    findings.mistake(&name.spot, expected, format_args!("{shown}: a test name of it"));
                }
            }
        }
    }
}

/// Each address once in a gateway, and each hostname: twice, it would get twice its share.
fn check_each_once(endpoints: &[EndpointSpec], findings: &Findings<'_>) {
    let (mut ips, mut names) = (HashMap::new(), HashMap::new());
    for address in endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
        let (what, shown, first) = match &address.value {
            Address::Ip(ip) => ("address", ip.to_string(), ips.insert(*ip, &address.spot)),
            Address::Name(name) => ("hostname", name.to_string(), names.insert(name, &address.spot)),
        };
        if let Some(first) = first {
            let found = format_args!("{}: line {} has it already", quote(&shown), findings.line(first));
            findings.mistake(&address.spot, format_args!("each {what} of a gateway once"), found);
        }
    }
}

/// A name and those that it is an alias of in our own zones.
fn chain(name: &DomainName, zones: &Zones) -> Vec<DomainName> {
    let mut all = vec![name.clone()];
    while let Some(next) = all.last().and_then(|last| zones.alias_of(last))
        && all.len() <= limits::ALIASES
        && !all.contains(&next)
    {
        all.push(next);
    }
    all
}

/// Whether a name is `<cluster>.<gateway>.site.<zone>`.
fn is_test_name(name: &DomainName, gateway: &str, zones: &Zones) -> bool {
    let mut labels = name.labels().skip(1);
    labels.next() == Some(gateway) && labels.next() == Some(SITE) && zones.of(name).is_some()
}

/// Whether a query for the name would be the gateway's.
fn covers(hostname: &Hostname, name: &DomainName) -> bool {
    match hostname {
        Hostname::Exact(exact) => exact == name,
        Hostname::Wildcard(suffix) => name.is_within(suffix) && name != suffix,
    }
}

//----------- Building -------------------------------------------------------

/// Builds an endpoint in its cluster.
pub(crate) fn build((cluster, spec): (ClusterId, EndpointSpec)) -> Endpoint {
    let EndpointSpec {
        cluster: _,
        addresses: written,
        as_cname,
        stale_for,
        weight,
        probe_addresses,
        probe_port,
        track,
    } = spec;
    let (mut addresses, mut name) = (Vec::with_capacity(written.len()), None);
    for address in written {
        match address.value {
            // The catalog links each address to what checks it.
            Address::Ip(ip) => addresses.push(EndpointAddress { ip, target: None }),
            Address::Name(host) => {
                name = Some(EndpointName {
                    name: host,
                    as_cname,
                    stale_for,
                    ttl: None,
                    lost: false,
                    in_doubt: false,
                });
            }
        }
    }
    let probe_at = ProbeAt {
        addresses: probe_addresses.into_iter().map(|address| address.value).collect(),
        port: probe_port,
    };
    Endpoint { cluster, addresses, name, probe_at, weight, track: track.unwrap_or_default() }
}
