//! From a decision to the addresses of one answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meridian_model::{Order, Share};
use smallvec::SmallVec;

use crate::draw::{Draw, Draws, Score, mix};
use crate::roster::Addresses;
use crate::{Candidate, Decision, Health, Listed, Roster};

//----------- pick -----------------------------------------------------------

/// The addresses of one answer.
pub type Given = SmallVec<[IpAddr; 8]>;

/// What was picked, beside the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// The endpoint whose hostname is the answer in place of addresses: it came first, and nothing may
    /// stand beside a CNAME (RFC 2181 §10.1).
    pub cname: Option<u16>,
    /// The endpoint of the first address, or of `cname`; `None`: there is neither.
    pub first: Option<u16>,
    /// Whether another client could have got other addresses of the same decision.
    pub drawn: bool,
}

/// Puts the addresses of one answer into `into`, which is emptied first.
///
/// `roster` is the gateway's own, of the family that was decided for. Candidates are taken by weight
/// without replacement, each contributing its addresses (those that serve, unless the decision is a
/// fallback) until `answers` are there; `None`: all. The same `draw` gives the same answer.
pub fn pick<'v>(
    roster: Roster<'_>,
    decision: &Decision,
    answers: Option<u16>,
    health: impl Into<Health<'v>>,
    draw: Draw,
    into: &mut Given,
) -> Picked {
    into.clear();
    let health = health.into();
    let identities = roster.identities;
    match roster.addresses {
        Addresses::V4(listed) => Picking { listed, identities, decision, answers, health }.pick(draw, into),
        Addresses::V6(listed) => Picking { listed, identities, decision, answers, health }.pick(draw, into),
    }
}

struct Picking<'p, A> {
    listed: &'p [Listed<A>],
    identities: &'p [u64],
    decision: &'p Decision,
    answers: Option<u16>,
    health: Health<'p>,
}

