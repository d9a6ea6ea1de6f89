//! Data and catalogs that come one after the other, while queries are answered from them.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::mmdb::{MmdbWriter, Value};
use meridian_tests::{Ask, Config, Meridian, WORLD, says};

use crate::control::{by_data, reload, renamed, shop, until};
use crate::crowd::Flood;
use crate::steady::Steady;

//----------- Databases ------------------------------------------------------

/// A database that has the client in a country.
fn database(country: &str) -> Vec<u8> {
    let mut writer = MmdbWriter::new();
    let record = Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(country))]))]);
    let record = writer.record(&record);
    writer.insert("10.0.0.0/8".parse().unwrap(), record);
    let mut octets = Vec::new();
    writer.write(&mut octets, "GeoLite2-Country", "a test's").unwrap();
    octets
}

/// A database that is written over in place, as no memory map would survive it, and by something else: the one
/// before answers on, and a good one comes into force.
#[test]
fn databases_that_are_replaced_in_place() {
    let config = by_data("databases = [\"places.mmdb\"]");
    let mut meridian = Meridian::serve_with_files(&config, &[("places.mmdb", database("IE"))]);
    let file = meridian.config().with_file_name("places.mmdb");
    let (good, server) = (database("IE"), meridian.address());
    let steady = Steady::start_as(server, &shop());
    let mut refused = 0;
    let marker = b"MaxMind.com";
    let at = good.windows(marker.len()).position(|octets| octets == marker).unwrap();
    let spoilt = [&good[..at], b"MaxMend.com", &good[at + marker.len()..]].concat();
    let text = b"<html>429 Too Many Requests</html>".to_vec();
    for bad in [Vec::new(), good[..good.len() / 2].to_vec(), vec![0xff; 1 << 20], spoilt, text] {
        // The same inode: cut to nothing, and written anew.
        fs::write(&file, bad).unwrap();
        meridian.wait_for("the refusal", |line| says(line, "reload refused: the data before it stay"));
        refused += 1;
    }
    fs::write(&file, database("US")).unwrap();
    until(server, &shop(), "192.0.2.2");
    let noted = steady.stop();
    println!(
        "databases replaced in place: {refused} of 5 refused; {} of {} queries lost, 99 % within {:.1?}",
        noted.lost,
        noted.asked,
        noted.within(),
    );
    assert_eq!(
        (noted.lost, noted.answers),
        (0, vec![vec!["192.0.2.1".to_owned()], vec!["192.0.2.2".to_owned()]])
    );
    assert_eq!(meridian.totals()["panics"], 0);
}

//----------- Nothing left ---------------------------------------------------

/// A zone `lb.example` for the endpoint's hostname, with an address or without one.
fn resolver(record: &str) -> String {
    let zone = "[[zones]]\nname = \"lb.example\"\nnameservers = [\"ns.elsewhere.example\"]\nhostmaster = \"h.example\"\nnegative_ttl = 1\n";
    format!("version = 1\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{zone}{record}")
}

/// A gateway of which no endpoint is left, by mistake or because no hostname resolves any more, keeps its answer.
#[test]
fn an_empty_set() {
    let front = "[[zones.records]]\nname = \"front\"\ntype = \"A\"\nttl = 1\ndata = [\"192.0.2.1\"]\n";
    let mut names = Meridian::serve(&resolver(front));
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n")
        .with(&format!("[resolver]\nservers = [\"{}\"]\nmin_ttl = \"1s\"\n", names.address()))
        .clusters(&WORLD[..1])
        .with("[[gateways]]\nname = \"shop\"\nhostnames = [\"shop.gslb.example\"]\n");
    let endpoint = "cluster = \"eu-west\", addresses = [\"front.lb.example.\"], stale_for = \"0s\"";
    let good = config.clone().with(&format!("endpoints = [{{ {endpoint} }}]\n"));
    let mut meridian = Meridian::serve(good.text());
    let server = meridian.address();
    let steady = Steady::start_as(server, &shop());
    for none in ["", "endpoints = []\n", "endpoints = [{ cluster = \"eu-west\", addresses = [] }]\n"] {
        fs::write(meridian.config(), config.clone().with(none).text()).unwrap();
        assert!(!reload(&mut meridian), "{none:?}");
    }
    fs::write(names.config(), resolver("")).unwrap();
    assert!(reload(&mut names));
    meridian.wait_for("the loss", |line| {
        line["level"] == "WARN" && line.to_string().contains("front.lb.example")
    });
    meridian.wait_for("its view", |line| line["message"] == "view published");
    let noted = steady.stop();
    println!(
        "an empty set: 3 of 3 files refused, no address resolves; {} of {} answers empty or lost",
        noted.lost, noted.asked
    );
    assert_eq!((noted.lost, noted.answers), (0, vec![vec!["192.0.2.1".to_owned()]]));
}

