//! Random worlds: any gateway among any jurisdictions, any verdicts, any place.

use std::time::Duration;

use meridian_model::{
    AllDown, ClientMatch, ClusterId, Conflict, Continent, CountryCode, DomainName, Endpoint, EndpointName,
    Gateway, Geo, GeoRule, Jurisdiction, JurisdictionId, Latency, LatencyRow, LatencyTable, LatencyTableId,
    Nearest, Place, Policy, Prefix, PrefixId, ProbeAt, Residency, ResidencyClients, ResidencyRule, Rollout,
    Share, TargetHealth, Tier, Track, Trial, UnknownClients, Verdict,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::build::{Around, World, address, at, cluster, country, gateway};

pub(crate) const TRACKS: [Track; 4] = [Track::Stable, Track::Canary, Track::Blue, Track::Green];
const COUNTRIES: [&str; 4] = ["DE", "FR", "JP", "US"];
const PARTS: [&str; 2] = ["CA", "NY"];
const JURISDICTIONS: usize = 4;
const PREFIXES: usize = 3;
/// Few enough that tiers, rules and endpoints often mean the same.
const USED: usize = 5;

/// A client's question to a gateway.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) place: Place,
    pub(crate) prefix: Option<usize>,
    pub(crate) health: Vec<TargetHealth>,
    pub(crate) draw: u64,
}

pub(crate) fn any_case() -> impl Strategy<Value = Case> {
    let prefix = prop::option::of(0..PREFIXES);
    (any_gateway(), any_around(), any_place(), prefix, vec(any_health(), 16), any::<u64>()).prop_map(
        |(gateway, around, place, prefix, mut health, draw)| {
            let world = World::with(gateway, around);
            health.truncate(world.catalog.targets().len().max(1));
            Case { world, place, prefix, health, draw }
        },
    )
}

fn any_health() -> impl Strategy<Value = TargetHealth> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Healthy),
        1 => Just(Verdict::Degraded),
        3 => Just(Verdict::Unhealthy),
        1 => Just(Verdict::Unknown)
    ];
    (verdict, any::<bool>(), 0..5_u64).prop_map(|(verdict, in_doubt, lost)| TargetHealth {
        verdict,
        in_doubt,
        lost,
    })
}

//----------- Places ---------------------------------------------------------

fn any_country() -> impl Strategy<Value = CountryCode> {
    prop::sample::select(&COUNTRIES[..]).prop_map(country)
}

fn any_part() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(&PARTS[..]).prop_map(Into::into)
}

fn any_continent() -> impl Strategy<Value = Continent> {
    prop::sample::select(&Continent::ALL[..2])
}

pub(crate) fn any_place() -> impl Strategy<Value = Place> {
    let of = (
        prop::option::of(any_continent()),
        prop::option::weighted(0.8, any_country()),
        prop::option::of(any_part()),
        prop::option::of(0_u8..80),
        prop::option::of(1..3_u32),
    );
    of.prop_map(|(continent, country, subdivision, east, asn)| {
        let coordinates = east.and_then(|east| at(f64::from(east)).coordinates);
        Place { continent, country, subdivision, coordinates, asn }
    })
}

fn any_around() -> impl Strategy<Value = Around> {
    let jurisdiction = (btree_set(any_country(), 0..4), btree_set((any_country(), any_part()), 0..3));
    let jurisdiction = jurisdiction.prop_map(|(countries, parts)| Jurisdiction {
        name: "J".into(),
        countries: countries.into_iter().collect(),
        subdivisions: parts.into_iter().collect(),
    });
    let row = (any_measured(), 0..USED, 0..200_000_u32);
    let row = row.prop_map(|(clients, at, rtt_us)| LatencyRow { clients, cluster: cluster(at), rtt_us });
    (vec(jurisdiction, JURISDICTIONS), vec(row, 0..12)).prop_map(|(jurisdictions, rows)| Around {
        jurisdictions,
        latency_tables: vec![LatencyTable { name: "t".into(), rows }],
        prefixes: prefixes(),
    })
}

/// Each within the one before.
fn prefixes() -> Vec<Prefix> {
    let net = |index: usize| ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"][index].parse().expect("a prefix");
    let parent = |index: usize| index.checked_sub(1).map(PrefixId::from_index);
    (0..PREFIXES).map(|index| Prefix { net: net(index), parent: parent(index) }).collect()
}

//----------- Policies -------------------------------------------------------

fn any_measured() -> impl Strategy<Value = ClientMatch> {
    prop_oneof![
        (0..PREFIXES).prop_map(|index| ClientMatch::Prefix(PrefixId::from_index(index))),
        (1..3_u32).prop_map(ClientMatch::Asn),
        any_country().prop_map(ClientMatch::Country),
    ]
}

fn any_match() -> impl Strategy<Value = ClientMatch> {
    prop_oneof![
        any_measured(),
        (any_country(), any_part()).prop_map(|(code, part)| ClientMatch::Subdivision(code, part)),
        any_continent().prop_map(ClientMatch::Continent),
        any_jurisdiction().prop_map(ClientMatch::Jurisdiction),
    ]
}

fn any_jurisdiction() -> impl Strategy<Value = JurisdictionId> {
    (0..JURISDICTIONS).prop_map(JurisdictionId::from_index)
}

