//! What the probes report, by cluster, gateway and endpoint.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::SystemTime;

use meridian_health_probe::{EndpointStatus, Report};
use meridian_model::{AllDown, ClusterId, GatewayId, Policy, Verdict};

use crate::limits::NOT_HEALTHY_MAX;
use crate::status;
use crate::wire::{self, Addresses};

/// How many addresses there are, by verdict.
fn count(addresses: &mut Addresses, verdict: Verdict) {
    *match verdict {
        Verdict::Healthy => &mut addresses.healthy,
        Verdict::Degraded => &mut addresses.degraded,
        Verdict::Unhealthy => &mut addresses.unhealthy,
        Verdict::Unknown => &mut addresses.unknown,
    } += 1;
}

/// Gateway, cluster, and address or hostname: what an endpoint is called.
pub(crate) fn id<'r>(report: &'r Report, of: &EndpointStatus) -> [Cow<'r, str>; 3] {
    let gateway = report.catalog.gateway(of.gateway);
    let endpoint = gateway.endpoints.get(of.endpoint);
    let cluster = endpoint.map_or("", |endpoint| &report.catalog.cluster(endpoint.cluster).name);
    let name = || endpoint.and_then(|endpoint| endpoint.name.as_ref()).map(|of| of.name.to_string());
    let address = of.address.map(|address| address.to_string()).or_else(name).unwrap_or_default();
    [Cow::Borrowed(&gateway.name), Cow::Borrowed(cluster), Cow::Owned(address)]
}

//----------- Clusters -------------------------------------------------------

pub(crate) fn clusters(report: &Report) -> Vec<wire::Cluster> {
    let catalog = &report.catalog;
    #[derive(Clone, Default)]
    struct Seen {
        addresses: Addresses,
        forced: usize,
        best: Option<Verdict>,
        gateways: BTreeSet<usize>,
    }
    let mut seen = vec![Seen::default(); catalog.clusters().len()];
    for of in &report.endpoints {
        let Some(endpoint) = catalog.gateway(of.gateway).endpoints.get(of.endpoint) else { continue };
        let seen = &mut seen[endpoint.cluster.index()];
        count(&mut seen.addresses, of.effective);
        seen.forced += usize::from(of.forced.is_some());
        seen.best = seen.best.into_iter().chain([of.effective]).max_by_key(|verdict| verdict.rank());
        seen.gateways.insert(of.gateway.index());
    }
    let shown = seen.into_iter().enumerate().map(|(index, seen)| {
        let cluster = catalog.cluster(ClusterId::from_index(index));
        wire::Cluster {
            name: cluster.name.to_string(),
            latitude: cluster.coordinates.latitude(),
            longitude: cluster.coordinates.longitude(),
            country: cluster.country.map(|country| country.to_string()),
            jurisdictions: cluster
                .jurisdictions
                .iter()
                .map(|&id| catalog.jurisdiction(id).name.to_string())
                .collect(),
            effective: seen.best.unwrap_or_default().as_str().to_owned(),
            forced: seen.forced,
            addresses: seen.addresses,
            gateways: seen.gateways.len(),
        }
    });
    shown.collect()
}

//----------- Gateways -------------------------------------------------------

/// How the addresses of each gateway do.
pub(crate) fn by_gateway(report: &Report) -> Vec<Addresses> {
    let mut all = vec![Addresses::default(); report.catalog.gateways().len()];
    for of in &report.endpoints {
        count(&mut all[of.gateway.index()], of.effective);
    }
    all
}

/// A gateway with its first hostname alone.
pub(crate) fn gateway_in_list(report: &Report, counts: &[Addresses], index: usize) -> wire::GatewayDetail {
    let id = GatewayId::from_index(index);
    let gateway = report.catalog.gateway(id);
    let policy = match gateway.policy {
        Policy::Nearest(_) => "nearest",
        Policy::Geo(_) => "geo",
        Policy::Latency(_) => "latency",
        Policy::Weighted => "weighted",
        Policy::All => "all",
        Policy::Failover(_) => "failover",
    };
    let all_down = match gateway.all_down {
        AllDown::ServeAll => "serve_all",
        AllDown::LastHealthy => "last_healthy",
        AllDown::Fallback(_) => "fallback",
        AllDown::NoData => "nodata",
    };
    wire::GatewayDetail {
        name: gateway.name.to_string(),
        hostnames: gateway.hostnames.first().map(ToString::to_string).into_iter().collect(),
        hostnames_count: gateway.hostnames.len(),
        ttl: gateway.ttl,
        min_ttl: gateway.min_ttl,
        policy: policy.to_owned(),
        answers: gateway.answers,
        all_down: all_down.to_owned(),
        residency: gateway.residency.is_some(),
        probe: gateway.probe.map(|probe| report.catalog.probe(probe).name.to_string()),
        fail_over: status::fail_over(report, id),
        addresses: counts.get(index).copied().unwrap_or_default(),
        endpoints: Vec::new(),
    }
}

/// A gateway with all it has.
pub(crate) fn gateway(report: &Report, index: usize, wall: SystemTime) -> wire::GatewayDetail {
    let id = GatewayId::from_index(index);
    let gateway = report.catalog.gateway(id);
    let endpoints = gateway.endpoints.iter().enumerate().map(|(number, endpoint)| {
        let own = report.endpoints.iter().filter(|of| of.gateway == id && of.endpoint == number);
        wire::GatewayEndpoint {
            cluster: report.catalog.cluster(endpoint.cluster).name.to_string(),
            weight: endpoint.weight,
            track: endpoint.track.as_str().to_owned(),
            addresses: own.map(|of| status::endpoint(report, of, wall)).collect(),
        }
    });
    let endpoints = endpoints.collect();
    let hostnames = gateway.hostnames.iter().map(ToString::to_string).collect();
    wire::GatewayDetail { hostnames, endpoints, ..gateway_in_list(report, &by_gateway(report), index) }
}

//----------- Verdicts -------------------------------------------------------

/// `transitions`: the number of the last one.
pub(crate) fn verdicts(report: &Report, transitions: u64) -> wire::Verdicts {
    let mut verdicts = wire::Verdicts {
        transitions,
        observed: Addresses::default(),
        effective: Addresses::default(),
        forced: std::collections::BTreeMap::new(),
        not_healthy: Vec::new(),
    };
    for of in &report.endpoints {
        count(&mut verdicts.observed, of.observed);
        count(&mut verdicts.effective, of.effective);
        let forced = of.forced.as_ref().map(|(_, order)| order.as_str().to_owned());
        if let Some(forced) = &forced {
            *verdicts.forced.entry(forced.clone()).or_default() += 1;
        }
        let is_healthy = forced.is_none() && [of.observed, of.effective] == [Verdict::Healthy; 2];
        if !is_healthy && verdicts.not_healthy.len() < NOT_HEALTHY_MAX {
            let [gateway, cluster, address] = id(report, of).map(Cow::into_owned);
            let (observed, effective) = (of.observed.as_str().to_owned(), of.effective.as_str().to_owned());
            verdicts.not_healthy.push(wire::Verdict {
                gateway,
                cluster,
                address,
                observed,
                forced,
                effective,
            });
        }
    }
    verdicts
}
