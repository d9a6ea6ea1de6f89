//! The reference configuration is what it says it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use meridian_config::{Loaded, load, parse};
use meridian_model::{AllDown, Check, Policy};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/meridian.toml")
}

fn loaded() -> Loaded {
    load(&reference()).unwrap_or_else(|issues| panic!("{issues}"))
}

#[test]
fn loads_without_issues_or_warnings() {
    assert_eq!(loaded().warnings, []);
}

#[test]
fn says_what_its_comments_say() {
    let Loaded { catalog, settings, .. } = loaded();
    assert_eq!(settings.server.listen.len(), 2);
    assert_eq!(settings.geoip.networks.len(), 2);
    assert_eq!(catalog.clusters().len(), 3);
    let web = &catalog.probes()[0];
    assert!(matches!(&web.check, Check::Http { path, host: Some(_) } if &**path == "/healthz"));
    assert_eq!((web.interval, web.timeout), (Duration::from_secs(1), Duration::from_millis(500)));
    let [shop, api] = catalog.gateways() else { panic!("two gateways") };
    assert_eq!((shop.ttl, shop.min_ttl, shop.answers), (30, 5, Some(1)));
    assert_eq!(shop.all_down, AllDown::ServeAll);
    let Policy::Failover(tiers) = &api.policy else { panic!("{:?}", api.policy) };
    let clusters: Vec<usize> = tiers.iter().map(|tier| tier.clusters.len()).collect();
    assert_eq!(clusters, [2, 3]);
    assert_eq!(tiers[0].policy, Policy::Weighted);
    assert_eq!(tiers[1].policy, Policy::Nearest);
    // Six addresses under "web", three under "port".
    assert_eq!(catalog.targets().len(), 9);
}

/// A key behind "#" claims to be written as its default: taking the "#" off changes nothing.
#[test]
fn commented_defaults_are_the_defaults() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let default_keys = ["# data_dir = ", "# workers = ", "# first_round = ", "# ttl = ", "# negative_ttl = "];
    let mut written = text.clone();
    for key in default_keys {
        assert_eq!(text.matches(&format!("\n{key}")).count(), 1, "{key}");
        written = written.replace(&format!("\n{key}"), &format!("\n{}", &key[2..]));
    }
    let (defaults, written) = (loaded(), parse(&written, &reference()).unwrap());
    assert_eq!(defaults.catalog, written.catalog);
    assert_eq!(defaults.settings, written.settings);
}

/// The values written in the example that the comments call defaults: without them nothing changes.
#[test]
fn written_defaults_are_the_defaults() {
    let text = std::fs::read_to_string(reference()).unwrap();
    let written_defaults = [
        "listen = [\"127.0.0.1:5300\", \"[::1]:5300\"]",
        "fall = 3 ",
        "rise = 2 ",
        "hold_down = \"30s\"",
        "timeout = \"500ms\"",
        "ttl = 30\n",
        "min_ttl = 5\n",
        "answers = 1\n",
        "policy = \"nearest\"\n",
        "all_down = \"serve_all\"\n",
        "weight = 100 ",
        "track = \"stable\"",
    ];
    let mut without = text.clone();
    for key in written_defaults {
        assert_eq!(text.matches(&format!("\n{key}")).count(), 1, "{key}");
        without = without.replace(&format!("\n{key}"), &format!("\n# {key}"));
    }
    let (written, without) = (loaded(), parse(&without, &reference()).unwrap());
    assert_eq!(written.catalog, without.catalog);
    assert_eq!(written.settings, without.settings);
}
