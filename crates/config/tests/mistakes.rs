//! For every kind of mistake a small file and the exact text of its issues.
//!
//! `mistakes/*.txt` hold the cases: a title behind `####`, the file, and behind `---->` what is
//! reported. Below each file, except where the title ends in `(alone)`, stands [`PRELUDE`], so that
//! positions are those of the case. Behind `==== networks.csv` stands the data file of that name beside it. `UPDATE_GOLDEN=1 cargo test -p meridian-config --test mistakes`
//! writes what is reported now; read the difference before keeping it.

mod golden;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use meridian_config::{Issue, parse};

/// Something to refer to, and nothing that warns.
const PRELUDE: &str = r#"
[[zones]]
name = "gslb.example"
nameservers = ["ns.elsewhere.example"]
hostmaster = "hostmaster.example"
[[clusters]]
name = "eu-west"
latitude = 53
longitude = -6
[[clusters]]
name = "us-east"
latitude = 39
longitude = -77
[[probes]]
name = "web"
type = "http"
[[gateways]]
name = "base"
hostnames = ["base.gslb.example", "*.base.gslb.example"]
probe = "web"
[[gateways.endpoints]]
cluster = "eu-west"
addresses = ["192.0.2.1"]
[[gateways.endpoints]]
cluster = "us-east"
addresses = ["192.0.2.2"]
"#;

fn report(title: &str, case: &str) -> String {
    let prelude = if title.ends_with("(alone)") { "" } else { PRELUDE };
    let (case, data) = case.split_once("==== networks.csv\n").unwrap_or((case, ""));
    let folder = data_folder(data);
    let file = folder.join("m.toml");
    let parsed = parse(&format!("{case}{prelude}"), &file);
    if !data.is_empty() {
        std::fs::remove_dir_all(&folder).expect("a folder of our own");
    }
    match parsed {
        Err(issues) => {
            assert_eq!(issues.len(), issues.iter().count(), "{title}: nothing is dropped here");
            let of_data = |issue: &&Issue| issue.file != file;
            let positions = |of: bool| -> Vec<_> {
                issues.iter().filter(|issue| of_data(issue) == of).map(|issue| issue.position).collect()
            };
            assert!(positions(false).is_sorted() && positions(true).is_sorted(), "{title}: {issues}");
            assert!(issues.iter().is_sorted_by_key(|issue| of_data(&issue)), "{title}: {issues}");
            let of_the_folder = if data.is_empty() { "\0".into() } else { format!("{}/", folder.display()) };
            format!("{issues}\n").replace(&of_the_folder, "")
        }
        Ok(loaded) => loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect(),
    }
}

/// A folder that holds the data file, or none where there is no data.
fn data_folder(data: &str) -> PathBuf {
    if data.is_empty() {
        return PathBuf::new();
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("meridian-mistakes-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    std::fs::write(folder.join("networks.csv"), data).expect("a file of our own");
    folder
}

fn hold(name: &str) {
    golden::hold(name, report);
}

#[test]
fn syntax() {
    hold("syntax.txt");
}

#[test]
fn reading() {
    hold("reading.txt");
}

#[test]
fn server() {
    hold("server.txt");
}

#[test]
fn geoip() {
    hold("geoip.txt");
}

#[test]
fn metrics() {
    hold("metrics.txt");
}

#[test]
fn manners() {
    hold("manners.txt");
}

#[test]
fn transfer() {
    hold("transfer.txt");
}

#[test]
fn telemetry() {
    hold("telemetry.txt");
}

#[test]
fn tls() {
    hold("tls.txt");
}

#[test]
fn networks_file() {
    hold("networks_file.txt");
}

#[test]
fn zones() {
    hold("zones.txt");
}

#[test]
fn records() {
    hold("records.txt");
}

#[test]
fn clusters() {
    hold("clusters.txt");
}

#[test]
fn probes() {
    hold("probes.txt");
}

#[test]
fn gateways() {
    hold("gateways.txt");
}

#[test]
fn rollouts() {
    hold("rollouts.txt");
}

#[test]
fn https() {
    hold("https.txt");
}

#[test]
fn hostname_endpoints() {
    hold("hostname_endpoints.txt");
}

#[test]
fn resolver() {
    hold("resolver.txt");
}

#[test]
fn policies() {
    hold("policies.txt");
}

#[test]
fn together() {
    hold("together.txt");
}

#[test]
fn nearest() {
    hold("nearest.txt");
}

#[test]
fn tiers() {
    hold("tiers.txt");
}

#[test]
fn geo_rules() {
    hold("geo.txt");
}

#[test]
fn latency() {
    hold("latency.txt");
}

#[test]
fn jurisdictions() {
    hold("jurisdictions.txt");
}

#[test]
fn residency() {
    hold("residency.txt");
}
