//! Outlooks: what every part of the address space means for one policy over one set of clusters.
//!
//! Made once a catalog and set of databases, and taken over by the next catalog where nothing they
//! depend on has changed.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, OnceLock};

use ipnet::IpNet;
use meridian_geoip::{ClassMap, Locality, Marks};
use meridian_model::{Catalog, ClusterId, Conflict, Gateway, Place, Policy, PrefixId, Residency};
use meridian_steering::{
    Client, Courses, Outlook, Permit, Ranker, depends_on_place, depends_on_prefix, is_placed, permit,
};

use crate::spread::Crowd;

//----------- Outlooks -------------------------------------------------------

/// The outlooks of all clients of a gateway.
pub(crate) struct Outlooks {
    /// Distinct.
    pub(crate) list: Vec<Outlook>,
    /// From an address to an index of `list`; `None`: the first holds everywhere.
    pub(crate) map: Option<Arc<ClassMap>>,
    /// What residency permits clients; `None`: all clusters serve all.
    pub(crate) permits: Option<Permits>,
    /// What the resolver's place adds; `None`: nothing.
    pub(crate) resolvers: Option<Resolvers>,
    /// For deciding for all of them.
    pub(crate) courses: Courses,
    /// Who has which; counted when first asked for.
    pub(crate) crowd: OnceLock<Crowd>,
}

/// What may serve a client, by its address.
pub(crate) struct Permits {
    /// Distinct.
    pub(crate) list: Vec<Permit>,
    /// From an address to an index of `list`.
    pub(crate) map: Arc<ClassMap>,
}

/// What may be served through a resolver, by its address.
pub(crate) struct Resolvers {
    pub(crate) permits: Permits,
    /// Whether they hold in place of the client's own permit, or beside it.
    pub(crate) instead: bool,
}

impl Outlooks {
    /// Whether a cluster may serve all clients, or none: then nobody's place matters to it.
    pub(crate) fn is_alike_for(&self, cluster: ClusterId) -> bool {
        let mut allows = self.permits.iter().flat_map(|permits| &permits.list).map(|one| one.allows(cluster));
        let first = allows.next();
        allows.all(|other| Some(other) == first)
    }

    /// Which clusters may serve all clients of a subnet behind a resolver, and the prefix around its first
    /// address in which that holds for each.
    pub(crate) fn permit(&self, client: IpAddr, source: u8, resolver: IpAddr) -> (Permit, u8) {
        let Some(clients) = &self.permits else {
            return (Permit::All, 0);
        };
        let (own, scope) = clients.lookup(client);
        if let Some(all) = self.spanning(client, source, resolver) {
            return (all.permit, scope);
        }
        match &self.resolvers {
            None => (own.clone(), scope),
            Some(resolvers) if resolvers.instead => (resolvers.permits.lookup(resolver).0.clone(), 0),
            Some(resolvers) => (own.and(resolvers.permits.lookup(resolver).0), scope),
        }
    }
}

impl Outlooks {
    /// Which clusters may serve every client of a network, where not all of them have the same permit:
    /// a resolver gives one answer to all of a subnet that it disclosed. `None` where they have. Where the
    /// permits cannot be told there is none (fail closed).
    pub(crate) fn spanning(&self, client: IpAddr, source: u8, resolver: IpAddr) -> Option<Outlook> {
        let clients = self.permits.as_ref()?;
        let (own, scope) = clients.lookup(client);
        if scope <= source || self.resolvers.as_ref().is_some_and(|resolvers| resolvers.instead) {
            return None;
        }
        let classes = IpNet::new(client, source).ok().and_then(|network| clients.map.classes_within(network));
        let mut permit = own.clone();
        match classes {
            Some(classes) => {
                for class in classes {
                    permit = permit.and(clients.list.get(class as usize).unwrap_or(&NOTHING));
                }
            }
            None => permit = NOTHING.clone(),
        }
        if permit == *own {
            return None;
        }
        if let Some(resolvers) = &self.resolvers {
            permit = permit.and(resolvers.permits.lookup(resolver).0);
        }
        let number = self.map.as_ref().map_or(0, |map| map.lookup(client).0);
        let rank = self.list.get(number as usize)?.rank.clone();
        Some(Outlook { permit, rank })
    }
}

/// Fail closed: maps have no numbers but those of their lists.
static NOTHING: LazyLock<Permit> = LazyLock::new(|| Permit::Only(Box::default()));

impl Permits {
    fn lookup(&self, address: IpAddr) -> (&Permit, u8) {
        let (number, scope) = self.map.lookup(address);
        (self.list.get(number as usize).unwrap_or(&NOTHING), scope)
    }
}

impl Resolvers {
    /// The outlook of a client behind a resolver with the permit of this number.
    pub(crate) fn outlook(&self, client: &Outlook, theirs: &Permit) -> Outlook {
        let permit = if self.instead { theirs.clone() } else { client.permit.and(theirs) };
        Outlook { permit, rank: client.rank.clone() }
    }
}

//----------- Surveyor -------------------------------------------------------

/// What all of a gateway's outlooks depend on, beside the catalog and the databases.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct OutlookKey {
    pub(crate) policy: Policy,
    pub(crate) clusters: Vec<ClusterId>,
    pub(crate) residency: Option<Residency>,
}

