//! A verdict made of others: the `at_least`-th best of them.

use std::cmp::Reverse;
use std::time::Duration;

use meridian_model::Verdict;

use crate::generation::SlotId;

/// What a combined probe says of an address.
#[derive(Clone, Debug)]
pub(crate) struct Combined {
    /// What it is made of.
    pub(crate) members: Box<[SlotId]>,
    at_least: usize,
    invert: bool,
    now: Judged,
    /// When the verdict began; `None` while there is none.
    since: Option<Duration>,
}

/// What the members come to at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) observed: Verdict,
    pub(crate) effective: Verdict,
    /// Whether a member that is in doubt can turn the effective verdict.
    pub(crate) in_doubt: bool,
}

/// A verdict that gave way to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) before: Judged,
    /// How many members serve now.
    pub(crate) serving: usize,
    /// How long the verdict before had held; `None` if there was none.
    pub(crate) held: Option<Duration>,
}

impl Combined {
    pub(crate) fn new(members: Box<[SlotId]>, at_least: u16, invert: bool) -> Self {
        Self { members, at_least: usize::from(at_least), invert, now: Judged::default(), since: None }
    }

    pub(crate) fn judged(&self) -> Judged {
        self.now
    }

    /// When the verdict began; `None` while there is none.
    pub(crate) fn since(&self) -> Option<Duration> {
        self.since
    }

    pub(crate) fn at_least(&self) -> usize {
        self.at_least
    }

    /// Takes what the members, all of them, say at `now`. Says what turned, if a verdict did.
    pub(crate) fn update(&mut self, members: &[Judged], now: Duration) -> Option<Turn> {
        let of = |verdict: &dyn Fn(&Judged) -> Verdict| {
            nth_best(members.iter().map(verdict).collect(), self.at_least, self.invert)
        };
        let doubtful = |instead: Verdict| {
            of(&|member: &Judged| if member.in_doubt { instead } else { member.effective })
        };
        let judged = Judged {
            observed: of(&|member| member.observed),
            effective: of(&|member| member.effective),
            in_doubt: doubtful(Verdict::Healthy) != doubtful(Verdict::Unhealthy),
        };
        let before = std::mem::replace(&mut self.now, judged);
        if (before.observed, before.effective) == (judged.observed, judged.effective) {
            return None;
        }
        let held = self.since.map(|since| now.saturating_sub(since));
        self.since = Some(now);
        let serving = members.iter().filter(|member| member.observed.serves()).count();
        Some(Turn { before, serving, held })
    }
}

/// The verdict of a combined probe: the `n`-th best of those of its members, or its contrary.
pub(crate) fn nth_best(mut verdicts: Vec<Verdict>, n: usize, invert: bool) -> Verdict {
    verdicts.sort_by_key(|verdict| Reverse(verdict.rank()));
    let verdict = n.checked_sub(1).and_then(|index| verdicts.get(index)).copied().unwrap_or_default();
    match verdict {
        Verdict::Healthy | Verdict::Degraded if invert => Verdict::Unhealthy,
        Verdict::Unhealthy if invert => Verdict::Healthy,
        verdict => verdict,
    }
}

/// How many members serve, as the cause of a combined verdict begins.
pub(crate) fn tally(serving: usize, all: usize, at_least: usize) -> String {
    format!("{serving} of {all} probes serve, wanted {at_least}")
}

#[cfg(test)]
mod tests {
    use meridian_model::Verdict::{Degraded, Healthy, Unhealthy, Unknown};

    use super::*;

    fn sure(verdict: Verdict) -> Judged {
        Judged { observed: verdict, effective: verdict, in_doubt: false }
    }

    fn doubtful(verdict: Verdict) -> Judged {
        Judged { in_doubt: true, ..sure(verdict) }
    }

    fn judge(members: &[Judged], at_least: u16, invert: bool) -> (Verdict, bool) {
        let mut combined = Combined::new(Box::default(), at_least, invert);
        combined.update(members, Duration::ZERO);
        let Judged { effective, in_doubt, .. } = combined.judged();
        (effective, in_doubt)
    }

    #[test]
    fn the_nth_best_member_decides() {
        let members = [Unhealthy, Healthy, Unknown, Degraded].map(sure);
        for (at_least, wanted) in [(1, Healthy), (2, Degraded), (3, Unknown), (4, Unhealthy)] {
            assert_eq!(judge(&members, at_least, false), (wanted, false));
        }
        for (at_least, wanted) in [(1, Unhealthy), (2, Unhealthy), (3, Unknown), (4, Healthy)] {
            assert_eq!(judge(&members, at_least, true), (wanted, false), "inverted");
        }
    }

    #[test]
    fn doubt_counts_where_it_can_turn_the_verdict() {
        let one_down = |doubt: fn(Verdict) -> Judged| [sure(Healthy), sure(Healthy), doubt(Unhealthy)];
        for (at_least, in_doubt) in [(1, false), (2, false), (3, true)] {
            assert_eq!(judge(&one_down(doubtful), at_least, false).1, in_doubt, "{at_least}");
            assert!(!judge(&one_down(sure), at_least, false).1);
        }
        let two = [doubtful(Healthy), sure(Unhealthy)];
        assert_eq!((judge(&two, 1, false).1, judge(&two, 2, false).1), (true, false));
    }

    #[test]
    fn a_turn_says_what_was_before_and_for_how_long() {
        let mut combined = Combined::new(Box::default(), 1, false);
        let at = Duration::from_secs;
        let first = combined.update(&[sure(Healthy)], at(1)).unwrap();
        assert_eq!((first.before, first.serving, first.held), (Judged::default(), 1, None));
        assert_eq!(combined.update(&[doubtful(Healthy)], at(2)), None, "doubt is no turn");
        assert!(combined.judged().in_doubt);
        let turn = combined.update(&[sure(Unhealthy)], at(5)).unwrap();
        assert_eq!((turn.before.effective, turn.serving, turn.held), (Healthy, 0, Some(at(4))));
        let back = combined.update(&[sure(Healthy)], at(6)).unwrap();
        assert_eq!(back.held, Some(at(1)));
    }
}