fn any_clusters(least: usize) -> impl Strategy<Value = Vec<ClusterId>> {
    btree_set((0..USED).prop_map(cluster), least..USED).prop_map(|set| set.into_iter().collect())
}

fn any_share() -> impl Strategy<Value = Share> {
    let some = (0..=10_u8).prop_map(|tenths| Share::from_fraction(f64::from(tenths) / 10.0).expect("a part"));
    prop_oneof![2 => Just(Share::NONE), 1 => some]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let nearest = (0..3_000_u32, prop::option::of(0..6_000_u32), btree_set(0..USED, 0..3), -99..=99_i8)
        .prop_map(|(within_km, max_km, biased, bias)| {
            let bias = biased.into_iter().map(|index| (cluster(index), bias)).collect();
            Policy::Nearest(Nearest { within_km, max_km, bias })
        });
    let latency = (0..40_u32)
        .prop_map(|within_ms| Policy::Latency(Latency { table: LatencyTableId::from_index(0), within_ms }));
    let leaf = prop_oneof![nearest, latency, Just(Policy::Weighted), Just(Policy::All)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let tier = (any_clusters(1), inner, 0..4_u16, any_share()).prop_map(
            |(clusters, policy, min_healthy, panic_below)| Tier {
                clusters,
                policy,
                min_healthy,
                panic_below,
            },
        );
        let tier = tier.boxed();
        let rule =
            (vec(any_match(), 1..3), tier.clone()).prop_map(|(clients, tier)| GeoRule { clients, tier });
        let geo = (vec(rule, 0..4), tier.clone())
            .prop_map(|(rules, default)| Policy::Geo(Box::new(Geo { rules, default })));
        prop_oneof![vec(tier, 1..4).prop_map(Policy::Failover), geo]
    })
}

//----------- Gateways -------------------------------------------------------

fn any_residency() -> impl Strategy<Value = Residency> {
    let clients = prop_oneof![
        1 => Just(ResidencyClients::Everyone),
        2 => vec(any_jurisdiction(), 1..3).prop_map(ResidencyClients::In),
    ];
    let rule = (clients, any_clusters(0)).prop_map(|(clients, clusters)| ResidencyRule { clients, clusters });
    let unknown =
        prop_oneof![Just(UnknownClients::Deny), any_jurisdiction().prop_map(UnknownClients::TreatAs)];
    (vec(rule, 1..4), unknown).prop_map(|(rules, unknown)| Residency {
        rules,
        unknown,
        conflict: Conflict::Strictest,
    })
}

/// Where, in which families (by bit), the weight, the track, and of a hostname `as_cname` and `lost`.
type Parts = (ClusterId, u8, u32, Track, Option<(bool, bool)>);

/// In a cluster, with IPv4, IPv6 or both addresses, all of its own; now and then by a hostname.
fn any_endpoint() -> impl Strategy<Value = Parts> {
    let hostname = prop::option::weighted(0.2, (any::<bool>(), any::<bool>()));
    let track = any_track();
    ((0..USED).prop_map(cluster), 1..4_u8, 0..4_u32, track, hostname)
}

fn any_endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    vec(any_endpoint(), 1..8).prop_map(|endpoints| {
        let of = |(index, (cluster, families, weight, track, hostname)): (usize, Parts)| -> Endpoint {
            let ips = [format!("192.0.2.{index}"), format!("2001:db8::{index}")];
            let has = |bit: usize| families >> bit & 1 == 1;
            let addresses = (0..2).filter(|&bit| has(bit)).map(|bit| address(&ips[bit])).collect();
            let name = hostname.map(|(as_cname, lost)| EndpointName {
                name: DomainName::parse(&format!("lb-{index}.example")).expect("a name"),
                as_cname,
                stale_for: Duration::ZERO,
                ttl: Some(20),
                lost,
                in_doubt: false,
            });
            Endpoint { cluster, addresses, name, probe_at: ProbeAt::default(), weight: weight * 50, track }
        };
        endpoints.into_iter().enumerate().map(of).collect()
    })
}

/// Two of them mostly, so that a trial often has another endpoint than everyone.
fn any_track() -> impl Strategy<Value = Track> {
    prop_oneof![4 => prop::sample::select(&TRACKS[..2]), 1 => prop::sample::select(&TRACKS[..])]
}

fn any_gateway() -> impl Strategy<Value = Gateway> {
    let all_down = prop_oneof![
        Just(AllDown::ServeAll),
        Just(AllDown::LastHealthy),
        any_clusters(1).prop_map(AllDown::Fallback),
        Just(AllDown::NoData),
    ];
    let share = prop_oneof![Just(Share::NONE), Just(Share::ALL), any_share()];
    let trial = (any_track(), share).prop_map(|(track, share)| Trial { track, share });
    let rollout = (prop::option::weighted(0.3, any_track()), prop::option::weighted(0.8, trial))
        .prop_map(|(live, trial)| Rollout { live, trial });
    let residency = prop::option::weighted(0.6, any_residency());
    let answers = prop::option::of(1..4_u16);
    let parts = (any_policy(), any_endpoints(), residency, rollout, all_down, any_share(), answers);
    parts.prop_map(|(policy, endpoints, residency, rollout, all_down, panic_below, answers)| Gateway {
        endpoints,
        residency,
        rollout,
        all_down,
        panic_below,
        answers,
        ..gateway(policy, 0)
    })
}
