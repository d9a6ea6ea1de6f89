//! From the standing of endpoints and an order of clusters to the candidates.

use meridian_model::{AllDown, ClusterId, Gateway, Policy, Track, Verdict};

use crate::{Family, Standing};

//----------- Decision -------------------------------------------------------

/// What all clients of one order get until a verdict changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// One tier, in the gateway's order. Empty: no address is answered.
    pub candidates: Vec<Candidate>,
    /// Whether the TTL is the gateway's `min_ttl`: a verdict that the candidates depend on is in
    /// doubt, or they are a fallback.
    pub short_ttl: bool,
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
}

/// The grounds of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// They are healthy.
    Healthy,
    /// Nothing is: the policy as though all were (`serve_all`).
    ServeAll,
    /// Nothing is: those that were healthy last (`last_healthy`).
    LastHealthy,
    /// Nothing is: the named ones (`fallback`).
    Fallback,
    /// Nothing is, and the gateway wants no answer then (`nodata`).
    AllDown,
    /// No endpoint has an address of the family.
    NoAddress,
}

impl Basis {
    /// Whether only healthy addresses of the candidates may be handed out.
    #[must_use]
    pub fn obeys_health(self) -> bool {
        self == Self::Healthy
    }
}

//----------- decide ---------------------------------------------------------

/// Decides for a gateway whose endpoints stand as given, for clients with this order of clusters.
///
/// `order` names every cluster of the gateway once. The TTL is short when an endpoint in doubt is
/// among those that come before or with the candidates: only they can change the answer.
#[must_use]
pub fn decide(gateway: &Gateway, family: Family, standings: &[Standing], order: &[ClusterId]) -> Decision {
    let everyone: Vec<usize> = (0..gateway.endpoints.len().min(standings.len()))
        .filter(|&index| standings[index].verdict.is_some())
        .collect();
    if everyone.is_empty() {
        return Decision { candidates: Vec::new(), short_ttl: false, basis: Basis::NoAddress };
    }
    let stage = Stage { gateway, standings, order };
    if let Some((candidates, in_doubt)) = stage.healthy(&everyone) {
        return Decision {
            candidates: candidates_of(gateway, family, &candidates),
            short_ttl: in_doubt,
            basis: Basis::Healthy,
        };
    }
    let (candidates, basis) = stage.all_down(&everyone);
    Decision { candidates: candidates_of(gateway, family, &candidates), short_ttl: true, basis }
}

/// What every stage looks at.
struct Stage<'a> {
    gateway: &'a Gateway,
    standings: &'a [Standing],
    order: &'a [ClusterId],
}

