//! Verdicts: what the probes found.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{GatewayId, GatewayOrders, Order, Orders, TargetId};

/// What is held of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Never probed yet; not handed out while another is healthy.
    #[default]
    Unknown,
    /// Serves.
    Healthy,
    /// Serves, with a reason to prefer others: only handed out when none of its tier is healthy.
    Degraded,
    /// Does not serve.
    Unhealthy,
}

impl Verdict {
    /// The word for logs and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The better, the higher: healthy, degraded, unknown, unhealthy.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Healthy => 3,
            Self::Degraded => 2,
            Self::Unknown => 1,
            Self::Unhealthy => 0,
        }
    }

    /// Whether it serves: healthy or degraded.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

/// What a view holds of one target: all that an answer needs of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetHealth {
    /// The effective verdict.
    pub verdict: Verdict,
    /// A contrary outcome is being counted, or the verdict changed within the probe's `hold_down`.
    pub in_doubt: bool,
    /// When it last stopped being healthy, as a count that grows with every such event of any
    /// target; 0: never was healthy.
    pub lost: u64,
}

/// The health of every target of a catalog, by [`TargetId`]; and what operators say of endpoints, whatever that
/// is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    targets: Vec<TargetHealth>,
    /// One bit a target, for the question that every answer asks.
    healthy: Vec<u64>,
    orders: Arc<Orders>,
}

impl Verdicts {
    /// Takes one entry a target, in the catalog's order.
    #[must_use]
    pub fn new(targets: Vec<TargetHealth>) -> Self {
        let mut healthy = vec![0; targets.len().div_ceil(64)];
        for (index, target) in targets.iter().enumerate() {
            healthy[index / 64] |= u64::from(target.verdict == Verdict::Healthy) << (index % 64);
        }
        Self { targets, healthy, orders: Arc::default() }
    }

    /// The same with what operators say beside it.
    #[must_use]
    pub fn with_orders(self, orders: Arc<Orders>) -> Self {
        Self { orders, ..self }
    }

    /// What operators say of the endpoints of a gateway.
    #[must_use]
    pub fn orders(&self, gateway: GatewayId) -> &GatewayOrders {
        self.orders.of(gateway)
    }

    /// Whether a target is healthy.
    #[must_use]
    pub fn is_healthy(&self, target: TargetId) -> bool {
        let index = target.index();
        self.healthy.get(index / 64).is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    /// The health of a target; unknown for one that the table does not have.
    #[must_use]
    pub fn get(&self, target: TargetId) -> TargetHealth {
        self.targets.get(target.index()).copied().unwrap_or_default()
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}

/// A change of verdict, with all that a log line or a person needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Counts all transitions since the start, from 1: a view says which it has.
    pub number: u64,
    /// Which target of the catalog then in force.
    pub target: TargetId,
    /// The first endpoint that uses it, as `gateway/cluster/address`.
    pub endpoint: Box<str>,
    /// How many gateways use it.
    pub gateways: usize,
    /// The probe's name.
    pub probe: Box<str>,
    /// The address that was checked.
    pub address: IpAddr,
    /// The effective verdict before.
    pub from: Verdict,
    /// What the probes say now.
    pub observed: Verdict,
    /// What an operator says of that endpoint.
    pub forced: Option<Order>,
    /// What counts now for that endpoint: the observed verdict together with what an operator says.
    pub effective: Verdict,
    /// Why, in words to act on: `GET http://192.0.2.10:8080/healthz: 503, wanted 200-299 (3rd of 3)`.
    pub cause: String,
    /// How long the verdict before had held; `None` for the first.
    pub held: Option<Duration>,
    /// How long detection took: from the start of the first probe that spoke against the verdict before;
    /// `None` for the first.
    pub took: Option<Duration>,
}
