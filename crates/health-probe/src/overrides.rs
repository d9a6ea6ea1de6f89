//! Overrides in force: what they mean for which address, and when that changes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use meridian_model::{Catalog, Endpoint, Forced, GatewayId, Order, Orders, Override, OverrideTarget};
use tokio::time::Instant;

use crate::limits::DRAIN_STEP_MIN;

/// An override with its times, seen from the moment at which it is handed over: clocks that jump are
/// somebody else's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// What was said.
    pub said: Override,
    /// How long it has held already.
    pub age: Duration,
    /// How long it still holds; `None`: until it is lifted.
    pub left: Option<Duration>,
}

/// All overrides in force.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    list: Vec<InForce>,
    orders: Arc<Orders>,
    /// When an order changes next by itself.
    next: Option<Instant>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) said: Override,
    handed_over: Instant,
    age_then: Duration,
    until: Option<Instant>,
    /// How many addresses it decides for.
    pub(crate) addresses: usize,
}

impl InForce {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.age_then.saturating_add(now.saturating_duration_since(self.handed_over))
    }

    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now))
    }

    pub(crate) fn order(&self, now: Instant) -> Order {
        self.said.forced.order(self.age(now))
    }

    /// When its order changes next: a step of a drain, or its end.
    fn next(&self, now: Instant) -> Option<Instant> {
        let step = match self.said.forced {
            Forced::Drain { over } if self.age(now) < over => Some(now + (over / 100).max(DRAIN_STEP_MIN)),
            Forced::Drain { .. } | Forced::Up | Forced::Down => None,
        };
        [step, self.until].into_iter().flatten().min()
    }
}

impl Overrides {
    /// Takes the overrides that hold from now on; of those with one target the last counts. Returns those
    /// that are new and those that are no more.
    pub(crate) fn replace(&mut self, all: &[Timed], now: Instant) -> (Vec<InForce>, Vec<InForce>) {
        let mut list: Vec<InForce> = Vec::with_capacity(all.len());
        for Timed { said, age, left } in all {
            list.retain(|held| held.said.target != said.target);
            let until = left.and_then(|left| now.checked_add(left));
            list.push(InForce { said: said.clone(), handed_over: now, age_then: *age, until, addresses: 0 });
        }
        let before = std::mem::replace(&mut self.list, list);
        let is_in = |held: &InForce, list: &[InForce]| list.iter().any(|other| other.said == held.said);
        let lifted = before.iter().filter(|held| !is_in(held, &self.list)).cloned().collect();
        let new = self.list.iter().filter(|held| !is_in(held, &before)).cloned().collect();
        (new, lifted)
    }

    /// Whether an order changes by itself at or before `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Ends those whose time is over, and works out the orders for a catalog. Returns those that ended.
    pub(crate) fn apply(&mut self, catalog: &Catalog, now: Instant) -> Vec<InForce> {
        let is_over = |held: &InForce| held.until.is_some_and(|until| until <= now);
        let (ended, list) = std::mem::take(&mut self.list).into_iter().partition(is_over);
        self.list = list;
        let said: Vec<(&OverrideTarget, Order)> =
            self.list.iter().map(|held| (&held.said.target, held.order(now))).collect();
        let (orders, addresses) = work_out(catalog, &said);
        for (held, addresses) in self.list.iter_mut().zip(addresses) {
            held.addresses = addresses;
        }
        self.orders = Arc::new(orders);
        self.next = self.list.iter().filter_map(|held| held.next(now)).min();
        ended
    }

    pub(crate) fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn list(&self) -> &[InForce] {
        &self.list
    }

    /// The one that decides for an address, or for a hostname that is handed out itself.
    pub(crate) fn deciding(&self, gateway: &str, cluster: &str, names: &[&str]) -> Option<&InForce> {
        let matching =
            self.list.iter().enumerate().filter(|(_, held)| {
                names.iter().any(|name| held.said.target.matches(gateway, cluster, name))
            });
        matching.max_by_key(|(index, held)| (held.said.target.narrowness(), *index)).map(|(_, held)| held)
    }
}

//----------- Orders ---------------------------------------------------------

/// What overrides mean for the endpoints of a catalog: for each address the narrowest that matches, of equally
/// narrow ones the later.
#[must_use]
pub fn orders(catalog: &Catalog, said: &[(&OverrideTarget, Order)]) -> Orders {
    work_out(catalog, said).0
}

/// The orders, and by override for how many addresses it decides.
fn work_out(catalog: &Catalog, said: &[(&OverrideTarget, Order)]) -> (Orders, Vec<usize>) {
    let mut orders = Orders::default();
    let mut addresses = vec![0; said.len()];
    if said.is_empty() {
        return (orders, addresses);
    }
    for (at, gateway) in catalog.gateways().iter().enumerate() {
        for (index, endpoint) in gateway.endpoints.iter().enumerate() {
            let cluster = &catalog.cluster(endpoint.cluster).name;
            // Few overrides come near an endpoint, and of ten thousand gateways most have none.
            let mut near: Vec<usize> = (0..said.len())
                .filter(|&number| {
                    said.get(number).is_some_and(|(of, _)| of.may_match(&gateway.name, cluster))
                })
                .collect();
            near.sort_by_key(|&number| said.get(number).map(|(of, _)| (of.narrowness(), number)));
            if near.is_empty() {
                continue;
            }
            for address in handed_out(endpoint) {
                let names = names(endpoint, address);
                let matches = |number: &&usize| {
                    let of = said.get(**number).map(|(of, _)| of);
                    of.is_some_and(|of| names.iter().any(|name| of.matches(&gateway.name, cluster, name)))
                };
                if let Some(&number) = near.iter().rev().find(matches)
                    && let Some((_, order)) = said.get(number)
                {
                    orders.give(GatewayId::from_index(at), index, address, *order);
                    addresses[number] += 1;
                }
            }
        }
    }
    (orders, addresses)
}

/// What an endpoint hands out: its addresses, and itself where it is a CNAME.
pub(crate) fn handed_out(endpoint: &Endpoint) -> impl Iterator<Item = Option<IpAddr>> {
    let as_cname = endpoint.name.as_ref().is_some_and(|name| name.as_cname);
    let itself = (as_cname && endpoint.addresses.is_empty()).then_some(None);
    endpoint.addresses.iter().map(|address| Some(address.ip)).chain(itself)
}

/// How an override can name it.
pub(crate) fn names(endpoint: &Endpoint, address: Option<IpAddr>) -> Vec<String> {
    let hostname = endpoint.name.as_ref().map(|name| name.name.to_string());
    let hostname = hostname.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    address.map(|address| address.to_string()).into_iter().chain(hostname).collect()
}