impl<A: Number> Picking<'_, A> {
    fn pick(&self, draw: Draw, into: &mut Given) -> Picked {
        let (first, cname) = match (draw, &self.decision.candidates[..]) {
            // What most decisions are: one address, whose health was looked at when it was decided.
            (Draw::Random(_), [only @ Candidate { is_its_address: true, .. }]) if self.most() > 0 => {
                debug_assert_eq!(self.usable(only).count(), 1, "it was decided by the same verdicts");
                let Some(listed) = self.listed.get(usize::from(only.first)) else {
                    return Picked::default();
                };
                into.push(listed.address.into());
                return Picked { first: Some(only.endpoint), ..Picked::default() };
            }
            // Each is looked at once.
            (Draw::Random(random), [only]) if !only.as_cname => {
                let usable = self.give(only, &mut Draws::new(random), into);
                let first = (!into.is_empty()).then_some(only.endpoint);
                return Picked { cname: None, first, drawn: usable > into.len() };
            }
            (Draw::Random(random), _) => self.at_random(random, into),
            (Draw::Client(hash), _) => self.for_client(hash, into),
        };
        Picked { cname, first: cname.or(first), drawn: self.is_drawn(into.len()) }
    }

    /// Whether there was more to choose from than the answer holds.
    fn is_drawn(&self, given: usize) -> bool {
        match &self.decision.candidates[..] {
            [] => false,
            [only] if only.as_cname => false,
            all => {
                all.iter().any(|candidate| candidate.as_cname)
                    || all.iter().map(|candidate| self.usable(candidate).count()).sum::<usize>() > given
            }
        }
    }

    /// The endpoint of the first address, and the one whose hostname is the answer.
    fn at_random(&self, random: u64, into: &mut Given) -> (Option<u16>, Option<u16>) {
        let mut draws = Draws::new(random);
        let mut first = None;
        let mut left: SmallVec<[Candidate; 8]> = self.decision.candidates.iter().copied().collect();
        while !left.is_empty() {
            let is_first = left.len() == self.decision.candidates.len();
            let chosen = left.swap_remove(draw_by_weight(&left, &mut draws));
            match (chosen.as_cname, is_first) {
                (true, true) => return (None, Some(chosen.endpoint)),
                // Behind one with addresses, perhaps of the other family: nothing beside those.
                (true, false) => continue,
                (false, _) => {}
            }
            self.give(&chosen, &mut draws, into);
            first = first.or((!into.is_empty()).then_some(chosen.endpoint));
            if into.len() >= self.most() {
                break;
            }
        }
        (first, None)
    }

    /// By rendezvous: each candidate has a score for this client that no other candidate's coming or
    /// going changes; likewise each address within one.
    fn for_client(&self, hash: u64, into: &mut Given) -> (Option<u16>, Option<u16>) {
        let (most, mut first) = (self.most(), None);
        let score = |candidate: &Candidate| {
            let identity = self.identities.get(usize::from(candidate.endpoint)).copied().unwrap_or_default();
            Score::new(hash, identity, candidate.weight)
        };
        let mut ranked: Vec<(Score, &Candidate)> =
            self.decision.candidates.iter().map(|candidate| (score(candidate), candidate)).collect();
        ranked.sort_by(|(a, _), (b, _)| a.cmp(*b));
        let mut addresses: Vec<(u64, IpAddr)> = Vec::new();
        for (place, (_, candidate)) in ranked.into_iter().enumerate() {
            match (candidate.as_cname, place) {
                (true, 0) => return (None, Some(candidate.endpoint)),
                (true, _) => continue,
                (false, _) => {}
            }
            addresses.clear();
            let own = self.usable(candidate).map(|listed| (mix(hash ^ mix(listed.address.number())), listed));
            addresses.extend(own.map(|(score, listed)| (score, listed.address.into())));
            addresses.sort_unstable();
            into.extend(addresses.iter().map(|(_, address)| *address).take(most - into.len()));
            first = first.or((!into.is_empty()).then_some(candidate.endpoint));
            if into.len() >= most {
                break;
            }
        }
        (first, None)
    }

    /// Adds the addresses of a candidate, as many as there is room for; says how many it has.
    fn give(&self, candidate: &Candidate, draws: &mut Draws, into: &mut Given) -> usize {
        let (most, before) = (self.most(), into.len());
        let has_room = before + usize::from(candidate.count) <= into.inline_size();
        let count = if has_room {
            into.extend(self.usable(candidate).map(|listed| listed.address.into()));
            into.len() - before
        } else {
            self.usable(candidate).count()
        };
        // Start anywhere, so that the addresses of one endpoint share its clients.
        let start = draws.below(count as u64).try_into().unwrap_or(0);
        if has_room {
            into.get_mut(before..).unwrap_or_default().rotate_left(start);
            into.truncate(most);
        } else {
            let rotated = self.usable(candidate).cycle().skip(start).take(count);
            into.extend(rotated.map(|listed| listed.address.into()).take(most - before));
        }
        count
    }

    fn most(&self) -> usize {
        self.answers.map_or(usize::MAX, usize::from)
    }

    /// The addresses of a candidate that may be handed out.
    fn usable(&self, candidate: &Candidate) -> impl Iterator<Item = &Listed<A>> + Clone {
        let first = usize::from(candidate.first);
        let listed = self.listed.get(first..first + usize::from(candidate.count)).unwrap_or_default();
        let (basis, verdicts) = (self.decision.basis, self.health.verdicts());
        let is_drained = candidate.weight == 0;
        let endpoint = usize::from(candidate.endpoint);
        let order = move |listed: &Listed<A>| self.health.order(endpoint, Some(listed.address.into()));
        listed.iter().filter(move |listed| {
            let takes = || listed.target.is_none_or(|target| basis.takes(target, verdicts));
            if !self.health.has_orders() {
                return takes();
            }
            match order(listed) {
                Some(Order::Down) => false,
                Some(Order::Up) => true,
                // Beside others of its endpoint that have weight left.
                Some(Order::Drain(Share::NONE)) if !is_drained => false,
                Some(Order::Drain(_)) | None => takes(),
            }
        })
    }
}

/// The index of one candidate, each with odds in proportion to its weight; all alike when all are 0.
fn draw_by_weight(candidates: &[Candidate], draws: &mut Draws) -> usize {
    let total: u64 = candidates.iter().map(|candidate| u64::from(candidate.weight)).sum();
    if total == 0 {
        return draws.below(candidates.len() as u64).try_into().unwrap_or(0);
    }
    let mut ticket = draws.below(total);
    for (index, candidate) in candidates.iter().enumerate() {
        let weight = u64::from(candidate.weight);
        if ticket < weight {
            return index;
        }
        ticket -= weight;
    }
    0
}

//----------- Number ---------------------------------------------------------

/// An address as a number to hash.
trait Number: Copy + Into<IpAddr> {
    fn number(self) -> u64;
}

impl Number for Ipv4Addr {
    fn number(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Number for Ipv6Addr {
    fn number(self) -> u64 {
        let bits = self.to_bits();
        mix((bits >> 64) as u64) ^ bits as u64
    }
}
