//! The way through a rank: the first tier that can serve.

use meridian_model::{ClusterId, Share};

use crate::decide::{Basis, Stages};
use crate::rank::Rank;
use crate::trail::{Note, Trail};

/// The endpoints of one tier, and how they came to be chosen.
pub(crate) struct Chosen {
    pub(crate) members: Vec<usize>,
    pub(crate) in_doubt: bool,
    /// Healthy, degraded or panic.
    pub(crate) basis: Basis,
}

/// One way through a rank, for the endpoints of one track.
pub(crate) struct Walk<'s, 'a> {
    stages: &'s Stages<'a>,
    /// What `panic_below` is a share of: the endpoints of every track, so that a trial that fails is no
    /// panic.
    counted: &'s [usize],
    /// What `min_healthy` counts: the same with those of any weight, for a standby serves, too.
    all: &'s [usize],
    /// Whether anything on the way so far is in doubt.
    in_doubt: &'s mut bool,
    /// Whether `min_healthy` counts.
    strict: bool,
    /// Whether it has skipped a tier.
    skipped: bool,
    /// How many steps of the rank it has taken, with those that it passed over.
    steps: usize,
}

impl<'s, 'a> Walk<'s, 'a> {
    pub(crate) fn new(
        stages: &'s Stages<'a>,
        counted: &'s [usize],
        all: &'s [usize],
        in_doubt: &'s mut bool,
    ) -> Self {
        Self { stages, counted, all, in_doubt, strict: true, skipped: false, steps: 0 }
    }

    /// The gateway's own `panic_below`, then the rank: first with every tier's `min_healthy`, then, as
    /// something that serves is better than nothing, without.
    pub(crate) fn first(mut self, rank: &Rank, members: &[usize], trail: &mut impl Trail) -> Option<Chosen> {
        let panic = self.panics(self.stages.gateway.panic_below, self.counted, trail);
        let found = self.rank(rank, members, panic, trail);
        if found.is_some() || !self.skipped {
            return found;
        }
        (self.strict, self.steps) = (false, 0);
        self.rank(rank, members, panic, trail)
    }

    /// The first endpoints of a rank among `members` that serve; in a `panic`, all count so.
    fn rank(
        &mut self,
        rank: &Rank,
        members: &[usize],
        panic: bool,
        trail: &mut impl Trail,
    ) -> Option<Chosen> {
        self.step();
        match rank {
            Rank::Together(clusters) => self.together(clusters, members, panic, trail),
            Rank::InTurn(ranks) => {
                let found = ranks.iter().find_map(|rank| self.rank(rank, members, panic, trail));
                if found.is_none() {
                    self.step();
                }
                found
            }
            Rank::Tier { clusters, min_healthy, panic_below, inner } => {
                let members = self.among(clusters, members);
                if members.is_empty() {
                    self.steps += inner.steps();
                    return None;
                }
                let panic = panic || {
                    let counted = self.among(clusters, self.counted);
                    self.panics(*panic_below, &counted, trail)
                };
                if self.strict && !panic {
                    let all = self.among(clusters, self.all);
                    if self.has_too_few(*min_healthy, &all, trail) {
                        self.skipped = true;
                        self.steps += inner.steps();
                        return None;
                    }
                }
                self.rank(inner, &members, panic, trail)
            }
        }
    }

    fn step(&mut self) {
        self.steps += 1;
        self.stages.looked.at(self.steps);
    }

    fn together(
        &mut self,
        clusters: &[ClusterId],
        members: &[usize],
        panic: bool,
        trail: &mut impl Trail,
    ) -> Option<Chosen> {
        let all = self.among(clusters, members);
        if all.is_empty() {
            return None;
        }
        *self.in_doubt |= all.iter().any(|&index| self.stages.standings[index].in_doubt);
        let in_doubt = *self.in_doubt;
        if panic {
            return Some(Chosen { members: all, in_doubt, basis: Basis::Panic });
        }
        let of = |wanted: fn(&Stages<'a>, usize) -> bool| -> Vec<usize> {
            all.iter().copied().filter(|&index| wanted(self.stages, index)).collect()
        };
        let healthy = of(Stages::is_healthy);
        if !healthy.is_empty() {
            return Some(Chosen { members: healthy, in_doubt, basis: Basis::Healthy });
        }
        let degraded = of(Stages::serves);
        if !degraded.is_empty() {
            trail.note(|| Note::OnlyDegraded(degraded.clone()));
            return Some(Chosen { members: degraded, in_doubt, basis: Basis::Degraded });
        }
        trail.note(|| Note::NothingHealthy(all));
        None
    }

    //--- Conditions

    fn panics(&mut self, below: Share, counted: &[usize], trail: &mut impl Trail) -> bool {
        let (panic, healthy) = self.holds(counted, |healthy| below.is_above(healthy, counted.len()));
        if panic {
            trail.note(|| Note::Panic { members: counted.to_vec(), healthy });
        }
        panic
    }

    fn has_too_few(&mut self, wanted: u16, members: &[usize], trail: &mut impl Trail) -> bool {
        let (too_few, healthy) = self.holds(members, |healthy| healthy < usize::from(wanted));
        if too_few {
            trail.note(|| Note::TooFewHealthy { members: members.to_vec(), healthy, wanted });
        }
        too_few
    }

    /// Whether a condition on how many of these serve holds, and how many do: degraded ones too, so that
    /// a certificate near its end empties no tier. What is in doubt counts only where it can turn the
    /// condition.
    fn holds(&mut self, of: &[usize], condition: impl Fn(usize) -> bool) -> (bool, usize) {
        let standings = self.stages.standings;
        let (serving, others): (Vec<usize>, Vec<usize>) =
            of.iter().partition(|&&index| self.stages.serves(index));
        let in_doubt = |of: &[usize]| of.iter().filter(|&&index| standings[index].in_doubt).count();
        let (least, most) = (serving.len() - in_doubt(&serving), serving.len() + in_doubt(&others));
        *self.in_doubt |= condition(least) != condition(most);
        (condition(serving.len()), serving.len())
    }

    fn among(&self, clusters: &[ClusterId], members: &[usize]) -> Vec<usize> {
        let of = |&&index: &&usize| clusters.contains(&self.stages.gateway.endpoints[index].cluster);
        members.iter().filter(of).copied().collect()
    }
}
