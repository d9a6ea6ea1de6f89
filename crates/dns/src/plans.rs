//! The plans of a view: each made once, and taken over by the next view where they still hold.
//!
//! A new view costs what changed: gateways whose endpoints stand as before keep the numbers of their
//! plans, which is a copy of a list. How many use a plan is counted in each view for itself, since two can
//! follow the same one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use meridian_geoip::ClassMap;
use meridian_model::Gateway;
use meridian_steering::{Decided, Family, Outlook, Standing};

use crate::limits::{IDLE_PLANS, SCOPE_RANGES};
use crate::outlooks::{Outlooks, index};
use crate::plan::{Area, MergeKey, Plan, Shapes, Whereabouts};

#[cfg(test)]
mod tests;

//----------- Plans ----------------------------------------------------------

/// The plan of a gateway in a family, in [`Plans`].
pub(crate) type PlanNumber = u32;

/// The plans of one view.
#[derive(Clone, Default)]
pub(crate) struct Plans {
    /// Copied when it gets another plan or loses one.
    stock: Arc<Stock>,
    /// By number: how many gateways' families have it.
    uses: Vec<u32>,
    /// By number: when it went out of use last.
    since: Vec<u64>,
    /// Those that are out of use, and since when.
    idle: BTreeSet<(u64, PlanNumber)>,
    /// Counts what went out of use.
    clock: u64,
}

/// All plans that there are, used or not.
#[derive(Clone, Default)]
struct Stock {
    /// By number.
    list: Vec<Option<Held>>,
    known: HashMap<Arc<PlanKey>, PlanNumber>,
    /// Numbers that nothing has.
    free: Vec<PlanNumber>,
    /// Those of the plans, each with how many areas have it.
    maps: HashMap<Arc<MergeKey>, (Arc<ClassMap>, usize)>,
    /// Ranges in all of them.
    ranges: usize,
}

#[derive(Clone)]
struct Held {
    key: Arc<PlanKey>,
    plan: Arc<Plan>,
}

/// A shape, a family, and how the endpoints stand in it.
#[derive(PartialEq, Eq, Hash)]
struct PlanKey {
    shape: u32,
    family: Family,
    standings: Box<[Standing]>,
}

/// What was asked for last: most often the next gateway of a shape stands like the one before.
type Last = Option<(Arc<PlanKey>, PlanNumber)>;

impl Plans {
    /// The plan of a number that [`Planner::take`] gave.
    pub(crate) fn plan(&self, number: PlanNumber) -> Option<&Plan> {
        self.stock.list.get(number as usize)?.as_ref().map(|held| &*held.plan)
    }

    fn begin_use(&mut self, number: PlanNumber) {
        let at = number as usize;
        let (Some(uses), Some(&since)) = (self.uses.get_mut(at), self.since.get(at)) else { return };
        if *uses == 0 {
            self.idle.remove(&(since, number));
        }
        *uses += 1;
    }

    fn end_use(&mut self, number: PlanNumber) {
        let at = number as usize;
        let (Some(uses), Some(since)) = (self.uses.get_mut(at), self.since.get_mut(at)) else { return };
        *uses = uses.saturating_sub(1);
        if *uses == 0 {
            self.clock += 1;
            *since = self.clock;
            self.idle.insert((self.clock, number));
        }
    }

    /// Drops the plan that is out of use for longest; false if there is none.
    fn drop_idle(&mut self) -> bool {
        let Some((_, number)) = self.idle.pop_first() else { return false };
        Arc::make_mut(&mut self.stock).remove(number);
        true
    }

    /// Keeps no more that are out of use than may be, and none that was cheap to make.
    fn settle(&mut self) {
        while self.idle.len() > IDLE_PLANS {
            self.drop_idle();
        }
        let is_narrow = |(_, number): &&(u64, PlanNumber)| self.plan(*number).is_some_and(Plan::is_narrow);
        let narrow: Vec<(u64, PlanNumber)> = self.idle.iter().filter(is_narrow).copied().collect();
        for idle in narrow {
            self.idle.remove(&idle);
            Arc::make_mut(&mut self.stock).remove(idle.1);
        }
    }
}

impl Stock {
    fn add(&mut self, key: Arc<PlanKey>, plan: Plan) -> PlanNumber {
        let held = Some(Held { key: Arc::clone(&key), plan: Arc::new(plan) });
        let number = self.free.pop().unwrap_or_else(|| index(self.list.len()));
        match self.list.get_mut(number as usize) {
            Some(free) => *free = held,
            None => self.list.push(held),
        }
        self.known.insert(key, number);
        number
    }

    fn remove(&mut self, number: PlanNumber) {
        let Some(held) = self.list.get_mut(number as usize).and_then(Option::take) else { return };
        self.known.remove(&held.key);
        self.free.push(number);
        for area in &held.plan.areas {
            let Whereabouts::Merged(key, map) = &area.whereabouts else { continue };
            let Some((_, areas)) = self.maps.get_mut(key) else { continue };
            *areas -= 1;
            if *areas == 0 {
                self.maps.remove(key);
                self.ranges -= map.range_count();
            }
        }
    }
}

