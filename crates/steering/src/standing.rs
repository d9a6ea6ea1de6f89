//! How the endpoints of a gateway stand, in one address family.

use std::net::IpAddr;

use meridian_model::{
    Endpoint, EndpointAddress, Gateway, GatewayOrders, Order, Share, TargetHealth, Verdict, Verdicts,
};

use crate::roster::Listed;

//----------- Family ---------------------------------------------------------

/// The address family that a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Whether an address belongs to the family.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

//----------- Health ---------------------------------------------------------

/// What counts for an address without a probe.
const UNPROBED: TargetHealth = TargetHealth { verdict: Verdict::Healthy, in_doubt: false, lost: 0 };

/// What is held of the endpoints of one gateway: what the probes find, and what operators say.
#[derive(Clone, Copy, Debug)]
pub struct Health<'v> {
    verdicts: &'v Verdicts,
    orders: &'v GatewayOrders,
}

impl<'v> Health<'v> {
    /// The orders must be those of the gateway that this is used for.
    #[must_use]
    pub fn new(verdicts: &'v Verdicts, orders: &'v GatewayOrders) -> Self {
        Self { verdicts, orders }
    }

    /// The health of an address; one without a probe counts as healthy.
    fn of(self, endpoint: usize, address: &EndpointAddress) -> TargetHealth {
        let found = address.target.map_or(UNPROBED, |target| self.verdicts.get(target));
        match self.order(endpoint, Some(address.ip)) {
            Some(Order::Up) => TargetHealth { lost: found.lost, ..UNPROBED },
            Some(Order::Down | Order::Drain(_)) | None => found,
        }
    }

    pub(crate) fn verdicts(self) -> &'v Verdicts {
        self.verdicts
    }

    pub(crate) fn order(self, endpoint: usize, address: Option<IpAddr>) -> Option<Order> {
        if self.orders.is_empty() { None } else { self.orders.get(endpoint, address) }
    }

    pub(crate) fn has_orders(self) -> bool {
        !self.orders.is_empty()
    }
}

impl<'v> From<&'v Verdicts> for Health<'v> {
    /// What the probes find, whatever operators say.
    fn from(verdicts: &'v Verdicts) -> Self {
        Self { verdicts, orders: GatewayOrders::NONE }
    }
}

//----------- Standing -------------------------------------------------------

/// How one endpoint stands in one family: all that [`crate::decide`] needs of its health.
///
/// Two gateways of the same shape whose endpoints stand alike get the same decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The best verdict of its addresses of the family; `None` where it has nothing to hand out.
    pub verdict: Option<Verdict>,
    /// Whether one of these verdicts is in doubt.
    pub in_doubt: bool,
    /// Among the gateway's endpoints that do not serve: the place of this one in the order in which
    /// they were lost, from 1; 0 for one that serves or never did.
    pub lost_rank: u16,
    /// What an operator leaves of its weight; `None`: it is out, whatever else holds.
    pub left: Option<Share>,
    /// Whether an operator says that it is up, whatever is found.
    pub raised: bool,
}

/// The standing of each endpoint of a gateway, in the gateway's order.
#[must_use]
pub fn standings<'v>(gateway: &Gateway, family: Family, health: impl Into<Health<'v>>) -> Vec<Standing> {
    let mut room = StandingRoom::default();
    room.standings(gateway, family, health);
    room.all
}

/// Room for standings, used for one gateway after the other.
#[derive(Debug, Default)]
pub struct StandingRoom {
    all: Vec<Standing>,
    /// When each was lost; 0 for one that serves or never did.
    lost: Vec<u64>,
    times: Vec<u64>,
}

