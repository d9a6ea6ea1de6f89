//! What operators say beside what is observed.

use std::sync::Arc;

use tokio::time::Instant;

use super::Engine;
use crate::Checker;

impl<C: Checker> Engine<C> {
    /// Takes what operators say now.
    pub(super) fn take_overrides(&mut self, now: Instant) {
        let all = Arc::clone(&self.inputs.overrides.borrow_and_update());
        let (new, lifted) = self.overrides.replace(&all, now);
        self.apply_overrides(now);
        for held in lifted {
            self.report_override(&held, "override lifted", now);
        }
        for held in new {
            let held = self.overrides.list().iter().find(|other| other.said == held.said).unwrap_or(&held);
            self.report_override(held, "override", now);
        }
    }

    /// Works out what they mean now, for the catalog in force.
    pub(super) fn apply_overrides(&mut self, now: Instant) {
        let Some(current) = &self.current else { return };
        let catalog = Arc::clone(&current.catalog);
        for held in self.overrides.apply(&catalog, now) {
            self.report_override(&held, "override ended", now);
        }
        self.publish_at = Some(now);
    }
}
