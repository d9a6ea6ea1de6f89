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
    /// The best verdict of its addresses of the family; `None` where it has none of them.
    pub verdict: Option<Verdict>,
    /// Whether one of these verdicts is in doubt.
    pub in_doubt: bool,
    /// Whether it was among the last of the gateway to stop being healthy.
    pub last_healthy: bool,
}

/// The standing of each endpoint of a gateway, in the gateway's order.
#[must_use]
pub fn standings(gateway: &Gateway, family: Family, verdicts: &Verdicts) -> Vec<Standing> {
    let last_lost = gateway.endpoints.iter().map(|endpoint| lost(endpoint, family, verdicts)).max();
    gateway
        .endpoints
        .iter()
        .map(|endpoint| Standing {
            verdict: verdict(endpoint, family, verdicts),
            in_doubt: addresses(endpoint, family).any(|address| in_doubt(address, verdicts)),
            last_healthy: last_lost.is_some_and(|last| last > 0 && lost(endpoint, family, verdicts) == last),
        })
        .collect()
}

/// The verdict on one address; one without a probe counts as healthy.
fn verdict_of(address: &EndpointAddress, verdicts: &Verdicts) -> Verdict {
    address.target.map_or(Verdict::Healthy, |target| verdicts.get(target).verdict)
}

fn in_doubt(address: &EndpointAddress, verdicts: &Verdicts) -> bool {
    address.target.is_some_and(|target| verdicts.get(target).in_doubt)
}

fn addresses(endpoint: &Endpoint, family: Family) -> impl Iterator<Item = &EndpointAddress> {
    endpoint.addresses.iter().filter(move |address| family.has(address.ip))
}

/// Healthy if one address is; else unknown if one is; else unhealthy.
fn verdict(endpoint: &Endpoint, family: Family, verdicts: &Verdicts) -> Option<Verdict> {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Healthy => 2,
        Verdict::Unknown => 1,
        Verdict::Unhealthy => 0,
    };
    addresses(endpoint, family).map(|address| verdict_of(address, verdicts)).max_by_key(rank)
}

/// When the endpoint last lost an address of the family; 0: never.
fn lost(endpoint: &Endpoint, family: Family, verdicts: &Verdicts) -> u64 {
    addresses(endpoint, family)
        .filter_map(|address| address.target.map(|target| verdicts.get(target).lost))
        .max()
        .unwrap_or(0)
}
