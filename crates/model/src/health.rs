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
/// is. A copy costs nothing, and one that is then changed copies the table once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    targets: Arc<[TargetHealth]>,
    /// One bit a target, for the question that every answer asks.
    healthy: Arc<[u64]>,
    orders: Arc<Orders>,
}

/// Targets that are compared at once.
const COMPARED: usize = 64;

impl Verdicts {
    /// Takes one entry a target, in the catalog's order.
    #[must_use]
    pub fn new(targets: Vec<TargetHealth>) -> Self {
        let mut healthy = vec![0; targets.len().div_ceil(64)];
        for (index, target) in targets.iter().enumerate() {
            healthy[index / 64] |= u64::from(target.verdict == Verdict::Healthy) << (index % 64);
        }
        Self { targets: targets.into(), healthy: healthy.into(), orders: Arc::default() }
    }

    /// The same with what operators say beside it.
    #[must_use]
    pub fn with_orders(self, orders: Arc<Orders>) -> Self {
        Self { orders, ..self }
    }

    /// Changes the health of a target, and says whether that changed anything. One that the table does not have
    /// stays unknown.
    pub fn set(&mut self, target: TargetId, health: TargetHealth) -> bool {
        let index = target.index();
        if self.targets.get(index).is_none_or(|known| *known == health) {
            return false;
        }
        let is_healthy = health.verdict == Verdict::Healthy;
        if is_healthy != self.is_healthy(target)
            && let Some(bits) = Arc::make_mut(&mut self.healthy).get_mut(index / 64)
        {
            *bits ^= 1 << (index % 64);
        }
        if let Some(known) = Arc::make_mut(&mut self.targets).get_mut(index) {
            *known = health;
        }
        true
    }

    /// The targets whose health differs from that in another table of the same catalog, ascending.
    pub fn changed_since(&self, before: &Self) -> impl Iterator<Item = TargetId> {
        let both = self.len().min(before.len());
        // A copy that nobody changed need not be read.
        let compared = if Arc::ptr_eq(&self.targets, &before.targets) { 0 } else { both };
        let chunks =
            self.targets[..compared].chunks(COMPARED).zip(before.targets[..compared].chunks(COMPARED));
        let within = chunks.enumerate().filter(|(_, (now, before))| now != before).flat_map(
            |(chunk, (now, before))| {
                let pairs = now.iter().zip(before).enumerate().filter(|(_, (now, before))| now != before);
                pairs.map(move |(index, _)| chunk * COMPARED + index)
            },
        );
        let beyond = both..self.len().max(before.len());
        let is_other = |&target: &TargetId| self.get(target) != before.get(target);
        within.map(TargetId::from_index).chain(beyond.map(TargetId::from_index).filter(is_other))
    }

    /// The gateways of which operators say something else than in another table of the same catalog.
    #[must_use]
    pub fn ordered_since(&self, before: &Self) -> Vec<GatewayId> {
        if Arc::ptr_eq(&self.orders, &before.orders) { Vec::new() } else { self.orders.since(&before.orders) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_copy_leaves_the_other_as_it_was_and_says_what_changed() {
        let healthy = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
        let down = TargetHealth { verdict: Verdict::Unhealthy, in_doubt: true, lost: 1 };
        let before = Verdicts::new(vec![healthy; 200]);
        let mut now = before.clone();
        let changed = [0, 63, 64, 199].map(TargetId::from_index);
        for target in changed {
            assert!(now.set(target, down) && !now.set(target, down), "{target:?}");
            assert!(before.is_healthy(target) && !now.is_healthy(target));
        }
        assert!(now.changed_since(&before).eq(changed) && before.changed_since(&now).eq(changed));
        assert!(!now.set(TargetId::from_index(200), down));
        let mut anew: Vec<TargetHealth> = vec![healthy; 200];
        changed.iter().for_each(|target| anew[target.index()] = down);
        assert_eq!(now, Verdicts::new(anew));
        for target in changed {
            now.set(target, healthy);
        }
        assert_eq!(now, before);
        assert_eq!(now.changed_since(&before).count(), 0);
        let short = Verdicts::new(vec![healthy; 198]);
        assert!(now.changed_since(&short).eq([198, 199].map(TargetId::from_index)));
        assert!(short.changed_since(&now).eq([198, 199].map(TargetId::from_index)));
    }
}
