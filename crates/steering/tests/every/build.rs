//! A small world: eight clusters along the equator, one every ten degrees (1,112 km) eastwards.

use meridian_model::{
    Catalog, CatalogParts, Check, Cluster, ClusterId, Coordinates, CountryCode, Endpoint, EndpointAddress,
    Gateway, Jurisdiction, LatencyTable, Place, Policy, Prefix, PrefixId, Probe, ProbeAt, ProbeId,
    TargetHealth, TcpCheck, Thresholds, Tier, Track, Verdict, Verdicts,
};
use meridian_steering::{
    Client, Decision, Family, Note, Outlook, Permit, Ranker, Split, decide, permit, standings,
};

pub(crate) const HEALTHY: TargetHealth = TargetHealth { verdict: Verdict::Healthy, in_doubt: false, lost: 0 };
pub(crate) const UNHEALTHY: TargetHealth =
    TargetHealth { verdict: Verdict::Unhealthy, in_doubt: false, lost: 1 };
pub(crate) const CLUSTERS: usize = 8;

//----------- Parts ----------------------------------------------------------

pub(crate) fn cluster(index: usize) -> ClusterId {
    ClusterId::from_index(index)
}

pub(crate) fn clusters(indices: &[usize]) -> Vec<ClusterId> {
    indices.iter().copied().map(cluster).collect()
}

pub(crate) fn country(code: &str) -> CountryCode {
    CountryCode::parse(code).expect("a code")
}

pub(crate) fn tier(indices: &[usize], policy: Policy) -> Tier {
    Tier::new(clusters(indices), policy)
}

pub(crate) fn address(ip: &str) -> EndpointAddress {
    EndpointAddress { ip: ip.parse().expect("valid"), target: None }
}

/// An endpoint in a cluster with one IPv4 address.
pub(crate) fn endpoint(at: usize) -> Endpoint {
    let addresses = vec![address(&format!("192.0.2.{at}"))];
    Endpoint {
        cluster: cluster(at),
        addresses,
        name: None,
        probe_at: ProbeAt::default(),
        weight: 100,
        track: Track::Stable,
    }
}

/// A gateway with one endpoint in each of the first clusters.
pub(crate) fn gateway(policy: Policy, endpoints: usize) -> Gateway {
    Gateway {
        name: "shop".into(),
        ttl: 30,
        min_ttl: 5,
        answers: Some(1),
        policy,
        probe: Some(ProbeId::from_index(0)),
        endpoints: (0..endpoints).map(endpoint).collect(),
        ..Gateway::default()
    }
}

/// At this many degrees east on the equator.
pub(crate) fn at(degrees_east: f64) -> Place {
    Place { coordinates: Coordinates::new(0.0, degrees_east).ok(), ..Place::default() }
}

pub(crate) fn in_country(code: &str) -> Place {
    Place { country: Some(country(code)), ..Place::default() }
}

fn probe() -> Probe {
    let second = std::time::Duration::from_secs(1);
    Probe {
        name: "p".into(),
        check: Check::Tcp(TcpCheck::default()),
        invert: false,
        address: None,
        port: 80,
        interval: second,
        fast_interval: second,
        timeout: second,
        thresholds: Thresholds::default(),
    }
}

/// Only the named are unhealthy.
pub(crate) fn down(count: usize, unhealthy: &[usize]) -> Vec<TargetHealth> {
    (0..count).map(|index| if unhealthy.contains(&index) { UNHEALTHY } else { HEALTHY }).collect()
}

/// The endpoints of the candidates.
pub(crate) fn chosen(decision: &Decision) -> Vec<u16> {
    decision.candidates.iter().map(|candidate| candidate.endpoint).collect()
}

//----------- World ----------------------------------------------------------

/// One gateway with all that it refers to.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) catalog: Catalog,
}

