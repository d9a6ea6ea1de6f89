//! `[[gateways]]`: what clients ask for, and who serves it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use meridian_model::{
    AllDown, ClusterId, Endpoint, EndpointAddress, Gateway, Hostname, Policy, Rollout, Share, Track,
};

use crate::clusters::Clusters;
use crate::findings::{Findings, Spot, Spotted};
use crate::issue::quote;
use crate::kinds::{At, Choice, List, Parsed, Sections, Text, Whole};
use crate::limits;
use crate::names::{NAME, Names};
use crate::policy::{self, Candidate, Candidates, Context, GLOBS, PolicyKind, PolicySpec};
use crate::probes::Probes;
use crate::reader::Table;
use crate::residency::{self, ResidencySpec};
use crate::shared::Shared;
use crate::zones::{TTL, Zones};

/// Seconds: what resolvers may keep of an answer while nothing is about to change.
const TTL_DEFAULT: u32 = 30;
/// Seconds: while a change is near, or the `ttl` if that is shorter.
const MIN_TTL_DEFAULT: u32 = 5;
/// One address: a client must not pick a cluster further away.
const ANSWERS_DEFAULT: u16 = 1;
/// In the middle, so that endpoints can get less and more.
const WEIGHT_DEFAULT: u32 = 100;

const HOSTNAME: Parsed<Hostname> = Parsed {
    what: "a hostname, such as \"shop.example\" or \"*.shop.example\"",
    parse: |text| Hostname::parse(text).map_err(|error| error.to_string()),
};
const PROBE: Text = Text { what: "the name of a probe", characters: limits::NAME_CHARACTERS };
const CLUSTER: Text = Text { what: "the name of a cluster", characters: limits::NAME_CHARACTERS };
const ADDRESS: Parsed<IpAddr> = Parsed { what: "an IPv4 or IPv6 address", parse: parse_address };
const TRACK: Choice<Track> = Choice(&[
    ("stable", Track::Stable),
    ("canary", Track::Canary),
    ("blue", Track::Blue),
    ("green", Track::Green),
]);
const ALL_DOWN: Choice<AllDownSpec> = Choice(&[
    ("serve_all", AllDownSpec::ServeAll),
    ("last_healthy", AllDownSpec::LastHealthy),
    ("fallback", AllDownSpec::Fallback),
    ("nodata", AllDownSpec::NoData),
]);

//----------- GatewaySpec ----------------------------------------------------

/// A gateway as written.
pub(crate) struct GatewaySpec {
    name: Option<Spotted<Box<str>>>,
    hostnames: Vec<Spotted<Hostname>>,
    ttl: u32,
    min_ttl: Option<Spotted<u32>>,
    answers: Option<u16>,
    residency: Option<ResidencySpec>,
    policy: PolicySpec,
    all_down: AllDownSpec,
    fallback: Vec<Spotted<Box<str>>>,
    probe: Option<Spotted<Box<str>>>,
    /// `None` where one of them could not be read at all.
    endpoints: Option<Vec<EndpointSpec>>,
}

/// What `all_down` says, without what `fallback` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AllDownSpec {
    ServeAll,
    LastHealthy,
    Fallback,
    NoData,
}

/// An endpoint as written.
struct EndpointSpec {
    cluster: Option<Spotted<Box<str>>>,
    addresses: Vec<Spotted<IpAddr>>,
    weight: u32,
    track: Track,
}

/// Reads `[[gateways]]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Vec<GatewaySpec> {
    let read = |table: &mut Table<'_>| read_gateway(table, file);
    let gateways = Sections { header: "[[gateways]]", min: 0, max: limits::GATEWAYS, read };
    root.many("gateways", &gateways).list
}

