//! What the server is told, and what it is told it by: files that are bad, half written, swapped or gone.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Signal, WORLD, ask_udp, now, says};

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
pub(crate) fn reload(meridian: &mut Meridian) -> bool {
    meridian.signal(Signal::SIGHUP);
    let line = meridian
        .wait_for("the end of a reload", |line| says(line, "reload refused") || says(line, "reloaded"));
    says(&line, "reloaded")
}

/// Waits until the answer is this address.
pub(crate) fn until(server: SocketAddr, ask: &Ask, wanted: &str) {
    let deadline = now() + PATIENCE;
    loop {
        let answer = ask_udp(server, ask).map(|asked| asked.addresses());
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

/// What something is, and what puts it there.
type Placed<'p> = (&'static str, Box<dyn Fn() + 'p>);

/// What is in the file's place that is no file of TOML.
fn misplaced(file: &Path) -> Vec<Placed<'_>> {
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
    until(meridian.address(), &shop(), "192.0.2.7");
    assert_eq!(meridian.totals()["panics"], 0);
}

//----------- Files that change ----------------------------------------------

/// A configuration that places 10.0.0.0/8 by data, in one of three clusters; in the third what the data say nothing of.
pub(crate) fn by_data(key: &str) -> String {
    let policy = "policy = { type = \"geo\", rules = [{ countries = [\"IE\"], clusters = [\"eu-west\"] }, { countries = [\"US\"], clusters = [\"us-east\"] }], default = { clusters = [\"ap-northeast\"] } }\n";
    let endpoints = [("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2"), ("ap-northeast", "192.0.2.3")];
    Config::new()
        .with(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[geoip]\n{key}\n"))
        .clusters(&WORLD)
        .gateway("shop", &["shop.gslb.example"], policy, &endpoints)
        .text()
        .to_owned()
}

fn by_file() -> Meridian {
    let config = by_data("networks_file = \"networks.csv\"");
    Meridian::serve_with_files(&config, &[("networks.csv", &networks("IE"))])
}

/// A file in which the client comes last: without its end it says nothing of it.
fn networks(country: &str) -> String {
    let others: String = (16..32).map(|number| format!("172.{number}.0.0/16,JP\n")).collect();
    format!("prefix,country\n{others}10.0.0.0/8,{country}\n")
}

pub(crate) fn shop() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A).subnet("10.1.2.0", 24)
}

/// Writes a file in place, octet by octet.
fn in_steps(file: &Path, text: &str, mut each: impl FnMut(usize)) {
    let mut open = fs::File::create(file).unwrap();
    for (at, octet) in text.bytes().enumerate() {
        open.write_all(&[octet]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        each(at);
    }
}

/// Puts a file in another's place.
pub(crate) fn renamed(file: &Path, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, file).unwrap();
}

/// A file that is written bit by bit, renamed over and over, or gone: what is answered is by the old one or by the new one.
#[test]
fn data_files_that_are_half_written() {
    let mut meridian = by_file();
    let file = meridian.config().with_file_name("networks.csv");
    let server = meridian.address();
    let steady = Steady::start_as(server, &shop());
    in_steps(&file, &networks("US"), |_| {});
    until(server, &shop(), "192.0.2.2");
    for number in 0..500 {
        renamed(&file, &networks(["IE", "US"][number % 2]));
        std::thread::sleep(Duration::from_millis(5));
    }
    renamed(&file, &networks("IE"));
    until(server, &shop(), "192.0.2.1");
    fs::remove_file(&file).unwrap();
    meridian.wait_for("the refusal", |line| says(line, "reload refused: the data before it stay"));
    let link = file.with_extension("link");
    fs::write(&link, networks("US")).unwrap();
    std::os::unix::fs::symlink(&link, &file).unwrap();
    until(server, &shop(), "192.0.2.2");
    let noted = steady.stop();
    println!(
        "half-written data: {} of {} queries lost, 99 % within {:.1?}, {} answers by half a file",
        noted.lost,
        noted.asked,
        noted.within(),
        noted.answers.iter().filter(|answer| **answer == ["192.0.2.3"]).count(),
    );
    let by_whole_files = [["192.0.2.1".to_owned()], ["192.0.2.2".to_owned()]];
    assert!(
        noted.answers.iter().all(|answer| by_whole_files.iter().any(|whole| answer == whole)),
        "{noted:?}"
    );
    assert_eq!(noted.lost, 0);
    assert_eq!(meridian.totals()["panics"], 0);
}

/// The same of the configuration, where somebody asks for a reload all the while: the end of a section is no end of the file.
#[test]
fn configurations_that_are_half_written() {
    let mut meridian = by_file();
    let (file, server) = (meridian.config(), meridian.address());
    let before = fs::read_to_string(&file).unwrap();
    let steady = Steady::start_as(server, &shop());
    // A gateway of the new file comes behind all of the old one: without its end it is a good file.
    let after = before.replace("192.0.2.1\"", "192.0.2.9\"")
        + "[[gateways]]\nname = \"new\"\nhostnames = [\"new.gslb.example\"]\nendpoints = [{ cluster = \"eu-west\", addresses = [\"192.0.2.8\"] }]\n";
    let mut asked = 0;
    in_steps(&file, &after, |at| {
        if at % 10 == 0 {
            meridian.signal(Signal::SIGHUP);
            asked += 1;
        }
    });
    let gateways = |line: &serde_json::Value| says(line, "reloaded").then(|| line["gateways"].clone());
    meridian.signal(Signal::SIGHUP);
    meridian.wait_for("the whole file", |line| gateways(line).is_some_and(|gateways| gateways == 2));
    until(server, &shop(), "192.0.2.9");
    let noted = steady.stop();
    let halves = meridian.seen.iter().filter_map(gateways).filter(|gateways| *gateways != 2).count();
    println!(
        "half-written configuration: {asked} reloads asked for meanwhile, {halves} halves accepted; {} of {} queries lost, 99 % within {:.1?}",
        noted.lost,
        noted.asked,
        noted.within(),
    );
    assert_eq!((halves, noted.lost), (0, 0));
    assert_eq!(noted.answers, [["192.0.2.1"], ["192.0.2.9"]]);
}
