//! More than there is capacity for.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, framed};
use meridian_tests::{Ask, apart, ask_tcp, exchange_tcp, exchange_udp, ip};

use crate::crowd::{Flood, Honest, TIME, withstands};
use crate::raw::Forger;
use crate::{good, serve};

/// What memory may grow by in a flood of datagrams: they are answered in buffers that are there from the start, so
/// that only code that is used for the first time is new, and what connections of the honest take.
const NOTHING_KIB: u64 = 8 << 10;

/// How many connections there are at once.
const CONNECTIONS: u8 = 200;
/// What memory may grow by with that many: each keeps at most half a query, and a batch of replies with the largest at
/// its end.
const CONNECTIONS_KIB: u64 = NOTHING_KIB + CONNECTIONS as u64 * (4 + 32 + 64);

/// Of one flood: so many that every worker has its share.
const SOCKETS: usize = 32;

#[test]
fn rate_limiting_hurts_no_neighbour() {
    let meridian = serve("[server.rate_limit]\nper_client = 100\nper_name = 50\n");
    let server = meridian.address();
    let cookie = ask_tcp(server, &good().option(10, b"12345678")).unwrap().wire.option(10).unwrap();
    let flood = Flood::udp("127.0.66.1", 1, server, |_| {
        // A thousand a second.
        std::thread::sleep(Duration::from_millis(1));
        good().octets()
    });
    let neighbour =
        std::thread::spawn(move || Honest::over_udp(server, [127, 0, 67, 1].into(), TIME, &good()));
    // From the very address of the flood's machine: the cookie was made for 127.0.0.1.
    let with_cookie = Honest::over_udp(server, [127, 0, 0, 1].into(), TIME, &good().option(10, &cookie));
    let neighbour = neighbour.join().unwrap();
    let sent = flood.sent();
    drop(flood);
    let totals = meridian.totals();
    println!(
        "rate limit: {sent} queries in {TIME:?} from one /24: {} dropped, {} slipped; neighbour {neighbour}, with a cookie {with_cookie}",
        totals["rate_dropped"], totals["rate_slipped"],
    );
    assert_eq!((neighbour.answered, with_cookie.answered), (neighbour.asked, with_cookie.asked));
    assert!(totals["rate_dropped"] > 100 && totals["rate_slipped"] > 100);
}

/// Random names below the zone, as fast as one thread can send them, and two: then they take as much of the processors
/// as the server's two workers.
#[test]
fn water_torture() {
    let meridian = serve("");
    for senders in [1, 2] {
        withstands(&meridian, &format!("water torture by {senders}"), NOTHING_KIB, |server| {
            let query = Ask::new("0123456789abcdef.gslb.example.", RecordType::A).edns(1232).octets();
            let random_name = move |random: &mut fastrand::Rng| {
                let mut query = query.clone();
                let label = format!("{:016x}", random.u64(..));
                query[13..29].copy_from_slice(label.as_bytes());
                query
            };
            (0..senders).map(|_| Flood::udp("127.0.0.1", SOCKETS, server, random_name.clone())).collect()
        });
    }
    let totals = meridian.totals();
    assert!(totals["nxdomain"] > 100_000, "{totals:?}");
    assert_eq!(totals["panics"], 0);
}

/// Octets that mean nothing, over UDP and over connections.
#[test]
fn random_bytes() {
    let meridian = serve(&format!("[server.tcp]\nconnections = {CONNECTIONS}\n"));
    withstands(&meridian, "random octets", CONNECTIONS_KIB, |server| {
        let octets = |random: &mut fastrand::Rng| {
            let mut octets = vec![0; random.usize(..=1472)];
            random.fill(&mut octets);
            octets
        };
        let connections = Flood::of(move |random| {
            let stream = connect_from(Ipv4Addr::new(127, 0, 69, random.u8(1..)).into(), server);
            // What does not fit the server's buffers, or comes after it has closed, is lost: as intended.
            stream.and_then(|mut stream| stream.write_all(&octets(random).repeat(4))).is_ok()
        });
        vec![Flood::udp("127.0.0.1", SOCKETS, server, octets), connections]
    });
    let totals = meridian.totals();
    assert!(totals["formerr"] > 1000 && totals["tcp_accepted"] > 1000, "{totals:?}");
    assert_eq!(totals["panics"], 0);
}

/// A random address of the internet, where nobody answers: the namespace has a route there and no way.
fn anybody(random: &mut fastrand::Rng) -> SocketAddrV4 {
    let mut address = Ipv4Addr::LOCALHOST;
    while address.is_loopback() || address.is_multicast() || address.octets()[0] == 0 {
        address = Ipv4Addr::from(random.u32(..0xe000_0000));
    }
    SocketAddrV4::new(address, random.u16(1024..))
}

/// A flood in the name of anybody, by `send` from a random address; in a network namespace alone.
fn in_the_name_of_anybody(
    server: SocketAddr,
    send: impl Fn(&Forger, SocketAddrV4, SocketAddrV4, &mut fastrand::Rng) + Send + 'static,
) -> Vec<Flood> {
    let SocketAddr::V4(server) = server else { panic!("{server}") };
    let forger = Forger::new();
    vec![Flood::of(move |random| {
        send(&forger, anybody(random), server, random);
        true
    })]
}

