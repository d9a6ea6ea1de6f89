//! From the standing of endpoints and a rank of clusters to the candidates.

use std::cell::Cell;

use meridian_model::{AllDown, ClusterId, Endpoint, Gateway, Share, TargetId, Track, Verdict, Verdicts};

use crate::permit::Permit;
use crate::rank::Rank;
use crate::trail::{Note, Trail};
use crate::walk::{Chosen, Walk};
use crate::{Family, Standing};

//----------- Outlook --------------------------------------------------------

/// All that where a client is means for a gateway: what may serve it, and in which order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outlook {
    /// Stage 1: no decision goes beyond it.
    pub permit: Permit,
    /// Stage 5, for all of the gateway's clusters: what is not permitted is taken out by `decide`.
    pub rank: Rank,
}

//----------- Decision -------------------------------------------------------

/// What all clients of one outlook get until a verdict changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// One tier, in the gateway's order. Empty: no address is answered.
    pub candidates: Vec<Candidate>,
    /// Why the TTL is the gateway's `min_ttl`, if it is.
    pub doubt: Option<Doubt>,
    /// The most seconds that the candidates' own hostnames allow.
    pub ttl_cap: Option<u32>,
    /// On what grounds the candidates were taken.
    pub basis: Basis,
}

/// An endpoint that may be picked, with all that picking needs beside the addresses themselves: a
/// decision is shared by gateways of one shape, each with its own [`crate::Roster`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Index into the gateway's endpoints.
    pub endpoint: u16,
    /// Its share beside the others.
    pub weight: u32,
    /// Where its addresses begin in the roster.
    pub first: u16,
    /// How many there are.
    pub count: u16,
    /// Whether its hostname is handed out in place of its addresses.
    pub as_cname: bool,
    /// Whether it has one address and stands as that does: if the candidate may be picked, so may the address.
    pub is_its_address: bool,
}

/// The grounds of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// They are healthy.
    Healthy,
    /// They are degraded, and nothing of their tier is healthy.
    Degraded,
    /// Too few of a tier are healthy, so all of it counts as healthy (`panic_below`).
    Panic,
    /// Nothing is: the policy as though all were (`serve_all`).
    ServeAll,
    /// Nothing is: those that were healthy last (`last_healthy`).
    LastHealthy,
    /// Nothing that the policy names is: the ones for that case (`fallback`).
    Fallback,
    /// Nothing is, and the gateway wants no answer then (`nodata`).
    AllDown,
    /// No endpoint has an address of the family.
    NoAddress,
    /// An operator took out all that have one.
    TakenOut,
    /// Residency lets no cluster of the gateway serve the client.
    Prohibited,
    /// Residency lets some serve it, and none of those can; but for residency there were an answer.
    Filtered,
}

impl Basis {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Healthy,
        Self::Degraded,
        Self::Panic,
        Self::ServeAll,
        Self::LastHealthy,
        Self::Fallback,
        Self::AllDown,
        Self::NoAddress,
        Self::TakenOut,
        Self::Prohibited,
        Self::Filtered,
    ];

    /// The word for it, as metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Panic => "panic",
            Self::ServeAll => "serve_all",
            Self::LastHealthy => "last_healthy",
            Self::Fallback => "fallback",
            Self::AllDown => "all_down",
            Self::NoAddress => "no_address",
            Self::TakenOut => "taken_out",
            Self::Prohibited => "prohibited",
            Self::Filtered => "filtered",
        }
    }

    /// Whether an address of a candidate may be handed out.
    pub(crate) fn takes(self, target: TargetId, verdicts: &Verdicts) -> bool {
        match self {
            Self::Healthy => verdicts.is_healthy(target),
            Self::Degraded => verdicts.get(target).verdict.serves(),
            _ => true,
        }
    }
}

/// Why an answer must not be kept for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// A verdict that the answer depends on may be about to change, or has just changed.
    Verdict,
    /// The candidates are not what health alone would give.
    Fallback,
}

/// The decisions for the two kinds of clients that a rollout makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// For clients of the live track.
    pub live: Decision,
    /// For clients of the trial, where they get something else.
    pub trial: Option<Decision>,
}

//----------- decide ---------------------------------------------------------

/// Decides for a gateway whose endpoints stand as given, for clients of an outlook.
///
/// The TTL is short when an endpoint in doubt is among those that come before or with the
/// candidates, or can change whether `panic_below` or `min_healthy` holds on the way: only they can
/// change the answer.
#[must_use]
pub fn decide(
    gateway: &Gateway,
    family: Family,
    standings: &[Standing],
    outlook: &Outlook,
    trail: &mut impl Trail,
) -> Split {
    Stages::new(gateway, family, standings, outlook, &Looked::default()).split(trail)
}

