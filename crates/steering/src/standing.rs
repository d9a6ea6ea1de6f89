//! How the endpoints of a gateway stand, in one address family.

use std::net::IpAddr;

use meridian_model::{Endpoint, EndpointAddress, Gateway, Verdict, Verdicts};

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
}

/// The standing of each endpoint of a gateway, in the gateway's order.
#[must_use]
pub fn standings(gateway: &Gateway, family: Family, verdicts: &Verdicts) -> Vec<Standing> {
    // A CNAME that is seen for one type holds for all (RFC 1034 §3.6.2), so both families must choose alike:
    // by all addresses of an endpoint.
    let family = if gateway.has_cname() { None } else { Some(family) };
    let mut all: Vec<Standing> = Vec::with_capacity(gateway.endpoints.len());
    let mut lost = Vec::new();
    for endpoint in &gateway.endpoints {
        let verdict = verdict(endpoint, family, verdicts);
        let when = if verdict.is_some_and(Verdict::serves) { 0 } else { lost_at(endpoint, family, verdicts) };
        lost.push(when);
        let name_in_doubt = endpoint.name.as_ref().is_some_and(|name| name.in_doubt);
        let in_doubt =
            name_in_doubt || addresses(endpoint, family).any(|address| in_doubt(address, verdicts));
        all.push(Standing { verdict, in_doubt, lost_rank: 0 });
    }
    if lost.iter().any(|&when| when > 0) {
        let mut times: Vec<u64> = lost.iter().copied().filter(|&when| when > 0).collect();
        times.sort_unstable();
        times.dedup();
        for (standing, when) in all.iter_mut().zip(lost) {
            if when > 0 {
                let rank = times.partition_point(|&other| other <= when);
                standing.lost_rank = u16::try_from(rank).unwrap_or(u16::MAX);
            }
        }
    }
    all
}

/// The verdict on one address; one without a probe counts as healthy.
fn verdict_of(address: &EndpointAddress, verdicts: &Verdicts) -> Verdict {
    address.target.map_or(Verdict::Healthy, |target| verdicts.get(target).verdict)
}

fn in_doubt(address: &EndpointAddress, verdicts: &Verdicts) -> bool {
    address.target.is_some_and(|target| verdicts.get(target).in_doubt)
}

/// The addresses that count; those of one family, or all.
fn addresses(endpoint: &Endpoint, family: Option<Family>) -> impl Iterator<Item = &EndpointAddress> {
    endpoint.addresses.iter().filter(move |address| family.is_none_or(|family| family.has(address.ip)))
}

/// Healthy if one address is; else degraded, else unknown if one is; else unhealthy. A hostname that is lost is
/// unhealthy.
fn verdict(endpoint: &Endpoint, family: Option<Family>, verdicts: &Verdicts) -> Option<Verdict> {
    let all = addresses(endpoint, family).map(|address| verdict_of(address, verdicts));
    let best = all.max_by_key(|verdict| verdict.rank());
    match &endpoint.name {
        // It can be handed out without an address of ours.
        Some(name) if name.as_cname && best.is_none() => {
            Some(if name.lost { Verdict::Unhealthy } else { Verdict::Unknown })
        }
        Some(name) if name.lost => best.and(Some(Verdict::Unhealthy)),
        _ => best,
    }
}

/// When the endpoint last lost an address of the family; 0: never.
fn lost_at(endpoint: &Endpoint, family: Option<Family>, verdicts: &Verdicts) -> u64 {
    addresses(endpoint, family)
        .filter_map(|address| address.target.map(|target| verdicts.get(target).lost))
        .max()
        .unwrap_or(0)
}
