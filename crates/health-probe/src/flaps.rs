//! Flap damping: a target that comes and goes is kept away for a growing, capped time.

use std::collections::VecDeque;
use std::time::Duration;

use meridian_model::FlapDamping;

use crate::limits::FLAP_CHANGES_MAX;
use crate::tracker::Held;

/// The changes of one target between serving and not, and what was made of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flaps {
    /// When it changed, oldest first: within the window when last looked at.
    changes: VecDeque<Duration>,
    /// Until when its recovery is put off; stays until it has recovered.
    held_until: Option<Duration>,
    /// How many times in a row it was put off.
    holds: u32,
    /// When the last hold ended.
    ended: Option<Duration>,
}

impl Flaps {
    /// Notes a change.
    pub(crate) fn changed(&mut self, damping: Option<&FlapDamping>, now: Duration) {
        let Some(damping) = damping else { return };
        self.drop_old(damping, now);
        if self.changes.len() < FLAP_CHANGES_MAX {
            self.changes.push_back(now);
        }
    }

    /// Whether the target may recover now. If not: what to say of it, when that is new.
    pub(crate) fn recovery(
        &mut self,
        damping: Option<&FlapDamping>,
        now: Duration,
    ) -> Result<(), Option<Held>> {
        let Some(damping) = damping else {
            *self = Self::default();
            return Ok(());
        };
        match self.held_until {
            Some(until) if now < until => return Err(None),
            Some(until) => {
                // The hold is served: what led to it does not count again.
                self.changes.clear();
                (self.held_until, self.ended) = (None, Some(until));
                return Ok(());
            }
            None => {}
        }
        self.drop_old(damping, now);
        let changes = u32::try_from(self.changes.len()).unwrap_or(u32::MAX).saturating_add(1);
        if changes <= damping.changes {
            return Ok(());
        }
        let is_quiet = self.ended.is_none_or(|ended| now.saturating_sub(ended) > damping.window);
        self.holds = if is_quiet { 0 } else { self.holds.saturating_add(1) };
        let factor = 1_u32.checked_shl(self.holds).unwrap_or(u32::MAX);
        let hold = damping.hold.saturating_mul(factor).min(damping.hold_max);
        self.held_until = Some(now.saturating_add(hold));
        Err(Some(Held { changes, hold }))
    }

    /// Takes back the changes from `from` on, and a hold that came of them.
    pub(crate) fn forget(&mut self, from: Duration) {
        let known = self.changes.len();
        self.changes.retain(|&changed| changed < from);
        if self.changes.len() < known {
            self.held_until = None;
        }
    }

    /// How much longer recovery is put off.
    pub(crate) fn held_for(&self, now: Duration) -> Option<Duration> {
        self.held_until.map(|until| until.saturating_sub(now)).filter(|left| !left.is_zero())
    }

    fn drop_old(&mut self, damping: &FlapDamping, now: Duration) {
        while self.changes.front().is_some_and(|&first| now.saturating_sub(first) >= damping.window) {
            self.changes.pop_front();
        }
    }
}
