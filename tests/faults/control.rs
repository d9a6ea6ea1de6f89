//! What the server is told, and what it is told it by: files that are bad, half written, swapped or gone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Signal, WORLD, ask_udp, now};

use crate::steady::Steady;

/// Only a broken build waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with every kind of section that a mistake can be in, and a gateway whose answer is known.
fn config() -> String {
    Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[server.tcp]\nidle = \"10s\"\n")
        .networks([("10.1.0.0/16", "IE"), ("10.2.0.0/16", "US")])
        .with("[[probes]]\nname = \"web\"\ntype = \"http\"\nport = 8080\npath = \"/healthz\"\ninterval = \"1s\"\ntimeout = \"500ms\"\n")
        .record("static", "TXT", "\"hello\"")
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], "policy = \"all\"\n", &[("eu-west", "192.0.2.1")])
        .gateway("probed", &["probed.gslb.example"], "probe = \"web\"\n", &[("us-east", "127.0.0.9")])
        .text()
        .to_owned()
}

/// Asks for a reload; whether it was accepted.
fn reload(meridian: &mut Meridian) -> bool {
    meridian.signal(Signal::SIGHUP);
    let said = |line: &serde_json::Value| line["message"].as_str().unwrap_or_default().to_owned();
    let line = meridian.wait_for("the end of a reload", |line| {
        said(line).starts_with("reload refused") || said(line).starts_with("reloaded")
    });
    said(&line).starts_with("reloaded")
}