/// Queries from addresses that are nobody's, another each: of more networks than the rate limit's table has room for.
#[test]
fn spoofed_sources() {
    apart("floods::spoofed_sources", || {
        ip("route add default dev lo");
        for (what, limit) in
            [("without", ""), ("with", "[server.rate_limit]\nper_client = 100\nper_name = 50\n")]
        {
            let meridian = serve(limit);
            let query = good().octets();
            withstands(&meridian, &format!("spoofed sources {what} a rate limit"), NOTHING_KIB, |server| {
                in_the_name_of_anybody(server, move |forger, from, to, _| forger.udp(from, to, &query))
            });
            let totals = meridian.totals();
            assert!(totals["noerror"] > 100_000, "{totals:?}");
            assert_eq!(totals["panics"], 0);
        }
    });
}

/// Connections that are begun by addresses that never answer: far more than the kernel keeps for a listener.
#[test]
fn half_open_connections() {
    apart("floods::half_open_connections", || {
        ip("route add default dev lo");
        let meridian = serve("");
        withstands(&meridian, "half-open connections", NOTHING_KIB, |server| {
            in_the_name_of_anybody(server, |forger, from, to, random| forger.syn(from, to, random.u32(..)))
        });
        // Each that found no room was answered with a cookie: the flood did fill the queue.
        let cookies = counted("SyncookiesSent");
        assert!(cookies > 10_000, "{cookies}");
    });
}

/// What the kernel has counted of TCP in this namespace (`/proc/net/netstat`: a line of names, a line of numbers).
fn counted(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, number) = names.zip(numbers).find(|(of, _)| *of == name).unwrap();
    number.parse().unwrap()
}

/// Clients that ask for far more than they would ever have to keep, and read nothing.
#[test]
fn slow_readers() {
    let meridian = serve("");
    let large = framed(&Ask::new("large.gslb.example.", RecordType::TXT).octets()).repeat(200);
    // What the first has had is there for the second.
    for (round, bound) in [("slow readers", CONNECTIONS_KIB), ("slow readers again", NOTHING_KIB)] {
        let large = large.clone();
        withstands(&meridian, round, bound, move |server| {
            let open = move |number| {
                let stream = connect_from(IpAddr::from([127, 0, 5, number]), server).unwrap();
                stream.set_nonblocking(true).unwrap();
                stream
            };
            let mut readers: Vec<TcpStream> = (0..CONNECTIONS).map(open).collect();
            vec![Flood::of(move |random| {
                // What the server does not take in stays with us; whom it has closed comes back.
                let reader = random.u8(..CONNECTIONS);
                let stream = &mut readers[usize::from(reader)];
                match stream.write(&large) {
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => *stream = open(reader),
                    _ => {}
                }
                std::thread::sleep(Duration::from_micros(100));
                true
            })]
        });
    }
}

/// Messages that are made to be dear: processor time each.
#[test]
fn dear_messages() {
    let meridian = serve("");
    let server = meridian.address();
    let head = |counts: [u8; 8]| [&[0x4d, 0x52, 0, 0][..], &counts].concat();
    let fill = |mut message: Vec<u8>, with: &[u8], size: usize| {
        while message.len() + with.len() <= size {
            message.extend_from_slice(with);
        }
        message
    };
    let question = &good().octets()[12..].to_vec();
    // One question and 65,535 additional records that are pointers, OPT options by the hundred, labels without an end.
    let pointers = |size| {
        let start = [head([0, 1, 0, 0, 0, 0, 0xff, 0xff]), question.clone()].concat();
        fill(start, &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0], size)
    };
    let labels = |size| fill(head([0, 1, 0, 0, 0, 0, 0, 0]), &[1, b'a'], size);
    let options = |size: usize| {
        let start = [head([0, 1, 0, 0, 0, 0, 0, 1]), question.clone()].concat();
        let room = (size - start.len() - 11) / 4 * 4;
        let opt =
            [&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0][..], &u16::try_from(room).unwrap().to_be_bytes()].concat();
        fill([start, opt].concat(), &[0xff, 0xf0, 0, 0], size)
    };
    let mut figures = Vec::new();
    for (what, udp, tcp) in [
        ("labels", labels(1232), labels(65535)),
        ("pointers", pointers(1232), pointers(65535)),
        ("options", options(1232), options(65535)),
        ("a good one", good().octets(), good().octets()),
        (
            "the largest answer",
            Ask::new("large.gslb.example.", RecordType::TXT).octets(),
            Ask::new("large.gslb.example.", RecordType::TXT).octets(),
        ),
    ] {
        for (over, exchange, message) in [
            ("UDP", (|server, message| exchange_udp(server, None, message)) as fn(_, &[u8]) -> _, &udp),
            ("TCP", exchange_tcp, &tcp),
        ] {
            let began = meridian.processor_time();
            for _ in 0..2000 {
                exchange(server, message).unwrap_or_else(|error| panic!("{what} over {over}: {error}"));
            }
            let each = (meridian.processor_time() - began) / 2000;
            figures.push(format!("{what} over {over} ({} octets) {each:?}", message.len()));
        }
    }
    println!("dear messages, processor time each with its system calls: {}", figures.join(", "));
    assert_eq!(meridian.totals()["panics"], 0);
}
