//! Decisions for many outlooks at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use meridian_model::{ClusterId, Gateway, Share};

use crate::decide::{Looked, Outlook, Split, Stages};
use crate::rank::Rank;
use crate::{Family, Standing};

/// How many of a rank's first clusters are at hand when outlooks are put in order.
const FIRST: usize = 8;

/// Outlooks in an order in which those that begin alike are neighbours.
///
/// A decision looks at a rank only up to the tier that it takes, and all outlooks that share these steps,
/// the permit and the clusters that have a turn at all get the same. So what a change of health costs goes with how
/// many first choices there are, and not with how many orders: those are as many as places, with hundreds of clusters.
pub struct Courses {
    /// Indexes of outlooks.
    order: Vec<u32>,
    /// By place in `order`: how many steps are those of the one before, in a rank over the same clusters with
    /// the same permit; 0 where these differ.
    shared: Vec<u32>,
    /// Whether a tier of a rank can panic.
    can_panic: bool,
}

/// What outlooks come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Distinct, in the order in which the outlooks have them.
    pub splits: Vec<Split>,
    /// By outlook: which of them.
    pub of: Vec<u32>,
}

impl Courses {
    /// Puts outlooks in order.
    #[must_use]
    pub fn new(outlooks: &[Outlook]) -> Self {
        let mut sets: HashMap<Box<[u64]>, usize> = HashMap::new();
        let (mut clusters, mut bits) = (Vec::new(), Vec::new());
        let begin = |outlook: &Outlook| {
            clusters.clear();
            outlook.rank.clusters(&mut clusters);
            mark(&clusters, &mut bits);
            let next = sets.len();
            let set = match sets.get(&*bits) {
                Some(&known) => known,
                None => *sets.entry(bits.as_slice().into()).or_insert(next),
            };
            let mut first = [0; FIRST];
            for (first, cluster) in first.iter_mut().zip(&clusters) {
                *first = cluster.index();
            }
            (set, first)
        };
        let begins: Vec<(usize, [usize; FIRST])> = outlooks.iter().map(begin).collect();
        let mut order: Vec<u32> = (0..).take(outlooks.len()).collect();
        // Compared by how they begin before the rest, for that lies all over the memory.
        let begin = |&index: &u32| (&begins[index as usize], &outlooks[index as usize]);
        order.sort_unstable_by(|one, other| begin(one).cmp(&begin(other)));
        let mut shared = vec![0; order.len()];
        for (pair, shared) in order.windows(2).zip(shared.iter_mut().skip(1)) {
            let (((set, _), outlook), ((next_set, _), next)) = (begin(&pair[0]), begin(&pair[1]));
            if set == next_set && outlook.permit == next.permit {
                *shared = u32::try_from(next.rank.steps_shared(&outlook.rank)).unwrap_or(u32::MAX);
            }
        }
        Self { order, shared, can_panic: outlooks.iter().any(|outlook| can_panic(&outlook.rank)) }
    }

    /// Decides as [`crate::decide`] for each of the outlooks that this was made of, after `seen` has made another of
    /// it: one with the same rank, and of equal permits one with equal permits.
    #[must_use]
    pub fn decide(
        &self,
        gateway: &Gateway,
        family: Family,
        standings: &[Standing],
        outlooks: &[Outlook],
        seen: impl Fn(&Outlook) -> Outlook,
    ) -> Decided {
        const NONE: u32 = u32::MAX;
        let mut known: HashMap<Split, u32> = HashMap::new();
        let mut found = Vec::new();
        let mut of = vec![NONE; outlooks.len()];
        let mut last = (NONE, 0);
        for (&index, &shared) in self.order.iter().zip(&self.shared) {
            let (Some(outlook), Some(of)) = (outlooks.get(index as usize), of.get_mut(index as usize)) else {
                continue;
            };
            // A way without a step is one of which permit and standings alone decided.
            if last.0 == NONE || shared == 0 || (shared as usize) < last.1 {
                let (outlook, looked) = (seen(outlook), Looked::default());
                let mut stages = Stages::new(gateway, family, standings, &outlook, &looked);
                stages.may_panic = self.can_panic || gateway.panic_below > Share::NONE;
                let next = u32::try_from(found.len()).unwrap_or(NONE);
                let number = match known.entry(stages.split(&mut ())) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        found.push(Some(new.key().clone()));
                        *new.insert(next)
                    }
                };
                last = (number, looked.steps());
            }
            *of = last.0;
        }
        in_order(found, of)
    }
}

/// Numbers what was found by the first outlook that has it, so that equal parts of the outlooks get equal numbers.
fn in_order(mut found: Vec<Option<Split>>, mut of: Vec<u32>) -> Decided {
    let mut renumbered = vec![0; found.len()];
    let mut splits = Vec::with_capacity(found.len());
    for number in &mut of {
        let at = *number as usize;
        if let Some(split) = found.get_mut(at).and_then(Option::take) {
            renumbered[at] = u32::try_from(splits.len()).unwrap_or(u32::MAX);
            splits.push(split);
        }
        *number = renumbered.get(at).copied().unwrap_or(0);
    }
    Decided { splits, of }
}

/// Puts a bit for each cluster.
fn mark(clusters: &[ClusterId], bits: &mut Vec<u64>) {
    bits.clear();
    for cluster in clusters {
        let (word, bit) = (cluster.index() / 64, cluster.index() % 64);
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        bits[word] |= 1 << bit;
    }
}

fn can_panic(rank: &Rank) -> bool {
    match rank {
        Rank::Together(_) => false,
        Rank::InTurn(ranks) => ranks.iter().any(can_panic),
        Rank::Tier { panic_below, inner, .. } => *panic_below > Share::NONE || can_panic(inner),
    }
}
