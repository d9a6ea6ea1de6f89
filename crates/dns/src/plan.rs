//! Plans: for one gateway and family, which decision holds in which part of the address space.
//!
//! A plan depends only on the gateway's *shape* (policy, residency, rollout, and per endpoint cluster,
//! weight, track and hostname) and on how its endpoints stand. Gateways alike in both share one plan,
//! and a view takes over the plans of the one before it, so that publishing a verdict costs what
//! changed shapes cost and not what gateways cost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use meridian_geoip::{ClassMap, Locality};
use meridian_model::{AllDown, Catalog, ClusterId, Endpoint, Gateway, Share, Track};
use meridian_steering::{Family, Outlook, Split, Standing, decide};

use crate::limits::SCOPE_RANGES;
use crate::outlooks::{Numbered, OutlookKey, Outlooks, Surveyor, index};

//----------- Plan -----------------------------------------------------------

/// What clients of a gateway get in one family, by where they and their resolvers are.
pub(crate) struct Plan {
    /// By the number of the resolver's permit; one, where resolvers do not matter.
    areas: Vec<Area>,
    resolvers: Option<Arc<ClassMap>>,
}

/// What clients get behind one kind of resolver.
struct Area {
    splits: Vec<Split>,
    /// From an address to an index of `splits`; `None`: the first holds everywhere.
    map: Option<Arc<ClassMap>>,
}

impl Plan {
    /// The decisions for a client behind a resolver, with the length of the widest prefix around the
    /// client that has the same.
    pub(crate) fn decide(&self, client: IpAddr, resolver: IpAddr) -> Option<(&Split, u8)> {
        let number = self.resolvers.as_ref().map_or(0, |map| map.lookup(resolver).0);
        let area = self.areas.get(number as usize)?;
        let (class, scope) = area.map.as_ref().map_or((0, 0), |map| map.lookup(client));
        Some((area.splits.get(class as usize)?, scope))
    }

    /// All decisions, numbered as [`Plan::number`] does.
    pub(crate) fn splits(&self) -> impl Iterator<Item = &Split> {
        self.areas.iter().flat_map(|area| &area.splits)
    }

    /// Which of [`Plan::splits`] a client gets that asks for itself, with the length of the prefix around
    /// it in which all who do get the same.
    pub(crate) fn number(&self, client: IpAddr) -> Option<(usize, u8)> {
        let (kind, around) = self.resolvers.as_ref().map_or((0, 0), |map| map.lookup(client));
        let area = self.areas.get(kind as usize)?;
        let before: usize = self.areas.iter().take(kind as usize).map(|area| area.splits.len()).sum();
        let (class, scope) = area.map.as_ref().map_or((0, 0), |map| map.lookup(client));
        Some((before + class as usize, scope.max(around)))
    }

    fn range_count(&self) -> usize {
        self.areas.iter().filter_map(|area| area.map.as_ref()).map(|map| map.range_count()).sum()
    }
}

//----------- Shapes ---------------------------------------------------------

/// The shapes of a catalog's gateways, and the outlooks that they need.
pub(crate) struct Shapes {
    of_gateway: Vec<u32>,
    /// By shape.
    outlooks: Vec<Arc<Outlooks>>,
    by_key: HashMap<OutlookKey, Arc<Outlooks>>,
}

impl Shapes {
    /// `before`: shapes of a catalog with the same clusters, jurisdictions, tables and prefixes, over
    /// the same places.
    pub(crate) fn new(catalog: &Catalog, locality: &Locality, before: Option<&Self>) -> Self {
        let mut shapes = Self { of_gateway: Vec::new(), outlooks: Vec::new(), by_key: HashMap::new() };
        let mut surveyor = Surveyor::new(catalog, locality);
        let mut known: HashMap<ShapeKey<'_>, u32> = HashMap::new();
        for gateway in catalog.gateways() {
            let shape = *known.entry(ShapeKey::of(gateway)).or_insert_with(|| {
                let key = OutlookKey::of(gateway);
                let outlooks = match shapes.by_key.get(&key) {
                    Some(known) => known.clone(),
                    None => {
                        let taken_over = before.and_then(|before| before.by_key.get(&key)).cloned();
                        let made = taken_over.unwrap_or_else(|| Arc::new(surveyor.outlooks(&key)));
                        shapes.by_key.insert(key, made.clone());
                        made
                    }
                };
                shapes.outlooks.push(outlooks);
                index(shapes.outlooks.len() - 1)
            });
            shapes.of_gateway.push(shape);
        }
        shapes
    }

