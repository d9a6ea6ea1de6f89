//! From snapshots of health to views.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meridian_admin::{Events, NewView, Published, Vitals};
use meridian_dns::{Ground, Live, View};
use meridian_health_probe::Snapshot;
use meridian_store::Folder;
use meridian_telemetry::Tracer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::serials::Serials;
use crate::serve::wall;
use crate::telemetry::{Publication, Way, publish};

/// Joins what the probes say to the ground of the same catalog, and publishes the result.
pub(crate) struct Publisher {
    live: Arc<Live>,
    /// The ground in force, and those that reloads have prepared.
    grounds: Mutex<Grounds>,
    snapshots: watch::Receiver<Option<Snapshot>>,
    serials: Mutex<Serials>,
    /// Who is told.
    events: Arc<Events>,
    vitals: Arc<Vitals>,
    tracer: Tracer,
}

struct Grounds {
    now: Arc<Ground>,
    /// Oldest first, with how they come into force, if that is told.
    prepared: Vec<(Arc<Ground>, Option<Way>)>,
    /// The number of the last transition in the view before.
    transitions: u64,
}

/// Reloads that can wait for a first round; the probes take the newest of them, so more never matter.
const PREPARED: usize = 4;
/// For how long the view before is kept at least, and how often it is then looked at: workers are done with it after a
/// batch, and most connections are after an answer.
const RELEASE: Duration = Duration::from_secs(1);

impl Publisher {
    /// Waits for the first snapshot, and begins with the view of it, with serials. `None` if the probes ended.
    pub(crate) async fn first(
        ground: Arc<Ground>,
        mut snapshots: watch::Receiver<Option<Snapshot>>,
        mut serials: Serials,
        (events, vitals, tracer): (Arc<Events>, Arc<Vitals>, Tracer),
    ) -> Option<Self> {
        let first = snapshots.wait_for(Option::is_some).await.ok()?.clone()?;
        let (verdicts, transitions) = (first.verdicts, first.transitions);
        let since = Instant::now();
        let view = serials.give(View::new(ground.clone(), verdicts, None));
        vitals.published(published(&view, true, since));
        let live = Arc::new(Live::new(view));
        let grounds = Mutex::new(Grounds { now: ground, prepared: Vec::new(), transitions });
        Some(Self { live, grounds, snapshots, serials: Mutex::new(serials), events, vitals, tracer })
    }

    /// What workers load their views from.
    #[must_use]
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Prepares for a new catalog: its ground comes into force with its first snapshot. `way`: what is told of that.
    pub(crate) fn prepare(&self, ground: Arc<Ground>, way: Option<Way>) {
        let mut grounds = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
        grounds.prepared.push((ground, way));
        if grounds.prepared.len() > PREPARED {
            // Neither the first, which may be having its first round, nor the last.
            grounds.prepared.remove(1);
        }
    }

