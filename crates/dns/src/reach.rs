//! What could ever be answered: for proofs about a configuration, without traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use meridian_geoip::PlaceId;
use meridian_model::{ClusterId, Gateway, GatewayId, Share, TargetHealth, Verdict, Verdicts};
use meridian_steering::{
    Decision, Family, Outlook, Permit, decide_for_site, decide_for_track, live_track, standings,
};

use crate::limits::REACH_ENDPOINTS;
use crate::view::Ground;
use crate::walk::walk;

//----------- Reach ----------------------------------------------------------

/// What clients at one place, of those that have it, could ever be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where they are.
    pub place: PlaceId,
    /// A prefix of such clients: its first address and length.
    pub prefix: (IpAddr, u8),
    /// A resolver behind which they are answered so, where that matters: a prefix of such resolvers.
    pub resolver: Option<(IpAddr, u8)>,
    /// Every cluster that some answer names, ascending.
    pub clusters: Vec<ClusterId>,
}

impl Ground {
    /// What a gateway could ever answer, under any health: for every place, and every kind of resolver,
    /// one entry for each set of clusters.
    ///
    /// Up to ten endpoints, every combination of healthy and unhealthy ones is decided; with more, every
    /// cluster that residency permits counts as possible. In both families, on every track of a
    /// rollout, in every fallback and by the test names.
    #[must_use]
    pub fn reach(&self, id: GatewayId) -> Vec<Reach> {
        let Some(outlooks) = self.outlooks(id) else { return Vec::new() };
        let gateway = self.catalog().gateway(id);
        let resolvers: Vec<Option<(usize, (IpAddr, u8))>> = match &outlooks.resolvers {
            None => vec![None],
            Some(resolvers) => {
                let mut first = BTreeMap::new();
                walk(
                    |address| resolvers.permits.map.lookup(address),
                    |address, number, prefix_len| {
                        first.entry(number as usize).or_insert((address, prefix_len));
                    },
                );
                first.into_iter().map(Some).collect()
            }
        };
        let mut by_outlook: BTreeMap<(u32, usize), Vec<ClusterId>> = BTreeMap::new();
        let mut found: BTreeMap<(PlaceId, usize, Vec<ClusterId>), (IpAddr, u8)> = BTreeMap::new();
        let class_of = |address| outlooks.map.as_ref().map_or((0, 0), |map| map.lookup(address));
        let both = |address: IpAddr| {
            let ((place, near), (class, area)) = (self.locality().lookup(address), class_of(address));
            ((place, class), near.max(area))
        };
        walk(both, |address, (place, class), prefix_len| {
            let Some(outlook) = outlooks.list.get(class as usize) else { return };
            for (kind, resolver) in resolvers.iter().enumerate() {
                let clusters = by_outlook.entry((class, kind)).or_insert_with(|| {
                    match (&outlooks.resolvers, resolver) {
                        (Some(all), Some((number, _))) => {
                            let theirs = all.permits.list.get(*number);
                            theirs.map_or_else(Vec::new, |theirs| {
                                self.answers(gateway, &all.outlook(outlook, theirs))
                            })
                        }
                        _ => self.answers(gateway, outlook),
                    }
                });
                found.entry((place, kind, clusters.clone())).or_insert((address, prefix_len));
            }
        });
        let reach = |((place, kind, clusters), prefix): ((PlaceId, usize, Vec<ClusterId>), (IpAddr, u8))| {
            let resolver = resolvers.get(kind).copied().flatten().map(|(_, prefix)| prefix);
            Reach { place, prefix, resolver, clusters }
        };
        found.into_iter().map(reach).collect()
    }

    /// Every cluster that clients of an outlook could be answered with.
    fn answers(&self, gateway: &Gateway, outlook: &Outlook) -> Vec<ClusterId> {
        let mut all = BTreeSet::new();
        let count = gateway.endpoints.len();
        if count > REACH_ENDPOINTS {
            let clusters = gateway.endpoints.iter().map(|endpoint| endpoint.cluster);
            return clusters
                .filter(|&cluster| outlook.permit.allows(cluster))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
        }
        let live = live_track(gateway);
        let trial = gateway.rollout.trial.filter(|trial| trial.share > Share::NONE).map(|trial| trial.track);
        for healthy in 0..1_u32 << count {
            let verdicts = self.verdicts(gateway, healthy);
            for family in Family::ALL {
                let standings = standings(gateway, family, &verdicts);
                for track in [Some(live), trial].into_iter().flatten() {
                    let decision = decide_for_track(gateway, family, &standings, outlook, track, &mut ());
                    all.extend(clusters_of(gateway, &decision));
                }
            }
        }
        if gateway.site_names {
            all.extend(self.sites(gateway, &outlook.permit));
        }
        all.into_iter().collect()
    }

    fn sites(&self, gateway: &Gateway, permit: &Permit) -> Vec<ClusterId> {
        let mut all = Vec::new();
        for family in Family::ALL {
            let standings = standings(gateway, family, &self.verdicts(gateway, 0));
            for endpoint in &gateway.endpoints {
                let decision = decide_for_site(gateway, family, &standings, permit, endpoint.cluster);
                all.extend(clusters_of(gateway, &decision));
            }
        }
        all
    }

    /// Verdicts in which the endpoints of these bits are healthy, the others not.
    fn verdicts(&self, gateway: &Gateway, healthy: u32) -> Verdicts {
        let mut all = vec![TargetHealth::default(); self.catalog().targets().len()];
        for (index, endpoint) in gateway.endpoints.iter().enumerate() {
            let verdict = if healthy >> index & 1 == 1 { Verdict::Healthy } else { Verdict::Unhealthy };
            for target in endpoint.addresses.iter().filter_map(|address| address.target) {
                if let Some(entry) = all.get_mut(target.index()) {
                    *entry = TargetHealth { verdict, in_doubt: false, lost: u64::from(healthy) + 1 };
                }
            }
        }
        Verdicts::new(all)
    }
}

fn clusters_of<'g>(gateway: &'g Gateway, decision: &'g Decision) -> impl Iterator<Item = ClusterId> + 'g {
    let endpoint = |candidate: &meridian_steering::Candidate| {
        gateway.endpoints.get(usize::from(candidate.endpoint)).map(|endpoint| endpoint.cluster)
    };
    decision.candidates.iter().filter_map(endpoint)
}