//----------- Planner --------------------------------------------------------

/// How many of those asked for last are at hand.
const LAST: usize = 64;

/// Makes the plans of a view from those of the one before.
pub(crate) struct Planner<'g> {
    plans: Plans,
    shapes: &'g Shapes,
    /// By the last bits of shape and family.
    last: [Last; LAST],
    /// As [`SCOPE_RANGES`].
    most_ranges: usize,
}

impl<'g> Planner<'g> {
    /// `before`: the plans of a view of the same ground.
    pub(crate) fn new(shapes: &'g Shapes, before: Option<&Plans>) -> Self {
        let plans = before.cloned().unwrap_or_default();
        Self { plans, shapes, last: [const { None }; LAST], most_ranges: SCOPE_RANGES }
    }

    /// Gives back the plan of a gateway in a family. All that are given back are, before any is taken: so that
    /// there is room for those.
    pub(crate) fn give_back(&mut self, number: PlanNumber) {
        self.plans.end_use(number);
    }

    /// The plan for a gateway (by its index) whose endpoints stand as given.
    pub(crate) fn take(
        &mut self,
        (gateway, at): (&Gateway, usize),
        family: Family,
        standings: &[Standing],
    ) -> PlanNumber {
        let shape = self.shapes.of(at).unwrap_or(0);
        let place = (shape as usize * 2 + family as usize) % LAST;
        let is_same =
            |key: &PlanKey| (key.shape, key.family) == (shape, family) && *key.standings == *standings;
        let number = match &self.last[place] {
            Some((key, number)) if is_same(key) => *number,
            _ => {
                let key = Arc::new(PlanKey { shape, family, standings: standings.into() });
                let known = self.plans.stock.known.get(&key).copied();
                let number = known.unwrap_or_else(|| self.add(gateway, Arc::clone(&key)));
                self.last[place] = Some((key, number));
                number
            }
        };
        self.plans.begin_use(number);
        number
    }

    /// All plans, when every gateway has its own.
    pub(crate) fn finish(mut self) -> Plans {
        self.plans.settle();
        self.plans
    }

    fn add(&mut self, gateway: &Gateway, key: Arc<PlanKey>) -> PlanNumber {
        while self.plans.stock.ranges >= self.most_ranges && self.plans.drop_idle() {}
        let stock = Arc::make_mut(&mut self.plans.stock);
        let plan = match self.shapes.outlooks_of(key.shape) {
            Some(outlooks) => stock.make(gateway, &key, outlooks, self.most_ranges),
            None => Plan { areas: Vec::new(), resolvers: None },
        };
        let number = stock.add(key, plan);
        let room = self.plans.stock.list.len();
        self.plans.uses.resize(room, 0);
        self.plans.since.resize(room, 0);
        number
    }
}

impl Stock {
    fn make(&mut self, gateway: &Gateway, key: &PlanKey, outlooks: &Arc<Outlooks>, most: usize) -> Plan {
        let decide = |seen: &dyn Fn(&Outlook) -> Outlook| {
            outlooks.courses.decide(gateway, key.family, &key.standings, &outlooks.list, seen)
        };
        match &outlooks.resolvers {
            None => {
                let area = self.area(decide(&Outlook::clone), outlooks, most);
                Plan { areas: vec![area], resolvers: None }
            }
            Some(resolvers) => {
                let behind = |theirs| decide(&|client| resolvers.outlook(client, theirs));
                let all = resolvers.permits.list.iter();
                let areas = all.map(|theirs| self.area(behind(theirs), outlooks, most)).collect();
                Plan { areas, resolvers: Some(resolvers.permits.map.clone()) }
            }
        }
    }

    /// Merges what is decided alike, so that scopes are as wide as they can be. Both families, and doubt or none,
    /// mostly come to the same map.
    fn area(&mut self, decided: Decided, outlooks: &Arc<Outlooks>, most: usize) -> Area {
        let Decided { splits, of } = decided;
        // Without a map there is one outlook, and so one split.
        let Some(map) = outlooks.map.as_ref().filter(|_| splits.len() > 1) else {
            return Area { splits, whereabouts: Whereabouts::Anywhere };
        };
        let key = MergeKey { outlooks: Arc::as_ptr(outlooks) as usize, of: of.into() };
        if let Some((known, (map, _))) = self.maps.get_key_value(&key) {
            let whereabouts = Whereabouts::Merged(Arc::clone(known), Arc::clone(map));
            if let Some((_, areas)) = self.maps.get_mut(&key) {
                *areas += 1;
            }
            return Area { splits, whereabouts };
        }
        if self.ranges >= most {
            return Area { splits, whereabouts: Whereabouts::Outlooks(Arc::clone(map), key.of) };
        }
        let merged = Arc::new(map.merge(|outlook| key.of.get(outlook as usize).copied().unwrap_or(0)));
        let key = Arc::new(key);
        self.ranges += merged.range_count();
        self.maps.insert(Arc::clone(&key), (Arc::clone(&merged), 1));
        Area { splits, whereabouts: Whereabouts::Merged(key, merged) }
    }
}
