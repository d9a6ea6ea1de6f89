//! `[[gateways]]`: what clients ask for, and who serves it.

use std::collections::HashMap;
use std::path::Path;

use meridian_model::{AllDown, ClusterId, Gateway, Hostname, Https, Policy, Share};
use serde_json::json;

use crate::clusters::Clusters;
use crate::endpoints::{self, EndpointSpec};
use crate::findings::{Findings, Spot, Spotted};
use crate::forms;
use crate::https;
use crate::issue::quote;
use crate::kinds::{At, Choice, Flag, List, Parsed, Portion, Sections, Text, Whole};
use crate::limits;
use crate::names::{NAME, Names};
use crate::policy::{self, Candidate, Candidates, Context, GLOBS, PolicyKind, PolicySpec};
use crate::probes::Probes;
use crate::reader::{Kind, Table};
use crate::residency::{self, ResidencySpec};
use crate::rollout::{self, RolloutSpec};
use crate::schema::Given;
use crate::shared::Shared;
use crate::sites::Sites;
use crate::zones::{TTL, Zones};

/// Seconds: what resolvers may keep of an answer while nothing is about to change.
const TTL_DEFAULT: u32 = 30;
/// Seconds: while a change is near, or the `ttl` if that is shorter.
const MIN_TTL_DEFAULT: u32 = 5;
/// One address: a client must not pick a cluster further away.
const ANSWERS_DEFAULT: u16 = 1;
/// By chance, so that one network's clients spread over all that serve them.
const STICKY_DEFAULT: bool = false;
/// Testing a cluster before clients get there should need no change.
const SITE_NAMES_DEFAULT: bool = true;

const HOSTNAME: Parsed<Hostname> = Parsed {
    what: "a hostname, such as \"shop.example\" or \"*.shop.example\"",
    pattern: forms::HOSTNAME,
    parse: |text| Hostname::parse(text).map_err(|error| error.to_string()),
};
const PROBE: Text =
    Text { what: "the name of a probe", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };
const PANIC_BELOW: Portion = Portion { whole: 1.0, what: "a share of the endpoints" };
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
    sticky: bool,
    site_names: bool,
    rollout: RolloutSpec,
    residency: Option<ResidencySpec>,
    policy: PolicySpec,
    panic_below: Share,
    all_down: AllDownSpec,
    fallback: Vec<Spotted<Box<str>>>,
    https: Option<Https>,
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

/// Reads `[[gateways]]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Vec<GatewaySpec> {
    let read = |table: &mut Table<'_>| read_gateway(table, file);
    let gateways = Sections { header: "[[gateways]]", min: 0, max: limits::GATEWAYS, read };
    root.many("gateways", &gateways).list
}

fn read_gateway(table: &mut Table<'_>, file: &Path) -> GatewaySpec {
    let hostnames = List { of: At(HOSTNAME), what: "hostnames", min: 1, max: limits::HOSTNAMES };
    let endpoints =
        Sections { header: "[[gateways.endpoints]]", min: 1, max: limits::ENDPOINTS, read: endpoints::read };
    let name = table.required("name", &At(NAME));
    let hostnames = table.required("hostnames", &hostnames).unwrap_or_default();
    let ttl = table.or("ttl", TTL_DEFAULT, &TTL);
    let min_ttl = table.optional("min_ttl", &At(TTL));
    table.default("min_ttl", || TTL.written(&MIN_TTL_DEFAULT));
    let answers = table.optional("answers", &Whole { min: 1, max: limits::ANSWERS, unit: "addresses" });
    let sticky = table.or("sticky", STICKY_DEFAULT, &Flag);
    let site_names = table.or("site_names", SITE_NAMES_DEFAULT, &Flag);
    let rollout = rollout::read(table);
    let residency = residency::read(table);
    let policy = table.or("policy", PolicySpec::default(), &PolicyKind { depth: 0, file });
    let panic_below = table.or("panic_below", Share::NONE, &PANIC_BELOW);
    let (all_down, fallback) = read_all_down(table);
    let https = https::read(table);
    let probe = table.optional("probe", &At(PROBE));
    let endpoints = table.required("endpoints", &endpoints);
    let endpoints = endpoints.filter(|endpoints| endpoints.whole).map(|endpoints| endpoints.list);
    GatewaySpec {
        name,
        hostnames,
        ttl,
        min_ttl,
        answers,
        sticky,
        site_names,
        rollout,
        residency,
        policy,
        panic_below,
        all_down,
        fallback,
        https,
        probe,
        endpoints,
    }
}

