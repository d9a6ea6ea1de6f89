//! More than there is capacity for.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::connect_from;
use meridian_tests::{Ask, Wire, ask_tcp, exchange_tcp, exchange_udp, now};

use crate::{good, serve};

/// Sends as fast as the kernel takes it, never reading, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Flood {
    fn start(
        from: &str,
        to: SocketAddr,
        mut query: impl FnMut(&mut fastrand::Rng) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        // Replies that nobody reads are dropped by the kernel.
        socket.set_nonblocking(true).unwrap();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(1);
            while !stopped.load(Ordering::Relaxed) {
                if socket.send(&query(&mut random)).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, sent }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Honest clients that wait for each answer, and ask once more as resolvers do: successes, questions, and how long
/// all but one in a hundred took at most.
fn honest(server: SocketAddr, from: &str, time: Duration, ask: &Ask) -> (usize, usize, Duration) {
    let (mut good, mut all, mut times) = (0, 0, Vec::new());
    let until = now() + time;
    let query = ask.octets();
    let mut reply = [0; 2048];
    while now() < until {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(800))).unwrap();
        let began = now();
        let answered = (0..3).any(|_| {
            socket.send(&query).unwrap();
            socket.recv(&mut reply).is_ok_and(|length| !Wire::read(&reply[..length]).unwrap().truncated())
        });
        all += 1;
        good += usize::from(answered);
        times.push(began.elapsed());
        // At most 40 a second: less than any limit here.
        std::thread::sleep(Duration::from_millis(25));
    }
    times.sort();
    (good, all, times[(times.len() * 99 / 100).min(times.len() - 1)])
}

const TIME: Duration = Duration::from_secs(4);

#[test]
fn rate_limiting_hurts_no_neighbour() {
    let meridian = serve("[server.rate_limit]\nper_client = 100\nper_name = 50\n");
    let server = meridian.address();
    let cookie = ask_tcp(server, &good().option(10, b"12345678")).unwrap().wire.option(10).unwrap();
    let flood = Flood::start("127.0.66.1", server, |_| {
        // A thousand a second.
        std::thread::sleep(Duration::from_millis(1));
        good().octets()
    });
    let neighbour = std::thread::spawn(move || honest(server, "127.0.67.1", TIME, &good()));
    // From the very address of the flood's machine: the cookie was made for 127.0.0.1.
    let with_cookie = honest(server, "127.0.0.1", TIME, &good().option(10, &cookie));
    let neighbour = neighbour.join().unwrap();
    let sent = flood.sent.load(Ordering::Relaxed);
    drop(flood);
    let totals = meridian.totals();
    println!(
        "rate limit: {sent} queries in {TIME:?} from one /24: {} dropped, {} slipped; neighbour {}/{} within {:?}, with a cookie {}/{}",
        totals["rate_dropped"],
        totals["rate_slipped"],
        neighbour.0,
        neighbour.1,
        neighbour.2,
        with_cookie.0,
        with_cookie.1
    );
    assert_eq!((neighbour.0, with_cookie.0), (neighbour.1, with_cookie.1));
    assert!(totals["rate_dropped"] > 100 && totals["rate_slipped"] > 100);
}

/// Random names below the zone, as fast as they can be sent, beside honest clients.
#[test]
fn water_torture() {
    let meridian = serve("");
    let server = meridian.address();
    let flood = Flood::start("127.0.0.1", server, |random| {
        Ask::new(&format!("{:x}.gslb.example.", random.u64(..)), RecordType::A).edns(1232).octets()
    });
    let (answered, asked, p99) = honest(server, "127.0.0.1", TIME, &good());
    let sent = flood.sent.load(Ordering::Relaxed);
    drop(flood);
    println!(
        "water torture: {sent} random names in {TIME:?}; honest {answered}/{asked}, 99 % within {p99:?}"
    );
    // Above capacity some are lost, honest ones among them; what must hold is that it passes.
    let (good, all, _) = honest(server, "127.0.0.1", Duration::from_secs(1), &crate::good());
    assert_eq!(good, all);
    assert_eq!(meridian.totals()["panics"], 0);
}

/// Floods and clients that never read must not fill the memory.
#[test]
fn memory() {
    let meridian = serve("");
    let server = meridian.address();
    for _ in 0..100 {
        exchange_udp(server, None, &good().octets()).unwrap();
    }
    let (before, _) = meridian.memory_kib();
    let floods = [1, 2].map(|_| Flood::start("127.0.0.1", server, |_| good().octets()));
    // Each asks for far more than it would ever have to keep, and reads nothing.
    let large = Ask::new("large.gslb.example.", RecordType::TXT).octets();
    let framed = [&u16::try_from(large.len()).unwrap().to_be_bytes()[..], &large].concat().repeat(200);
    let silent: Vec<TcpStream> = (0..200)
        .map(|number| {
            let stream = connect_from(IpAddr::from([127, 0, 5, number]), server).unwrap();
            stream.set_nonblocking(true).unwrap();
            for _ in 0..50 {
                // What the server does not take in stays with us.
                if std::io::Write::write(&mut &stream, &framed).is_err() {
                    break;
                }
            }
            stream
        })
        .collect();
    std::thread::sleep(TIME);
    let (_, peak) = meridian.memory_kib();
    let sent: u64 = floods.iter().map(|flood| flood.sent.load(Ordering::Relaxed)).sum();
    drop(floods);
    drop(silent);
    let (good, all, _) = honest(server, "127.0.0.1", Duration::from_secs(1), &good());
    let (after, _) = meridian.memory_kib();
    println!(
        "memory: {before} KiB before, {peak} KiB at most, {after} KiB after {sent} queries over UDP and 200 connections that read nothing"
    );
    assert_eq!(good, all);
    // Buffers of 200 connections, and nothing that grows with the flood.
    assert!(peak - before < 64 << 10, "{before} {peak}");
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
