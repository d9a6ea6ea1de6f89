//! Many targets at one address.

use super::*;
use crate::limits::{PROBES_OF_ADDRESS_MAX, PROBES_UNDER_WAY_DEFAULT};

/// A gateway a port, each with a probe of its own, at one address; and then `others`, one target each.
fn behind_one_address(ports: u16, others: &[IpAddr], probe: &Probe) -> Arc<Catalog> {
    let old = catalog(probe.clone(), others);
    let mut probes = vec![probe.clone()];
    let mut gateways = vec![gateway("others", others)];
    for port in 1..=ports {
        let mut next = gateway(&format!("g{port}"), &[shared()]);
        next.probe = Some(ProbeId::from_index(probes.len()));
        gateways.push(next);
        probes.push(Probe { port, ..probe.clone() });
    }
    Arc::new(Catalog::new(CatalogParts {
        clusters: old.clusters().to_vec(),
        probes,
        gateways,
        ..CatalogParts::default()
    }))
}

fn shared() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

/// The most probes of an address that were under way together, when each takes this long.
fn most_at_once(starts: &[Instant], each: Duration) -> usize {
    let during = |at: &Instant| starts.iter().filter(|other| **other <= *at && *at < **other + each).count();
    starts.iter().map(during).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way_to_an_address() {
    let script = Script::default();
    script.tell(shared(), Answer::Hangs);
    let slow = Probe { interval: SECOND * 10, ..probe() };
    let run = Run::start(&behind_one_address(100, &addresses(10), &slow), &script);
    pass(SECOND * 30).await;
    let starts = script.starts_of(shared());
    assert_eq!(most_at_once(&starts, slow.timeout), PROBES_OF_ADDRESS_MAX);
    // Each waits for its turn, and each has it: the first round and about three intervals.
    assert!((300..=420).contains(&starts.len()), "{}", starts.len());
    let Counts { late, crowded, .. } = run.counts();
    assert!(crowded >= 84, "{crowded}");
    assert_eq!(late, 0, "others had places");
    let lines = run.lines.take();
    let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("address=192.0.2.1")), "{warnings:?}");
}

/// A host that takes all its probes' time, with more of them than there are places in all.
#[tokio::test(start_paused = true)]
async fn a_host_that_swallows_everything_delays_nobody_else() {
    let script = Script::default();
    script.tell(shared(), Answer::Hangs);
    let targets = addresses(1000);
    let crowd = u16::try_from(PROBES_UNDER_WAY_DEFAULT * 3).unwrap();
    let run = Run::start(&behind_one_address(crowd, &targets, &probe()), &script);
    pass(SECOND * 20).await;
    assert_eq!(most_at_once(&script.starts_of(shared()), probe().timeout), PROBES_OF_ADDRESS_MAX);
    for target in &targets {
        let starts = script.starts_of(*target);
        assert!((20..=22).contains(&starts.len()), "{target}: {}", starts.len());
        for pair in starts[1..].windows(2) {
            assert!(pair[1] - pair[0] < MS * 1102, "{target}: {:?}", pair[1] - pair[0]);
        }
    }
    assert_eq!(run.counts().late, 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_an_address_goes_with_its_catalog() {
    let script = Script::default();
    script.tell(shared(), Answer::Hangs);
    let slow = Probe { interval: SECOND * 10, timeout: SECOND * 10, ..probe() };
    let mut run = Run::after_first_round(&behind_one_address(100, &[], &slow), &script).await;
    assert_eq!(script.under_way(), PROBES_OF_ADDRESS_MAX);
    let started = script.starts().len();
    run.handle.replace(behind_one_address(2, &[], &probe()));
    run.next_snapshot().await;
    script.tell(shared(), Answer::Up);
    pass(SECOND * 10).await;
    // The two new ones alone, and the address is free for them.
    let after = script.starts().len() - started;
    assert!((18..=24).contains(&after), "{after}");
    assert_eq!(script.under_way(), 0);
}

/// Neither a limit for all nor one for an address is lost when probes end and others take their places.
#[tokio::test(start_paused = true)]
async fn both_limits_hold_together() {
    let script = Script::default();
    script.tell(shared(), Answer::Slow(MS * 400));
    let targets = addresses(2000);
    script.tell_all(&targets, Answer::Slow(MS * 400));
    let mut run = Run::start(&behind_one_address(60, &targets, &probe()), &script);
    run.next_snapshot().await;
    pass(SECOND * 30).await;
    assert_eq!(script.0.lock().unwrap().under_way_max, PROBES_UNDER_WAY_DEFAULT);
    assert!(most_at_once(&script.starts_of(shared()), MS * 400) <= PROBES_OF_ADDRESS_MAX);
    let all = script.starts().len();
    // 512 each 400 ms, over 32 s.
    assert!(all > 30_000, "{all}");
    script.tell(shared(), Answer::Up);
    script.tell_all(&targets, Answer::Up);
    pass(SECOND * 10).await;
    let before = run.counts();
    pass(SECOND * 10).await;
    let after = run.counts();
    assert_eq!((after.late, after.crowded), (before.late, before.crowded), "still waiting");
    assert!((20_400..=20_800).contains(&(after.probes - before.probes)), "{after:?} {before:?}");
}