/// `all_down`, and `fallback`, which goes with one value of it.
fn read_all_down(table: &mut Table<'_>) -> (AllDownSpec, Vec<Spotted<Box<str>>>) {
    table.cases(|| {
        let words = ALL_DOWN.0.iter().map(|(word, _)| vec![Given::Is("all_down", json!(word))]);
        words.chain([vec![Given::Absent("all_down")]]).collect()
    });
    let all_down = table.optional("all_down", &ALL_DOWN);
    table.default("all_down", || ALL_DOWN.written(&AllDownSpec::ServeAll));
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
    /// The gateways with test names so far.
    sites: Sites,
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
    let hostnames = HashMap::new();
    let sites = Sites::default();
    let mut builder = Builder { zones, clusters, probes, shared, findings, hostnames, sites };
    // All of them are built, also after the first that cannot be.
    let gateways: Vec<Option<Gateway>> = specs.into_iter().map(|spec| builder.build(spec)).collect();
    let hostnames = builder.hostnames.iter().map(|(hostname, (_, spot))| (hostname, spot));
    builder.sites.check(hostnames, zones, findings);
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
            sticky,
            site_names,
            rollout,
            residency,
            policy,
            panic_below,
            all_down,
            fallback,
            https,
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
        let own = name.as_ref().map(|name| &*name.value);
        endpoints::check(&endpoints, own, &hostnames, self.zones, self.findings);
        let is_cname = endpoints.iter().any(EndpointSpec::is_cname);
        self.zones.check_alone(&hostnames, https.is_some(), is_cname, self.findings);
        let tracks: Vec<_> = endpoints.iter().map(|endpoint| endpoint.track).collect();
        let rollout = rollout::build(rollout, &tracks, self.findings);
        let ids = self.cluster_ids(&endpoints)?;
        let candidates = candidates(&ids, &endpoints);
        if site_names {
            self.sites.add(shown, &candidates, &hostnames, self.zones);
        }
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
        let all_down = build_all_down(all_down, &fallback);
        let hostnames = hostnames.into_iter().map(|hostname| hostname.value).collect();
        let (probe, residency) = (whole(probe)?, whole(residency)?);
        let endpoints = ids.into_iter().zip(endpoints).map(endpoints::build).collect();
        let name = name?.value;
        Some(Gateway {
            name,
            hostnames,
            ttl,
            min_ttl,
            answers,
            sticky,
            site_names,
            residency,
            rollout,
            policy,
            panic_below,
            all_down,
            https,
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

    fn min_ttl(&self, min_ttl: Option<Spotted<u32>>, ttl: u32) -> u32 {
        let Some(min_ttl) = min_ttl else { return MIN_TTL_DEFAULT.min(ttl) };
        if min_ttl.value > ttl {
            let expected = format_args!("at most the ttl of {ttl}");
            self.findings.mistake(&min_ttl.spot, expected, min_ttl.value);
        }
        min_ttl.value
    }
}

fn build_all_down(spec: AllDownSpec, fallback: &Candidates<'_>) -> AllDown {
    match spec {
        AllDownSpec::ServeAll => AllDown::ServeAll,
        AllDownSpec::LastHealthy => AllDown::LastHealthy,
        AllDownSpec::NoData => AllDown::NoData,
        AllDownSpec::Fallback => AllDown::Fallback(fallback.ids()),
    }
}

/// What is written must have been built; what is not written need not.
fn whole<T>(built: Option<Option<T>>) -> Option<Option<T>> {
    built.map_or(Some(None), |built| built.map(Some))
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