impl Stage<'_> {
    /// The healthy tier to use and whether it is in doubt; `None` when nothing is healthy.
    ///
    /// The live track goes first; a track with nothing healthy gives its clients to the others.
    /// Weight 0 takes part only when nothing else is left (Route 53).
    fn healthy(&self, everyone: &[usize]) -> Option<(Vec<usize>, bool)> {
        let live = live_track(self.gateway);
        let mut in_doubt = false;
        for weightless in [false, true] {
            for on_live in [true, false] {
                let members: Vec<usize> = everyone
                    .iter()
                    .copied()
                    .filter(|&index| {
                        let endpoint = &self.gateway.endpoints[index];
                        (endpoint.track == live) == on_live && (endpoint.weight == 0) == weightless
                    })
                    .collect();
                for tier in tiers(self.gateway, &self.gateway.policy, &members, self.order) {
                    in_doubt |= tier.iter().any(|&index| self.standings[index].in_doubt);
                    let healthy: Vec<usize> = tier
                        .into_iter()
                        .filter(|&index| self.standings[index].verdict == Some(Verdict::Healthy))
                        .collect();
                    if !healthy.is_empty() {
                        return Some((healthy, in_doubt));
                    }
                }
            }
        }
        None
    }

    /// The candidates when nothing is healthy. Never empty unless the gateway says `nodata`.
    fn all_down(&self, everyone: &[usize]) -> (Vec<usize>, Basis) {
        let last = |index: &usize| self.standings[*index].last_healthy;
        let (wanted, basis): (Vec<usize>, Basis) = match &self.gateway.all_down {
            AllDown::NoData => return (Vec::new(), Basis::AllDown),
            AllDown::ServeAll => (Vec::new(), Basis::ServeAll),
            AllDown::LastHealthy => (everyone.iter().copied().filter(last).collect(), Basis::LastHealthy),
            AllDown::Fallback(clusters) => (
                everyone
                    .iter()
                    .copied()
                    .filter(|&index| clusters.contains(&self.gateway.endpoints[index].cluster))
                    .collect(),
                Basis::Fallback,
            ),
        };
        match self.first_tier(&wanted) {
            // None of them ever was healthy, or the named ones have no address of this family.
            None => (self.first_tier(everyone).unwrap_or_else(|| everyone.to_vec()), Basis::ServeAll),
            Some(tier) => (tier, basis),
        }
    }

    /// The first tier as though all members were healthy.
    fn first_tier(&self, members: &[usize]) -> Option<Vec<usize>> {
        let everyone_healthy: Vec<Standing> = self
            .standings
            .iter()
            .map(|standing| Standing { verdict: standing.verdict.and(Some(Verdict::Healthy)), ..*standing })
            .collect();
        let stage = Stage { standings: &everyone_healthy, ..*self };
        stage.healthy(members).map(|(tier, _)| tier)
    }
}

/// The track that clients get while no rollout says otherwise: stable, else blue, else the first
/// endpoint's.
fn live_track(gateway: &Gateway) -> Track {
    [Track::Stable, Track::Blue]
        .into_iter()
        .find(|&track| gateway.endpoints.iter().any(|endpoint| endpoint.track == track))
        .or_else(|| gateway.endpoints.first().map(|endpoint| endpoint.track))
        .unwrap_or_default()
}

/// A policy's tiers among some endpoints, first to last; an endpoint is in the first that has it.
fn tiers(gateway: &Gateway, policy: &Policy, members: &[usize], order: &[ClusterId]) -> Vec<Vec<usize>> {
    let within = |wanted: &dyn Fn(ClusterId) -> bool| -> Vec<usize> {
        members.iter().copied().filter(|&index| wanted(gateway.endpoints[index].cluster)).collect()
    };
    match policy {
        Policy::Nearest(_) | Policy::Geo(_) | Policy::Latency(_) => {
            order.iter().map(|&cluster| within(&|other| other == cluster)).collect()
        }
        Policy::Weighted | Policy::All => vec![members.to_vec()],
        Policy::Failover(of) => {
            let mut left = members.to_vec();
            let mut all = Vec::new();
            for tier in of {
                let (inside, outside): (Vec<usize>, Vec<usize>) = left
                    .iter()
                    .partition(|&&index| tier.clusters.contains(&gateway.endpoints[index].cluster));
                all.extend(tiers(gateway, &tier.policy, &inside, order));
                left = outside;
            }
            all
        }
    }
}

/// The candidates at these indices. `config` bounds a gateway's endpoints and addresses far below
/// 65,536; what would not fit is left out.
fn candidates_of(gateway: &Gateway, family: Family, indices: &[usize]) -> Vec<Candidate> {
    let mut candidates = Vec::with_capacity(indices.len());
    let mut first = 0;
    for (index, endpoint) in gateway.endpoints.iter().enumerate() {
        let count = endpoint.addresses.iter().filter(|address| family.has(address.ip)).count();
        if indices.contains(&index)
            && let (Ok(endpoint_index), Ok(first), Ok(count)) =
                (u16::try_from(index), u16::try_from(first), u16::try_from(count))
        {
            candidates.push(Candidate { endpoint: endpoint_index, weight: endpoint.weight, first, count });
        }
        first += count;
    }
    candidates
}
