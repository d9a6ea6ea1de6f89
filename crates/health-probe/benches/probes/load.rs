//! What is probed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use meridian_model::{
    Catalog, CatalogParts, Check, Cluster, ClusterId, Coordinates, Endpoint, EndpointAddress, Gateway,
    HttpCheck, Policy, Probe, ProbeAt, ProbeId, TcpCheck, Thresholds, Track,
};

use crate::servers::Ports;

/// How some targets answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// 200.
    Up,
    /// 503, as long as the 200.
    Status,
    /// Nobody listens.
    Refused,
    /// Accepts (or not even that) and says nothing, until the timeout.
    Silent,
}

/// What a probe does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Http,
    KeepAlive,
    Tcp,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    kind: Kind,
    /// How many targets answer how.
    pub(crate) parts: &'static [(Shape, u16)],
}

const fn case(name: &'static str, kind: Kind, parts: &'static [(Shape, u16)]) -> Case {
    Case { name, kind, parts }
}

pub(crate) const CASES: &[Case] = &[
    case("http", Kind::Http, &[(Shape::Up, 10_000)]),
    case("keep-alive", Kind::KeepAlive, &[(Shape::Up, 10_000)]),
    case("tcp", Kind::Tcp, &[(Shape::Up, 10_000)]),
    case("http-503-half", Kind::Http, &[(Shape::Up, 5_000), (Shape::Status, 5_000)]),
    case("http-503-all", Kind::Http, &[(Shape::Status, 10_000)]),
    case("http-refused-half", Kind::Http, &[(Shape::Up, 5_000), (Shape::Refused, 5_000)]),
    case("http-refused-all", Kind::Http, &[(Shape::Refused, 10_000)]),
    case("tcp-refused-half", Kind::Tcp, &[(Shape::Up, 5_000), (Shape::Refused, 5_000)]),
    case("tcp-refused-all", Kind::Tcp, &[(Shape::Refused, 10_000)]),
    case("http-silent-half", Kind::Http, &[(Shape::Up, 5_000), (Shape::Silent, 5_000)]),
];

impl Case {
    pub(crate) fn targets(&self) -> u16 {
        self.parts.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn catalog(&self, ports: &Ports) -> Catalog {
        let mut next = 0_u16;
        let mut parts = CatalogParts { clusters: vec![cluster()], ..CatalogParts::default() };
        for (index, (shape, count)) in self.parts.iter().enumerate() {
            let port = match shape {
                Shape::Up => ports.up,
                Shape::Status => ports.status,
                Shape::Refused => ports.refused,
                Shape::Silent => ports.silent,
            };
            let addresses = (next..next + count).map(address).collect();
            next += count;
            parts.probes.push(probe(self.kind, port));
            parts.gateways.push(gateway(index, addresses));
        }
        Catalog::new(parts)
    }
}

/// A loopback address of its own for each target, so that none runs out of ports.
fn address(number: u16) -> EndpointAddress {
    let [high, low] = number.to_be_bytes();
    EndpointAddress { ip: IpAddr::V4(Ipv4Addr::new(127, 1, high, low)), target: None }
}

fn cluster() -> Cluster {
    Cluster {
        name: "eu-west".into(),
        coordinates: Coordinates::new(53.35, -6.26).expect("on the globe"),
        country: None,
        jurisdictions: Vec::new(),
    }
}

fn probe(kind: Kind, port: u16) -> Probe {
    let http = HttpCheck { path: "/healthz".into(), ..HttpCheck::default() };
    let check = match kind {
        Kind::Http => Check::Http(Box::new(http)),
        Kind::KeepAlive => Check::Http(Box::new(HttpCheck { keep_alive: true, ..http })),
        Kind::Tcp => Check::Tcp(TcpCheck::default()),
    };
    Probe {
        name: format!("{kind:?} {port}").into(),
        check,
        invert: false,
        address: None,
        port,
        interval: Duration::from_secs(1),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
    }
}

fn gateway(index: usize, addresses: Vec<EndpointAddress>) -> Gateway {
    let endpoint = Endpoint {
        cluster: ClusterId::from_index(0),
        addresses,
        name: None,
        probe_at: ProbeAt::default(),
        weight: 100,
        track: Track::Stable,
    };
    Gateway {
        name: format!("g{index}").into(),
        ttl: 30,
        min_ttl: 5,
        policy: Policy::All,
        probe: Some(ProbeId::from_index(index)),
        endpoints: vec![endpoint],
        ..Gateway::default()
    }
}
