//! The wall clock jumps by an hour, forward and back, while the server probes: nothing comes of it.
//!
//! With libfaketime, which `./tests/run` installs, in front of the real binary. The monotonic clock goes on.

use std::path::Path;

use meridian_tests::{Config, Meridian, Site, WORLD};
use nix::sys::signal::Signal;

/// The hour of the clock that a line was logged at.
fn hour(line: &serde_json::Value) -> u32 {
    let at = line["timestamp"].as_str().and_then(|stamp| stamp.split_once('T')).expect("a timestamp").1;
    at[..2].parse().expect("an hour")
}

fn jump(file: &Path, by: &str) {
    // By rename, so that the process never reads half of it.
    let next = file.with_extension("next");
    std::fs::write(&next, by).unwrap();
    std::fs::rename(&next, file).unwrap();
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    let site = Site::new();
    let mut clusters: Vec<_> = (1..=3).map(|host| site.cluster(host)).collect();
    let ips: Vec<String> = clusters.iter().map(|cluster| cluster.ip()).collect();
    let probe = format!(
        "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {}\ninterval = \"100ms\"\ntimeout = \"90ms\"\n\
         hold_down = \"0s\"\nfall = 3\nrise = 2\n",
        site.port
    );
    let endpoints: Vec<(&str, &str)> =
        WORLD.iter().map(|(name, ..)| *name).zip(ips.iter().map(String::as_str)).collect();
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n")
        .with(&probe)
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], "probe = \"web\"\n", &endpoints);
    let clock = meridian_tests::scratch().join("clock");
    jump(&clock, "+0");
    let environment = [
        // The loader puts in where libraries are on this machine.
        ("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1"),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_NO_CACHE", "1"),
    ];
    let mut meridian = Meridian::serve_in(config.text(), &environment);
    let mut before = hour(meridian.seen.last().unwrap());
    for by in ["+1h", "+0", "-1h", "+0"] {
        jump(&clock, by);
        // A reload and one verdict that really changes show that probes go on, and what clock the log has.
        meridian.signal(Signal::SIGHUP);
        let reloaded = meridian
            .wait_for("a reload", |line| line["message"].as_str().is_some_and(|m| m.starts_with("reloaded")));
        let after = hour(&reloaded);
        assert_ne!(after, before, "{by}: the clock did not jump");
        before = after;
        clusters[0].kill();
        meridian.wait_for_verdict(&ips[0], "unhealthy");
        clusters[0].mend();
        meridian.wait_for_verdict(&ips[0], "healthy");
    }
    let transitions = meridian.seen.iter().filter(|line| line["message"] == "transition");
    let others: Vec<_> = transitions
        .filter(|line| !line["endpoint"].as_str().is_some_and(|endpoint| endpoint.ends_with(&ips[0])))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    let lines = format!("{:?}", meridian.seen);
    assert!(!lines.contains("wait for their turn"), "a storm");
}