/// As [`decide`], for clients of one track alone.
#[must_use]
pub fn decide_for_track(
    gateway: &Gateway,
    family: Family,
    standings: &[Standing],
    outlook: &Outlook,
    track: Track,
    trail: &mut impl Trail,
) -> Decision {
    Stages::new(gateway, family, standings, outlook, &Looked::default()).decide(track, trail)
}

/// The track of clients that no trial takes: what the rollout says, else stable, else blue, else the
/// first endpoint's.
#[must_use]
pub fn live_track(gateway: &Gateway) -> Track {
    gateway
        .rollout
        .live
        .or_else(|| {
            [Track::Stable, Track::Blue]
                .into_iter()
                .find(|&track| gateway.endpoints.iter().any(|endpoint| endpoint.track == track))
        })
        .or_else(|| gateway.endpoints.first().map(|endpoint| endpoint.track))
        .unwrap_or_default()
}

/// The endpoints of one cluster, whatever their health: for its test name. Residency holds here too.
#[must_use]
pub fn decide_for_site(
    gateway: &Gateway,
    family: Family,
    standings: &[Standing],
    permit: &Permit,
    site: ClusterId,
) -> Decision {
    let (rank, looked) = (&Rank::Together(vec![site]), &Looked::default());
    let stages = Stages { gateway, family, standings, permit, rank, looked, may_panic: true };
    if !permit.allows(site) {
        return stages.nothing(Basis::Prohibited);
    }
    let of_site: Vec<usize> =
        stages.reachable().filter(|&index| gateway.endpoints[index].cluster == site).collect();
    if of_site.is_empty() {
        return stages.nothing(Basis::NoAddress);
    }
    Decision { doubt: None, ..stages.decision(&of_site, None, Basis::ServeAll) }
}

/// What every stage looks at.
#[derive(Clone, Copy)]
pub(crate) struct Stages<'a> {
    pub(crate) gateway: &'a Gateway,
    family: Family,
    pub(crate) standings: &'a [Standing],
    permit: &'a Permit,
    rank: &'a Rank,
    pub(crate) looked: &'a Looked,
    /// Whether anything can make what does not serve count as healthy.
    pub(crate) may_panic: bool,
}

/// How far into a rank was looked, on all ways through it: a decision depends on no step beyond.
#[derive(Debug, Default)]
pub(crate) struct Looked(Cell<usize>);

impl Looked {
    pub(crate) fn at(&self, steps: usize) {
        self.0.set(self.0.get().max(steps));
    }

    pub(crate) fn steps(&self) -> usize {
        self.0.get()
    }
}

impl<'a> Stages<'a> {
    pub(crate) fn new(
        gateway: &'a Gateway,
        family: Family,
        standings: &'a [Standing],
        outlook: &'a Outlook,
        looked: &'a Looked,
    ) -> Self {
        Self {
            gateway,
            family,
            standings,
            permit: &outlook.permit,
            rank: &outlook.rank,
            looked,
            may_panic: true,
        }
    }

    pub(crate) fn split(&self, trail: &mut impl Trail) -> Split {
        let live = live_track(self.gateway);
        let decided = self.decide(live, trail);
        let trial = self.gateway.rollout.trial;
        let trial = trial.filter(|trial| trial.share > Share::NONE && trial.track != live);
        let trial = trial.map(|trial| self.decide(trial.track, &mut ())).filter(|trial| *trial != decided);
        Split { live: decided, trial }
    }

    fn decide(&self, track: Track, trail: &mut impl Trail) -> Decision {
        let (with_address, without): (Vec<usize>, Vec<usize>) =
            (0..self.gateway.endpoints.len()).partition(|&index| self.has_address(index));
        let (permitted, removed): (Vec<usize>, Vec<usize>) =
            with_address.into_iter().partition(|&index| self.is_permitted(index));
        if *self.permit != Permit::All {
            trail.note(|| Note::Residency { kept: permitted.clone(), removed });
        }
        if !without.is_empty() {
            trail.note(|| Note::NoAddress(without));
        }
        let (permitted, out): (Vec<usize>, Vec<usize>) =
            permitted.into_iter().partition(|&index| self.is_reachable(index));
        let is_draining = |index: &usize| self.standings[*index].left.is_some_and(|left| left < Share::ALL);
        let draining: Vec<usize> = permitted.iter().copied().filter(is_draining).collect();
        let raised: Vec<usize> =
            permitted.iter().copied().filter(|&index| self.standings[index].raised).collect();
        if !out.is_empty() || !draining.is_empty() || !raised.is_empty() {
            trail.note(|| Note::Operator { removed: out, draining, raised });
        }
        if permitted.is_empty() {
            return self.nothing(self.why_nothing(track));
        }
        trail.note(|| {
            let (kept, others): (_, Vec<usize>) =
                permitted.iter().partition(|&&index| self.is_healthy(index));
            let (degraded, removed) = others.into_iter().partition(|&index| self.serves(index));
            Note::Health { kept, degraded, removed }
        });
        if let Some(Chosen { members, in_doubt, basis }) = self.healthy(&permitted, track, trail) {
            trail.note(|| Note::Chosen(members.clone()));
            let doubt = match (basis, in_doubt) {
                (Basis::Panic, _) => Some(Doubt::Fallback),
                (_, true) => Some(Doubt::Verdict),
                (_, false) => None,
            };
            return self.decision(&members, doubt, basis);
        }
        trail.note(|| Note::AllDown);
        let (members, basis) = self.all_down(&permitted, track);
        if members.is_empty() {
            let basis = if self.is_filtered(track) { Basis::Filtered } else { basis };
            return Decision { doubt: Some(Doubt::Fallback), ..self.nothing(basis) };
        }
        trail.note(|| Note::Chosen(members.clone()));
        self.decision(&members, Some(Doubt::Fallback), basis)
    }