/// Makes outlooks, each set once.
pub(crate) struct Surveyor<'c> {
    catalog: &'c Catalog,
    locality: &'c Locality,
    ranker: Ranker<'c>,
    /// Where the catalog's prefixes are; made when first needed.
    marks: Option<Marks>,
}

impl<'c> Surveyor<'c> {
    pub(crate) fn new(catalog: &'c Catalog, locality: &'c Locality) -> Self {
        Self { catalog, locality, ranker: Ranker::new(catalog), marks: None }
    }

    pub(crate) fn outlooks(&mut self, key: &OutlookKey) -> Outlooks {
        let by_place = (key.clusters.len() > 1 && depends_on_place(&key.policy)) || key.residency.is_some();
        if !by_place {
            let nowhere = Place::default();
            let outlook = self.outlook(key, Client { place: &nowhere, prefix: None });
            let list = vec![outlook];
            let courses = Courses::new(&list);
            let crowd = OnceLock::new();
            return Outlooks { list, map: None, permits: None, resolvers: None, courses, crowd };
        }
        let mut known = Numbered::default();
        let map = if depends_on_prefix(&key.policy, self.catalog) {
            let marks = self.marks.get_or_insert_with(|| marks(self.catalog));
            self.locality.classify_marked(marks, |place, mark| {
                let place = &self.locality.places()[place.index()];
                let client = Client { place, prefix: mark.map(PrefixId::from_index) };
                known.number(outlook(&self.ranker, self.catalog, key, client))
            })
        } else {
            self.locality.classify(|place| {
                let place = &self.locality.places()[place.index()];
                known.number(outlook(&self.ranker, self.catalog, key, Client { place, prefix: None }))
            })
        };
        let permits = key.residency.as_ref().map(|_| {
            let mut permits = Numbered::default();
            let of: Vec<u32> =
                known.list.iter().map(|outlook| permits.number(outlook.permit.clone())).collect();
            let map = map.merge(|outlook| of.get(outlook as usize).copied().unwrap_or(0));
            Permits { list: permits.list, map: Arc::new(map) }
        });
        let map = (known.list.len() > 1).then(|| Arc::new(map));
        let courses = Courses::new(&known.list);
        let (resolvers, crowd) = (self.resolvers(key), OnceLock::new());
        Outlooks { list: known.list, map, permits, resolvers, courses, crowd }
    }

    fn outlook(&self, key: &OutlookKey, client: Client<'_>) -> Outlook {
        outlook(&self.ranker, self.catalog, key, client)
    }

    fn resolvers(&self, key: &OutlookKey) -> Option<Resolvers> {
        let residency = key.residency.as_ref()?;
        let instead = match residency.conflict {
            Conflict::Ecs => return None,
            Conflict::Strictest => false,
            Conflict::Resolver => true,
        };
        let mut known = Numbered::default();
        let map = self.locality.classify(|place| {
            let place = &self.locality.places()[place.index()];
            known.number(resolver_permit(residency, &key.clusters, place, self.catalog))
        });
        let permits = Permits { list: known.list, map: Arc::new(map) };
        Some(Resolvers { permits, instead })
    }
}

/// Where the catalog's prefixes are.
pub(crate) fn marks(catalog: &Catalog) -> Marks {
    let nets: Vec<_> = catalog.prefixes().iter().map(|prefix| prefix.net).collect();
    Locality::marks(&nets)
}

fn outlook(ranker: &Ranker<'_>, catalog: &Catalog, key: &OutlookKey, client: Client<'_>) -> Outlook {
    let permit = match &key.residency {
        None => Permit::All,
        Some(residency) => permit(residency, &key.clusters, client.place, catalog, &mut ()),
    };
    Outlook { permit, rank: ranker.rank(&key.policy, &key.clusters, client, &mut ()) }
}

/// What a resolver at this place adds. One that cannot be placed contradicts nobody: under
/// `strictest` it adds nothing, and the client's own place decides.
pub(crate) fn resolver_permit(
    residency: &Residency,
    clusters: &[ClusterId],
    place: &Place,
    catalog: &Catalog,
) -> Permit {
    if residency.conflict == Conflict::Strictest && !is_placed(residency, place, catalog) {
        return Permit::All;
    }
    permit(residency, clusters, place, catalog, &mut ())
}

impl OutlookKey {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let clusters = clusters_of(gateway);
        Self { policy: gateway.policy.clone(), clusters, residency: gateway.residency.clone() }
    }
}

/// The clusters of a gateway's endpoints, each once, in the catalog's order.
pub(crate) fn clusters_of(gateway: &Gateway) -> Vec<ClusterId> {
    let mut clusters: Vec<ClusterId> = gateway.endpoints.iter().map(|endpoint| endpoint.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    clusters
}

//----------- Numbered -------------------------------------------------------

/// Distinct values, numbered from 0 in the order they came.
pub(crate) struct Numbered<T> {
    pub(crate) list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    pub(crate) fn number(&mut self, value: T) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = index(self.list.len());
        self.list.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}

/// Shapes, outlooks and decisions are far fewer than 2³².
pub(crate) fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
