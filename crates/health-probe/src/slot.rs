//! One target in the engine: where its verdict comes from, and what was said of it last.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use meridian_model::{Probe, TargetHealth, TargetId, Verdict};
use tokio::time::Instant;

use crate::check::Prepared;
use crate::combined::{Combined, Judged, Turn, tally};
use crate::generation::SlotId;
use crate::history::History;
use crate::runner::Job;
use crate::timetable::Timetable;
use crate::{Change, Event, LastOutcome, Outcome, PastOutcomes, ProbedStatus, Tracker, check};

/// An address under a probe. It outlives a catalog if the next one has the same.
#[derive(Debug)]
pub(crate) struct Slot<R> {
    source: Source<R>,
    /// As [`TargetHealth::lost`].
    lost: u64,
    /// Why the verdict is what it is; empty while it is unknown.
    pub(crate) cause: String,
    /// Its target in the catalog in force; `None` before that catalog is.
    pub(crate) target: Option<TargetId>,
    /// What the last snapshot said of it.
    published: TargetHealth,
    /// Its last outcome, and when it came; `None` where it is not probed, or not yet.
    last: Option<(Outcome, Duration)>,
    /// When it last fell, and from which verdict.
    fell: Option<(Duration, Verdict)>,
    /// What counts while the prober suspects itself, whatever it observes.
    frozen: Option<Verdict>,
}

/// Where a verdict comes from.
#[derive(Debug)]
enum Source<R> {
    /// Outcomes of its own probes.
    Probed(Box<Probed<R>>),
    /// The verdicts of others.
    Combined { probe: Arc<Probe>, ip: IpAddr, combined: Combined },
}

/// A target that is probed.
#[derive(Debug)]
struct Probed<R> {
    prepared: Arc<Prepared<R>>,
    at: SocketAddr,
    timetable: Timetable,
    tracker: Tracker,
    history: History,
}

impl<R> Slot<R> {
    /// A target that nothing is known of, and when its first probe starts.
    pub(crate) fn probed(now: Instant, prepared: Arc<Prepared<R>>, at: SocketAddr) -> (Self, Instant) {
        let (timetable, first) = Timetable::new(now, &prepared.probe, at);
        let probed =
            Probed { prepared, at, timetable, tracker: Tracker::default(), history: History::default() };
        (Self::new(Source::Probed(Box::new(probed))), first)
    }

    /// A target whose verdict is made of those of others.
    pub(crate) fn combined(probe: Arc<Probe>, ip: IpAddr, combined: Combined) -> Self {
        Self::new(Source::Combined { probe, ip, combined })
    }

    fn new(source: Source<R>) -> Self {
        let published = TargetHealth::default();
        let cause = String::new();
        Self { source, lost: 0, cause, target: None, published, last: None, fell: None, frozen: None }
    }

    pub(crate) fn probe(&self) -> &Probe {
        match &self.source {
            Source::Probed(probed) => &probed.prepared.probe,
            Source::Combined { probe, .. } => probe,
        }
    }

    pub(crate) fn address(&self) -> IpAddr {
        match &self.source {
            Source::Probed(probed) => probed.at.ip(),
            Source::Combined { ip, .. } => *ip,
        }
    }

    /// Those that its verdict is made of; none for one that is probed.
    pub(crate) fn members(&self) -> &[SlotId] {
        match &self.source {
            Source::Probed(_) => &[],
            Source::Combined { combined, .. } => &combined.members,
        }
    }

    //--- Verdicts

    /// What the probes say.
    pub(crate) fn observed(&self) -> Verdict {
        match &self.source {
            Source::Probed(probed) => probed.tracker.verdict(),
            Source::Combined { combined, .. } => combined.judged().observed,
        }
    }

    /// What counts.
    pub(crate) fn effective(&self) -> Verdict {
        match &self.source {
            Source::Probed(probed) => self.frozen.unwrap_or_else(|| probed.tracker.verdict()),
            Source::Combined { combined, .. } => combined.judged().effective,
        }
    }

    /// All that a combined verdict needs to know of it.
    pub(crate) fn judged(&self, now: Duration) -> Judged {
        match &self.source {
            Source::Probed(probed) => {
                let in_doubt = self.frozen.is_some() || probed.tracker.in_doubt(&probed.prepared.probe, now);
                Judged { observed: self.observed(), effective: self.effective(), in_doubt }
            }
            Source::Combined { combined, .. } => combined.judged(),
        }
    }

    /// What an answer may know of it.
    pub(crate) fn health(&self, now: Duration) -> TargetHealth {
        let Judged { effective, in_doubt, .. } = self.judged(now);
        TargetHealth { verdict: effective, in_doubt, lost: self.lost }
    }

    /// As [`Slot::health`], for a snapshot that is about to leave.
    pub(crate) fn publish(&mut self, now: Duration) -> TargetHealth {
        self.published = self.health(now);
        self.published
    }

    /// Whether the last snapshot is no longer right about it.
    pub(crate) fn is_news(&self, now: Duration) -> bool {
        self.published != self.health(now)
    }

    /// Whether its health may become another by the passage of time alone: a doubt that ends, or one that a
    /// recovery which is put off holds back. What is not so now will not be before something happens to it.
    pub(crate) fn is_restless(&self, now: Duration) -> bool {
        match &self.source {
            Source::Probed(probed) => self.health(now).in_doubt || probed.tracker.held_for(now).is_some(),
            // It says what it said when one of its members last changed.
            Source::Combined { .. } => false,
        }
    }

