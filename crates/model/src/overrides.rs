//! Overrides: what an operator says of endpoints, whatever the probes find.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::{GatewayId, Share, Verdict, glob_matches};

//----------- Override -------------------------------------------------------

/// What an operator says of some endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Of which; there is one override a target, the last one said.
    pub target: OverrideTarget,
    /// What counts for them.
    pub forced: Forced,
    /// Why, in the operator's words.
    pub reason: Box<str>,
    /// Who said so.
    pub by: Box<str>,
}

/// What counts whatever the probes find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Healthy.
    Up,
    /// Out: not handed out, not even when nothing else is left.
    Down,
    /// Handed out less and less: the weight falls to 0 over this time, and then only when nothing else is
    /// left. What the probes find counts.
    Drain {
        /// From the whole weight to none of it.
        over: Duration,
    },
}

impl Forced {
    /// As it is written and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Drain { .. } => "drain",
        }
    }

    /// What it means for an endpoint after it has held for a time.
    #[must_use]
    pub fn order(self, age: Duration) -> Order {
        match self {
            Self::Up => Order::Up,
            Self::Down => Order::Down,
            Self::Drain { over } if age >= over => Order::Drain(Share::NONE),
            // In whole percent, so that a drain is a hundred steps and not one a query.
            Self::Drain { over } => {
                let percent = ((over - age).as_nanos() * 100).div_ceil(over.as_nanos());
                let fraction = f64::from(u8::try_from(percent).unwrap_or(100)) / 100.0;
                Order::Drain(Share::from_fraction(fraction).unwrap_or_default())
            }
        }
    }
}

//----------- OverrideTarget -------------------------------------------------

/// Which endpoints an override is about: each part may be a pattern with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OverrideTarget {
    /// All endpoints of clusters: `cluster/eu-*`.
    Cluster(Box<str>),
    /// All endpoints of gateways: `gateway/shop`.
    Gateway(Box<str>),
    /// Addresses or hostnames in a cluster of a gateway: `endpoint/shop/eu-west/192.0.2.10`.
    Endpoint([Box<str>; 3]),
}

/// A text that is no [`OverrideTarget`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected cluster/NAME, gateway/NAME or endpoint/GATEWAY/CLUSTER/ADDRESS, found {0:?}")]
pub struct OverrideTargetError(Box<str>);

/// Octets of a target: three names and an address, with room.
const TARGET_OCTETS_MAX: usize = 512;

impl FromStr for OverrideTarget {
    type Err = OverrideTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || OverrideTargetError(text.chars().take(TARGET_OCTETS_MAX).collect());
        let is_part = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:*?".contains(c))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if text.len() > TARGET_OCTETS_MAX || !parts.iter().all(is_part) {
            return Err(wrong());
        }
        match parts[..] {
            ["cluster", name] => Ok(Self::Cluster(name.into())),
            ["gateway", name] => Ok(Self::Gateway(name.into())),
            ["endpoint", gateway, cluster, address] => {
                // As addresses are written here: 2001:DB8:0::1 is 2001:db8::1.
                let address = match address.parse::<IpAddr>() {
                    Ok(address) => address.to_string().into(),
                    Err(_) => address.trim_end_matches('.').to_ascii_lowercase().into(),
                };
                Ok(Self::Endpoint([gateway.into(), cluster.into(), address]))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for OverrideTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name) => write!(f, "cluster/{name}"),
            Self::Gateway(name) => write!(f, "gateway/{name}"),
            Self::Endpoint([gateway, cluster, address]) => {
                write!(f, "endpoint/{gateway}/{cluster}/{address}")
            }
        }
    }
}

impl OverrideTarget {
    /// Whether it is about an endpoint's address, or the hostname that it is handed out by.
    #[must_use]
    pub fn matches(&self, gateway: &str, cluster: &str, address: &str) -> bool {
        match self {
            Self::Cluster(name) => glob_matches(name, cluster),
            Self::Gateway(name) => glob_matches(name, gateway),
            Self::Endpoint([of_gateway, of_cluster, of_address]) => {
                glob_matches(of_gateway, gateway)
                    && glob_matches(of_cluster, cluster)
                    && glob_matches(of_address, address)
            }
        }
    }

    /// Whether any endpoint of a cluster of a gateway can match.
    #[must_use]
    pub fn may_match(&self, gateway: &str, cluster: &str) -> bool {
        match self {
            Self::Cluster(name) => glob_matches(name, cluster),
            Self::Gateway(name) => glob_matches(name, gateway),
            Self::Endpoint([of_gateway, of_cluster, _]) => {
                glob_matches(of_gateway, gateway) && glob_matches(of_cluster, cluster)
            }
        }
    }

    /// Of two that match, the one with the greater is narrower: an endpoint before a gateway before a cluster
    /// (which has endpoints of all gateways), then more parts without a pattern, then more characters that
    /// are none.
    #[must_use]
    pub fn narrowness(&self) -> (u8, usize, usize) {
        let is_wild = |c: char| c == '*' || c == '?';
        let (kind, parts): (u8, &[Box<str>]) = match self {
            Self::Cluster(name) => (0, std::slice::from_ref(name)),
            Self::Gateway(name) => (1, std::slice::from_ref(name)),
            Self::Endpoint(parts) => (2, parts),
        };
        let exact = parts.iter().filter(|part| !part.contains(is_wild)).count();
        (kind, exact, parts.iter().map(|part| part.chars().filter(|&c| !is_wild(c)).count()).sum())
    }
}

//----------- Orders ---------------------------------------------------------

/// What overrides mean for one address now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Healthy, whatever is observed.
    Up,
    /// Out.
    Down,
    /// This much of its weight is left.
    Drain(Share),
}

