//! Snapshots: what the world is told of the catalog in force.
//!
//! A snapshot costs what changed and not what there is, but for one copy of the table.

use std::sync::Arc;

use meridian_model::{TargetHealth, Verdicts};
use tokio::time::Instant;

use super::Engine;
use crate::counters::count;
use crate::generation::SlotId;
use crate::limits::COALESCE;
use crate::{Checker, Snapshot};

impl<C: Checker> Engine<C> {
    /// Looks at a slot that something has happened to, and plans a snapshot if the last one is no longer right
    /// about its target.
    pub(super) fn note_news(&mut self, id: SlotId, now: Instant) {
        let since_start = self.since_start(now);
        let Some(slot) = self.slots.get(&id).filter(|slot| slot.target.is_some()) else { return };
        let is_news = slot.is_news(since_start);
        if is_news || slot.is_restless(since_start) {
            self.restless.insert(id);
        }
        if is_news {
            self.publish_at.get_or_insert(now + COALESCE);
        }
    }

    pub(super) fn publish_if_due(&mut self, now: Instant) {
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish(now);
        }
    }

    /// Sends the catalog in force with its verdicts, if that is not what was sent last.
    fn publish(&mut self, now: Instant) {
        self.publish_at = None;
        let since_start = self.since_start(now);
        let (slots, published) = (&mut self.slots, &mut self.published);
        let mut is_changed = false;
        self.restless.retain(|id| {
            let Some(slot) = slots.get_mut(id) else { return false };
            let health = slot.publish(since_start);
            is_changed |= slot.target.is_some_and(|target| published.set(target, health));
            slot.is_restless(since_start)
        });
        #[cfg(test)]
        self.assert_nothing_missed(since_start);
        let verdicts = self.published.clone().with_orders(Arc::clone(self.overrides.orders()));
        // The orders are few, and each time others.
        if is_changed || verdicts != self.published {
            self.send(verdicts);
        }
    }

    /// Sends a catalog that comes into force.
    pub(super) fn publish_all(&mut self, now: Instant) {
        self.publish_at = None;
        self.restless.clear();
        let since_start = self.since_start(now);
        let Some(current) = &self.current else { return };
        let mut all = Vec::with_capacity(current.slots.len());
        for id in &current.slots {
            all.push(self.slots.get_mut(id).map_or_else(TargetHealth::default, |slot| {
                if slot.is_restless(since_start) {
                    self.restless.insert(*id);
                }
                slot.publish(since_start)
            }));
        }
        let verdicts = Verdicts::new(all).with_orders(Arc::clone(self.overrides.orders()));
        let is_known =
            self.snapshots.borrow().as_ref().is_some_and(|last| {
                Arc::ptr_eq(&last.catalog, &current.catalog) && last.verdicts == verdicts
            });
        if !is_known {
            self.send(verdicts);
        }
    }

    fn send(&mut self, verdicts: Verdicts) {
        let Some(current) = &self.current else { return };
        self.published = verdicts.clone();
        let transitions = self.counters.read().transitions;
        let snapshot = Snapshot { verdicts, catalog: Arc::clone(&current.catalog), transitions };
        self.snapshots.send_replace(Some(snapshot));
        count(&self.counters.snapshots, 1);
    }

    /// Whether a look at every slot finds what was found.
    #[cfg(test)]
    fn assert_nothing_missed(&self, since_start: std::time::Duration) {
        let all = self.current.iter().flat_map(|current| &current.slots);
        for (index, id) in all.enumerate() {
            let health =
                self.slots.get(id).map_or_else(TargetHealth::default, |slot| slot.health(since_start));
            assert_eq!(self.published.get(meridian_model::TargetId::from_index(index)), health, "{id:?}");
        }
    }
}
