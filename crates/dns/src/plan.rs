//! Plans: for one gateway and family, which decision holds in which part of the address space.
//!
//! A plan depends only on the gateway's *shape* (policy, and per endpoint cluster, weight and track)
//! and on how its endpoints stand. Gateways alike in both share one plan, and a view takes over the
//! plans of the one before it, so that publishing a verdict costs what changed shapes cost and not
//! what gateways cost.

use std::collections::HashMap;
use std::sync::Arc;

use meridian_geoip::{ClassMap, Locality};
use meridian_model::{AllDown, Catalog, ClusterId, Endpoint, Gateway, Policy, Track};
use meridian_steering::{Decision, Family, Standing, decide, depends_on_place, order_by_distance};

use crate::limits::SCOPE_RANGES;

//----------- Plan -----------------------------------------------------------

/// What clients of a gateway get in one family, by where they are.
pub(crate) struct Plan {
    decisions: Vec<Decision>,
    /// From an address to an index of `decisions`; `None`: the first holds everywhere.
    map: Option<Arc<ClassMap>>,
}

impl Plan {
    /// The decision for a client, with the length of the widest prefix around it that has the same.
    pub(crate) fn decide(&self, client: std::net::IpAddr) -> Option<(&Decision, u8)> {
        let (class, scope) = self.map.as_ref().map_or((0, 0), |map| map.lookup(client));
        Some((self.decisions.get(class as usize)?, scope))
    }
}

//----------- Orders ---------------------------------------------------------

/// The orders of one set of clusters over the whole address space, made once a catalog.
pub(crate) struct Orders {
    orders: Vec<Vec<ClusterId>>,
    map: Arc<ClassMap>,
}

impl Orders {
    fn new(set: &[ClusterId], catalog: &Catalog, locality: &Locality) -> Self {
        let clusters: Vec<_> = set.iter().map(|&id| (id, catalog.cluster(id).coordinates)).collect();
        let mut orders = Vec::new();
        let mut known: HashMap<Vec<ClusterId>, u32> = HashMap::new();
        let mut class_of = Vec::with_capacity(locality.places().len());
        for place in locality.places() {
            let order = order_by_distance(&clusters, place.coordinates);
            class_of.push(*known.entry(order).or_insert_with_key(|order| {
                orders.push(order.clone());
                index(orders.len() - 1)
            }));
        }
        let map = locality.classify(|place| class_of.get(place.index()).copied().unwrap_or(0));
        Self { orders, map: Arc::new(map) }
    }
}

//----------- Shapes ---------------------------------------------------------

/// The shapes of a catalog's gateways, and the orders that they need.
pub(crate) struct Shapes {
    of_gateway: Vec<u32>,
    /// By shape: its orders; `None` where place does not matter.
    orders: Vec<Option<Arc<Orders>>>,
    /// By shape: the clusters of its endpoints, in the catalog's order.
    clusters: Vec<Vec<ClusterId>>,
}

impl Shapes {
    pub(crate) fn new(catalog: &Catalog, locality: &Locality) -> Self {
        let mut shapes = Self { of_gateway: Vec::new(), orders: Vec::new(), clusters: Vec::new() };
        let mut known: HashMap<ShapeKey<'_>, u32> = HashMap::new();
        let mut by_set: HashMap<Vec<ClusterId>, Arc<Orders>> = HashMap::new();
        for gateway in catalog.gateways() {
            let shape = *known.entry(ShapeKey::of(gateway)).or_insert_with(|| {
                let mut clusters: Vec<ClusterId> =
                    gateway.endpoints.iter().map(|endpoint| endpoint.cluster).collect();
                clusters.sort_unstable();
                clusters.dedup();
                let orders = (clusters.len() > 1 && depends_on_place(&gateway.policy)).then(|| {
                    let make = || Arc::new(Orders::new(&clusters, catalog, locality));
                    by_set.entry(clusters.clone()).or_insert_with(make).clone()
                });
                shapes.orders.push(orders);
                shapes.clusters.push(clusters);
                index(shapes.orders.len() - 1)
            });
            shapes.of_gateway.push(shape);
        }
        shapes
    }
}

