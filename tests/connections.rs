//! TCP connections of the built binary, and what bounds them (RFC 7766, RFC 9210).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, exchange, framed, wait_for_end};
use meridian_tests::{Ask, Asked, Config, Meridian, ask_udp, now};

/// A server with one static zone and these lines under `[server.tcp]`.
fn config(tcp: &str) -> String {
    Config::new()
        .with(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[server.tcp]\n{tcp}"))
        .text()
        .to_owned()
}

fn ask() -> Ask {
    Ask::new("ns1.gslb.example.", RecordType::A)
}

fn client(host: u8) -> IpAddr {
    [127, 0, 0, host].into()
}

fn is_answered(stream: &mut TcpStream) -> bool {
    exchange(stream, &ask().octets()).is_ok_and(|reply| Asked::decode(reply).unwrap().addresses().len() == 1)
}

/// An open connection that says nothing.
fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    nothing
}

/// One client cannot take all connections: its own longest idle one makes room, and others notice nothing.
#[test]
fn s60_rfc9210_4_a_client_makes_room_for_itself() {
    let mut meridian = Meridian::serve(&config("connections_per_client = 3\n"));
    let server = meridian.address();
    let mut other = connect_from(client(1), server).unwrap();
    assert!(is_answered(&mut other));
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        let mut stream = connect_from(client(2), server).unwrap();
        assert!(is_answered(&mut stream));
        held.push(stream);
    }
    // Now the second is idle for longest.
    assert!(is_answered(&mut held[0]));
    let mut newcomer = connect_from(client(2), server).unwrap();
    assert!(is_answered(&mut newcomer));
    wait_for_end(&mut held[1]);
    assert!(is_answered(&mut held[0]) && is_answered(&mut held[2]) && is_answered(&mut other));
    assert_eq!((meridian.total("shed_client"), meridian.total("shed_total")), (1, 0));
}

/// Statement 60: at the limit of all the longest idle is closed, not the newcomer.
#[test]
fn s60_rfc9210_4_a_full_table_sheds_the_longest_idle() {
    let mut meridian = Meridian::serve(&config("connections = 8\n"));
    let server = meridian.address();
    let mut held: Vec<TcpStream> = (1..=8)
        .map(|host| {
            let mut stream = connect_from(client(host), server).unwrap();
            assert!(is_answered(&mut stream));
            // Half a query does not make it younger.
            stream.write_all(&[0]).unwrap();
            stream
        })
        .collect();
    let mut newcomers = Vec::new();
    for (host, old) in (9..).zip(&mut held[..4]) {
        let mut newcomer = connect_from(client(host), server).unwrap();
        assert!(is_answered(&mut newcomer));
        wait_for_end(old);
        newcomers.push(newcomer);
    }
    assert!(held[4..].iter_mut().chain(&mut newcomers).all(is_open));
    assert_eq!((meridian.total("shed_total"), meridian.total("shed_client")), (4, 0));
}

/// A client that asks and does not read is stopped, and holds up nobody.
#[test]
fn who_does_not_read_holds_up_itself() {
    let mut meridian = Meridian::serve(&config(""));
    let server = meridian.address();
    let mut hostile = connect_from(client(1), server).unwrap();
    hostile.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let queries = framed(&ask().octets()).repeat(1000);
    // Until neither side's buffers take more.
    while hostile.write_all(&queries).is_ok() {}
    for host in 1..=20 {
        let mut stream = connect_from(client(host), server).unwrap();
        let began = now();
        assert!(is_answered(&mut stream));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    // It is closed without having read: with a reset, as more was asked.
    let blocked = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
    let began = now();
    while hostile.write_all(&queries).is_err_and(blocked) {
        assert!(began.elapsed() < Duration::from_secs(20), "still open");
    }
    assert_eq!(meridian.total("connection_unread"), 1);
}

/// The time a connection may idle runs from its last whole query, whatever drips in; and clients are told it.
#[test]
fn s24_s60_rfc7828_3_half_a_query_is_idle() {
    let mut meridian = Meridian::serve(&config("idle = \"1s\"\n"));
    let server = meridian.address();
    let mut stream = connect_from(client(1), server).unwrap();
    let query = ask().edns(1232).option(11, &[]).octets();
    let reply = Asked::decode(exchange(&mut stream, &query).unwrap()).unwrap();
    assert_eq!(reply.option(11), Some(vec![0, 10]), "ten tenths of a second");
    // Statement 24: over UDP it is ignored.
    let udp = meridian_tests::exchange_udp(server, None, &query).unwrap();
    assert_eq!(Asked::decode(udp).unwrap().option(11), None);

    let began = now();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let ended = loop {
        // An octet now and then, of a query that never is whole.
        let _closed = stream.write_all(&[1]);
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(began.elapsed().as_secs() < 10),
            _ => break began.elapsed(),
        }
    };
    assert!((800..3000).contains(&ended.as_millis()), "{ended:?}");
    assert_eq!(meridian.total("connection_idle"), 1);
}

