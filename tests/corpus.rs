//! Every file of the fuzzers' corpora again, and all that they ever found, through the check that the fuzzers run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::Result;
use meridian_tests::fuzzing;

/// Gives each file of a corpus to its check; all that fail are named.
fn replay(target: &str, check: impl Fn(&[u8]) -> Result<()>) {
    replay_of(target, target, check);
}

/// Gives each file of the corpus of one target to the check of another.
fn replay_of(corpus: &str, target: &str, check: impl Fn(&[u8]) -> Result<()>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let listed = |name: &str| -> Vec<PathBuf> {
        // What was never found has no folder.
        let entries = std::fs::read_dir(folder.join(name).join(corpus)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = listed("corpus");
    // A corpus that got lost proves nothing.
    assert!(files.len() >= 20, "{target}: {} files", files.len());
    files.extend(listed("found"));
    files.sort();
    let mut failed = Vec::new();
    for file in &files {
        let input = std::fs::read(file).unwrap();
        match catch_unwind(AssertUnwindSafe(|| check(&input))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("{}: {error:#}", file.display())),
            Err(_) => failed.push(format!("{}: it panics, see above", file.display())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{target}: {} files", files.len());
}

#[test]
fn packets() {
    replay("packet", fuzzing::packet);
}

#[test]
fn packets_both_ways() {
    replay_of("packet", "paths", fuzzing::paths);
}

#[test]
fn configurations() {
    replay("toml", |input| str::from_utf8(input).map_or(Ok(()), fuzzing::config_text));
}

#[test]
fn zone_files() {
    replay("zonefile", fuzzing::zone_file);
}

#[test]
fn databases() {
    replay("mmdb", fuzzing::database);
}