/// What a gateway refers to beside clusters.
#[derive(Debug, Default)]
pub(crate) struct Around {
    pub(crate) jurisdictions: Vec<Jurisdiction>,
    pub(crate) latency_tables: Vec<LatencyTable>,
    pub(crate) prefixes: Vec<Prefix>,
}

impl World {
    pub(crate) fn new(gateway: Gateway) -> Self {
        Self::with(gateway, Around::default())
    }

    pub(crate) fn with(gateway: Gateway, around: Around) -> Self {
        let cluster = |index: usize| Cluster {
            name: format!("c{index}").into(),
            coordinates: Coordinates::new(0.0, 10.0 * f64::from(u8::try_from(index).expect("small")))
                .expect("small"),
            country: None,
            jurisdictions: vec![],
        };
        let Around { jurisdictions, latency_tables, prefixes } = around;
        let parts = CatalogParts {
            clusters: (0..CLUSTERS).map(cluster).collect(),
            probes: vec![probe()],
            jurisdictions,
            latency_tables,
            prefixes,
            gateways: vec![gateway],
            ..CatalogParts::default()
        };
        Self { catalog: Catalog::new(parts) }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.catalog.gateways()[0]
    }

    /// The clusters of the gateway's endpoints, as the view asks for them.
    pub(crate) fn clusters(&self) -> Vec<ClusterId> {
        let mut all: Vec<ClusterId> = self.gateway().endpoints.iter().map(|each| each.cluster).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn outlook(&self, client: Client<'_>) -> Outlook {
        let clusters = self.clusters();
        let permit = match &self.gateway().residency {
            None => Permit::All,
            Some(residency) => permit(residency, &clusters, client.place, &self.catalog, &mut ()),
        };
        let rank = Ranker::new(&self.catalog).rank(&self.gateway().policy, &clusters, client, &mut ());
        Outlook { permit, rank }
    }

    pub(crate) fn split(&self, client: Client<'_>, family: Family, health: &[TargetHealth]) -> Split {
        let outlook = self.outlook(client);
        let standings = standings(self.gateway(), family, &Verdicts::new(health.to_vec()));
        let silent = decide(self.gateway(), family, &standings, &outlook, &mut ());
        let mut trail: Vec<Note> = Vec::new();
        let noted = decide(self.gateway(), family, &standings, &outlook, &mut trail);
        assert_eq!(silent, noted, "who asks why gets another answer");
        silent
    }

    /// For a client of the live track that asks for A.
    pub(crate) fn ask(&self, place: &Place, health: &[TargetHealth]) -> Decision {
        self.split(Client { place, prefix: None }, Family::V4, health).live
    }

    /// As [`World::ask`], with everything healthy but the targets named; the endpoints chosen.
    pub(crate) fn without(&self, place: &Place, unhealthy: &[usize]) -> Vec<u16> {
        chosen(&self.ask(place, &down(self.catalog.targets().len(), unhealthy)))
    }

    /// As [`World::without`], for a client in one of the catalog's prefixes.
    pub(crate) fn within(&self, prefix: usize, place: &Place, unhealthy: &[usize]) -> Vec<u16> {
        let client = Client { place, prefix: Some(PrefixId::from_index(prefix)) };
        let health = down(self.catalog.targets().len(), unhealthy);
        chosen(&self.split(client, Family::V4, &health).live)
    }

    /// The first tier in which each endpoint serves: the nearest is taken down until none is left.
    pub(crate) fn order(&self, place: &Place) -> Vec<Vec<u16>> {
        let mut unhealthy = Vec::new();
        let mut order = Vec::new();
        while unhealthy.len() < self.catalog.targets().len() {
            let health = down(self.catalog.targets().len(), &unhealthy);
            let decision = self.ask(place, &health);
            if decision.doubt.is_some() {
                break;
            }
            unhealthy.extend(chosen(&decision).into_iter().map(usize::from));
            order.push(chosen(&decision));
        }
        order
    }
}
