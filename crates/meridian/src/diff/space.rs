//! Weighing by address space: every block of addresses that has a country counts with its size.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use meridian_dns::{Clients, Shares, SharesKey, View, weigh};
use meridian_model::{CountryCode, Gateway, GatewayId};
use meridian_steering::Family;

use super::tally::{Change, Mix, Tally};

//----------- Space ----------------------------------------------------------

/// Compares gateways of two views; those alike are compared once.
pub(super) struct Space<'v> {
    old: &'v View,
    new: &'v View,
    /// Those of every country.
    clients: BTreeMap<CountryCode, Clients>,
    /// Whether a gateway that is alike in both views has the same answers in both.
    is_same_world: bool,
    known: HashMap<Key, Rc<Tally<'v>>>,
    /// What moves where nothing does.
    still: Rc<Tally<'v>>,
}

/// The shares of both families in the old view and in the new.
type Key = [[SharesKey; 2]; 2];

/// Indices of the mixes of A and AAAA in the old view and in the new.
type Numbers = [[usize; 2]; 2];

impl<'v> Space<'v> {
    pub(super) fn new(old: &'v View, new: &'v View) -> Self {
        let all = weigh(new.ground().locality(), |_| ((), 0));
        let clients = all.into_iter().map(|(((), country), clients)| (country, clients)).collect();
        let is_same_world = is_same_world(old, new);
        let still = Rc::new(tally_all(&clients, &Change::default()));
        Self { old, new, clients, is_same_world, known: HashMap::new(), still }
    }

    /// The same for two views of which each has verdicts of its own.
    pub(super) fn of_verdicts(old: &'v View, new: &'v View) -> Self {
        Self { is_same_world: false, ..Self::new(old, new) }
    }

    /// What moves when a gateway of the old view becomes one of the new.
    pub(super) fn compare(&mut self, old: GatewayId, new: GatewayId) -> Option<Rc<Tally<'v>>> {
        let gateways = [(self.old, old), (self.new, new)]
            .map(|(view, gateway)| without_probes(view.ground().catalog().gateway(gateway)));
        if self.is_same_world && gateways[0] == gateways[1] {
            return Some(self.still.clone());
        }
        let sides = [Side::new(self.old, old)?, Side::new(self.new, new)?];
        let key = [sides[0].key(), sides[1].key()];
        // A plan that the new view took over.
        if key[0] == key[1] && Arc::ptr_eq(self.old.ground(), self.new.ground()) {
            return Some(self.still.clone());
        }
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let tally = Rc::new(self.tally(&sides));
        self.known.insert(key, tally.clone());
        Some(tally)
    }

    fn tally(&self, sides: &[Side<'v>; 2]) -> Tally<'v> {
        let [old, new] = sides;
        let change = |[o, n]: Numbers| {
            let loses = old.serves(o).into_iter().zip(new.serves(n)).any(|(before, after)| before && !after);
            Change { loses, ..Change::of_families(old.mixes(o), new.mixes(n)) }
        };
        if sides.iter().all(Side::is_same_everywhere) {
            return tally_all(&self.clients, &change([[0; 2]; 2]));
        }
        let mut tally = Tally::default();
        let mut changes: HashMap<Numbers, Change<'v>> = HashMap::new();
        for ((numbers, country), clients) in self.blocks(sides) {
            let change = changes.entry(numbers).or_insert_with(|| change(numbers));
            for (measure, size) in clients.into_iter().enumerate() {
                tally.add(Some(country), measure, size, change);
            }
        }
        tally
    }

    /// The clients that have the same mixes and the same country.
    fn blocks(&self, sides: &[Side<'v>; 2]) -> BTreeMap<(Numbers, CountryCode), Clients> {
        let blocks = weigh(self.new.ground().locality(), |address| {
            let mut longest = 0;
            let numbers = sides.each_ref().map(|side| {
                let (numbers, prefix_len) = side.at(address);
                longest = longest.max(prefix_len);
                numbers
            });
            (numbers, longest)
        });
        // In an order, so that the same files give the same last digit.
        blocks.into_iter().collect()
    }
}

/// All clients change alike.
fn tally_all<'n>(clients: &BTreeMap<CountryCode, Clients>, change: &Change<'n>) -> Tally<'n> {
    let mut tally = Tally::default();
    for (country, clients) in clients {
        for (measure, size) in clients.iter().enumerate() {
            tally.add(Some(*country), measure, *size, change);
        }
    }
    tally
}

/// Whether all that gateways refer to is the same, and every address is in the same place.
fn is_same_world(old: &View, new: &View) -> bool {
    let (a, b) = (old.ground().catalog(), new.ground().catalog());
    let (here, there) = (old.ground().locality(), new.ground().locality());
    a.clusters() == b.clusters()
        && a.jurisdictions() == b.jurisdictions()
        && a.latency_tables() == b.latency_tables()
        && a.prefixes() == b.prefixes()
        && here.places() == there.places()
        && here.ranges_v4().eq(there.ranges_v4())
        && here.ranges_v6().eq(there.ranges_v6())
}

/// A gateway without what its answers do not depend on while everything is healthy.
fn without_probes(gateway: &Gateway) -> Gateway {
    let mut gateway = Gateway { probe: None, ..gateway.clone() };
    for address in gateway.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.addresses) {
        address.target = None;
    }
    gateway
}

//----------- Side -----------------------------------------------------------

/// One of the two configurations, for one gateway.
struct Side<'v> {
    shares: [Shares<'v>; 2],
    mixes: [Vec<Mix<'v>>; 2],
    serving: [Vec<bool>; 2],
}

impl<'v> Side<'v> {
    fn new(view: &'v View, gateway: GatewayId) -> Option<Self> {
        let [v4, v6] = Family::ALL.map(|family| view.shares(gateway, family));
        let shares = [v4?, v6?];
        let mixes = shares.map(|shares| shares.mixes().iter().map(|mix| named(view, mix)).collect());
        let serving = shares.map(|shares| shares.serving());
        Some(Self { shares, mixes, serving })
    }

    fn key(&self) -> [SharesKey; 2] {
        self.shares.map(|shares| shares.key())
    }

    fn is_same_everywhere(&self) -> bool {
        self.mixes.iter().all(|mixes| mixes.len() == 1)
    }

    /// The numbers of the mixes at an address, and the prefix in which they hold.
    fn at(&self, address: IpAddr) -> ([usize; 2], u8) {
        let mut longest = 0;
        let numbers = self.shares.map(|shares| {
            let (number, prefix_len) = shares.at(address).unwrap_or((usize::MAX, 0));
            longest = longest.max(prefix_len);
            number
        });
        (numbers, longest)
    }

    fn mixes(&self, numbers: [usize; 2]) -> [&Mix<'v>; 2] {
        static NOTHING: Mix<'static> = Vec::new();
        [0, 1].map(|family| self.mixes[family].get(numbers[family]).unwrap_or(&NOTHING))
    }

    /// By family, whether what is answered serves.
    fn serves(&self, numbers: [usize; 2]) -> [bool; 2] {
        [0, 1].map(|family| self.serving[family].get(numbers[family]).copied().unwrap_or(false))
    }
}

/// A mix with the names of its clusters.
pub(super) fn named<'v>(view: &'v View, mix: &meridian_dns::Mix) -> Mix<'v> {
    let name = |id| &*view.ground().catalog().cluster(id).name;
    mix.iter().map(|(cluster, share)| (cluster.map(name), *share)).collect()
}
