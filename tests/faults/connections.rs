//! What connections cost whom, and what clients can do with one.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::quic;
use meridian_tests::stream::exchange;
use meridian_tests::tls::{Identity, connect_tls, every_transport};
use meridian_tests::{Ask, Meridian, exchange_tcp, exchange_udp};

const CONNECTIONS: u32 = 500;

/// Processor time of the server for a query over UDP, and for one over a connection of its own.
#[test]
fn cost_of_connections() {
    let identity = Identity::new();
    let meridian = Meridian::serve_with_files(&every_transport(""), &identity.files());
    let query = Ask::new("ns1.gslb.example.", RecordType::A).octets();
    let me = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (plain, dot) = (meridian.address(), meridian.address_of("dot"));
    let client = identity.client(&["dot"]);
    let each = |what: &dyn Fn()| {
        let began = meridian.processor_time();
        (0..CONNECTIONS).for_each(|_| what());
        (meridian.processor_time() - began) / CONNECTIONS
    };
    let udp = each(&|| assert!(exchange_udp(plain, None, &query).is_ok()));
    let tcp = each(&|| assert!(exchange_tcp(plain, &query).is_ok()));
    let tls = each(&|| {
        let mut stream = connect_tls(me, dot, client.clone()).expect("a handshake");
        assert!(exchange(&mut stream, &query).is_ok());
    });
    let saturates = |each: Duration| Duration::from_secs(1).as_micros() / each.as_micros().max(1);
    println!(
        "connections, processor time each with one query: UDP {udp:?}, TCP {tcp:?}, TLS {tls:?}; a core is full at {} TCP or {} TLS connections a second",
        saturates(tcp),
        saturates(tls)
    );
}

//----------- HTTP/2 ---------------------------------------------------------

/// Types of frames (RFC 9113 §6), and flags of them.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET of a query, in the least that HPACK takes (RFC 7541): fields of the static table, and two literals.
fn request(query: &[u8]) -> Vec<u8> {
    let path = format!("/dns-query?dns={}", data_encoding::BASE64URL_NOPAD.encode(query));
    let literal = |index: u8, text: &str| {
        [&[0x40 | index, u8::try_from(text.len()).expect("short")], text.as_bytes()].concat()
    };
    [&[0x82, 0x87][..], &literal(1, "dns.example"), &literal(4, &path)].concat()
}

/// Clients that open streams and reset them at once (CVE-2023-44487), and that send headers without an end
/// (CVE-2024-27316 and others), are closed.
#[test]
fn http2_abuse() {
    let identity = Identity::new();
    let meridian = Meridian::serve_with_files(&every_transport(""), &identity.files());
    let doh = meridian.address_of("doh");
    let me = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = identity.client(&["h2"]);
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
    let block = request(&Ask::new("ns1.gslb.example.", RecordType::A).octets());
    // How many of what a client sends are taken before the connection is closed.
    let taken = |of: &dyn Fn(u32) -> Vec<u8>, most: u32| {
        let mut stream = connect_tls(me, doh, client.clone()).expect("a handshake");
        stream.write_all(&begin).expect("the beginning is taken");
        (0..most).take_while(|&number| stream.write_all(&of(number)).is_ok()).count()
    };
    let began = meridian.processor_time();
    let resets = taken(
        &|number| {
            let stream = 2 * number + 1;
            let opened = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
            [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        },
        200_000,
    );
    let each = (meridian.processor_time() - began) / u32::try_from(resets.max(1)).unwrap_or(1);
    let continued = taken(
        &|number| match number {
            0 => frame(HEADERS, END_STREAM, 1, &block),
            _ => frame(CONTINUATION, 0, 1, &[0; 16384]),
        },
        10_000,
    );
    println!(
        "HTTP/2: closed after {resets} resets ({each:?} of a core each), after {continued} frames of endless headers"
    );
    assert!(resets < 200_000, "resets without an end are taken");
    assert!(continued < 10_000, "headers without an end are taken");
    // Others are answered.
    assert!(
        exchange_udp(meridian.address(), None, &Ask::new("ns1.gslb.example.", RecordType::A).octets())
            .is_ok()
    );
}

//----------- QUIC -----------------------------------------------------------

const RESETS: u32 = 20_000;

/// A client that opens streams, begins a query and resets it: it costs what its packets cost, leaves nothing behind, and
/// others are answered meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quic_abuse() {
    let identity = Identity::new();
    let meridian = Meridian::serve_with_files(&every_transport(""), &identity.files());
    let doq = meridian.address_of("doq");
    let query = Ask::new("ns1.gslb.example.", RecordType::A).octets();
    let connect = async |from: [u8; 4]| {
        let endpoint = quic::endpoint(IpAddr::from(from)).expect("a socket");
        let connection = quic::connect(&endpoint, doq, identity.client(&["doq"])).await;
        (connection.expect("a handshake"), endpoint)
    };
    let (honest, _socket) = connect([127, 0, 0, 2]).await;
    quic::exchange(&honest, &query).await.expect("an answer");
    let (hostile, _socket) = connect([127, 0, 0, 3]).await;
    meridian.forget_peak();
    let (before, began) = (meridian.memory_kib().0, meridian.processor_time());
    let resets = tokio::spawn(async move {
        for _ in 0..RESETS {
            // It waits while as many are open as may be.
            let (mut stream, _reply) = hostile.open_bi().await.expect("it stays open");
            stream.write_all(&[0]).await.expect("it is taken");
            stream.reset(3_u32.into()).expect("it is open");
        }
    });
    let (mut asked, mut answered) = (0, 0);
    while !resets.is_finished() {
        asked += 1;
        let answer = tokio::time::timeout(Duration::from_secs(5), quic::exchange(&honest, &query)).await;
        answered += usize::from(answer.is_ok_and(|answer| answer.is_ok()));
    }
    resets.await.expect("all are sent");
    let each = (meridian.processor_time() - began) / RESETS;
    let (after, peak) = meridian.memory_kib();
    println!(
        "QUIC: {RESETS} streams reset, {each:?} of a core each with the honest; honest {answered} of {asked}; memory {} MiB before, {} at most, {} after",
        before >> 10,
        peak >> 10,
        after >> 10,
    );
    assert_eq!(answered, asked);
    // As many streams as may be open, and none of those that are over.
    assert!(peak.saturating_sub(before) < 8 << 10, "{before} KiB before, {peak} KiB at most");
}