impl StandingRoom {
    /// As [`standings`].
    pub fn standings<'v>(
        &mut self,
        gateway: &Gateway,
        family: Family,
        health: impl Into<Health<'v>>,
    ) -> &[Standing] {
        let health = health.into();
        let Self { all, lost, .. } = self;
        all.clear();
        lost.clear();
        // A CNAME that is seen for one type holds for all (RFC 1034 §3.6.2), so both families must choose alike:
        // by all addresses of an endpoint.
        let family = if gateway.has_cname() { None } else { Some(family) };
        for (index, endpoint) in gateway.endpoints.iter().enumerate() {
            let standing = standing(index, endpoint, family, health);
            let serves = standing.verdict.is_some_and(Verdict::serves);
            let found = addresses(endpoint, family).map(|address| health.of(index, address).lost);
            lost.push(if serves { 0 } else { found.max().unwrap_or(0) });
            all.push(standing);
        }
        self.ranked()
    }

    /// As [`StandingRoom::standings`] for a gateway of whose endpoints none is a hostname and no operator says
    /// anything: from its roster, which lies together, and how many of it each endpoint has.
    pub fn of_roster<A>(&mut self, roster: &[Listed<A>], counts: &[u16], verdicts: &Verdicts) -> &[Standing] {
        let Self { all, lost, .. } = self;
        all.clear();
        lost.clear();
        let mut left = roster;
        for &count in counts {
            let (own, others) = left.split_at_checked(count.into()).unwrap_or((left, &[]));
            left = others;
            let (mut best, mut lost_last) = (Best::default(), 0);
            for address in own {
                let health = address.target.map_or(UNPROBED, |target| verdicts.get(target));
                best.take(health, Share::ALL);
                lost_last = lost_last.max(health.lost);
            }
            let Best { verdict, in_doubt, raised, .. } = best;
            lost.push(if verdict.is_some_and(Verdict::serves) { 0 } else { lost_last });
            all.push(Standing { verdict, in_doubt, lost_rank: 0, left: Some(Share::ALL), raised });
        }
        self.ranked()
    }

    /// With the order in which those were lost that do not serve.
    fn ranked(&mut self) -> &[Standing] {
        let Self { all, lost, times } = self;
        times.clear();
        times.extend(lost.iter().copied().filter(|&when| when > 0));
        times.sort_unstable();
        times.dedup();
        for (standing, &when) in all.iter_mut().zip(&*lost) {
            if when > 0 {
                let rank = times.partition_point(|&other| other <= when);
                standing.lost_rank = u16::try_from(rank).unwrap_or(u16::MAX);
            }
        }
        all
    }
}

/// The addresses that count; those of one family, or all.
fn addresses(endpoint: &Endpoint, family: Option<Family>) -> impl Iterator<Item = &EndpointAddress> {
    endpoint.addresses.iter().filter(move |address| family.is_none_or(|family| family.has(address.ip)))
}

/// By the best of its addresses that an operator leaves in; if there is none, by the best of all, and out. A
/// hostname that is lost is unhealthy.
fn standing(index: usize, endpoint: &Endpoint, family: Option<Family>, health: Health<'_>) -> Standing {
    let (mut inside, mut outside) = (Best::default(), Best::default());
    for address in addresses(endpoint, family) {
        let order = health.order(index, Some(address.ip));
        let best = if order == Some(Order::Down) { &mut outside } else { &mut inside };
        best.take(health.of(index, address), share_left(order));
        best.raised |= order == Some(Order::Up);
    }
    let (mut best, mut left) = match inside.verdict {
        Some(_) => (inside, Some(inside.left)),
        None => (outside, None),
    };
    let in_doubt = best.in_doubt || endpoint.name.as_ref().is_some_and(|name| name.in_doubt);
    let verdict = match &endpoint.name {
        // It can be handed out without an address of ours.
        Some(name) if name.as_cname && best.verdict.is_none() => {
            let order = health.order(index, None);
            left = (order != Some(Order::Down)).then(|| share_left(order));
            best.raised = order == Some(Order::Up);
            Some(match order {
                Some(Order::Up) => Verdict::Healthy,
                _ if name.lost => Verdict::Unhealthy,
                _ => Verdict::Unknown,
            })
        }
        Some(name) if name.lost => best.verdict.and(Some(Verdict::Unhealthy)),
        _ => best.verdict,
    };
    Standing {
        verdict,
        in_doubt,
        lost_rank: 0,
        left: if verdict.is_some() { left } else { Some(Share::ALL) },
        raised: best.raised,
    }
}

/// What some addresses come to.
#[derive(Clone, Copy, Default)]
struct Best {
    verdict: Option<Verdict>,
    in_doubt: bool,
    left: Share,
    raised: bool,
}

impl Best {
    fn take(&mut self, health: TargetHealth, left: Share) {
        let is_better = self.verdict.is_none_or(|best| health.verdict.rank() > best.rank());
        self.verdict = if is_better { Some(health.verdict) } else { self.verdict };
        self.in_doubt |= health.in_doubt;
        self.left = self.left.max(left);
    }
}

fn share_left(order: Option<Order>) -> Share {
    if let Some(Order::Drain(left)) = order { left } else { Share::ALL }
}