    fn reachable(&self) -> impl Iterator<Item = usize> {
        (0..self.gateway.endpoints.len()).filter(|&index| self.is_reachable(index))
    }

    /// Whether an endpoint has something to hand out in the family.
    fn has_address(&self, index: usize) -> bool {
        self.standings.get(index).is_some_and(|standing| standing.verdict.is_some())
    }

    /// Whether it does, and no operator took it out.
    fn is_reachable(&self, index: usize) -> bool {
        self.has_address(index) && self.standings[index].left.is_some()
    }

    /// Its share beside the others, with what an operator leaves of it: some, until there is none.
    fn weight(&self, index: usize) -> u32 {
        let (weight, left) = (self.gateway.endpoints[index].weight, self.standings[index].left);
        let left = u64::from(weight) * u64::from(left.unwrap_or_default().millionths());
        u32::try_from(left.div_ceil(u64::from(Share::ALL.millionths()))).unwrap_or(weight)
    }

    fn is_permitted(&self, index: usize) -> bool {
        self.permit.allows(self.gateway.endpoints[index].cluster)
    }

    pub(crate) fn is_healthy(&self, index: usize) -> bool {
        self.standings[index].verdict == Some(Verdict::Healthy)
    }

    /// Whether it is healthy or degraded.
    pub(crate) fn serves(&self, index: usize) -> bool {
        self.standings[index].verdict.is_some_and(Verdict::serves)
    }

    /// Why no endpoint is left after residency and family.
    fn why_nothing(&self, track: Track) -> Basis {
        let permits = |endpoint: &Endpoint| self.permit.allows(endpoint.cluster);
        if !self.gateway.endpoints.iter().any(permits) {
            return Basis::Prohibited;
        }
        if self.is_filtered(track) {
            return Basis::Filtered;
        }
        let is_out = |index: usize| self.has_address(index) && self.is_permitted(index);
        let any_out = (0..self.gateway.endpoints.len()).any(is_out);
        if any_out { Basis::TakenOut } else { Basis::NoAddress }
    }

    /// Whether there would be an answer but for residency.
    fn is_filtered(&self, track: Track) -> bool {
        let unbound = Stages { permit: &Permit::All, ..*self };
        *self.permit != Permit::All && !unbound.decide(track, &mut ()).candidates.is_empty()
    }

    /// The tier to use that serves; `None` when none does.
    ///
    /// The client's track goes first; a track with nothing healthy gives its clients to the others.
    /// Weight 0 takes part only when nothing else is left (Route 53). What the policy gives no turn is
    /// looked at nowhere, not even in a share.
    fn healthy(&self, permitted: &[usize], track: Track, trail: &mut impl Trail) -> Option<Chosen> {
        let mut in_doubt = false;
        let ranked = self.with_turn(permitted);
        // No need to go all the way.
        if !self.may_panic && !ranked.iter().any(|&index| self.serves(index)) {
            return None;
        }
        for weightless in [false, true] {
            let is_counted = |index: &usize| (self.weight(*index) == 0) == weightless;
            let counted: Vec<usize> = ranked.iter().copied().filter(is_counted).collect();
            let on_tracks = counted.iter().partition(|index| self.gateway.endpoints[**index].track == track);
            let (ours, others): (Vec<usize>, Vec<usize>) = on_tracks;
            for (members, track) in [(ours, Some(track)), (others, None)] {
                if members.is_empty() {
                    continue;
                }
                trail.note(|| Note::Track { track, weightless, members: members.clone() });
                let walk = Walk::new(self, &counted, &ranked, &mut in_doubt);
                if let Some(chosen) = walk.first(self.rank, &members, trail) {
                    return Some(chosen);
                }
            }
        }
        None
    }

