//! The view: all that an answer needs, immutable.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::rr::RData;
use meridian_geoip::Locality;
use meridian_model::{Catalog, Gateway, GatewayId, Share, Verdicts};
use meridian_steering::{
    Addresses, Family, Health, Listed, Permit, Roster, Standing, StandingRoom, identity, listed_v4,
    listed_v6, text_hash,
};
use tokio::sync::watch;

use crate::compile::CompileError;
use crate::content::Digests;
use crate::manners::Manners;
use crate::outlooks::{Outlooks, index};
use crate::plan::{Plan, Shapes};
use crate::plans::{PlanNumber, Planner, Plans};
use crate::select::Asker;
use crate::series::Series;
use crate::users::Users;
use crate::zone::{Apex, RrSet, ZoneTable};

//----------- Ground ---------------------------------------------------------

/// The part of a view that verdicts do not change: made once a catalog and set of databases.
pub struct Ground {
    catalog: Arc<Catalog>,
    locality: Arc<Locality>,
    manners: Arc<Manners>,
    pub(crate) zones: ZoneTable,
    shapes: Shapes,
    users: Users,
    /// By gateway.
    offers: Vec<Offer>,
    /// The rosters of all gateways, one behind the other: what a query reads lies together.
    listed_v4: Vec<Listed<Ipv4Addr>>,
    listed_v6: Vec<Listed<Ipv6Addr>>,
    /// The identities of all endpoints, likewise.
    identities: Vec<u64>,
    /// Where answers count.
    series: Option<Arc<Series>>,
}

/// All that an answer needs of a gateway beside its plans.
#[repr(align(64))]
pub(crate) struct Offer {
    pub(crate) ttl: u32,
    pub(crate) min_ttl: u32,
    pub(crate) answers: Option<u16>,
    pub(crate) sticky: bool,
    pub(crate) trial_share: Share,
    /// What the hashes of this gateway's clients begin with.
    pub(crate) salt: u64,
    /// Where the roster of each family begins and ends, and where the identities do.
    starts: [u32; 3],
    ends: [u32; 3],
}

/// An [`Offer`] with its addresses in one family.
pub(crate) struct Offered<'g> {
    pub(crate) offer: &'g Offer,
    pub(crate) addresses: Addresses<'g>,
    identities: &'g [u64],
}

impl<'g> Offered<'g> {
    /// What is picked from.
    pub(crate) fn roster(&self) -> Roster<'g> {
        let range = self.offer.starts[2] as usize..self.offer.ends[2] as usize;
        let identities = self.identities.get(range).unwrap_or_default();
        Roster { addresses: self.addresses, identities }
    }
}

impl Ground {
    /// Builds the table of names and, for every policy over a set of clusters, what it comes to at all
    /// places. What the ground `before` has of that is taken over where it still holds.
    ///
    /// # Errors
    /// For a catalog that `config` would not let through.
    pub fn new(
        catalog: Arc<Catalog>,
        locality: Arc<Locality>,
        manners: Arc<Manners>,
        before: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let zones = ZoneTable::compile(&catalog)?;
        let counted = before.and_then(|before| before.series.as_ref());
        let series = Series::new(manners.answers_by, &catalog, &locality, counted);
        let before = before.filter(|before| before.sees_as(&catalog, &locality)).map(|before| &before.shapes);
        let shapes = Shapes::new(&catalog, &locality, before);
        let mut ground = Self {
            catalog: catalog.clone(),
            locality,
            manners,
            zones,
            shapes,
            users: Users::new(&catalog),
            offers: Vec::with_capacity(catalog.gateways().len()),
            listed_v4: Vec::new(),
            listed_v6: Vec::new(),
            identities: Vec::new(),
            series,
        };
        for gateway in catalog.gateways() {
            ground.offer(gateway);
        }
        Ok(ground)
    }

    fn offer(&mut self, gateway: &Gateway) {
        let ends = |ground: &Self| {
            [ground.listed_v4.len(), ground.listed_v6.len(), ground.identities.len()].map(index)
        };
        let starts = ends(self);
        self.listed_v4.extend(listed_v4(gateway));
        self.listed_v6.extend(listed_v6(gateway));
        for endpoint in &gateway.endpoints {
            self.identities.push(identity(endpoint, &self.catalog.cluster(endpoint.cluster).name));
        }
        let &Gateway { ttl, min_ttl, answers, sticky, .. } = gateway;
        let trial_share = gateway.rollout.trial.map_or(Share::NONE, |trial| trial.share);
        let (salt, ends) = (text_hash(&[&gateway.name]), ends(self));
        self.offers.push(Offer { ttl, min_ttl, answers, sticky, trial_share, salt, starts, ends });
    }