//----------- Generations ----------------------------------------------------

const GENERATIONS: u32 = 200;
/// From here on memory has what it always has.
const SETTLED: u32 = 50;

/// The configuration of a generation, which its answer names. Every other has a target that keeps its probe waiting,
/// so that it comes into force later than the one after it would.
fn generation(number: u32, slow: u16) -> String {
    let mut config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\nfirst_round = \"300ms\"\n[geoip]\ndatabases = [\"places.mmdb\"]\n")
        .clusters(&WORLD[..1])
        .gateway("shop", &["shop.gslb.example"], "", &[("eu-west", &format!("10.99.{}.{}", number / 100, number % 100))]);
    if number % 2 == 1 {
        // Another path each: a probe, and so a target, of its own.
        let probe = format!(
            "[[probes]]\nname = \"web\"\ntype = \"http\"\nport = {slow}\npath = \"/{number}\"\ninterval = \"1s\"\ntimeout = \"200ms\"\n"
        );
        config = config.with(&probe).gateway(
            "slow",
            &["slow.gslb.example"],
            "probe = \"web\"\n",
            &[("eu-west", "127.0.0.1")],
        );
    }
    config.text().to_owned()
}

/// Two hundred configurations under load: none comes into force after a newer one, no query is lost, and neither memory nor
/// descriptors grow.
#[test]
fn generations() {
    // It lets connections in, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = silent.local_addr().unwrap().port();
    let mut meridian = Meridian::serve_with_files(&generation(0, slow), &[("places.mmdb", database("IE"))]);
    let server = meridian.address();
    let flood = Flood::udp("127.0.66.1", 8, server, |_| {
        std::thread::sleep(Duration::from_micros(100));
        shop().octets()
    });
    let steady = Steady::start(server, "shop.gslb.example.");
    let mut figures = Vec::new();
    for number in 1..=GENERATIONS {
        renamed(&meridian.config(), &generation(number, slow));
        assert!(reload(&mut meridian));
        if number % SETTLED == 0 {
            figures.push((meridian.memory_kib().0, meridian.descriptors()));
        }
    }
    let last = format!("10.99.{}.{}", GENERATIONS / 100, GENERATIONS % 100);
    until(server, &Ask::new("shop.gslb.example.", RecordType::A), &last);
    let (noted, sent) = (steady.stop(), flood.sent());
    let numbers: Vec<u32> = noted
        .answers
        .iter()
        .map(|answer| {
            let octets: Vec<u32> = answer[0].split('.').map(|octet| octet.parse().unwrap()).collect();
            100 * octets[2] + octets[3]
        })
        .collect();
    let older = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let mut said = String::new();
    for (memory, descriptors) in &figures {
        write!(said, " {memory} KiB and {descriptors}").unwrap();
    }
    println!(
        "generations: {GENERATIONS} reloads, {} of them seen, {older} after a newer one; {sent} queries besides; {} of {} lost, 99 % within {:.1?}; memory and descriptors after each 50:{said}",
        numbers.len(),
        noted.lost,
        noted.asked,
        noted.within(),
    );
    assert_eq!((older, noted.lost), (0, 0));
    let ((first, opened), (last, open)) = (figures[0], figures[figures.len() - 1]);
    // What an allocator keeps is not given back at once; a view, a ground or a catalog each would be far more.
    assert!(last.saturating_sub(first) < 4 << 10, "{figures:?}");
    // Of probes and clients some are open at any time.
    assert!(open <= opened + 6, "{figures:?}");
    assert_eq!(meridian.totals()["panics"], 0);
}
