//! What could ever be answered: for proofs about a configuration, without traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use meridian_geoip::PlaceId;
use meridian_model::{AllDown, ClusterId, Endpoint, Gateway, GatewayId, Share, Verdict};
use meridian_steering::{
    Decision, Family, Outlook, Permit, Standing, decide_for_site, decide_for_track, live_track,
};

use crate::limits::REACH_KINDS;
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
    /// Every combination of healthy and unhealthy kinds of endpoints is decided, in both families, on
    /// every track of a rollout, in every fallback and by the test names; a hostname counts as resolved to
    /// anything. With more than ten kinds (of cluster, track, family, hostname and weight 0) it is
    /// an upper bound: all that the policy or the fallback names and residency permits.
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
        let answers =
            |outlook: &Outlook| Self::answers(gateway, outlook).into_iter().collect::<Vec<ClusterId>>();
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
                            theirs.map_or_else(Vec::new, |theirs| answers(&all.outlook(outlook, theirs)))
                        }
                        _ => answers(outlook),
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
    fn answers(gateway: &Gateway, outlook: &Outlook) -> BTreeSet<ClusterId> {
        let kinds = kinds(gateway);
        let mut all = if kinds.len() > REACH_KINDS {
            bound(gateway, outlook)
        } else {
            every_health(gateway, outlook, &kinds)
        };
        if gateway.site_names {
            all.extend(sites(gateway, &outlook.permit));
        }
        all
    }
}

//----------- Health ---------------------------------------------------------

/// Endpoints that no decision tells apart but by their health: of one cluster, track and kind of address,
/// with a weight or without. What can be answered of one can be answered of all.
fn kinds(gateway: &Gateway) -> Vec<Vec<usize>> {
    let mut kinds: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, endpoint) in gateway.endpoints.iter().enumerate() {
        let families = Family::ALL.map(|family| endpoint.addresses.iter().any(|one| family.has(one.ip)));
        let name = endpoint.name.as_ref().map(|name| name.as_cname);
        let kind = (endpoint.cluster, endpoint.track, endpoint.weight == 0, families, name);
        kinds.entry(kind).or_default().push(index);
    }
    kinds.into_values().collect()
}

/// What every combination of healthy and unhealthy kinds comes to, on every track and in both families.
/// Parts of a kind add nothing: whatever serves, serves with all of its kind healthy, too.
fn every_health(gateway: &Gateway, outlook: &Outlook, kinds: &[Vec<usize>]) -> BTreeSet<ClusterId> {
    let live = live_track(gateway);
    let trial = gateway.rollout.trial.filter(|trial| trial.share > Share::NONE).map(|trial| trial.track);
    let mut all = BTreeSet::new();
    for healthy in 0..1_u32 << kinds.len() {
        let is_healthy = |index: usize| {
            let kind = kinds.iter().position(|kind| kind.contains(&index));
            kind.is_some_and(|kind| healthy >> kind & 1 == 1)
        };
        for family in Family::ALL {
            let standings = standings(gateway, family, is_healthy);
            for track in [Some(live), trial].into_iter().flatten() {
                let decision = decide_for_track(gateway, family, &standings, outlook, track, &mut ());
                all.extend(clusters_of(gateway, &decision));
            }
        }
    }
    all
}

/// No less than what could be answered, where there are too many combinations: all that the policy gives
/// a turn or the gateway falls back to; where residency leaves none of that, all that it leaves.
fn bound(gateway: &Gateway, outlook: &Outlook) -> BTreeSet<ClusterId> {
    let permitted = |cluster: &ClusterId| outlook.permit.allows(*cluster);
    let mut named = Vec::new();
    outlook.rank.clusters(&mut named);
    if let AllDown::Fallback(clusters) = &gateway.all_down {
        named.extend(clusters);
    }
    let ours = gateway.endpoints.iter().map(|endpoint| endpoint.cluster).filter(permitted);
    let (with_turn, others): (BTreeSet<_>, BTreeSet<_>) = ours.partition(|cluster| named.contains(cluster));
    if with_turn.is_empty() && gateway.all_down != AllDown::NoData { others } else { with_turn }
}

/// What test names answer.
fn sites(gateway: &Gateway, permit: &Permit) -> Vec<ClusterId> {
    let mut all = Vec::new();
    for family in Family::ALL {
        let standings = standings(gateway, family, |_| false);
        for endpoint in &gateway.endpoints {
            let decision = decide_for_site(gateway, family, &standings, permit, endpoint.cluster);
            all.extend(clusters_of(gateway, &decision));
        }
    }
    all
}

/// How endpoints stand of which some are healthy and the others not. A hostname may resolve to addresses
/// of either family, at any time.
fn standings(gateway: &Gateway, family: Family, is_healthy: impl Fn(usize) -> bool) -> Vec<Standing> {
    let has_cname = gateway.has_cname();
    let standing = |(index, endpoint): (usize, &Endpoint)| {
        let is_reachable = endpoint.name.is_some()
            || endpoint.addresses.iter().any(|address| has_cname || family.has(address.ip));
        let verdict = if is_healthy(index) { Verdict::Healthy } else { Verdict::Unhealthy };
        let lost_rank = u16::from(verdict != Verdict::Healthy);
        Standing {
            verdict: is_reachable.then_some(verdict),
            in_doubt: false,
            lost_rank,
            left: Some(Share::ALL),
            raised: false,
        }
    };
    gateway.endpoints.iter().enumerate().map(standing).collect()
}

fn clusters_of<'g>(gateway: &'g Gateway, decision: &'g Decision) -> impl Iterator<Item = ClusterId> + 'g {
    let endpoint = |candidate: &meridian_steering::Candidate| {
        gateway.endpoints.get(usize::from(candidate.endpoint)).map(|endpoint| endpoint.cluster)
    };
    decision.candidates.iter().filter_map(endpoint)
}