    /// All that is to be seen of it.
    pub(crate) fn status(&self, now: Duration) -> ProbedStatus {
        let (since, put_off) = match &self.source {
            Source::Probed(probed) => (probed.tracker.since(), probed.tracker.held_for(now)),
            Source::Combined { combined, .. } => (combined.since(), None),
        };
        let last = self.last.as_ref().map(|(last, at)| LastOutcome {
            finding: last.finding.clone(),
            latency: last.latency,
            ago: now.saturating_sub(*at),
        });
        ProbedStatus {
            probe: self.probe().name.clone(),
            held: since.map(|since| now.saturating_sub(since)),
            in_doubt: self.judged(now).in_doubt,
            put_off,
            cause: self.cause.clone(),
            last,
        }
    }

    /// Its last outcomes; `None` where it is not probed itself.
    pub(crate) fn past(&self, now: Duration) -> Option<PastOutcomes> {
        let Source::Probed(probed) = &self.source else { return None };
        let probe = &probed.prepared.probe;
        let outcomes = probed.history.list(now);
        Some(PastOutcomes { probe: probe.name.clone(), at: probed.at, timeout: probe.timeout, outcomes })
    }

    //--- Changes

    /// Takes an outcome of its probe. `lost` counts the verdicts that stopped being healthy, of all targets; `room`
    /// is how many outcomes are remembered.
    pub(crate) fn observe(
        &mut self,
        outcome: Outcome,
        now: Duration,
        lost: &mut u64,
        room: usize,
    ) -> Option<Event> {
        let before = self.effective();
        let Source::Probed(probed) = &mut self.source else { return None };
        probed.history.add(&outcome, now, room);
        let event = probed.tracker.observe(&probed.prepared.probe, &outcome, now);
        if let Some(Event::Changed(change)) = event {
            self.cause = why(&probed.prepared.probe, probed.at, &outcome, change);
            if change.from.serves() && !change.to.serves() {
                self.fell = Some((now, change.from));
            }
            self.note_loss(before, lost);
        }
        self.last = Some((outcome, now));
        event
    }

    /// Whether its last outcome was that it serves.
    pub(crate) fn answers(&self) -> bool {
        self.last.as_ref().is_some_and(|(last, _)| last.finding.verdict().serves())
    }

    /// Holds on to the verdict that it had before `from`, whatever is observed. Returns what counted until now.
    pub(crate) fn freeze(&mut self, from: Duration) -> Verdict {
        let counted = self.effective();
        self.frozen = Some(match self.fell {
            Some((at, before)) if at >= from && !counted.serves() => {
                "taken back: this server seems to be cut off".clone_into(&mut self.cause);
                before
            }
            _ => counted,
        });
        counted
    }

    /// Lets go of it: what was observed from `from` on is forgotten, and counts anew. Returns what was
    /// observed until now.
    pub(crate) fn thaw(&mut self, from: Duration) -> Option<Verdict> {
        let frozen = self.frozen.take()?;
        let Source::Probed(probed) = &mut self.source else { return None };
        let observed = probed.tracker.verdict();
        if observed != frozen {
            "counts anew: this server was cut off".clone_into(&mut self.cause);
        }
        probed.tracker.forget(frozen, from);
        Some(observed)
    }

    /// Takes what its members say, in their order, after one of them changed for the given cause.
    pub(crate) fn combine(
        &mut self,
        members: &[Judged],
        cause: &str,
        now: Duration,
        lost: &mut u64,
    ) -> Option<Turn> {
        let Source::Combined { combined, .. } = &mut self.source else { return None };
        let turn = combined.update(members, now)?;
        self.cause = format!("{}: {cause}", tally(turn.serving, members.len(), combined.at_least()));
        self.note_loss(turn.before.effective, lost);
        Some(turn)
    }

    fn note_loss(&mut self, before: Verdict, lost: &mut u64) {
        if before.serves() && !self.effective().serves() {
            *lost += 1;
            self.lost = *lost;
        }
    }

    //--- Times

    /// When its next probe starts, and how many beats were left out; `None` for one that has no probe.
    pub(crate) fn next_start(
        &mut self,
        now: Instant,
        since_start: Duration,
        rng: &mut Rng,
    ) -> Option<(Instant, u64)> {
        let Source::Probed(probed) = &mut self.source else { return None };
        let is_settling = probed.tracker.is_settling(since_start);
        Some(probed.timetable.next(now, is_settling, rng))
    }

    /// Its next probe, which was planned for `due` and starts now; `None` if it has missed its turn
    /// ([`Timetable::is_missed`]).
    pub(crate) fn start(&mut self, slot: SlotId, due: Instant, now: Instant) -> Option<Job<R>> {
        let Source::Probed(probed) = &mut self.source else { return None };
        if probed.timetable.is_missed(due, now) {
            return None;
        }
        probed.timetable.started(now);
        Some(Job { slot, prepared: Arc::clone(&probed.prepared), at: probed.at })
    }
}

/// The cause of a change: the last outcome, and which in the row it was.
fn why(probe: &Probe, at: SocketAddr, outcome: &Outcome, change: Change) -> String {
    let last = outcome.finding.reason().map_or_else(
        || check::cause(probe, at, &format!("success in {}ms", outcome.latency.as_millis())),
        str::to_owned,
    );
    let count = change.outcomes;
    if change.from == Verdict::Unknown {
        format!("{last} (first probe)")
    } else {
        format!("{last} ({count}{} of {count})", ordinal_suffix(count))
    }
}

fn ordinal_suffix(number: u32) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_read_as_english() {
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 111, 112]
            .map(|number| format!("{number}{}", ordinal_suffix(number)));
        assert_eq!(ordinals.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th");
    }
}
