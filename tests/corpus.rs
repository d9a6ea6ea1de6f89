//! Every file of the fuzzers' corpora again, and all that they ever found, through the check that the fuzzers run.

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::Result;
use hickory_proto::rr::RecordType;
use meridian_dns::{Moment, Peer, Transport, View};
use meridian_model::Verdicts;
use meridian_tests::{Ask, StaticZone, fuzzing, scratch};

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

/// Static zones with every kind of data, by the general way, the short one and that of a batch.
#[test]
fn static_zones_both_ways() {
    let folder = scratch();
    let mut asked = 0;
    for seed in 1..=8 {
        let zone = StaticZone::random(seed, 60);
        let file = folder.join("zone");
        std::fs::write(&file, &zone.text).unwrap();
        let config = format!("version = 1\n[[zones]]\nname = \"{}\"\nfile = {file:?}\n", zone.apex);
        let loaded =
            meridian::load_text(&config, Path::new("zones.toml")).unwrap_or_else(|issues| panic!("{issues}"));
        let view = View::new(loaded.ground, Verdicts::new(Vec::new()), None);
        let peer = Peer { address: Ipv4Addr::LOCALHOST.into(), transport: Transport::Udp };
        for name in &zone.names {
            for question_type in [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 43, 64, 65, 255, 257, 65280] {
                let ask = Ask::new(name, RecordType::from(question_type));
                for ask in [ask.clone(), ask.clone().edns(1232), ask.subnet("192.0.2.0", 24)] {
                    let mut out = Vec::new();
                    fuzzing::same_both_ways(&view, &ask.octets(), peer, Moment::default(), &mut out)
                        .unwrap_or_else(|error| panic!("{name} {question_type}: {error:#}"));
                    asked += 1;
                }
            }
        }
    }
    println!("{asked} questions");
    std::fs::remove_dir_all(folder).unwrap();
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