impl Order {
    /// The word for logs and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Drain(_) => "drain",
        }
    }

    /// What counts where the probes say this.
    #[must_use]
    pub fn overrule(self, observed: Verdict) -> Verdict {
        match self {
            Self::Up => Verdict::Healthy,
            Self::Down => Verdict::Unhealthy,
            Self::Drain(_) => observed,
        }
    }
}

/// The orders of a catalog: sparse, as there are few at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    gateways: BTreeMap<GatewayId, GatewayOrders>,
}

/// The orders for the endpoints of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayOrders {
    /// By endpoint and address; without an address for an endpoint that has none and is a CNAME.
    entries: BTreeMap<(usize, Option<IpAddr>), Order>,
}

impl Orders {
    /// Gives an order for an address of an endpoint, by the endpoint's index in its gateway.
    pub fn give(&mut self, gateway: GatewayId, endpoint: usize, address: Option<IpAddr>, order: Order) {
        self.gateways.entry(gateway).or_default().entries.insert((endpoint, address), order);
    }

    /// Those of one gateway.
    #[must_use]
    pub fn of(&self, gateway: GatewayId) -> &GatewayOrders {
        self.gateways.get(&gateway).unwrap_or(GatewayOrders::NONE)
    }

    /// The gateways whose orders differ from the others, ascending.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<GatewayId> {
        let lifted = before.gateways.keys().filter(|gateway| !self.gateways.contains_key(gateway));
        let differ = self.gateways.iter().filter(|(gateway, orders)| before.of(**gateway) != *orders);
        let mut all: Vec<GatewayId> = differ.map(|(gateway, _)| gateway).chain(lifted).copied().collect();
        all.sort_unstable();
        all
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gateways.is_empty()
    }
}

impl GatewayOrders {
    /// No orders.
    pub const NONE: &'static Self = &Self { entries: BTreeMap::new() };

    /// The order for an address of an endpoint.
    #[must_use]
    pub fn get(&self, endpoint: usize, address: Option<IpAddr>) -> Option<Order> {
        self.entries.get(&(endpoint, address)).copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> OverrideTarget {
        text.parse().unwrap()
    }

    #[test]
    fn targets_are_read_and_written() {
        for text in
            ["cluster/eu-*", "gateway/shop", "endpoint/shop/eu-west/192.0.2.10", "endpoint/*/*/lb.example"]
        {
            assert_eq!(target(text).to_string(), text);
        }
        assert_eq!(target("endpoint/a/b/2001:DB8:0::1").to_string(), "endpoint/a/b/2001:db8::1");
        assert_eq!(target("endpoint/a/b/LB.Example.").to_string(), "endpoint/a/b/lb.example");
        for wrong in [
            "",
            "cluster",
            "cluster/",
            "clusters/a",
            "cluster/a/b",
            "endpoint/a/b",
            "gateway/a b",
            "cluster/ä",
        ] {
            assert!(wrong.parse::<OverrideTarget>().is_err(), "{wrong}");
        }
        assert!(
            "cluster/"
                .parse::<OverrideTarget>()
                .unwrap_err()
                .to_string()
                .contains("endpoint/GATEWAY/CLUSTER")
        );
        assert!(format!("cluster/{}", "a".repeat(600)).parse::<OverrideTarget>().is_err());
    }

    #[test]
    fn targets_match_what_they_name() {
        let of = |text: &str| target(text).matches("shop", "eu-west", "192.0.2.10");
        for text in ["cluster/eu-*", "gateway/s??p", "endpoint/shop/eu-west/192.0.2.10", "endpoint/*/*/*"] {
            assert!(of(text), "{text}");
        }
        for text in ["cluster/us-*", "gateway/shops", "endpoint/shop/eu-west/192.0.2.1"] {
            assert!(!of(text), "{text}");
        }
    }

    #[test]
    fn the_narrower_comes_after() {
        let in_order = [
            "cluster/*",
            "cluster/eu-*",
            "cluster/eu-west",
            "gateway/*",
            "gateway/shop",
            "endpoint/*/*/192.0.2.*",
            "endpoint/shop/*/192.0.2.*",
            "endpoint/shop/eu-west/*",
            "endpoint/shop/eu-west/192.0.2.10",
        ];
        assert!(in_order.map(target).is_sorted_by_key(OverrideTarget::narrowness));
    }

    #[test]
    fn orders_that_differ_are_those_given_changed_and_lifted() {
        let of = |all: &[(usize, Order)]| {
            let mut orders = Orders::default();
            for &(gateway, order) in all {
                orders.give(GatewayId::from_index(gateway), 0, None, order);
            }
            orders
        };
        let before = of(&[(1, Order::Up), (3, Order::Up), (5, Order::Up)]);
        let now = of(&[(1, Order::Up), (3, Order::Down), (7, Order::Up)]);
        let differ = [3, 5, 7].map(GatewayId::from_index);
        assert_eq!(now.since(&before), differ);
        assert_eq!(before.since(&now), differ);
        assert_eq!(now.since(&now), []);
    }

    #[test]
    fn a_drain_falls_in_percent_to_nothing() {
        let over = Duration::from_secs(100);
        let left = |seconds| match (Forced::Drain { over }).order(Duration::from_millis(seconds)) {
            Order::Drain(share) => share.millionths(),
            order => panic!("{order:?}"),
        };
        assert_eq!(
            [0, 500, 1000, 50_000, 99_500, 100_000].map(left),
            [1_000_000, 1_000_000, 990_000, 500_000, 10_000, 0]
        );
        assert_eq!(Forced::Drain { over: Duration::ZERO }.order(Duration::ZERO), Order::Drain(Share::NONE));
    }
}
