//! The rules of the house that a machine can hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom, of ours (design §2); tests may use everything.
const MAY_DEPEND: [(&str, &[&str]); 12] = [
    ("meridian-model", &[]),
    ("meridian-config", &["meridian-model"]),
    ("meridian-geoip", &["meridian-model"]),
    ("meridian-health-probe", &["meridian-model"]),
    ("meridian-discovery", &["meridian-model"]),
    ("meridian-steering", &["meridian-model"]),
    ("meridian-store", &["meridian-model"]),
    ("meridian-telemetry", &[]),
    ("meridian-dns", &["meridian-geoip", "meridian-model", "meridian-steering"]),
    (
        "meridian-admin",
        &["meridian-dns", "meridian-health-probe", "meridian-model", "meridian-store", "meridian-telemetry"],
    ),
    (
        "meridian",
        &[
            "meridian-admin",
            "meridian-config",
            "meridian-discovery",
            "meridian-dns",
            "meridian-geoip",
            "meridian-health-probe",
            "meridian-model",
            "meridian-steering",
            "meridian-store",
            "meridian-telemetry",
        ],
    ),
    (
        "meridian-tests",
        &[
            "meridian",
            "meridian-config",
            "meridian-discovery",
            "meridian-dns",
            "meridian-geoip",
            "meridian-health-probe",
            "meridian-model",
            "meridian-steering",
        ],
    ),
];

/// What belongs to one crate alone, in code that is shipped: the library and who may have it.
const ONLY_IN: [(&str, &[&str]); 13] = [
    // The tests read databases themselves: a second opinion on what geoip says.
    ("maxminddb", &["meridian-geoip", "meridian-tests"]),
    ("toml", &["meridian-config"]),
    ("schemars", &["meridian-config"]),
    ("ratatui", &["meridian"]),
    ("hickory-resolver", &["meridian-discovery"]),
    ("arc-swap", &["meridian-dns"]),
    // Probes and commands are its clients; the demo's clusters are applications, not an API of Meridian. In dns it
    // carries DNS over HTTPS.
    (
        "hyper",
        &[
            "meridian",
            "meridian-admin",
            "meridian-dns",
            "meridian-health-probe",
            "meridian-telemetry",
            "meridian-tests",
        ],
    ),
    ("axum", &["meridian-admin"]),
    ("prometheus-client", &["meridian-admin"]),
    ("quinn", &["meridian-dns", "meridian-tests"]),
    ("h3", &["meridian-dns", "meridian-tests"]),
    // For Prometheus alone: what is probed is asked over connections of our own.
    ("reqwest", &["meridian-health-probe"]),
    ("anyhow", &["meridian", "meridian-tests"]),
];

/// What a crate must not know: the runtime and the wire for the pure ones. Probes may ask name servers, and
/// so know messages; they must not serve DNS or look up names, as whoever resolves what it checks may be told
/// to check another.
const NEVER: [(&str, &[&str]); 4] = [
    ("meridian-model", &["tokio", "kube", "hickory-proto", "serde"]),
    ("meridian-steering", &["tokio", "hickory-proto", "serde", "ipnet"]),
    ("meridian-health-probe", &["hickory-server", "hickory-resolver", "meridian-dns"]),
    ("meridian-dns", &["reqwest", "serde"]),
];

const FILE_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// By package of the workspace: the names of its normal dependencies.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let normal = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|dependency| dependency["kind"].is_null()).map(|d| text(&d["name"])).collect()
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["name"]), normal(package)))
        .collect()
}

/// Files of this workspace as git sees them, with this ending.
fn files(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let files: Vec<PathBuf> = listed
        .lines()
        .filter(|line| line.ends_with(ending))
        .map(|line| root().join(line))
        .filter(|p| p.exists())
        .collect();
    assert!(!files.is_empty(), "no {ending} file");
    files
}

#[test]
fn crates_depend_as_the_design_says() {
    let found = dependencies();
    let named: Vec<&str> = MAY_DEPEND.iter().map(|(name, _)| *name).collect();
    assert!(found.keys().all(|name| named.contains(&name.as_str())), "a crate without a rule: {found:?}");
    for (name, allowed) in MAY_DEPEND {
        let ours: Vec<&String> =
            found[name].iter().filter(|dependency| dependency.starts_with("meridian")).collect();
        assert!(ours.iter().all(|dependency| allowed.contains(&dependency.as_str())), "{name}: {ours:?}");
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    let found = dependencies();
    for (name, dependencies) in &found {
        for (library, allowed) in ONLY_IN {
            let has = dependencies.iter().any(|dependency| dependency == library);
            assert!(!has || allowed.contains(&name.as_str()), "{name} depends on {library}");
        }
    }
    for (name, never) in NEVER {
        for library in never {
            assert!(!found[name].iter().any(|dependency| dependency == library), "{name} knows {library}");
        }
    }
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, section) = text.split_once("[workspace.dependencies]").unwrap();
    let section = section.split("\n[").next().unwrap();
    // A comment holds for the lines below it, up to a blank line or the next comment.
    let mut reason = false;
    for line in section.lines() {
        match line {
            "" => reason = false,
            line if line.starts_with('#') => reason = true,
            line => assert!(reason || line.starts_with("meridian"), "no reason beside: {line}"),
        }
    }
    for manifest in files("Cargo.toml") {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let versions =
            text.lines().filter(|line| line.contains("version = \"") && !line.starts_with("version"));
        assert!(
            manifest == root().join("Cargo.toml") || versions.count() == 0,
            "{}: versions stand in the workspace",
            manifest.display()
        );
    }
}

/// The README's first command, `cargo run`, must not ask which.
#[test]
fn there_is_one_binary() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
    let binaries: Vec<&Value> = targets
        .filter(|target| target["kind"].as_array().unwrap().iter().any(|kind| kind == "bin"))
        .map(|target| &target["name"])
        .collect();
    assert_eq!(binaries, ["meridian"]);
}

#[test]
fn files_are_short_and_finished() {
    // Put together here, so that this file does not hold them.
    let unfinished =
        ["TO", "FIX", "XX", "HA"].iter().zip(["DO", "ME", "X", "CK"]).map(|(a, b)| format!("{a}{b}"));
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let words: Vec<String> = unfinished.chain(macros).collect();
    for file in files(".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES, "{}: {lines} lines, at most {FILE_LINES}", file.display());
        for word in &words {
            assert!(!text.contains(word.as_str()), "{}: {word}", file.display());
        }
    }
}

#[test]
fn every_crate_says_what_it_does_not_do() {
    for file in files("src/lib.rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{}: no docstring", file.display());
        let is_tests = file.starts_with(root().join("tests"));
        assert!(is_tests || text.to_lowercase().contains("does not do"), "{}", file.display());
    }
}