    /// The candidates when nothing is healthy. Never empty unless the gateway says `nodata`.
    fn all_down(&self, permitted: &[usize], track: Track) -> (Vec<usize>, Basis) {
        let (found, basis) = match &self.gateway.all_down {
            AllDown::NoData => return (Vec::new(), Basis::AllDown),
            AllDown::ServeAll => (None, Basis::ServeAll),
            AllDown::LastHealthy => (self.last_healthy(permitted, track), Basis::LastHealthy),
            AllDown::Fallback(clusters) => (self.fallback(clusters, permitted, track), Basis::Fallback),
        };
        match found {
            Some(tier) => (tier, basis),
            // None of them ever was healthy, or the named ones have no address of this family.
            None => {
                (self.first_tier(permitted, track).unwrap_or_else(|| permitted.to_vec()), Basis::ServeAll)
            }
        }
    }

    /// Of those that the policy gives a turn, the ones that were lost last.
    fn last_healthy(&self, permitted: &[usize], track: Track) -> Option<Vec<usize>> {
        let ranked = self.with_turn(permitted);
        let lost = |index: usize| self.standings[index].lost_rank;
        let latest = ranked.iter().map(|&index| lost(index)).max().filter(|&latest| latest > 0)?;
        let last: Vec<usize> = ranked.into_iter().filter(|&index| lost(index) == latest).collect();
        self.first_tier(&last, track)
    }

    /// Those that the policy gives a turn.
    fn with_turn(&self, members: &[usize]) -> Vec<usize> {
        let mut clusters = Vec::new();
        self.rank.clusters(&mut clusters);
        clusters.sort_unstable();
        let has_turn =
            |index: &usize| clusters.binary_search(&self.gateway.endpoints[*index].cluster).is_ok();
        members.iter().copied().filter(has_turn).collect()
    }

    /// The endpoints of the named clusters. A cluster that the policy gives no turn, as one with
    /// nothing but a page that says sorry, may be among them: then it is those that serve first.
    fn fallback(&self, clusters: &[ClusterId], permitted: &[usize], track: Track) -> Option<Vec<usize>> {
        let is_named = |index: &usize| clusters.contains(&self.gateway.endpoints[*index].cluster);
        let named: Vec<usize> = permitted.iter().copied().filter(is_named).collect();
        let serving: Vec<usize> = named.iter().copied().filter(|&index| self.serves(index)).collect();
        let together = Stages { rank: &Rank::Together(clusters.to_vec()), ..*self };
        together
            .first_tier(&serving, track)
            .or_else(|| self.first_tier(&named, track))
            .or_else(|| together.first_tier(&named, track))
    }

    /// The first tier as though all members were healthy.
    fn first_tier(&self, members: &[usize], track: Track) -> Option<Vec<usize>> {
        let everyone_healthy: Vec<Standing> = self
            .standings
            .iter()
            .map(|standing| Standing { verdict: standing.verdict.and(Some(Verdict::Healthy)), ..*standing })
            .collect();
        let stages = Stages { standings: &everyone_healthy, ..*self };
        stages.healthy(members, track, &mut ()).map(|chosen| chosen.members)
    }

    //--- Decisions

    fn nothing(&self, basis: Basis) -> Decision {
        Decision { candidates: Vec::new(), doubt: None, ttl_cap: None, basis }
    }

    /// The decision for the endpoints at these indices. `config` bounds a gateway's endpoints and
    /// addresses far below 65,536; what would not fit is left out.
    fn decision(&self, indices: &[usize], doubt: Option<Doubt>, basis: Basis) -> Decision {
        let mut candidates = Vec::with_capacity(indices.len());
        let (mut first, mut ttl_cap) = (0, None);
        for (index, endpoint) in self.gateway.endpoints.iter().enumerate() {
            let count = endpoint.addresses.iter().filter(|address| self.family.has(address.ip)).count();
            if indices.contains(&index)
                && let (Ok(endpoint_index), Ok(first), Ok(count)) =
                    (u16::try_from(index), u16::try_from(first), u16::try_from(count))
            {
                let weight = self.weight(index);
                let as_cname = endpoint.name.as_ref().is_some_and(|name| name.as_cname);
                // Beside a CNAME endpoints stand by the addresses of both families.
                let is_its_address = count == 1 && !self.gateway.has_cname();
                candidates.push(Candidate {
                    endpoint: endpoint_index,
                    weight,
                    first,
                    count,
                    as_cname,
                    is_its_address,
                });
                // A CNAME's own TTL does not depend on that of what it leads to.
                let own = endpoint.name.as_ref().filter(|_| !as_cname).and_then(|name| name.ttl);
                ttl_cap = [ttl_cap, own].into_iter().flatten().min();
            }
            first += count;
        }
        Decision { candidates, doubt, ttl_cap, basis }
    }
}