/// All of a gateway that decisions depend on, beside how its endpoints stand.
#[derive(PartialEq, Eq, Hash)]
struct ShapeKey<'c> {
    policy: &'c Policy,
    all_down: &'c AllDown,
    endpoints: Vec<EndpointShape>,
}

/// Cluster, weight, track, and how many addresses there are in each family.
type EndpointShape = (ClusterId, u32, Track, [usize; 2]);

impl<'c> ShapeKey<'c> {
    fn of(gateway: &'c Gateway) -> Self {
        let counts = |endpoint: &Endpoint| {
            Family::ALL
                .map(|family| endpoint.addresses.iter().filter(|address| family.has(address.ip)).count())
        };
        let endpoints = gateway.endpoints.iter().map(|e| (e.cluster, e.weight, e.track, counts(e))).collect();
        Self { policy: &gateway.policy, all_down: &gateway.all_down, endpoints }
    }
}

//----------- Plans ----------------------------------------------------------

/// A shape, a family, and how the endpoints stand in it.
type PlanKey = (u32, Family, Box<[Standing]>);

/// The plans of one view, each made once.
#[derive(Default)]
pub(crate) struct Plans {
    known: HashMap<PlanKey, Arc<Plan>>,
    /// Ranges in the merged maps of all plans.
    ranges: usize,
}

impl Plans {
    /// The plan for a gateway (by its index) whose endpoints stand as given; taken from `before`
    /// when the view before had it.
    pub(crate) fn get(
        &mut self,
        (gateway, at): (&Gateway, usize),
        family: Family,
        standings: Vec<Standing>,
        shapes: &Shapes,
        before: Option<&Self>,
    ) -> Arc<Plan> {
        let shape = shapes.of_gateway.get(at).copied().unwrap_or(0);
        let key = (shape, family, standings.into_boxed_slice());
        if let Some(plan) = self.known.get(&key) {
            return plan.clone();
        }
        let taken_over = before.and_then(|before| before.known.get(&key)).cloned();
        let plan = taken_over.unwrap_or_else(|| Arc::new(self.make(gateway, &key, shapes)));
        self.ranges += plan.map.as_ref().map_or(0, |map| map.range_count());
        self.known.insert(key, plan.clone());
        plan
    }

    fn make(&self, gateway: &Gateway, key: &PlanKey, shapes: &Shapes) -> Plan {
        let (shape, family, standings) = (key.0 as usize, key.1, &*key.2);
        let Some(orders) = shapes.orders.get(shape).and_then(Option::as_ref) else {
            let clusters = shapes.clusters.get(shape).map_or(&[][..], Vec::as_slice);
            return Plan { decisions: vec![decide(gateway, family, standings, clusters)], map: None };
        };
        let by_order: Vec<Decision> =
            orders.orders.iter().map(|order| decide(gateway, family, standings, order)).collect();
        let mut decisions: Vec<Decision> = Vec::new();
        let mut class_of = Vec::with_capacity(by_order.len());
        for decision in &by_order {
            let class = decisions.iter().position(|known| known == decision).unwrap_or_else(|| {
                decisions.push(decision.clone());
                decisions.len() - 1
            });
            class_of.push(index(class));
        }
        if decisions.len() <= 1 {
            return Plan { decisions, map: None };
        }
        if self.ranges >= SCOPE_RANGES {
            return Plan { decisions: by_order, map: Some(orders.map.clone()) };
        }
        let map = orders.map.merge(|order| class_of.get(order as usize).copied().unwrap_or(0));
        Plan { decisions, map: Some(Arc::new(map)) }
    }
}

/// Orders, shapes and classes are far fewer than 2³².
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