/// A connection does not live for ever, however busy.
#[test]
fn a_busy_connection_ends_too() {
    let mut meridian = Meridian::serve(&config("idle = \"1s\"\nlifetime = \"2s\"\n"));
    let mut stream = connect_from(client(1), meridian.address()).unwrap();
    let began = now();
    while is_answered(&mut stream) {
        assert!(began.elapsed().as_secs() < 20);
    }
    assert!((1800..5000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(meridian.total("connection_aged"), 1);
}

/// A query that is longer than any needs to be is FORMERR, and what follows it is answered.
#[test]
fn a_query_that_is_too_long_is_passed_over() {
    let meridian = Meridian::serve(&config(""));
    let mut stream = connect_from(client(1), meridian.address()).unwrap();
    let mut long = ask().octets();
    // One record more, as it says: of a type that nobody knows, and 65,000 octets.
    long[11] = 1;
    long.extend_from_slice(&[0, 0xff, 1, 0, 1, 0, 0, 0, 0]);
    long.extend_from_slice(&65_000_u16.to_be_bytes());
    long.resize(long.len() + 65_000, 0);
    let reply = exchange(&mut stream, &long).unwrap();
    assert_eq!((reply[..2].to_vec(), reply[3] & 0xf), (long[..2].to_vec(), 1));
    assert!(is_answered(&mut stream));
}

/// More connections than descriptors: the listener lives, nothing spins, and a newcomer is answered.
#[test]
fn descriptors_run_out() {
    let mut meridian = Meridian::serve_with_descriptors(&config("connections_per_client = 4096\n"), 64);
    let server = meridian.address();
    let held: Vec<TcpStream> = (0..200).map(|_| connect_from(client(1), server).unwrap()).collect();
    let mut newcomer = connect_from(client(2), server).unwrap();
    let (began, busy) = (now(), processor_time(meridian.id()));
    assert!(is_answered(&mut newcomer), "the longest idle make room");
    assert!(ask_udp(server, &ask()).is_ok());
    let (took, spent) = (began.elapsed(), processor_time(meridian.id()) - busy);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(spent < Duration::from_millis(250), "{spent:?} of {took:?}");
    drop(held);
    let mut after = connect_from(client(3), server).unwrap();
    assert!(is_answered(&mut after));
    assert!(meridian.total("shed_descriptors") >= 100);
}

/// What a process has had of the processors (man 5 proc: utime and stime, in hundredths of a second).
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The second field is the name, in parentheses.
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = after.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// Statement 61: a reset or an end in the middle of a query frees all that the connection had.
#[test]
fn s61_rfc7766_6_2_4_an_end_in_the_middle_frees_the_place() {
    let mut meridian = Meridian::serve(&config("connections = 8\n"));
    let server = meridian.address();
    let mut first = connect_from(client(1), server).unwrap();
    assert!(is_answered(&mut first));
    for host in 2..100 {
        let mut stream = connect_from(client(host), server).unwrap();
        stream.write_all(&framed(&ask().octets())[..20]).unwrap();
        if host % 2 == 0 {
            // Closed with a reset.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        } else {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            wait_for_end(&mut stream);
        }
        drop(stream);
        // Keeps the first one younger than whatever was not freed.
        assert!(is_answered(&mut first));
    }
    // Hundreds came and went; had any kept its place, some would have been shed.
    assert_eq!(meridian.total("shed_total"), 0);
}