    /// The outlooks of a gateway, by its index.
    pub(crate) fn outlooks(&self, gateway: usize) -> Option<&Arc<Outlooks>> {
        self.outlooks.get(*self.of_gateway.get(gateway)? as usize)
    }
}

/// All of a gateway that decisions depend on, beside how its endpoints stand.
#[derive(PartialEq, Eq, Hash)]
struct ShapeKey<'c> {
    key: OutlookKey,
    tracks: (Option<Track>, Option<Track>),
    panic_below: Share,
    all_down: &'c AllDown,
    endpoints: Vec<EndpointShape>,
}

/// Cluster, weight, track, how many addresses there are in each family, and of a hostname whether it
/// is handed out itself and its TTL.
type EndpointShape = (ClusterId, u32, Track, [usize; 2], Option<(bool, Option<u32>)>);

impl<'c> ShapeKey<'c> {
    fn of(gateway: &'c Gateway) -> Self {
        let counts = |endpoint: &Endpoint| {
            Family::ALL
                .map(|family| endpoint.addresses.iter().filter(|address| family.has(address.ip)).count())
        };
        let shape = |endpoint: &Endpoint| {
            let name = endpoint.name.as_ref().map(|name| (name.as_cname, name.ttl));
            (endpoint.cluster, endpoint.weight, endpoint.track, counts(endpoint), name)
        };
        // How large its share is does not change what a trial gets, but whether there is one does.
        let trial = gateway.rollout.trial.filter(|trial| trial.share > Share::NONE).map(|trial| trial.track);
        Self {
            key: OutlookKey::of(gateway),
            tracks: (gateway.rollout.live, trial),
            panic_below: gateway.panic_below,
            all_down: &gateway.all_down,
            endpoints: gateway.endpoints.iter().map(shape).collect(),
        }
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
        self.ranges += plan.range_count();
        self.known.insert(key, plan.clone());
        plan
    }

    fn make(&self, gateway: &Gateway, key: &PlanKey, shapes: &Shapes) -> Plan {
        let (shape, family, standings) = (key.0 as usize, key.1, &*key.2);
        let Some(outlooks) = shapes.outlooks.get(shape) else {
            return Plan { areas: Vec::new(), resolvers: None };
        };
        let area = |outlook: &dyn Fn(&Outlook) -> Outlook| {
            let decided = |one: &Outlook| decide(gateway, family, standings, &outlook(one), &mut ());
            self.area(outlooks.list.iter().map(decided), outlooks.map.as_ref())
        };
        match &outlooks.resolvers {
            None => Plan { areas: vec![area(&Outlook::clone)], resolvers: None },
            Some(resolvers) => {
                let behind = |theirs| area(&|client| resolvers.outlook(client, theirs));
                let areas = resolvers.permits.list.iter().map(behind).collect();
                Plan { areas, resolvers: Some(resolvers.permits.map.clone()) }
            }
        }
    }

    /// Merges what is decided alike, so that scopes are as wide as they can be.
    fn area(&self, by_outlook: impl Iterator<Item = Split>, map: Option<&Arc<ClassMap>>) -> Area {
        let mut distinct = Numbered::default();
        let class_of: Vec<u32> = by_outlook.map(|split| distinct.number(split)).collect();
        let splits = distinct.list;
        // Without a map there is one outlook, and so one split.
        let Some(map) = map.filter(|_| splits.len() > 1) else {
            return Area { splits, map: None };
        };
        if self.ranges >= SCOPE_RANGES {
            let splits = class_of.iter().filter_map(|&class| splits.get(class as usize).cloned()).collect();
            return Area { splits, map: Some(map.clone()) };
        }
        let map = map.merge(|outlook| class_of.get(outlook as usize).copied().unwrap_or(0));
        Area { splits, map: Some(Arc::new(map)) }
    }
}
