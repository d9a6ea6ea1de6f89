//! Where the clients of a gateway are, and which clusters answer them in this view.
//!
//! Who has which outlook is counted once, over the whole address space; what each outlook comes to is in the plans
//! of every view already. So a new view costs as many additions as there are outlooks and countries.

use std::collections::BTreeMap;

use meridian_geoip::Locality;
use meridian_model::{ClusterId, CountryCode, GatewayId};
use meridian_steering::Family;

use crate::outlooks::Outlooks;
use crate::view::View;
use crate::walk::{Clients, weigh};

//----------- Spread ---------------------------------------------------------

/// The clients of a gateway by country, with the clusters that answer them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Every country that an address is in.
    pub countries: BTreeMap<CountryCode, Crew>,
    /// All of them together.
    pub all: Crew,
}

/// Some clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crew {
    /// How many.
    pub clients: Clients,
    /// Of them, those that each cluster answers; of one whose answers are shared among clusters, that part. `None`:
    /// answers that name no cluster.
    pub answered: BTreeMap<Option<ClusterId>, Clients>,
}

impl Crew {
    /// The share of the answers of each cluster, largest first, together 1: the mean of the shares in each measure that
    /// has clients. Empty without clients.
    #[must_use]
    pub fn shares(&self) -> Vec<(Option<ClusterId>, f64)> {
        let share = |of: &Clients| mean(*of, self.clients);
        let mut shares: Vec<_> = self.answered.iter().map(|(cluster, of)| (*cluster, share(of))).collect();
        shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        shares
    }

    /// Which share of others they are: the mean of the shares in each measure in which there are others.
    #[must_use]
    pub fn part_of(&self, others: &Self) -> f64 {
        mean(self.clients, others.clients)
    }

    fn add(&mut self, clients: Clients, mix: &[(Option<ClusterId>, f64)]) {
        for measure in [0, 1] {
            self.clients[measure] += clients[measure];
            for (cluster, share) in mix {
                self.answered.entry(*cluster).or_default()[measure] += clients[measure] * share;
            }
        }
    }
}

/// Each measure weighs the same; 0 where there is nobody.
fn mean(part: Clients, all: Clients) -> f64 {
    let shares = [0, 1].map(|measure| (all[measure] > 0.0).then(|| part[measure] / all[measure]));
    match shares {
        [Some(v4), Some(v6)] => f64::midpoint(v4, v6),
        [one, other] => one.or(other).unwrap_or(0.0),
    }
}

impl View {
    /// Which clusters answer the clients of a gateway in one family, by country. Every client asks for itself: it is
    /// its own resolver. `None` for a gateway that the view does not have.
    ///
    /// The first call for a policy over a set of clusters walks the address space once for its ground: milliseconds
    /// with a database of countries, and up to seconds with one of cities. It is no work for a thread that answers.
    #[must_use]
    pub fn spread(&self, id: GatewayId, family: Family) -> Option<Spread> {
        let (plan, outlooks) = (self.plan(id, family)?, self.ground().outlooks(id)?);
        let mixes = self.shares(id, family)?.mixes();
        let mut spread = Spread::default();
        for Block { kind, outlook, country, clients } in &outlooks.crowd(self.ground().locality()).0 {
            let mix = plan.number_of(*kind, *outlook).and_then(|number| mixes.get(number))?;
            spread.countries.entry(*country).or_default().add(*clients, mix);
            spread.all.add(*clients, mix);
        }
        Some(spread)
    }
}

//----------- Crowd ----------------------------------------------------------

/// All clients that have a country, by all that a gateway's answers can depend on.
pub(crate) struct Crowd(Vec<Block>);

/// Clients that a view cannot tell apart, of one country.
struct Block {
    /// The number of their permit as resolvers; 0 where that does not matter.
    kind: u32,
    outlook: u32,
    country: CountryCode,
    clients: Clients,
}

impl Outlooks {
    fn crowd(&self, locality: &Locality) -> &Crowd {
        self.crowd.get_or_init(|| {
            let resolvers = self.resolvers.as_ref().map(|resolvers| &resolvers.permits.map);
            let all = weigh(locality, |address| {
                let (outlook, near) = self.map.as_ref().map_or((0, 0), |map| map.lookup(address));
                let (kind, around) = resolvers.map_or((0, 0), |map| map.lookup(address));
                ((kind, outlook), near.max(around))
            });
            let block = |(((kind, outlook), country), clients)| Block { kind, outlook, country, clients };
            let mut blocks: Vec<Block> = all.into_iter().map(block).collect();
            // In an order, so that the same view gives the same last digit.
            blocks.sort_by_key(|block| (block.country, block.kind, block.outlook));
            Crowd(blocks)
        })
    }
}