    /// How the endpoints of a gateway (by index) stand.
    fn standings<'r>(
        &self,
        at: usize,
        family: Family,
        verdicts: &Verdicts,
        room: &'r mut StandingRoom,
    ) -> &'r [Standing] {
        let id = GatewayId::from_index(at);
        let orders = verdicts.orders(id);
        let counts = self.shapes.counts(at, family).filter(|_| orders.is_empty());
        match (counts, self.offered(id, family).map(|offered| offered.addresses)) {
            (Some(counts), Some(Addresses::V4(roster))) => room.of_roster(roster, counts, verdicts),
            (Some(counts), Some(Addresses::V6(roster))) => room.of_roster(roster, counts, verdicts),
            _ => room.standings(self.catalog.gateway(id), family, Health::new(verdicts, orders)),
        }
    }

    /// The gateways (by index) whose plans may have to be others, now that these verdicts are no longer those
    /// before.
    fn touched(&self, before: &Verdicts, now: &Verdicts) -> Vec<usize> {
        let by_orders = now.ordered_since(before).into_iter().map(GatewayId::index);
        let by_health = now.changed_since(before).flat_map(|target| self.users.of(target));
        let mut all: Vec<usize> = by_health.map(|&gateway| gateway as usize).chain(by_orders).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether every place means to another catalog what it means to this one.
    fn sees_as(&self, catalog: &Catalog, locality: &Arc<Locality>) -> bool {
        Arc::ptr_eq(&self.locality, locality)
            && self.catalog.clusters() == catalog.clusters()
            && self.catalog.jurisdictions() == catalog.jurisdictions()
            && self.catalog.prefixes() == catalog.prefixes()
            && self.catalog.latency_tables() == catalog.latency_tables()
    }

    #[inline]
    pub(crate) fn offered(&self, id: GatewayId, family: Family) -> Option<Offered<'_>> {
        let offer = self.offers.get(id.index())?;
        let range = |which: usize| offer.starts[which] as usize..offer.ends[which] as usize;
        let addresses = match family {
            Family::V4 => Addresses::V4(self.listed_v4.get(range(0))?),
            Family::V6 => Addresses::V6(self.listed_v6.get(range(1))?),
        };
        Some(Offered { offer, addresses, identities: &self.identities })
    }

    /// Where answers count.
    #[inline]
    pub(crate) fn series(&self) -> Option<&Arc<Series>> {
        self.series.as_ref()
    }

    /// In which series an answer for a client counts that begins with an address of an endpoint.
    #[inline]
    pub(crate) fn series_of(&self, id: GatewayId, endpoint: u16, client: IpAddr) -> Option<u32> {
        let series = self.series.as_ref()?;
        series.of(self.offers.get(id.index())?.starts[2] as usize + usize::from(endpoint), client)
    }

    pub(crate) fn outlooks(&self, id: GatewayId) -> Option<&Outlooks> {
        self.shapes.outlooks(id.index()).map(|outlooks| &**outlooks)
    }

    /// Where everything is.
    #[must_use]
    pub fn locality(&self) -> &Arc<Locality> {
        &self.locality
    }

    /// How queries are met.
    #[must_use]
    pub fn manners(&self) -> &Arc<Manners> {
        &self.manners
    }

    /// The catalog it was made from.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}

//----------- View -----------------------------------------------------------

/// Catalog, verdicts and places as one value. An answer is made from exactly one view.
pub struct View {
    generation: u64,
    ground: Arc<Ground>,
    verdicts: Verdicts,
    plans: Plans,
    /// By gateway: the plan of each family, as [`Family::ALL`].
    by_gateway: Vec<[PlanNumber; 2]>,
    /// Of the zones that may be transferred; empty: those of the ground.
    serials: Vec<u32>,
    digests: Digests,
}