    /// Publishes a view for every snapshot, until the probes end. Snapshots that come while one is
    /// being published are passed over for the newest.
    pub(crate) async fn run(&self) {
        let mut snapshots = self.snapshots.clone();
        let mut before: Option<Arc<View>> = None;
        loop {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let snapshot = snapshots.borrow_and_update().clone();
                    if let Some(snapshot) = snapshot {
                        before = self.publish(snapshot).or(before);
                    }
                }
                // After a reload it holds all of the ground before.
                () = sleep(RELEASE), if before.is_some() => {
                    before = before.filter(|view| Arc::strong_count(view) > 1);
                }
            }
        }
    }

    /// Takes up the serials that another process has kept until now.
    pub(crate) fn reread_serials(&self, folder: &Folder) {
        let newer = self.serials().reread(folder);
        let snapshot = self.snapshots.borrow().clone();
        if let Some(snapshot) = snapshot.filter(|_| newer) {
            // Nobody but this process reads the view before by now, and this thread is no worker.
            let _before = self.publish(snapshot);
        }
    }

    /// Keeps no more serials, and waits for the last to be written.
    pub(crate) async fn close(&self) {
        let writer = self.serials().close();
        if let Some(writer) = writer {
            let _ended = writer.await;
        }
    }

    fn serials(&self) -> MutexGuard<'_, Serials> {
        self.serials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one place where a view is published. Returns the view before, which the caller keeps
    /// until nobody reads it: so a worker never frees a large view.
    fn publish(&self, snapshot: Snapshot) -> Option<Arc<View>> {
        let began = wall();
        let (ground, way, is_new_ground, before) = {
            let mut grounds = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
            let is_its = |ground: &Arc<Ground>| Arc::ptr_eq(ground.catalog(), &snapshot.catalog);
            let mut way = None;
            let prepared = grounds.prepared.iter().position(|(ground, _)| is_its(ground));
            if let Some(index) = prepared {
                // Those before it were passed over by the probes.
                (grounds.now, way) = grounds.prepared.remove(index);
                grounds.prepared.drain(..index);
            }
            // A snapshot of a catalog that is no longer, or not yet, in force.
            if !is_its(&grounds.now) {
                return None;
            }
            let before = std::mem::replace(&mut grounds.transitions, snapshot.transitions);
            (grounds.now.clone(), way, prepared.is_some(), before)
        };
        let (since, current) = (Instant::now(), self.live.load());
        let has_new_catalog = !Arc::ptr_eq(current.ground().catalog(), ground.catalog());
        let gateways = ground.catalog().gateways().len();
        let view = View::new(ground, snapshot.verdicts, Some(&current));
        let view = self.serials().give(view);
        let generation = view.generation();
        let published = published(&view, has_new_catalog, since);
        let transitions = (snapshot.transitions, before);
        let before = self.live.store(view);
        self.vitals.published(published);
        self.events.published(Published { generation, transitions: snapshot.transitions });
        tracing::debug!(generation, transitions = snapshot.transitions, "view published");
        if self.tracer.is_on() {
            let mut way = way;
            if let Some(way) = &mut way {
                way.step_until("first round", began);
            }
            publish(
                &self.tracer,
                Publication { began, generation, transitions, gateways, way, is_new_ground },
            );
        }
        Some(before)
    }
}

/// What is told of a view that comes into force now.
fn published(view: &View, has_new_catalog: bool, since: Instant) -> NewView {
    NewView { generation: view.generation(), has_new_catalog, took: since.elapsed(), at: wall() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use meridian_model::{TargetHealth, Verdict, Verdicts};

    use super::*;
    use crate::load::load_text;

    const FILE: &str = "version = 1\n[[zones]]\nname = \"example\"\nnameservers = [\"ns.example.net\"]\nhostmaster = \"a.example.net\"\n";

    fn ground() -> Arc<Ground> {
        load_text(FILE, Path::new("a file")).unwrap_or_else(|issues| panic!("{issues}")).ground
    }

    fn snapshot(ground: &Ground) -> Snapshot {
        let healthy = TargetHealth { verdict: Verdict::Healthy, ..TargetHealth::default() };
        let verdicts = Verdicts::new(vec![healthy; ground.catalog().targets().len()]);
        Snapshot { catalog: ground.catalog().clone(), verdicts, transitions: 0 }
    }

    /// As long as a connection is answered from what was in force, that is there; then it goes, though nothing else
    /// comes into force.
    #[tokio::test(start_paused = true)]
    async fn what_was_in_force_goes_when_nobody_reads_it() {
        let (first, second) = (ground(), ground());
        let (snapshots, received) = watch::channel(Some(snapshot(&first)));
        let known = Arc::downgrade(&first);
        let (tracer, _exporter) = Tracer::start(1, Arc::default());
        let told = (Arc::new(Events::new(wall)), Arc::default(), tracer);
        let publisher = Publisher::first(first, received, Serials::open(None, wall), told).await.unwrap();
        let publisher = Arc::new(publisher);
        let reader = publisher.live().load();
        let running = tokio::spawn({
            let publisher = publisher.clone();
            async move { publisher.run().await }
        });
        publisher.prepare(second.clone(), None);
        snapshots.send_replace(Some(snapshot(&second)));
        sleep(10 * RELEASE).await;
        assert!(Arc::ptr_eq(publisher.live().load().ground(), &second));
        assert!(known.upgrade().is_some());
        drop(reader);
        sleep(2 * RELEASE).await;
        assert!(known.upgrade().is_none());
        drop(snapshots);
        running.await.unwrap();
    }
}
