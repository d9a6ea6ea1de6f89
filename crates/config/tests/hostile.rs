//! Files that nobody would write on purpose: the loader answers, in bounded time and memory.

use std::io::Write;
use std::path::{Path, PathBuf};

use meridian_config::{Matter, load, parse};

const REFERENCE: &str = include_str!("../../../deploy/meridian.toml");

fn file() -> &'static Path {
    Path::new("m.toml")
}

/// A file of this test alone, removed when it is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, octets: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("meridian-config-{}-{name}", std::process::id()));
        std::fs::File::create(&path).and_then(|mut file| file.write_all(octets)).expect("a scratch file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that stays behind in the temporary folder harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Cuts, doubles, swaps and garbles pieces of a text.
fn mutate(text: &str, random: &mut fastrand::Rng) -> String {
    let mut octets = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..6) {
        let from = random.usize(..octets.len());
        let to = (from + random.usize(1..80)).min(octets.len());
        match random.u8(..5) {
            0 => octets[from] ^= 1 << random.u8(..8),
            1 => drop(octets.drain(from..to)),
            2 => {
                let piece = octets[from..to].to_vec();
                let at = random.usize(..octets.len());
                octets.splice(at..at, piece);
            }
            3 => octets[from] = *random.choice(b"\"'[]{}=.,#\n\\\0").expect("not empty"),
            _ => octets.truncate(octets.len() - random.usize(..octets.len() / 4)),
        }
        if octets.is_empty() {
            octets.push(b'a');
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[test]
fn mutations_of_the_reference_never_panic() {
    let mut random = fastrand::Rng::with_seed(20_260_101);
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..1000 {
        let text = mutate(REFERENCE, &mut random);
        match parse(&text, file()) {
            Ok(_) => accepted += 1,
            Err(issues) => {
                refused += 1;
                let lines = text.lines().count() + 1;
                for issue in &issues {
                    let position = issue.position.expect("a text has positions");
                    assert!((1..=lines).contains(&position.line) && position.column >= 1, "{issue}");
                    assert!(!issue.is_warning(), "{issue}");
                }
                assert!(!issues.to_string().is_empty());
            }
        }
    }
    // Most mutations hit comments, so both must be met.
    assert!(refused > 100 && accepted > 10, "{refused} refused, {accepted} accepted");
}

#[test]
fn mutations_of_a_latency_table_never_panic() {
    const TABLE: &str = "clients,cluster,ms\n# ours\n10.0.0.0/8,eu,1.5\n2001:db8::/32,eu,80\n\
        AS64500,eu,3\nDE,eu,60000\nFR,eu,0.001\n\nCH,eu,7\nIE,eu,2\n";
    const CONFIG: &str = r#"
version = 1
zones = [ { name = "z.example", nameservers = ["ns.elsewhere.org"], hostmaster = "h.example" } ]
clusters = [ { name = "eu", latitude = 0, longitude = 0 } ]
[[gateways]]
name = "g"
hostnames = ["g.z.example"]
policy = { type = "latency", table = "TABLE" }
endpoints = [ { cluster = "eu", addresses = ["192.0.2.1"] } ]
"#;
    let mut random = fastrand::Rng::with_seed(20_260_102);
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..1000 {
        let table = mutate(TABLE, &mut random);
        let scratch = Scratch::new("table", table.as_bytes());
        let text = CONFIG.replace("TABLE", &scratch.0.display().to_string());
        match parse(&text, file()) {
            Ok(_) => accepted += 1,
            Err(issues) => {
                refused += 1;
                let lines = table.lines().count() + 1;
                for issue in issues.iter().filter(|issue| issue.file != file()) {
                    let position = issue.position.expect("a text has positions");
                    assert!((1..=lines).contains(&position.line) && position.column >= 1, "{issue}");
                }
            }
        }
    }
    assert!(refused > 100 && accepted > 10, "{refused} refused, {accepted} accepted");
}

#[test]
fn every_prefix_of_the_reference_is_answered() {
    for (end, _) in REFERENCE.char_indices().step_by(37) {
        if let Err(issues) = parse(&REFERENCE[..end], file()) {
            assert!(issues.len() > 0);
        }
    }
}

#[test]
fn a_file_that_is_not_there() {
    let issues = load(Path::new("/nowhere/m.toml")).unwrap_err();
    assert_eq!(issues.to_string(), "/nowhere/m.toml: cannot be read: No such file or directory (os error 2)");
    assert!(issues.iter().all(|issue| issue.position.is_none()));
}

#[test]
fn a_folder_is_no_file() {
    let issues = load(&std::env::temp_dir()).unwrap_err();
    let is_unreadable = |matter: &Matter| matches!(matter, Matter::Unreadable(_));
    assert!(issues.iter().all(|issue| is_unreadable(&issue.matter)), "{issues}");
}

#[test]
fn a_file_of_no_octets() {
    let scratch = Scratch::new("empty", b"");
    let issues = load(&scratch.0).unwrap_err();
    assert_eq!(
        issues.to_string(),
        format!("{}:1:1: version: expected 1, found nothing", scratch.0.display())
    );
}

#[test]
fn a_file_that_is_no_text() {
    let scratch = Scratch::new("latin1", b"version = 1\n# caf\xe9\n");
    let issues = load(&scratch.0).unwrap_err();
    let wanted = format!("{}:2:6: syntax: expected text in UTF-8, found the octet 0xe9", scratch.0.display());
    assert_eq!(issues.to_string(), wanted);
}

#[test]
fn a_file_over_the_limit() {
    let scratch = Scratch::new("huge", b"version = 1\n");
    let file = std::fs::OpenOptions::new().write(true).open(&scratch.0).unwrap();
    // Sparse: it takes no space.
    file.set_len((64 << 20) + 1).unwrap();
    let issues = load(&scratch.0).unwrap_err();
    assert_eq!(issues.to_string(), format!("{}: cannot be read: larger than 64 MiB", scratch.0.display()));
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let arrays = format!("version = 1\nx = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let tables = format!("version = 1\nx = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000));
    let keys = format!("version = 1\n{}a = 1", "a.".repeat(100_000));
    let headers = format!("version = 1\n[{}a]", "a.".repeat(100_000));
    let both = format!("version = 1\nx = {}1{}", "{a.a.a.a.a.a.a=".repeat(79), "}".repeat(79));
    for text in [arrays, tables, keys, headers, both] {
        assert!(parse(&text, file()).is_err());
    }
}

#[test]
fn of_very_many_issues_the_first_are_kept_and_all_are_counted() {
    let text: String = (0..10_000).map(|number| format!("key{number} = 1\n")).collect();
    let issues = parse(&text, file()).unwrap_err();
    assert_eq!(issues.len(), 10_001);
    assert_eq!(issues.iter().count(), 200);
    let lines: Vec<usize> = issues.iter().map(|issue| issue.position.unwrap().line).collect();
    assert_eq!(lines[..3], [1, 1, 2], "the missing version, then the first keys");
    assert_eq!(lines[199], 199);
    assert!(issues.to_string().ends_with("\nand 9801 more"));
}

#[test]
fn of_very_many_warnings_the_first_are_kept() {
    let clusters: String = (0..1000)
        .map(|number| format!("[[clusters]]\nname = \"c{number}\"\nlatitude = 0\nlongitude = 0\n"))
        .collect();
    let loaded = parse(&format!("version = 1\n{clusters}"), file()).unwrap();
    assert_eq!(loaded.warnings.len(), 201);
    assert_eq!(loaded.warnings[200].to_string(), "m.toml:1:1: warning: and 801 more warnings");
}
