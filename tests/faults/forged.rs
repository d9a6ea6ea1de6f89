//! Packets that are not from whom they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, Config, Meridian, Wire, exchange_udp};

use crate::raw::{Capture, Forger};
use crate::{good, serve};

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address}"),
    }
}

/// Questions that settle a server.
const SETTLING: u64 = 16;

/// Waits until servers have read what was sent to them: questions from many sockets, so that every worker has one behind
/// it, are answered.
fn settle(servers: &[SocketAddrV4]) {
    for server in servers {
        for _ in 0..SETTLING {
            exchange_udp(SocketAddr::V4(*server), None, &good().octets()).unwrap();
        }
    }
}

/// Two servers that are made to talk to each other stop after one word (CVE-2012-0206, RUSTSEC-2023-0041).
#[test]
fn reply_loops() {
    let (one, other) = (serve(""), serve(""));
    let (a, b) = (v4(one.address()), v4(other.address()));
    let forger = Forger::new();
    let query = good().octets();
    let mut reply = query.clone();
    reply[2] |= 0x80;
    for _ in 0..10 {
        // As many as a socket's buffer takes.
        for _ in 0..50 {
            forger.udp(a, b, &query);
            forger.udp(a, b, &reply);
        }
        settle(&[b, a]);
    }
    let settled = 10 * SETTLING;
    let (a, b) = (one.totals(), other.totals());
    println!(
        "reply loops: 500 forged queries, 500 forged replies; B sent {} and passed over {}, A passed over {}",
        b["noerror"] - settled,
        b["ignored"],
        a["ignored"]
    );
    assert_eq!((a["noerror"], b["noerror"]), (settled, 500 + settled));
    assert_eq!((a["ignored"], b["ignored"]), (500, 500));
}

/// Whoever forges "too large for the path" must not make the kernel cut replies (RFC 9715 §3.1, RFC 8900 §3.7).
#[test]
fn fragments() {
    let meridian = serve("");
    let server = v4(meridian.address());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let from = v4(client.local_addr().unwrap());
    let forger = Forger::new();
    for mtu in [68, 296, 552, 576, 1000] {
        forger.too_large(server, from, mtu);
    }
    let mut capture = Capture::new();
    let mut largest = 0;
    for (name, record_type) in
        [("big", RecordType::TXT), ("static", RecordType::TXT), ("shop", RecordType::A)]
    {
        let mut ask = Ask::new(&format!("{name}.gslb.example."), record_type).edns(4096);
        // As large as it gets: every option that comes back.
        ask = ask.option(10, b"12345678").subnet("192.0.2.0", 24);
        client.send_to(&ask.octets(), server).unwrap();
        let (length, fragment) = capture.next_from(server.port());
        assert!(!fragment && length <= 1232 + 28, "{length} octets");
        largest = largest.max(length);
    }
    assert!(largest > 1000);
    println!("fragments: 0 after forged ICMP for five MTUs; largest packet {largest} octets");
}

/// What comes back for each octet that is sent, by who does not show that it is who it says; and how much of a flood
/// in somebody's name reaches them.
#[test]
fn reflection() {
    let plain = serve("");
    let mut worst = (0.0, String::new());
    let names = [
        "gslb.example.",
        "static.gslb.example.",
        "large.gslb.example.",
        "www.child.gslb.example.",
        "no.gslb.example.",
        "shop.gslb.example.",
    ];
    for name in names {
        for record_type in (0..=260_u16).chain([32768, 65280, 65535]) {
            for edns in [None, Some((1232, 0, true)), Some((65535, 0, true))] {
                let query = Ask { edns, ..Ask::new(name, RecordType::from(record_type)) }.octets();
                let reply = exchange_udp(plain.address(), None, &query).unwrap();
                assert!(reply.len() <= 1232);
                let factor = reply.len() as f64 / query.len() as f64;
                if factor > worst.0 {
                    worst = (
                        factor,
                        format!("{name} TYPE{record_type}: {} for {} octets", reply.len(), query.len()),
                    );
                }
            }
        }
    }
    println!("reflection: at most {:.1} octets for one ({})", worst.0, worst.1);
    let limited = serve("[server.rate_limit]\nper_client = 50\nexempt = [\"127.0.0.0/24\"]\n");
    let (forger, victim) = (Forger::new(), UdpSocket::bind("127.0.77.1:0").unwrap());
    let (from, to) = (v4(victim.local_addr().unwrap()), v4(limited.address()));
    let query = Ask::new("static.gslb.example.", RecordType::TXT).octets();
    for _ in 0..50 {
        for _ in 0..100 {
            forger.udp(from, to, &query);
        }
        settle(&[to]);
    }
    let totals = limited.totals();
    let (dropped, slipped) = (totals["rate_dropped"], totals["rate_slipped"]);
    println!(
        "reflection with 50 a second: of 5000 forged queries in one /24's name {dropped} get nothing, {slipped} TC, {} an answer",
        totals["noerror"] - slipped - 50 * SETTLING
    );
    assert!(dropped > 1500 && slipped > 1500, "{totals:?}");
}

/// Our own resolver's questions cannot be guessed: ports and IDs are all over.
#[test]
fn our_own_questions_cannot_be_guessed() {
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    resolver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = Config::new()
        .with(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nfirst_round = \"1s\"\n[resolver]\nservers = [\"{}\"]\n",
            resolver.local_addr().unwrap()
        ))
        .clusters(&[("frankfurt", 50.11, 8.68)]);
    for number in 0..24 {
        text = text.with(&format!(
            "[[gateways]]\nname = \"g{number}\"\nhostnames = [\"g{number}.gslb.example\"]\n[[gateways.endpoints]]\ncluster = \"frankfurt\"\naddresses = [\"lb{number}.elsewhere.example.\"]\n"
        ));
    }
    let _meridian = Meridian::serve(text.text());
    let (mut ports, mut ids, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let mut buffer = [0; 2048];
    while names.len() < 40 {
        let (length, from) = resolver.recv_from(&mut buffer).expect("questions");
        let query = Wire::read(&buffer[..length]).unwrap();
        ports.insert(from.port());
        ids.insert(query.id);
        names.insert((query.question, from.port()), ());
    }
    println!(
        "our own questions: {} of 40 from ports of their own, {} with IDs of their own",
        ports.len(),
        ids.len()
    );
    assert!(ports.len() >= 38 && ids.len() >= 38);
}