/// Waits until the answer is this address.
fn until(meridian: &Meridian, wanted: &str) {
    let deadline = now() + PATIENCE;
    let ask = Ask::new("shop.gslb.example.", RecordType::A);
    loop {
        let answer = ask_udp(meridian.address(), &ask).map(|asked| asked.addresses());
        if answer.as_ref().is_ok_and(|addresses| addresses == &[wanted]) {
            return;
        }
        assert!(now() < deadline, "wanted {wanted}: {answer:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

//----------- Bad configurations ---------------------------------------------

/// Makes a good text a bad one: at a random place, so that no good file can come of it.
type Mutation = fn(&str, &mut fastrand::Rng) -> Vec<u8>;

/// The start of some line that has these octets.
fn line_with(text: &str, what: &str, random: &mut fastrand::Rng) -> usize {
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    let all: Vec<usize> =
        starts.filter(|at| text[*at..].lines().next().is_some_and(|line| line.contains(what))).collect();
    all[random.usize(..all.len())]
}

fn put(text: &str, at: usize, what: &str) -> Vec<u8> {
    [&text[..at], what, &text[at..]].concat().into_bytes()
}

const MUTATIONS: [(&str, Mutation); 12] = [
    ("no UTF-8", |text, random| {
        let mut octets = text.as_bytes().to_vec();
        octets.insert(random.usize(..octets.len()), 0xff);
        octets
    }),
    ("a control character", |text, random| put(text, random.usize(..text.len()), "\u{1}")),
    ("cut within a text", |text, random| {
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        let opening = 2 * random.usize(..quotes.len() / 2);
        text.as_bytes()[..=quotes[opening]].to_vec()
    }),
    ("an unknown key", |text, random| put(text, line_with(text, " = ", random), "unknown_key = 1\n")),
    ("an unknown section", |text, random| put(text, line_with(text, "[[", random), "[unknown]\n")),
    ("a key twice", |text, random| {
        let at = line_with(text, "name = ", random);
        let line = text[at..].lines().next().expect("a line");
        put(text, at, &format!("{line}\n"))
    }),
    ("a wrong type", |text, random| {
        let at = line_with(text, " = ", random);
        let line = text[at..].lines().next().expect("a line");
        let key = line.split(" = ").next().expect("a key");
        text.replacen(line, &format!("{key} = 1979-05-27"), 1).into_bytes()
    }),
    ("a line gone", |text, random| {
        let wanted = ["name = ", "hostnames = ", "addresses = ", "cluster = ", "nameservers = "];
        let at = line_with(text, wanted[random.usize(..wanted.len())], random);
        let line = text[at..].lines().next().expect("a line");
        text.replacen(&format!("{line}\n"), "", 1).into_bytes()
    }),
    ("an address that is none", |text, _| text.replace("192.0.2.1\"", "192.0.2.256\"").into_bytes()),
    ("networks twice", |text, _| text.replace("10.2.0.0/16", "10.1.0.0/16").into_bytes()),
    ("a name outside of every zone", |text, _| {
        text.replace("shop.gslb.example", "shop.elsewhere.example").into_bytes()
    }),
    ("deep nesting", |text, random| {
        let depth = random.usize(100..100_000);
        let deep = match random.u8(..4) {
            0 => format!("a = {}\n", "[".repeat(depth)),
            1 => format!("a = {}1{}\n", "[".repeat(depth), "]".repeat(depth)),
            2 => format!("a = {}1{}\n", "{b=".repeat(depth), "}".repeat(depth)),
            _ => format!("{}a = 1\n", "a.".repeat(depth)),
        };
        [text, &deep].concat().into_bytes()
    }),
];

/// What is in the file's place that is no file of TOML.
fn misplaced(file: &Path) -> Vec<(&'static str, Box<dyn Fn() + '_>)> {
    let gone = move || {
        let _not_there = fs::remove_file(file);
    };
    vec![
        ("nothing", Box::new(move || fs::write(file, "").unwrap())),
        ("nothing but space", Box::new(move || fs::write(file, " \n".repeat(1000)).unwrap())),
        (
            "100 MB",
            Box::new(move || {
                fs::write(file, "version = 1\n# ").unwrap();
                fs::OpenOptions::new().append(true).open(file).unwrap().set_len(100 << 20).unwrap();
            }),
        ),
        ("no file", Box::new(gone)),
        (
            "a pipe",
            Box::new(move || {
                gone();
                nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap();
            }),
        ),
        (
            "a device without an end",
            Box::new(move || {
                gone();
                std::os::unix::fs::symlink("/dev/zero", file).unwrap();
            }),
        ),
        (
            "a link to itself",
            Box::new(move || {
                gone();
                std::os::unix::fs::symlink(file, file).unwrap();
            }),
        ),
        (
            "a folder",
            Box::new(move || {
                gone();
                fs::create_dir(file).unwrap();
            }),
        ),
    ]
}

/// None of two hundred files that are bad in every way comes into force, and no query is lost meanwhile.
#[test]
fn bad_configurations() {
    let good = config();
    let mut meridian = Meridian::serve(&good);
    let file = meridian.config();
    let steady = Steady::start(meridian.address(), "shop.gslb.example.");
    let mut random = fastrand::Rng::with_seed(7);
    let (mut tried, mut accepted) = (0, Vec::new());
    for round in 0..16 {
        for (what, mutation) in MUTATIONS {
            let bad = mutation(&good, &mut random);
            fs::write(&file, &bad).unwrap();
            tried += 1;
            if reload(&mut meridian) {
                accepted.push(format!("{what} ({round}): {}", String::from_utf8_lossy(&bad)));
            }
        }
    }
    for (what, put) in misplaced(&file) {
        put();
        tried += 1;
        if reload(&mut meridian) {
            accepted.push(what.to_owned());
        }
    }
    fs::remove_dir(&file).unwrap();
    let noted = steady.stop();
    let (memory, peak) = meridian.memory_kib();
    println!(
        "bad configurations: {} of {tried} accepted; {} of {} queries lost, 99 % within {:.1?}; memory {} MiB, {} at most",
        accepted.len(),
        noted.lost,
        noted.asked,
        noted.within(),
        memory >> 10,
        peak >> 10,
    );
    assert!(tried >= 200 && accepted.is_empty(), "{accepted:#?}");
    assert_eq!((noted.lost, noted.answers), (0, vec![vec!["192.0.2.1".to_owned()]]));
    // And then a good one does.
    fs::write(&file, good.replace("192.0.2.1\"", "192.0.2.7\"")).unwrap();
    assert!(reload(&mut meridian));
    until(&meridian, "192.0.2.7");
    assert_eq!(meridian.totals()["panics"], 0);
}
