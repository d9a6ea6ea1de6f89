//! Plans: for one gateway and family, which decision holds in which part of the address space.
//!
//! A plan depends only on the gateway's *shape* (policy, residency, rollout, and per endpoint cluster,
//! weight, track and hostname) and on how its endpoints stand. Gateways alike in both share one plan
//! ([`crate::plans`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use meridian_geoip::{ClassMap, Locality};
use meridian_model::{AllDown, Catalog, ClusterId, Endpoint, Gateway, Share, Track};
use meridian_steering::{Family, Split};

use crate::outlooks::{OutlookKey, Outlooks, Surveyor, index};
use crate::select::Asker;

//----------- Plan -----------------------------------------------------------

/// What clients of a gateway get in one family, by where they and their resolvers are.
pub(crate) struct Plan {
    /// By the number of the resolver's permit; one, where resolvers do not matter.
    pub(crate) areas: Vec<Area>,
    pub(crate) resolvers: Option<Arc<ClassMap>>,
}

/// What clients get behind one kind of resolver.
pub(crate) struct Area {
    /// Distinct.
    pub(crate) splits: Vec<Split>,
    pub(crate) whereabouts: Whereabouts,
}

/// From an address to an index of [`Area::splits`].
pub(crate) enum Whereabouts {
    /// The first holds everywhere.
    Anywhere,
    /// By a map in which what is decided alike is one.
    Merged(Arc<MergeKey>, Arc<ClassMap>),
    /// By the map of the outlooks, and what each of them gets.
    Outlooks(Arc<ClassMap>, Box<[u32]>),
}

/// What a merged map is made of.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct MergeKey {
    /// Whose map it was: where that lies, in the ground of the view.
    pub(crate) outlooks: usize,
    /// By outlook: its class.
    pub(crate) of: Box<[u32]>,
}

impl Area {
    /// Which of the splits a client gets, and the length of the widest prefix around it that has the same, as far as is
    /// known.
    fn lookup(&self, asker: &Asker) -> (usize, u8) {
        match &self.whereabouts {
            Whereabouts::Anywhere => (0, 0),
            Whereabouts::Merged(_, map) => {
                let (class, scope) = asker.spot.lookup(map, asker.client);
                (class as usize, scope)
            }
            Whereabouts::Outlooks(map, of) => {
                let (outlook, scope) = asker.spot.lookup(map, asker.client);
                (of.get(outlook as usize).map_or(usize::MAX, |&class| class as usize), scope)
            }
        }
    }
}

impl Plan {
    /// The decisions for a client behind a resolver, with the length of the widest prefix around the
    /// client that has the same.
    pub(crate) fn decide(&self, asker: &Asker) -> Option<(&Split, u8)> {
        let number = self.resolvers.as_ref().map_or(0, |map| map.lookup(asker.resolver).0);
        let area = self.areas.get(number as usize)?;
        let (class, scope) = area.lookup(asker);
        Some((area.splits.get(class)?, scope))
    }

    /// Where [`Plan::decide`] looks first, if resolvers do not matter.
    pub(crate) fn map(&self) -> Option<&ClassMap> {
        match self.areas.first().map(|area| &area.whereabouts)? {
            Whereabouts::Merged(_, map) | Whereabouts::Outlooks(map, _) => Some(map),
            Whereabouts::Anywhere => None,
        }
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
        let (class, scope) = area.lookup(&Asker::alone(client, client, 0));
        Some((before + class, scope.max(around)))
    }

    /// Which of [`Plan::splits`] clients with an outlook of this number get, behind a resolver with the permit of
    /// that one.
    pub(crate) fn number_of(&self, kind: u32, outlook: u32) -> Option<usize> {
        let area = self.areas.get(kind as usize)?;
        let before: usize = self.areas.iter().take(kind as usize).map(|area| area.splits.len()).sum();
        let class = match &area.whereabouts {
            Whereabouts::Anywhere => 0,
            Whereabouts::Merged(key, _) => *key.of.get(outlook as usize)?,
            Whereabouts::Outlooks(_, of) => *of.get(outlook as usize)?,
        };
        Some(before + class as usize)
    }

    /// Whether scopes are narrower than they could be.
    pub(crate) fn is_narrow(&self) -> bool {
        self.areas.iter().any(|area| matches!(area.whereabouts, Whereabouts::Outlooks(..)))
    }
}

//----------- Shapes ---------------------------------------------------------

/// The shapes of a catalog's gateways, and the outlooks that they need.
pub(crate) struct Shapes {
    of_gateway: Vec<u32>,
    /// By shape.
    outlooks: Vec<Arc<Outlooks>>,
    /// By shape: how many addresses each endpoint has in each family; `None` where one is a hostname.
    counts: Vec<Option<[Box<[u16]>; 2]>>,
    by_key: HashMap<OutlookKey, Arc<Outlooks>>,
}

impl Shapes {
    /// `before`: shapes of a catalog with the same clusters, jurisdictions, tables and prefixes, over
    /// the same places.
    pub(crate) fn new(catalog: &Catalog, locality: &Locality, before: Option<&Self>) -> Self {
        let mut shapes =
            Self { of_gateway: Vec::new(), outlooks: Vec::new(), counts: Vec::new(), by_key: HashMap::new() };
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
                shapes.counts.push(counts(gateway));
                index(shapes.outlooks.len() - 1)
            });
            shapes.of_gateway.push(shape);
        }
        shapes
    }

    /// The shape of a gateway, by its index.
    pub(crate) fn of(&self, gateway: usize) -> Option<u32> {
        self.of_gateway.get(gateway).copied()
    }

    /// How many addresses the endpoints of a gateway, by its index, have in a family; `None` where one is a
    /// hostname.
    pub(crate) fn counts(&self, gateway: usize, family: Family) -> Option<&[u16]> {
        let counts = self.counts.get(self.of(gateway)? as usize)?.as_ref()?;
        Some(&counts[family as usize])
    }

    /// The outlooks of a shape.
    pub(crate) fn outlooks_of(&self, shape: u32) -> Option<&Arc<Outlooks>> {
        self.outlooks.get(shape as usize)
    }

    /// The outlooks of a gateway, by its index.
    pub(crate) fn outlooks(&self, gateway: usize) -> Option<&Arc<Outlooks>> {
        self.outlooks_of(self.of(gateway)?)
    }
}

fn counts(gateway: &Gateway) -> Option<[Box<[u16]>; 2]> {
    let is_plain = gateway.endpoints.iter().all(|endpoint| endpoint.name.is_none());
    let of = |family: Family| -> Option<Box<[u16]>> {
        let all = gateway.endpoints.iter().map(|endpoint| {
            let own = endpoint.addresses.iter().filter(|address| family.has(address.ip));
            u16::try_from(own.count()).ok()
        });
        all.collect()
    };
    if is_plain { Some([of(Family::V4)?, of(Family::V6)?]) } else { None }
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
