//! From a policy and where a client is to an order of clusters.

use std::collections::HashMap;

use meridian_model::{
    Catalog, ClientMatch, ClusterId, Coordinates, CountryCode, Geo, Latency, Nearest, Policy, PrefixId,
    Share, Tier,
};

use crate::client::Client;
use crate::trail::{Note, Trail};

//----------- Rank -----------------------------------------------------------

/// What a policy comes to at one place. All clients with one rank get the same decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rank {
    /// The endpoints of these clusters share the clients.
    Together(Vec<ClusterId>),
    /// The first that has something healthy, then the next.
    InTurn(Vec<Rank>),
    /// As the inner one, on conditions about the endpoints of these clusters together.
    Tier {
        /// Whose endpoints count.
        clusters: Vec<ClusterId>,
        /// With fewer healthy it is skipped.
        min_healthy: u16,
        /// With a smaller healthy share all count as healthy.
        panic_below: Share,
        /// The order within.
        inner: Box<Rank>,
    },
}

impl Rank {
    /// Adds all clusters that have a turn.
    pub fn clusters(&self, into: &mut Vec<ClusterId>) {
        match self {
            Self::Together(clusters) => into.extend(clusters),
            Self::InTurn(ranks) => ranks.iter().for_each(|rank| rank.clusters(into)),
            Self::Tier { inner, .. } => inner.clusters(into),
        }
    }

    /// How many steps a way through all of it takes: one into every part, and one out of each
    /// [`Rank::InTurn`].
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Together(_) => 1,
            Self::InTurn(ranks) => ranks.iter().map(Self::steps).sum::<usize>() + 2,
            Self::Tier { inner, .. } => 1 + inner.steps(),
        }
    }

    /// How many of its steps, from the first on, are those of another: all where they are equal.
    pub(crate) fn steps_shared(&self, other: &Self) -> usize {
        match (self, other) {
            (Self::Together(ours), Self::Together(theirs)) => usize::from(ours == theirs),
            (Self::InTurn(ours), Self::InTurn(theirs)) => {
                let mut shared = 1;
                for (ours, theirs) in ours.iter().zip(theirs) {
                    let steps = ours.steps_shared(theirs);
                    shared += steps;
                    if steps < ours.steps().max(theirs.steps()) {
                        return shared;
                    }
                }
                // Out of it they go together, or not.
                shared + usize::from(ours.len() == theirs.len())
            }
            (
                Self::Tier { clusters, min_healthy, panic_below, inner },
                Self::Tier {
                    clusters: their_clusters,
                    min_healthy: their_min,
                    panic_below: their_panic,
                    inner: their_inner,
                },
            ) if (clusters, min_healthy, panic_below) == (their_clusters, their_min, their_panic) => {
                1 + inner.steps_shared(their_inner)
            }
            _ => 0,
        }
    }
}

/// Whether a policy can come to different ranks.
#[must_use]
pub fn depends_on_place(policy: &Policy) -> bool {
    match policy {
        Policy::Nearest(_) | Policy::Geo(_) | Policy::Latency(_) => true,
        Policy::Weighted | Policy::All => false,
        Policy::Failover(tiers) => tiers.iter().any(|tier| depends_on_place(&tier.policy)),
    }
}

/// Whether a policy asks for more of a client than its place: for the catalog's prefixes.
#[must_use]
pub fn depends_on_prefix(policy: &Policy, catalog: &Catalog) -> bool {
    let is_prefix = |wanted: &ClientMatch| matches!(wanted, ClientMatch::Prefix(_));
    match policy {
        Policy::Nearest(_) | Policy::Weighted | Policy::All => false,
        Policy::Latency(latency) => {
            catalog.latency_table(latency.table).rows.iter().any(|row| is_prefix(&row.clients))
        }
        Policy::Failover(tiers) => tiers.iter().any(|tier| depends_on_prefix(&tier.policy, catalog)),
        Policy::Geo(geo) => {
            geo.rules.iter().any(|rule| {
                rule.clients.iter().any(is_prefix) || depends_on_prefix(&rule.tier.policy, catalog)
            }) || depends_on_prefix(&geo.default.policy, catalog)
        }
    }
}

//----------- Ranker ---------------------------------------------------------

/// A catalog with its latency tables laid out for asking.
pub struct Ranker<'c> {
    catalog: &'c Catalog,
    tables: Vec<Measured>,
}

/// A latency table by whom it is about.
#[derive(Default)]
struct Measured {
    prefixes: HashMap<(PrefixId, ClusterId), u32>,
    asns: HashMap<(u32, ClusterId), u32>,
    countries: HashMap<(CountryCode, ClusterId), u32>,
}

/// What is further than a policy's `max_km` waits until every tier had its turn.
type Waiting = Vec<ClusterId>;