fn read_gateway(table: &mut Table<'_>, file: &Path) -> GatewaySpec {
    let hostnames = List { of: At(HOSTNAME), what: "hostnames", min: 1, max: limits::HOSTNAMES };
    let endpoints =
        Sections { header: "[[gateways.endpoints]]", min: 1, max: limits::ENDPOINTS, read: read_endpoint };
    let name = table.required("name", &At(NAME));
    let hostnames = table.required("hostnames", &hostnames).unwrap_or_default();
    let ttl = table.or("ttl", TTL_DEFAULT, &TTL);
    let min_ttl = table.optional("min_ttl", &At(TTL));
    let answers = table.optional("answers", &Whole { min: 1, max: limits::ANSWERS, unit: "addresses" });
    let residency = residency::read(table);
    let policy = table.or("policy", PolicySpec::default(), &PolicyKind { depth: 0, file });
    let (all_down, fallback) = read_all_down(table);
    let probe = table.optional("probe", &At(PROBE));
    let endpoints = table.required("endpoints", &endpoints);
    let endpoints = endpoints.filter(|endpoints| endpoints.whole).map(|endpoints| endpoints.list);
    GatewaySpec {
        name,
        hostnames,
        ttl,
        min_ttl,
        answers,
        residency,
        policy,
        all_down,
        fallback,
        probe,
        endpoints,
    }
}

/// `all_down`, and `fallback`, which goes with one value of it.
fn read_all_down(table: &mut Table<'_>) -> (AllDownSpec, Vec<Spotted<Box<str>>>) {
    let all_down = table.optional("all_down", &ALL_DOWN);
    let fallback = match all_down {
        Some(AllDownSpec::Fallback) => table.required("fallback", &GLOBS),
        // Of an all_down that is wrong nobody knows what it should have been.
        None if table.has("all_down") => table.optional("fallback", &GLOBS),
        _ => {
            table.refused("fallback", "no fallback: only all_down = \"fallback\" uses it");
            None
        }
    };
    (all_down.unwrap_or(AllDownSpec::ServeAll), fallback.unwrap_or_default())
}

