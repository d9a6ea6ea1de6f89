//! How long zone files take to load, and how much memory: 10,000 zones of a dozen records, and one of a
//! million.
//!
//! `cargo bench -p meridian-tests --bench zones`. The first is to be under 5 s. The files are read twice, as
//! at every start: once to know which, and once behind the watch on them.

use std::fmt::Write;
use std::path::Path;

use meridian_tests::{now, scratch};

const ZONES: usize = 10_000;
const RECORDS: u32 = 1_000_000;

const SMALL: &str = "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n\
    ns2 A 192.0.2.2\n@ MX 10 mail\nmail A 192.0.2.3\n@ TXT \"v=spf1 mx -all\"\nwww A 192.0.2.4\n\
    www AAAA 2001:db8::4\n*.dev CNAME www\n";

fn main() {
    let folder = scratch();
    let mut config = "version = 1\n".to_owned();
    for number in 0..ZONES {
        std::fs::write(folder.join(format!("z{number}.zone")), SMALL).unwrap();
        writeln!(config, "[[zones]]\nname = \"z{number}.example\"\nfile = \"z{number}.zone\"").unwrap();
    }
    measure(&folder, &config, &format!("{ZONES} zones of 12 records"));

    let mut zone =
        "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n".to_owned();
    for number in 0..RECORDS {
        let [_, a, b, c] = number.to_be_bytes();
        writeln!(zone, "host-{number:07} A 10.{a}.{b}.{c}").unwrap();
    }
    std::fs::write(folder.join("large.zone"), zone).unwrap();
    let config = "version = 1\n[[zones]]\nname = \"large.example\"\nfile = \"large.zone\"\n";
    measure(&folder, config, &format!("one zone of {RECORDS} records"));
    std::fs::remove_dir_all(&folder).unwrap();
}

fn measure(folder: &Path, config: &str, what: &str) {
    let file = folder.join("meridian.toml");
    std::fs::write(&file, config).unwrap();
    let begun = now();
    let loaded = meridian::load(&file).unwrap_or_else(|issues| panic!("{issues}"));
    let seconds = begun.elapsed().as_secs_f64();
    let zones = loaded.ground.catalog().zones().len();
    println!(
        "{what}: {zones} loaded in {seconds:.2} s; the process has had at most {} MiB",
        most_memory() / 1024
    );
}

/// The most that was resident so far, in KiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
