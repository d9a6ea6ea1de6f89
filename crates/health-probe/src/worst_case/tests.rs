use meridian_model::{CatalogParts, CombinedCheck, Gateway, ProbeId, TcpCheck, Thresholds};

use super::*;

/// In milliseconds: the interval, the fast interval and the timeout; and `fall`.
fn probe([interval, fast_interval, timeout]: [u64; 3], fall: u32) -> Probe {
    Probe {
        name: "web".into(),
        check: Check::Tcp(TcpCheck::default()),
        invert: false,
        port: 80,
        address: None,
        interval: Duration::from_millis(interval),
        fast_interval: Duration::from_millis(fast_interval),
        timeout: Duration::from_millis(timeout),
        thresholds: Thresholds { fall, ..Thresholds::default() },
    }
}

fn combined(members: &[usize], at_least: u16) -> Probe {
    let probes = members.iter().copied().map(ProbeId::from_index).collect();
    Probe { check: Check::Combined(CombinedCheck { probes, at_least }), port: 0, ..probe([1000; 3], 1) }
}

/// For a gateway with the last of these probes.
fn worst_case(probes: Vec<Probe>) -> Option<WorstCase> {
    let probe = probes.len().checked_sub(1).map(ProbeId::from_index);
    let gateways = vec![Gateway { ttl: 30, min_ttl: 5, probe, ..Gateway::default() }];
    let catalog = Catalog::new(CatalogParts { probes, gateways, ..CatalogParts::default() });
    worst_case_failover(&catalog, GatewayId::from_index(0))
}

/// All four, in milliseconds.
fn times(probes: Vec<Probe>) -> Option<[u128; 4]> {
    let WorstCase { first, detected, published, clients } = worst_case(probes)?;
    Some([first, detected, published, clients].map(|time| time.as_millis()))
}

#[test]
fn of_one_probe() {
    for (timing, fall, wanted) in [
        // An interval and its jitter, and the timeout: nothing is doubted before.
        ([1000, 1000, 500], 1, [1600, 1600, 1610, 31_610]),
        ([1000, 1000, 500], 0, [1600, 1600, 1610, 31_610]),
        ([1000, 1000, 500], 3, [1600, 3600, 3610, 31_610]),
        ([1000, 1000, 1000], 3, [2100, 4100, 4110, 32_110]),
        // The answer in doubt is the last to leave the caches.
        ([1000, 1000, 500], 100, [1600, 100_600, 100_610, 105_610]),
        // Fast starts are apart by what is longer, the fast interval or the check.
        ([1000, 600, 500], 3, [2050, 3250, 3260, 32_060]),
        ([1000, 100, 500], 3, [2050, 3050, 3060, 32_060]),
        ([10_000, 1000, 2000], 2, [17_500, 19_500, 19_510, 47_510]),
        // As far as they are kept.
        ([0, 0, 10], 2, [65, 115, 125, 30_075]),
        ([1000, 5000, 500], 3, [1600, 3600, 3610, 31_610]),
    ] {
        assert_eq!(times(vec![probe(timing, fall)]), Some(wanted), "{timing:?} {fall}");
    }
}

#[test]
fn of_probes_that_are_made_of_others() {
    // Detected within 1600, 3600 and 2650 ms, first seen within 1600, 1600 and 1650 ms.
    let members =
        || vec![probe([1000, 1000, 500], 1), probe([1000, 1000, 500], 3), probe([1000, 500, 100], 3)];
    let of = |more: Vec<Probe>| {
        times(members().into_iter().chain(more).collect()).map(|[first, detected, ..]| (first, detected))
    };
    for (members, at_least, wanted) in [
        (&[0, 1, 2][..], 3, (1600, 1600)),
        (&[0, 1, 2], 2, (1600, 2650)),
        (&[0, 1, 2], 1, (1650, 3600)),
        (&[1, 2], 2, (1600, 2650)),
        (&[1], 1, (1600, 3600)),
    ] {
        assert_eq!(of(vec![combined(members, at_least)]), Some(wanted), "{at_least} of {members:?}");
    }
    // Any of the first, and all of the others.
    assert_eq!(of(vec![combined(&[1, 2], 2), combined(&[0, 3], 1)]), Some((1600, 2650)));
    let inverted = || Probe { invert: true, ..probe([1000, 1000, 500], 1) };
    assert_eq!(of(vec![inverted(), combined(&[1, 3], 2)]), Some((1600, 3600)), "the other is enough");
    assert_eq!(of(vec![inverted(), combined(&[1, 3], 1)]), None, "one that a dead address satisfies");
    assert_eq!(of(vec![Probe { invert: true, ..combined(&[0, 1], 1) }]), None);
}

#[test]
fn what_nothing_detects_has_no_worst_case() {
    assert_eq!(worst_case(Vec::new()), None);
    assert_eq!(worst_case(vec![Probe { invert: true, ..probe([1000; 3], 1) }]), None);
}

#[test]
fn times_without_end_do_not_overflow() {
    let endless = Probe {
        interval: Duration::MAX,
        fast_interval: Duration::ZERO,
        timeout: Duration::MAX,
        thresholds: Thresholds { fall: u32::MAX, ..Thresholds::default() },
        ..probe([1000; 3], 1)
    };
    assert_eq!(worst_case(vec![endless]).unwrap().clients, Duration::MAX);
}