fn read_endpoint(table: &mut Table<'_>) -> EndpointSpec {
    let addresses = List { of: At(ADDRESS), what: "addresses", min: 1, max: limits::ADDRESSES };
    EndpointSpec {
        cluster: table.required("cluster", &At(CLUSTER)),
        addresses: table.required("addresses", &addresses).unwrap_or_default(),
        weight: table.or("weight", WEIGHT_DEFAULT, &Whole { min: 0, max: limits::WEIGHT, unit: "" }),
        track: table.or("track", Track::default(), &TRACK),
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

//----------- Building -------------------------------------------------------

/// Builds the gateways one by one: holds what they refer to, and what no two of them may share.
struct Builder<'b, 'f> {
    zones: &'b Zones,
    clusters: &'b mut Clusters,
    probes: &'b mut Probes,
    shared: &'b mut Shared,
    findings: &'b Findings<'f>,
    /// The gateway and place of every hostname so far.
    hostnames: HashMap<Hostname, (Box<str>, Spot)>,
}

/// Builds all gateways; `None` where an issue says why.
pub(crate) fn build(
    specs: Vec<GatewaySpec>,
    zones: &Zones,
    clusters: &mut Clusters,
    probes: &mut Probes,
    shared: &mut Shared,
    findings: &Findings<'_>,
) -> Option<Vec<Gateway>> {
    Names::new("gateway", specs.iter().map(|spec| spec.name.clone()).collect(), true, findings);
    let mut builder = Builder { zones, clusters, probes, shared, findings, hostnames: HashMap::new() };
    // All of them are built, also after the first that cannot be.
    let gateways: Vec<Option<Gateway>> = specs.into_iter().map(|spec| builder.build(spec)).collect();
    gateways.into_iter().collect()
}

impl Builder<'_, '_> {
    fn build(&mut self, spec: GatewaySpec) -> Option<Gateway> {
        let GatewaySpec {
            name,
            hostnames,
            ttl,
            min_ttl,
            answers,
            residency,
            policy,
            all_down,
            fallback,
            probe,
            endpoints,
        } = spec;
        let shown = name.as_ref().map_or("(no name)", |name| &name.value);
        for hostname in &hostnames {
            self.check_hostname(hostname, shown);
        }
        let min_ttl = self.min_ttl(min_ttl, ttl);
        let probe = probe.map(|probe| self.probes.find(&probe, self.findings));
        let endpoints = endpoints?;
        self.check_addresses(&endpoints);
        let ids = self.cluster_ids(&endpoints)?;
        let candidates = candidates(&ids, &endpoints);
        let mut context = Context { clusters: self.clusters, shared: self.shared, findings: self.findings };
        let residency = residency.map(|spec| residency::build(spec, &candidates, &mut context));
        let policy = policy::resolve(policy, &candidates, &mut context);
        let fallback = policy::resolve_globs(&fallback, &candidates, self.findings);
        let policy = policy?;
        let answers = match policy {
            // Every address, unless a number is written.
            Policy::All => answers,
            _ => Some(answers.unwrap_or(ANSWERS_DEFAULT)),
        };
        let all_down = match all_down {
            AllDownSpec::ServeAll => AllDown::ServeAll,
            AllDownSpec::LastHealthy => AllDown::LastHealthy,
            AllDownSpec::NoData => AllDown::NoData,
            AllDownSpec::Fallback => AllDown::Fallback(fallback.ids()),
        };
        let hostnames = hostnames.into_iter().map(|hostname| hostname.value).collect();
        let probe = match probe {
            Some(found) => Some(found?),
            None => None,
        };
        let residency = match residency {
            Some(built) => Some(built?),
            None => None,
        };
        let endpoints = ids.into_iter().zip(endpoints).map(build_endpoint).collect();
        let name = name?.value;
        Some(Gateway {
            name,
            hostnames,
            ttl,
            min_ttl,
            answers,
            sticky: false,
            site_names: true,
            residency,
            rollout: Rollout::default(),
            policy,
            panic_below: Share::NONE,
            all_down,
            https: None,
            probe,
            endpoints,
        })
    }

    /// The cluster of each endpoint; `None` if one is not known. Reports all that are not.
    fn cluster_ids(&mut self, endpoints: &[EndpointSpec]) -> Option<Vec<ClusterId>> {
        let mut ids = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            ids.push(endpoint.cluster.as_ref().and_then(|name| self.clusters.find(name, self.findings)));
        }
        ids.into_iter().collect()
    }

    /// Each hostname once in all gateways, and where it can be steered.
    fn check_hostname(&mut self, hostname: &Spotted<Hostname>, gateway: &str) {
        let first = self.hostnames.get(&hostname.value);
        if let Some((other, first)) = first {
            let line = self.findings.line(first);
            let found = format_args!(
                "{}: gateway {other:?} has it in line {line}",
                quote(&hostname.value.to_string())
            );
            self.findings.mistake(&hostname.spot, "a hostname that stands nowhere else", found);
            return;
        }
        self.hostnames.insert(hostname.value.clone(), (gateway.into(), hostname.spot.clone()));
        self.zones.check_hostname(hostname, gateway, self.findings);
    }

    /// Each address once in a gateway: twice, it would get twice its share.
    fn check_addresses(&self, endpoints: &[EndpointSpec]) {
        let mut first_spots = HashMap::new();
        for address in endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
            if let Some(first) = first_spots.insert(address.value, &address.spot) {
                let line = self.findings.line(first);
                let found = format_args!("{}: line {line} has it already", quote(&address.value.to_string()));
                self.findings.mistake(&address.spot, "each address of a gateway once", found);
            }
        }
    }

    fn min_ttl(&self, min_ttl: Option<Spotted<u32>>, ttl: u32) -> u32 {
        let Some(min_ttl) = min_ttl else { return MIN_TTL_DEFAULT.min(ttl) };
        if min_ttl.value > ttl {
            let expected = format_args!("at most the ttl of {ttl}");
            self.findings.mistake(&min_ttl.spot, expected, min_ttl.value);
        }
        min_ttl.value
    }
}

/// The clusters of a gateway, in catalog order, each once.
fn candidates<'n>(ids: &[ClusterId], endpoints: &'n [EndpointSpec]) -> Candidates<'n> {
    let names = endpoints.iter().filter_map(|endpoint| endpoint.cluster.as_ref());
    let mut clusters: Vec<Candidate<'n>> = Vec::new();
    let mut each: Vec<(ClusterId, &str)> = ids.iter().copied().zip(names.map(|name| &*name.value)).collect();
    each.sort_unstable();
    for (id, name) in each {
        match clusters.last_mut() {
            Some(last) if last.id == id => last.endpoints += 1,
            _ => clusters.push(Candidate { id, name, endpoints: 1 }),
        }
    }
    Candidates { of: "gateway", clusters }
}

fn build_endpoint((cluster, spec): (ClusterId, EndpointSpec)) -> Endpoint {
    let EndpointSpec { cluster: _, addresses, weight, track } = spec;
    // The catalog links each address to what checks it.
    let addresses = addresses.into_iter().map(|address| EndpointAddress { ip: address.value, target: None });
    Endpoint { cluster, addresses: addresses.collect(), name: None, weight, track }
}
