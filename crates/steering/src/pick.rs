//! From a decision to the addresses of one answer.

use std::net::IpAddr;

use meridian_model::Verdicts;

use crate::{Candidate, Decision, Listed, Roster};

/// Puts the addresses of one answer into `into`, which is emptied first.
///
/// `roster` is the gateway's own, of the family that was decided for. Candidates are drawn by weight
/// without replacement, each contributing its addresses (healthy ones only, unless the decision is a
/// fallback) until `answers` are there; `None`: all. The same `random` gives the same answer.
pub fn pick(
    roster: Roster<'_>,
    decision: &Decision,
    answers: Option<u16>,
    verdicts: &Verdicts,
    random: u64,
    into: &mut Vec<IpAddr>,
) {
    match roster {
        Roster::V4(listed) => pick_from(listed, decision, answers, verdicts, random, into),
        Roster::V6(listed) => pick_from(listed, decision, answers, verdicts, random, into),
    }
}

fn pick_from<A: Copy + Into<IpAddr>>(
    roster: &[Listed<A>],
    decision: &Decision,
    answers: Option<u16>,
    verdicts: &Verdicts,
    random: u64,
    into: &mut Vec<IpAddr>,
) {
    into.clear();
    let most = answers.map_or(usize::MAX, usize::from);
    let mut draws = Draws(random);
    let mut give = |candidate: &Candidate, draws: &mut Draws| {
        let first = usize::from(candidate.first);
        let listed = roster.get(first..first + usize::from(candidate.count)).unwrap_or_default();
        let usable = |listed: &&Listed<A>| {
            !decision.basis.obeys_health() || listed.target.is_none_or(|target| verdicts.is_healthy(target))
        };
        let count = listed.iter().filter(usable).count();
        // Start anywhere, so that the addresses of one endpoint share its clients.
        let start = draws.below(count as u64).try_into().unwrap_or(0);
        let rotated = listed.iter().filter(usable).cycle().skip(start).take(count);
        into.extend(rotated.map(|listed| listed.address.into()).take(most - into.len()));
        into.len() >= most
    };
    if let [only] = &decision.candidates[..] {
        give(only, &mut draws);
        return;
    }
    let mut left = decision.candidates.clone();
    while !left.is_empty() {
        let chosen = left.swap_remove(draw_by_weight(&left, &mut draws));
        if give(&chosen, &mut draws) {
            return;
        }
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

/// Numbers drawn one after the other from a single random number (Steele et al., SplitMix64).
struct Draws(u64);

impl Draws {
    /// A number below `bound`, each as likely up to one part in 2⁶⁴ / bound; 0 for a bound of 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // The high half of a 128-bit product: below `bound`, without a division.
        ((u128::from(z) * u128::from(bound)) >> 64) as u64
    }
}