impl View {
    /// Joins verdicts to their ground. `before` is the view that this one follows: its generation is
    /// counted on, and its plans are taken over where the ground is the same. So it costs what changed since.
    #[must_use]
    pub fn new(ground: Arc<Ground>, verdicts: Verdicts, before: Option<&Self>) -> Self {
        let generation = before.map_or(1, |before| before.generation + 1);
        let known = before.filter(|before| Arc::ptr_eq(&before.ground, &ground));
        let mut planner = Planner::new(&ground.shapes, known.map(|known| &known.plans));
        let (changed, mut by_gateway) = match known {
            Some(known) => (ground.touched(&known.verdicts, &verdicts), known.by_gateway.clone()),
            None => {
                let count = ground.catalog.gateways().len();
                ((0..count).collect(), vec![[PlanNumber::MAX; 2]; count])
            }
        };
        for number in changed.iter().filter_map(|&at| by_gateway.get(at)).flatten() {
            planner.give_back(*number);
        }
        let mut room = StandingRoom::default();
        for &at in &changed {
            let gateway = &ground.catalog.gateways()[at];
            let Some(numbers) = by_gateway.get_mut(at) else { continue };
            *numbers = Family::ALL.map(|family| {
                let standings = ground.standings(at, family, &verdicts, &mut room);
                planner.take((gateway, at), family, standings)
            });
        }
        let plans = planner.finish();
        let (serials, digests) = (Vec::new(), Digests::default());
        let mut view = Self { generation, ground, verdicts, plans, by_gateway, serials, digests };
        view.digests = Digests::new(&view, known.map(|known| (&known.digests, &changed[..])));
        view
    }

    /// With these serials, in the order of [`View::contents`].
    #[must_use]
    pub fn with_serials(self, serials: Vec<u32>) -> Self {
        Self { serials, ..self }
    }

    pub(crate) fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The serial of a zone.
    pub(crate) fn serial(&self, apex: &Apex) -> Option<u32> {
        let kept = apex.transferred.as_ref().and_then(|zone| self.serials.get(zone.slot));
        kept.copied().or_else(|| apex.serial())
    }

    /// A zone's SOA record.
    pub(crate) fn soa<'v>(&self, apex: &'v Apex) -> Cow<'v, RrSet> {
        match (self.serial(apex), apex.soa.data.first()) {
            (Some(serial), Some(RData::SOA(soa))) if apex.transferred.is_some() => {
                let mut soa = soa.clone();
                soa.serial = serial;
                Cow::Owned(RrSet { data: vec![RData::SOA(soa)], ..apex.soa.clone() })
            }
            _ => Cow::Borrowed(&apex.soa),
        }
    }

    /// How many views were published before this one, and itself.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What it was made from.
    #[must_use]
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// The verdicts it was made from.
    #[must_use]
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// What is held of a gateway's endpoints: verdicts, and what operators say.
    pub(crate) fn health(&self, id: GatewayId) -> Health<'_> {
        Health::new(&self.verdicts, self.verdicts.orders(id))
    }

    pub(crate) fn zones(&self) -> &ZoneTable {
        &self.ground.zones
    }

    #[inline]
    pub(crate) fn offered(&self, id: GatewayId, family: Family) -> Option<Offered<'_>> {
        self.ground.offered(id, family)
    }

    /// Which clusters of a gateway may serve a client, and the prefix in which that holds.
    pub(crate) fn permit(&self, id: GatewayId, asker: Asker) -> Option<(Permit, u8)> {
        Some(self.ground.outlooks(id)?.permit(asker.client, asker.source, asker.resolver))
    }

    pub(crate) fn plan(&self, id: GatewayId, family: Family) -> Option<&Plan> {
        self.plans.plan(self.by_gateway.get(id.index())?[family as usize])
    }
}

//----------- Live -----------------------------------------------------------

/// The view that is served now. One writer stores, every worker loads without a lock.
pub struct Live {
    view: ArcSwap<View>,
    /// Which generation is live, for who waits for the next.
    generation: watch::Sender<u64>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("generation", &*self.generation.borrow()).finish_non_exhaustive()
    }
}

impl Live {
    /// Begins with a view.
    #[must_use]
    pub fn new(view: View) -> Self {
        let (generation, _) = watch::channel(view.generation);
        Self { view: ArcSwap::from_pointee(view), generation }
    }

    /// The view of this moment.
    #[must_use]
    pub fn load(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Replaces the view; returns the one before, so that the writer and not a worker frees it.
    pub fn store(&self, view: View) -> Arc<View> {
        let generation = view.generation;
        let before = self.view.swap(Arc::new(view));
        self.generation.send_replace(generation);
        before
    }

    /// The generations as they come.
    pub(crate) fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}
