//! The view: all that an answer needs, immutable.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use meridian_geoip::Locality;
use meridian_model::{Catalog, Gateway, GatewayId, Verdicts};
use meridian_steering::{Family, Listed, Roster, listed_v4, listed_v6, standings};

use crate::compile::CompileError;
use crate::plan::{Plan, Plans, Shapes};
use crate::zone::ZoneTable;

//----------- Ground ---------------------------------------------------------

/// The part of a view that verdicts do not change: made once a catalog and set of databases.
pub struct Ground {
    catalog: Arc<Catalog>,
    pub(crate) zones: ZoneTable,
    shapes: Shapes,
    /// By gateway.
    offers: Vec<Offer>,
    /// The rosters of all gateways, one behind the other: what a query reads lies together.
    listed_v4: Vec<Listed<Ipv4Addr>>,
    listed_v6: Vec<Listed<Ipv6Addr>>,
}

/// All that an answer needs of a gateway beside its plans.
struct Offer {
    ttl: u32,
    min_ttl: u32,
    answers: Option<u16>,
    /// Where the roster of each family begins and ends.
    starts: [u32; 2],
    ends: [u32; 2],
}

/// An [`Offer`] with its roster in one family.
pub(crate) struct Offered<'g> {
    pub(crate) ttl: u32,
    pub(crate) min_ttl: u32,
    pub(crate) answers: Option<u16>,
    pub(crate) roster: Roster<'g>,
}

impl Ground {
    /// Builds the table of names and, for every set of clusters, their orders over all places.
    ///
    /// # Errors
    /// For a catalog that `config` would not let through.
    pub fn new(catalog: Arc<Catalog>, locality: &Locality) -> Result<Self, CompileError> {
        let zones = ZoneTable::compile(&catalog)?;
        let shapes = Shapes::new(&catalog, locality);
        let (mut offers, mut v4, mut v6) = (Vec::with_capacity(catalog.gateways().len()), vec![], vec![]);
        for gateway in catalog.gateways() {
            let starts = [v4.len(), v6.len()];
            v4.extend(listed_v4(gateway));
            v6.extend(listed_v6(gateway));
            let ends = [v4.len(), v6.len()];
            let &Gateway { ttl, min_ttl, answers, .. } = gateway;
            offers.push(Offer { ttl, min_ttl, answers, starts: starts.map(index), ends: ends.map(index) });
        }
        Ok(Self { catalog, zones, shapes, offers, listed_v4: v4, listed_v6: v6 })
    }

    pub(crate) fn offered(&self, id: GatewayId, family: Family) -> Option<Offered<'_>> {
        let &Offer { ttl, min_ttl, answers, starts, ends } = self.offers.get(id.index())?;
        let range = starts[family as usize] as usize..ends[family as usize] as usize;
        let roster = match family {
            Family::V4 => Roster::V4(self.listed_v4.get(range)?),
            Family::V6 => Roster::V6(self.listed_v6.get(range)?),
        };
        Some(Offered { ttl, min_ttl, answers, roster })
    }

    /// The catalog it was made from.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}

/// A catalog has far fewer than 2³² addresses.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

//----------- View -----------------------------------------------------------

/// Catalog, verdicts and places as one value. An answer is made from exactly one view.
pub struct View {
    generation: u64,
    ground: Arc<Ground>,
    verdicts: Verdicts,
    plans: Plans,
    /// By gateway: the plan of each family, as [`Family::ALL`].
    by_gateway: Vec<[Arc<Plan>; 2]>,
}

impl View {
    /// Joins verdicts to their ground. `before` is the view that this one follows: its generation is
    /// counted on, and its plans are taken over where the ground is the same.
    #[must_use]
    pub fn new(ground: Arc<Ground>, verdicts: Verdicts, before: Option<&Self>) -> Self {
        let generation = before.map_or(1, |before| before.generation + 1);
        let known = before.filter(|before| Arc::ptr_eq(&before.ground, &ground)).map(|before| &before.plans);
        let mut plans = Plans::default();
        let gateways = ground.catalog.gateways().iter().enumerate();
        let by_gateway = gateways
            .map(|(at, gateway)| {
                Family::ALL.map(|family| {
                    let standings = standings(gateway, family, &verdicts);
                    plans.get((gateway, at), family, standings, &ground.shapes, known)
                })
            })
            .collect();
        Self { generation, ground, verdicts, plans, by_gateway }
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

    pub(crate) fn zones(&self) -> &ZoneTable {
        &self.ground.zones
    }

    pub(crate) fn offered(&self, id: GatewayId, family: Family) -> Option<Offered<'_>> {
        self.ground.offered(id, family)
    }

    pub(crate) fn plan(&self, id: GatewayId, family: Family) -> Option<&Plan> {
        Some(&self.by_gateway.get(id.index())?[family as usize])
    }
}

//----------- Live -----------------------------------------------------------

/// The view that is served now. One writer stores, every worker loads without a lock.
pub struct Live(ArcSwap<View>);

impl Live {
    /// Begins with a view.
    #[must_use]
    pub fn new(view: View) -> Self {
        Self(ArcSwap::from_pointee(view))
    }

    /// The view of this moment.
    #[must_use]
    pub fn load(&self) -> Arc<View> {
        self.0.load_full()
    }

    /// Replaces the view; returns the one before, so that the writer and not a worker frees it.
    pub fn store(&self, view: View) -> Arc<View> {
        self.0.swap(Arc::new(view))
    }
}
