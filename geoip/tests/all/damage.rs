//! Files that are damaged, by accident or on purpose: an error or a locality, never a panic or a hang.

use std::fs::OpenOptions;

use ipnet::IpNet;
use meridian_geoip::{DatabaseProblem, Locality};

use crate::mmdb::{Mmdb, Value, write};

/// A database of some size: every record differs.
fn sound() -> Vec<u8> {
    let mut database = Mmdb::new("GeoLite2-City", vec![]);
    for number in 0..200_u8 {
        let record = Value::Map(vec![
            ("country", Value::Map(vec![("iso_code", Value::Text("US"))])),
            (
                "location",
                Value::Map(vec![
                    ("latitude", Value::Double(f64::from(number) / 4.0)),
                    ("longitude", Value::Double(-f64::from(number) / 2.0)),
                ]),
            ),
        ]);
        database.networks.push((format!("192.0.{number}.0/24").parse().unwrap(), record.clone()));
        database.networks.push((format!("2001:db8:{number:x}::/48").parse().unwrap(), record));
    }
    database.to_bytes()
}

fn load(name: &str, bytes: &[u8]) -> Result<Locality, DatabaseProblem> {
    let path = write(name, bytes);
    Locality::load(&[path], &[]).map_err(|mut errors| errors.remove(0).problem)
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = sound();
    assert!(load("whole.mmdb", &bytes).is_ok());
    for cut in 0..100 {
        let length = bytes.len() * cut / 100;
        let problem = load("cut.mmdb", &bytes[..length]).unwrap_err();
        let wanted =
            matches!(problem, DatabaseProblem::NotADatabase { .. } | DatabaseProblem::Damaged { .. });
        assert!(wanted, "{length} of {} bytes: {problem}", bytes.len());
    }
    for short_by in 1..50 {
        let cut = &bytes[..bytes.len() - short_by];
        assert!(load("cut-short.mmdb", cut).is_err(), "the last {short_by} bytes are missing");
    }
}

/// Not only at every hundredth: each length of a small file.
#[test]
fn a_small_file_cut_off_at_any_length_is_refused() {
    let record = || Value::Map(vec![("country_code", Value::Text("GB"))]);
    let networks = vec![("192.0.2.0/24", record()), ("2001:db8::/32", record())];
    for ip_version in [4, 6] {
        let mut database = Mmdb::new("country", networks.clone());
        database.ip_version = ip_version;
        database.networks.retain(|(net, _)| ip_version == 6 || matches!(net, IpNet::V4(_)));
        let bytes = database.to_bytes();
        assert!(load("small.mmdb", &bytes).is_ok());
        for length in 0..bytes.len() {
            let problem = load("small.mmdb", &bytes[..length]).unwrap_err();
            assert!(problem.to_string().starts_with("expected a"), "{length} bytes: {problem}");
        }
    }
}

/// Nothing of the file is mapped into memory: were it, this would end in SIGBUS.
#[test]
fn a_file_truncated_in_place_after_loading_is_not_missed() {
    let path = write("truncated-in-place.mmdb", &sound());
    let locality = Locality::load(std::slice::from_ref(&path), &[]).unwrap();
    let classes = locality.classify(|id| u32::from(id.index() > 0));
    let placed = |address: &str| {
        let address = address.parse().unwrap();
        (locality.lookup(address), locality.places()[locality.lookup(address).0.index()].clone())
    };
    let before: Vec<_> = ["192.0.7.1", "2001:db8:7::1"].map(placed).into();
    for length in [1 << 12, 1, 0] {
        // The same inode, as an editor or a copy over the file leaves it.
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        assert_eq!(Vec::from(["192.0.7.1", "2001:db8:7::1"].map(placed)), before);
        assert_eq!(classes.lookup("192.0.7.1".parse().unwrap()).0, 1);
        assert!(Locality::load(std::slice::from_ref(&path), &[]).is_err(), "cut to {length}");
    }
}

#[test]
fn flipped_bytes_never_panic_or_hang() {
    let sound = sound();
    let mut random = fastrand::Rng::with_seed(20_260_401);
    let (mut refused, mut loaded) = (0, 0);
    for _ in 0..200 {
        let mut bytes = sound.clone();
        for _ in 0..random.usize(1..=4) {
            let position = random.usize(..bytes.len());
            bytes[position] ^= random.u8(1..);
        }
        match load("flipped.mmdb", &bytes) {
            Err(problem) => {
                assert!(problem.to_string().starts_with("expected"), "{problem}");
                refused += 1;
            }
            Ok(locality) => {
                let (place, _) = locality.lookup("192.0.7.1".parse().unwrap());
                assert!(place.index() < locality.places().len());
                loaded += 1;
            }
        }
    }
    assert!(refused > 0 && loaded > 0, "{refused} refused, {loaded} loaded: the flips test nothing");
}

/// The whole file's metadata section, with these values.
fn metadata(node_count: u32) -> Vec<u8> {
    let mut empty = Mmdb::new("crafted", vec![("2001:db8::/32", Value::Map(vec![]))]);
    empty.record_bits = 32;
    let bytes = empty.to_bytes();
    let marker = b"\xab\xcd\xefMaxMind.com";
    let start = bytes.windows(marker.len()).position(|window| window == marker).unwrap();
    let mut metadata = bytes[start..].to_vec();
    let key = b"node_count";
    let at = metadata.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 1;
    metadata[at..at + 4].copy_from_slice(&node_count.to_be_bytes());
    metadata
}

/// A tree of the given nodes, and nothing in it.
fn crafted(nodes: &[[u32; 2]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = nodes.iter().flatten().flat_map(|link| link.to_be_bytes()).collect();
    bytes.extend([0; 16]);
    bytes.extend(metadata(u32::try_from(nodes.len()).unwrap()));
    bytes
}

#[test]
fn a_tree_that_turns_in_on_itself_ends() {
    // Both branches of every node lead to the next: 2^100 ways down through 100 nodes.
    let shared: Vec<[u32; 2]> = (1..=100).map(|next| [next, next]).collect();
    // Both lead to the IPv4 tree, which is at the end of the 96 nodes of the left edge.
    let aliases: Vec<[u32; 2]> = (1..=96).map(|next| [next, next]).chain([[97, 97]]).collect();
    for (name, nodes) in [
        ("shared.mmdb", shared),
        ("aliases.mmdb", aliases),
        ("self.mmdb", vec![[0, 0]]),
        ("circle.mmdb", vec![[1, 2], [0, 2]]),
    ] {
        let problem = load(name, &crafted(&nodes)).unwrap_err();
        assert!(matches!(problem, DatabaseProblem::Damaged { .. }), "{name}: {problem}");
        let message = problem.to_string();
        assert!(message.contains("crafted damaged: the search tree"), "{name}: {message}");
    }
}

#[test]
fn a_record_outside_of_the_file_is_an_error() {
    let problem = load("outside.mmdb", &crafted(&[[1_000_000, 1]])).unwrap_err();
    assert!(matches!(problem, DatabaseProblem::Record { .. }), "{problem}");
}