impl<'c> Ranker<'c> {
    /// Lays the tables out.
    #[must_use]
    pub fn new(catalog: &'c Catalog) -> Self {
        let tables = catalog.latency_tables().iter().map(|table| {
            let mut measured = Measured::default();
            for row in &table.rows {
                match row.clients {
                    ClientMatch::Prefix(id) => measured.prefixes.insert((id, row.cluster), row.rtt_us),
                    ClientMatch::Asn(asn) => measured.asns.insert((asn, row.cluster), row.rtt_us),
                    ClientMatch::Country(code) => measured.countries.insert((code, row.cluster), row.rtt_us),
                    // The file has no other kind.
                    _ => None,
                };
            }
            measured
        });
        Self { catalog, tables: tables.collect() }
    }

    /// The rank of these clusters for a client. Every one of them is in it, but for those that a
    /// failover or geo policy names nowhere.
    ///
    /// A client without coordinates has all clusters of a policy by distance in the order given: the
    /// operator's own, as gdnsd does with its list of datacenters.
    pub fn rank(
        &self,
        policy: &Policy,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> Rank {
        let (rank, waiting) = self.inner(policy, clusters, client, trail);
        self.then(rank, &waiting, client)
    }

    fn inner(
        &self,
        policy: &Policy,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> (Rank, Waiting) {
        match policy {
            Policy::Weighted | Policy::All => (Rank::Together(clusters.to_vec()), Vec::new()),
            Policy::Nearest(nearest) => self.nearest(nearest, clusters, client, trail),
            Policy::Latency(latency) => (self.latency(latency, clusters, client, trail), Vec::new()),
            Policy::Failover(tiers) => self.tiers(tiers.iter(), clusters, client, trail),
            Policy::Geo(geo) => self.geo(geo, clusters, client, trail),
        }
    }

    /// The rank, and after it what waited, by distance alone.
    fn then(&self, rank: Rank, waiting: &[ClusterId], client: Client<'_>) -> Rank {
        if waiting.is_empty() {
            return rank;
        }
        let (last, _) = self.nearest(&Nearest::default(), waiting, client, &mut ());
        Rank::InTurn(vec![rank, last])
    }

    /// One tier after the other. A cluster is in the first that gives it a turn.
    fn tiers<'t>(
        &self,
        tiers: impl Iterator<Item = &'t Tier>,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> (Rank, Waiting) {
        let mut left = clusters.to_vec();
        let (mut all, mut waiting) = (Vec::new(), Vec::new());
        for tier in tiers {
            let mut members: Vec<ClusterId> =
                left.iter().copied().filter(|cluster| tier.clusters.contains(cluster)).collect();
            if members.is_empty() {
                continue;
            }
            let (inner, beyond) = self.inner(&tier.policy, &members, client, trail);
            waiting.extend(beyond);
            // A later tier may take what this one leaves: too far, or named by none of its own tiers.
            let mut taken = Vec::with_capacity(members.len());
            inner.clusters(&mut taken);
            members.retain(|cluster| taken.contains(cluster));
            left.retain(|cluster| !taken.contains(cluster));
            if !members.is_empty() {
                all.push(conditional(tier, members, inner));
            }
        }
        waiting.retain(|cluster| left.contains(cluster));
        waiting.sort_unstable();
        waiting.dedup();
        (Rank::InTurn(all), waiting)
    }

    fn geo(
        &self,
        geo: &Geo,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> (Rank, Waiting) {
        let mut tiers = Vec::new();
        for (index, rule) in geo.rules.iter().enumerate() {
            if let Some(wanted) = rule.clients.iter().find(|wanted| client.is(wanted, self.catalog)) {
                trail.note(|| Note::GeoRule(Some((index, wanted.clone()))));
                tiers.push(&rule.tier);
            }
        }
        trail.note(|| Note::GeoRule(None));
        tiers.push(&geo.default);
        self.tiers(tiers.into_iter(), clusters, client, trail)
    }

    //--- By distance and latency

    fn nearest(
        &self,
        nearest: &Nearest,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> (Rank, Waiting) {
        let Some(from) = client.place.coordinates else {
            trail.note(|| Note::NoCoordinates);
            return (one_by_one(clusters), Vec::new());
        };
        let (mut within, mut waiting) = (Vec::with_capacity(clusters.len()), Vec::new());
        for &cluster in clusters {
            let km = self.distance_km(cluster, from);
            let bias = nearest.bias.iter().find(|(of, _)| *of == cluster).map_or(0, |(_, bias)| *bias);
            let (counts_km, beyond) =
                (biased(km, bias), nearest.max_km.is_some_and(|most| km > f64::from(most)));
            trail.note(|| Note::Distance { cluster, km, counts_km, beyond });
            if beyond { waiting.push(cluster) } else { within.push((counts_km, cluster)) }
        }
        (groups(within, f64::from(nearest.within_km)), waiting)
    }

    fn latency(
        &self,
        latency: &Latency,
        clusters: &[ClusterId],
        client: Client<'_>,
        trail: &mut impl Trail,
    ) -> Rank {
        let timed = |&cluster: &ClusterId| {
            let (rtt_us, measured) = self.rtt_us(latency, cluster, client)?;
            trail.note(|| Note::Latency { cluster, rtt_us, measured });
            Some((f64::from(rtt_us), cluster))
        };
        let timed: Vec<_> = clusters.iter().filter_map(timed).collect();
        let unknown: Vec<ClusterId> =
            clusters.iter().copied().filter(|cluster| !timed.iter().any(|(_, of)| of == cluster)).collect();
        let within_us = f64::from(latency.within_ms) * 1e3;
        match (timed.is_empty(), unknown.is_empty()) {
            (_, true) => groups(timed, within_us),
            (true, _) => one_by_one(&unknown),
            // A client without coordinates: what nobody measured comes last, in the file's order.
            _ => Rank::InTurn(vec![groups(timed, within_us), one_by_one(&unknown)]),
        }
    }

    /// The round trip to a cluster: of the longest prefix that was measured, else of the ASN, else of
    /// the country, else estimated from the distance. `None` where even that is not known.
    fn rtt_us(
        &self,
        latency: &Latency,
        cluster: ClusterId,
        client: Client<'_>,
    ) -> Option<(u32, Option<ClientMatch>)> {
        let place = client.place;
        let table = self.tables.get(latency.table.index())?;
        let by_prefix = client
            .prefixes(self.catalog)
            .find_map(|id| Some((*table.prefixes.get(&(id, cluster))?, ClientMatch::Prefix(id))));
        let by_asn = || {
            let asn = place.asn?;
            Some((*table.asns.get(&(asn, cluster))?, ClientMatch::Asn(asn)))
        };
        let by_country = || {
            let country = place.country?;
            Some((*table.countries.get(&(country, cluster))?, ClientMatch::Country(country)))
        };
        match by_prefix.or_else(by_asn).or_else(by_country) {
            Some((rtt_us, wanted)) => Some((rtt_us, Some(wanted))),
            None => Some((estimate_us(self.distance_km(cluster, place.coordinates?)), None)),
        }
    }

    fn distance_km(&self, cluster: ClusterId, from: Coordinates) -> f64 {
        self.catalog.cluster(cluster).coordinates.distance_km(from)
    }
}

//----------- Arithmetic -----------------------------------------------------

/// Route 53 geoproximity: distance × (1 - bias/100) for a positive bias, ÷ (1 + bias/100) for a
/// negative one.
fn biased(km: f64, bias: i8) -> f64 {
    let bias = f64::from(bias) / 100.0;
    if bias >= 0.0 { km * (1.0 - bias) } else { km / (1.0 + bias) }
}

/// Two milliseconds for 100 km there and back: light in fibre takes one, and paths are about twice as
/// long as the great circle.
fn estimate_us(km: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 400,300")]
    let us = (km * 20.0).round() as u32;
    us
}

/// The nearest and all within `near` of it, then the nearest of the rest with its own; equals stay in
/// the order given.
fn groups(mut measured: Vec<(f64, ClusterId)>, near: f64) -> Rank {
    measured.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut all = Vec::with_capacity(measured.len());
    let mut left = &measured[..];
    while let Some((first, _)) = left.first() {
        let shared = left.partition_point(|(other, _)| *other <= first + near).max(1);
        // Alone, the nearest goes first also before its equals.
        let (group, rest) = left.split_at(if near > 0.0 { shared } else { 1 });
        let mut group: Vec<ClusterId> = group.iter().map(|(_, cluster)| *cluster).collect();
        group.sort_unstable();
        all.push(Rank::Together(group));
        left = rest;
    }
    Rank::InTurn(all)
}

fn one_by_one(clusters: &[ClusterId]) -> Rank {
    Rank::InTurn(clusters.iter().map(|&cluster| Rank::Together(vec![cluster])).collect())
}

/// A tier's rank with its conditions, where it has any.
pub(crate) fn conditional(tier: &Tier, clusters: Vec<ClusterId>, inner: Rank) -> Rank {
    let Tier { min_healthy, panic_below, .. } = *tier;
    // One healthy endpoint is what every tier needs.
    if min_healthy <= 1 && panic_below == Share::NONE {
        return inner;
    }
    Rank::Tier { clusters, min_healthy, panic_below, inner: Box::new(inner) }
}
