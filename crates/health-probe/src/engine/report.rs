//! What the engine tells of verdicts: transitions, and lines in the log.

use std::time::Duration;

use meridian_model::{Override, Transition, Verdict};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Engine;
use crate::counters::count;
use crate::generation::SlotId;
use crate::isolation::Suspicion;
use crate::overrides::InForce;
use crate::slot::Slot;
use crate::{Checker, Held};

/// Whether a transition is logged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogLine {
    Yes,
    /// It is part of a line that counts many.
    No,
}

impl<C: Checker> Engine<C> {
    /// Tells of a slot's new verdict. A slot that is in no catalog in force is told of when its is.
    pub(super) fn report(
        &self,
        id: SlotId,
        (observed_before, from): (Verdict, Verdict),
        held: Option<Duration>,
        took: Option<Duration>,
        line: LogLine,
    ) {
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let Some(target) = slot.target else { return };
        let (observed, effective) = (slot.observed(), slot.effective());
        if (observed_before, from) == (observed, effective) {
            return;
        }
        let used_by = current.used_by(target);
        let forced = used_by.first.and_then(|(gateway, endpoint, address)| {
            self.overrides.orders().of(gateway).get(endpoint, Some(address))
        });
        let counts = |verdict| forced.map_or(verdict, |order| order.overrule(verdict));
        let (from, effective) = (counts(from), counts(effective));
        count(&self.counters.transitions, 1);
        if let Some(counter) = self.counters.transitions_to.get(usize::from(effective.rank())) {
            count(counter, 1);
        }
        let transition = Transition {
            number: self.counters.read().transitions,
            target,
            endpoint: used_by.endpoint,
            gateways: used_by.gateways,
            probe: slot.probe().name.clone(),
            address: slot.address(),
            from,
            observed,
            forced,
            effective,
            cause: slot.cause.clone(),
            held,
            took,
        };
        if line == LogLine::Yes {
            log(&transition);
        }
        // An error says that nobody listens.
        let _receivers = self.transitions.send(transition);
    }

    /// Tells of the first verdicts of a catalog's new targets: one line for all, and one for each
    /// that is not healthy.
    pub(super) fn report_first_round(&self, new: &[SlotId]) {
        if new.is_empty() {
            return;
        }
        let observed = |id: &SlotId| self.slots.get(id).map(Slot::observed).unwrap_or_default();
        let of = |verdict| new.iter().filter(|id| observed(id) == verdict).count();
        let degraded = match of(Verdict::Degraded) {
            0 => String::new(),
            count => format!("{count} degraded, "),
        };
        info!(
            "first round: {} healthy, {degraded}{} unhealthy, {} unknown",
            of(Verdict::Healthy),
            of(Verdict::Unhealthy),
            of(Verdict::Unknown)
        );
        for id in new {
            let before = (Verdict::Unknown, Verdict::Unknown);
            match observed(id) {
                Verdict::Healthy => self.report(*id, before, None, None, LogLine::No),
                Verdict::Degraded | Verdict::Unhealthy => {
                    self.report(*id, before, None, None, LogLine::Yes);
                }
                Verdict::Unknown => self.log_unknown(*id),
            }
        }
    }

    /// Tells that a target comes and goes, and that its recovery is put off.
    pub(super) fn report_held(&self, id: SlotId, held: Held) {
        count(&self.counters.held, 1);
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let used_by = slot.target.map(|target| current.used_by(target)).unwrap_or_default();
        warn!(
            endpoint = %used_by.endpoint,
            gateways = used_by.gateways,
            probe = %slot.probe().name,
            changes = held.changes,
            hold = ?held.hold,
            "comes and goes: held unhealthy"
        );
    }

    /// Tells that everything seems to fail, and that it is not believed.
    pub(super) fn report_suspicion(&self, frozen: usize, taken_back: usize) {
        warn!(
            frozen,
            taken_back,
            "everything seems to fail at once: it is likelier that this server is cut off; verdicts are frozen \
             until something answers ([health] isolation)"
        );
    }

    /// Tells that verdicts count again.
    pub(super) fn report_trust(&self, suspicion: &Suspicion, now: Duration) {
        let lasted = now.saturating_sub(suspicion.since);
        warn!(
            clusters = suspicion.clusters(),
            ?lasted,
            "something answers again: verdicts count from now on"
        );
    }

    /// Tells that an operator's word begins or ends to count.
    pub(super) fn report_override(&self, held: &InForce, what: &str, now: Instant) {
        let Override { target, forced, reason, by } = &held.said;
        info!(
            %target,
            forced = forced.as_str(),
            %by,
            %reason,
            addresses = held.addresses,
            ends_in = held.left(now).map(tracing::field::debug),
            "{what}"
        );
    }

    fn log_unknown(&self, id: SlotId) {
        let (Some(slot), Some(current)) = (self.slots.get(&id), &self.current) else { return };
        let used_by = slot.target.map(|target| current.used_by(target)).unwrap_or_default();
        info!(
            endpoint = %used_by.endpoint,
            gateways = used_by.gateways,
            probe = %slot.probe().name,
            "no outcome within the first round of {:?}: unknown",
            self.first_round
        );
    }
}

fn log(transition: &Transition) {
    let Transition {
        number,
        target: _,
        endpoint,
        gateways,
        probe,
        address: _,
        from,
        observed,
        forced,
        effective,
        cause,
        held,
        took,
    } = transition;
    info!(
        number,
        %endpoint,
        gateways,
        %probe,
        from = from.as_str(),
        observed = observed.as_str(),
        forced = forced.map(|order| order.as_str()),
        effective = effective.as_str(),
        %cause,
        took_ms = took.map(whole_ms),
        held_ms = held.map(whole_ms),
        "transition"
    );
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
