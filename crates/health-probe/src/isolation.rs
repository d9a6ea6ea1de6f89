//! Whether it is the prober that is cut off, and not everything that it probes.

use std::collections::HashMap;
use std::time::Duration;

use meridian_model::{Catalog, Check, Isolation as Rule, Probe, TargetId};

use crate::generation::{Generation, SlotId};
use crate::worst_case::first_outcome;

/// Which clusters answer, by the last outcome of each of their targets.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    rule: Option<Rule>,
    /// Clusters that go dark within this time go together.
    window: Duration,
    clusters: Vec<Cluster>,
    /// By slot: its clusters, and whether it answered last.
    slots: HashMap<SlotId, (Vec<usize>, bool)>,
    /// While the prober suspects itself.
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Debug, Default)]
struct Cluster {
    name: Box<str>,
    slots: Vec<SlotId>,
    /// How many of its targets answered last.
    lit: usize,
    /// When the last of them ceased to; `None` while one answers, and where none ever did.
    dark_since: Option<Duration>,
}

/// The prober suspects itself.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    pub(crate) since: Duration,
    /// Since when falls are not believed.
    pub(crate) from: Duration,
    /// The clusters that went dark together, by name.
    clusters: Vec<Box<str>>,
    /// While so many of them are dark, it goes on.
    needed: usize,
}

/// What an outcome means for the suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing new.
    Same,
    /// Enough of the clusters that went dark answer again.
    Back,
}

impl Isolation {
    /// Goes over to another catalog. What was known of its slots and clusters is kept.
    pub(crate) fn switch<'p>(
        &mut self,
        generation: &Generation,
        answers: impl Fn(SlotId) -> bool,
        probe: impl Fn(SlotId) -> Option<&'p Probe>,
    ) {
        let catalog = &*generation.catalog;
        self.rule = catalog.isolation();
        let mut clusters: Vec<Cluster> = catalog
            .clusters()
            .iter()
            .map(|cluster| Cluster { name: cluster.name.clone(), ..Cluster::default() })
            .collect();
        let mut slots: HashMap<SlotId, (Vec<usize>, bool)> = HashMap::new();
        self.window = Duration::ZERO;
        for (cluster, target) in probed(catalog) {
            let Some(&slot) = generation.slots.get(target.index()) else { continue };
            let Some(probe) = probe(slot).filter(|probe| sees_the_endpoint(probe)) else { continue };
            self.window = self.window.max(first_outcome(probe));
            let is_lit = answers(slot);
            let (of, _) = slots.entry(slot).or_insert_with(|| (Vec::new(), is_lit));
            if let Some(known) = clusters.get_mut(cluster).filter(|_| !of.contains(&cluster)) {
                of.push(cluster);
                known.slots.push(slot);
                known.lit += usize::from(is_lit);
            }
        }
        if let Some(window) = self.rule.and_then(|rule| rule.window) {
            self.window = window;
        }
        for cluster in &mut clusters {
            let before = self.clusters.iter().find(|before| before.name == cluster.name);
            cluster.dark_since = before.and_then(|before| before.dark_since).filter(|_| cluster.lit == 0);
        }
        (self.clusters, self.slots) = (clusters, slots);
    }

    /// Takes whether a target answered.
    pub(crate) fn observe(&mut self, slot: SlotId, answers: bool, now: Duration) -> Sight {
        let Some((of, is_lit)) = self.slots.get_mut(&slot).filter(|(_, is_lit)| *is_lit != answers) else {
            return Sight::Same;
        };
        *is_lit = answers;
        for &index in &*of {
            let Some(cluster) = self.clusters.get_mut(index) else { continue };
            if answers {
                cluster.lit += 1;
                cluster.dark_since = None;
            } else {
                cluster.lit = cluster.lit.saturating_sub(1);
                if cluster.lit == 0 {
                    cluster.dark_since = Some(now);
                }
            }
        }
        match &self.suspicion {
            Some(suspicion) if answers && self.still_dark(suspicion) < suspicion.needed => Sight::Back,
            _ => Sight::Same,
        }
    }

    fn still_dark(&self, suspicion: &Suspicion) -> usize {
        let is_dark = |cluster: &&Cluster| cluster.lit == 0 && suspicion.clusters.contains(&cluster.name);
        self.clusters.iter().filter(is_dark).count()
    }

    /// Begins to suspect, where so many clusters went dark together that it is likelier the prober. To be asked
    /// when a target falls. Returns the slots of those clusters, and since when falls are not believed.
    pub(crate) fn suspect(&mut self, now: Duration) -> Option<(Vec<SlotId>, Duration)> {
        let rule = self.rule.filter(|_| self.suspicion.is_none())?;
        let last = self.clusters.iter().filter_map(|cluster| cluster.dark_since).max()?;
        let first = last.saturating_sub(self.window);
        let together: Vec<&Cluster> = self
            .clusters
            .iter()
            .filter(|cluster| cluster.dark_since.is_some_and(|since| since >= first))
            .collect();
        let is_all = self.clusters.iter().all(|cluster| cluster.lit == 0);
        let needed = rule.min_clusters.map(usize::from).unwrap_or(together.len());
        let is_enough = match rule.min_clusters {
            Some(_) => together.len() >= needed,
            None => is_all && together.len() >= 2,
        };
        if !is_enough {
            return None;
        }
        let slots = together.iter().flat_map(|cluster| &cluster.slots).copied().collect();
        let clusters = together.iter().map(|cluster| cluster.name.clone()).collect();
        let from = first.saturating_sub(self.window);
        self.suspicion = Some(Suspicion { since: now, from, clusters, needed });
        Some((slots, from))
    }

    /// Ends the suspicion.
    pub(crate) fn trust(&mut self) -> Option<Suspicion> {
        self.suspicion.take()
    }

    /// Since when the prober suspects itself, if it does.
    pub(crate) fn since(&self) -> Option<Duration> {
        self.suspicion.as_ref().map(|suspicion| suspicion.since)
    }
}

impl Suspicion {
    pub(crate) fn clusters(&self) -> usize {
        self.clusters.len()
    }
}

/// Every target that is probed, with each cluster that it belongs to, by index.
fn probed(catalog: &Catalog) -> Vec<(usize, TargetId)> {
    let mut found = Vec::new();
    for endpoint in catalog.gateways().iter().flat_map(|gateway| &gateway.endpoints) {
        for address in &endpoint.addresses {
            let mut targets: Vec<TargetId> = address.target.into_iter().collect();
            while let Some(target) = targets.pop() {
                match catalog.members(target) {
                    [] => found.push((endpoint.cluster.index(), target)),
                    members => targets.extend(members),
                }
            }
        }
    }
    found
}

/// Whether its failure says that the endpoint cannot be reached from here: not where failure is wanted, and
/// not where somebody else is asked.
fn sees_the_endpoint(probe: &Probe) -> bool {
    let is_here = !matches!(probe.check, Check::File(_) | Check::Combined(_));
    is_here && !probe.invert && !probe.check.asks_another()
}
