//! Endpoints that mean harm or are broken in every way, one test each: a check costs its deadline and no more.

use std::num::NonZeroU32;

use meridian_model::{HttpVersion, TextMatch, Tls};
use tokio::time::Instant;

use super::tls::{Authority, https, trusting};
use super::*;

//----------- Deadlines ----------------------------------------------------------

const DEADLINE: Duration = Duration::from_millis(200);
/// What a busy machine may add; far below what each of these servers would take.
const SLACK: Duration = Duration::from_secs(5);

fn web(check: HttpCheck) -> Check {
    Check::Http(Box::new(check))
}

fn wants_body() -> HttpCheck {
    HttpCheck { body: Some(TextMatch::Contains("never there".into())), ..HttpCheck::default() }
}

/// What the servers here wait for before they say anything.
const HELLO: Option<&[u8]> = Some(b"hello\r\n\r\n");

/// A conversation that waits for a text.
fn talk(send: Option<&[u8]>) -> Check {
    let expect = Some(TextMatch::Contains("ready".into()));
    Check::Tcp(TcpCheck { send: send.map(Into::into), expect, max_body: 65_536 })
}

/// What a check with this deadline found, with how long it took.
async fn found(at: SocketAddr, check: Check, deadline: Duration) -> (String, Duration) {
    let probe = Probe { timeout: deadline, ..probe(at.port(), check) };
    let started = Instant::now();
    let outcome = run(&probe, at).await;
    let Finding::Failed(cause) = outcome.finding else { panic!("{outcome:?}") };
    (cause, started.elapsed())
}

/// It takes its deadline and no more, and says so.
async fn costs_the_deadline(at: SocketAddr, check: Check) {
    let (cause, took) = found(at, check, DEADLINE).await;
    assert!(cause.ends_with(": no answer within 200ms"), "{cause}");
    assert!((DEADLINE..DEADLINE + SLACK).contains(&took), "{took:?}");
}

/// It fails long before its deadline, with this in its cause.
async fn fails_at_once(at: SocketAddr, check: Check, wanted: &str) {
    let (cause, took) = found(at, check, LONG).await;
    assert!(cause.contains(wanted), "{cause}");
    assert!(took < SLACK, "{took:?}");
}

/// The probe's connection is gone when the probe is: the server saw its end.
async fn is_closed(server: &mut Server) {
    server.closed.recv().await.unwrap();
}

//----------- Silence and slowness -------------------------------------------------

#[tokio::test]
async fn accepts_and_never_answers() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let mut server = serve("127.0.0.1:0", Behaviour::Send("")).await;
        costs_the_deadline(server.address, web(HttpCheck { version, ..HttpCheck::default() })).await;
        is_closed(&mut server).await;
    }
    let mut server = serve("127.0.0.1:0", Behaviour::Send("")).await;
    costs_the_deadline(server.address, talk(HELLO)).await;
    is_closed(&mut server).await;
}

#[tokio::test]
async fn one_byte_a_second() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    for (head, check) in [("HTTP/1.1 200 OK\r\nX: ", HttpCheck::default()), (body, wants_body())] {
        let mut server = serve("127.0.0.1:0", Behaviour::Repeat(head, "x", 1000)).await;
        costs_the_deadline(server.address, web(check)).await;
        is_closed(&mut server).await;
    }
    let server = serve("127.0.0.1:0", Behaviour::Repeat("", "x", 1000)).await;
    costs_the_deadline(server.address, talk(HELLO)).await;
}

/// Its word comes too late to count.
#[tokio::test]
async fn answers_after_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let late = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        tokio::time::sleep(DEADLINE * 2).await;
        // Nobody hears it: the other side has closed.
        let _sent = stream.write_all(OK.as_bytes()).await;
        read_head(&mut stream).await
    });
    costs_the_deadline(at, web(HttpCheck::default())).await;
    assert_eq!(late.await.unwrap(), "", "a request after the deadline");
}

/// The kernel accepts, the program behind it is gone: a connection of which one side knows nothing.
#[tokio::test]
async fn half_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    costs_the_deadline(listener.local_addr().unwrap(), web(HttpCheck::default())).await;
}

/// A full queue of a listener drops whatever comes, as a firewall does.
#[tokio::test]
async fn a_port_that_drops_packets() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    // The kernel holds one more than it was told.
    let _queue = (TcpStream::connect(at).await.unwrap(), TcpStream::connect(at).await.unwrap());
    costs_the_deadline(at, web(HttpCheck::default())).await;
    costs_the_deadline(at, Check::Tcp(TcpCheck::default())).await;
    costs_the_deadline(at, Check::Tls(Tls::default())).await;
}

#[tokio::test]
async fn tls_that_stalls() {
    for check in [
        Check::Tls(Tls::default()),
        web(HttpCheck { tls: Some(Tls::default()), ..HttpCheck::default() }),
        web(HttpCheck { tls: Some(Tls::default()), version: HttpVersion::Http2, ..HttpCheck::default() }),
    ] {
        let mut server = serve("127.0.0.1:0", Behaviour::Send("")).await;
        costs_the_deadline(server.address, check).await;
        is_closed(&mut server).await;
    }
}

//----------- Without end --------------------------------------------------------------

const BLOCK_OCTETS: usize = 16 * 1024;

fn block() -> &'static str {
    "x".repeat(BLOCK_OCTETS).leak()
}

#[tokio::test]
async fn an_endless_body() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let mut server = serve("127.0.0.1:0", Behaviour::Repeat(head, block(), 0)).await;
    fails_at_once(server.address, web(wants_body()), "in 65536 octets").await;
    is_closed(&mut server).await;
    let server = serve("127.0.0.1:0", Behaviour::Repeat("", block(), 0)).await;
    fails_at_once(server.address, talk(HELLO), "wanted").await;
}

#[tokio::test]
async fn an_endless_header_field_and_endless_many() {
    for (head, again) in
        [("HTTP/1.1 200 OK\r\nX: ", block()), ("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n")]
    {
        let mut server = serve("127.0.0.1:0", Behaviour::Repeat(head, again, 0)).await;
        fails_at_once(server.address, web(HttpCheck::default()), "message head is too large").await;
        is_closed(&mut server).await;
    }
}

#[tokio::test]
async fn a_redirect_loop() {
    let round = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    let follow = || web(HttpCheck { redirects: 5, ..HttpCheck::default() });
    let mut server = serve("127.0.0.1:0", Behaviour::Send(round)).await;
    fails_at_once(server.address, follow(), ": 302, wanted 200-299").await;
    for _ in 0..6 {
        server.requests.recv().await.unwrap();
    }
    assert!(server.requests.try_recv().is_err(), "more than the five that are followed");
    // All of it has one deadline.
    let slow: &'static str = "HTTP/1.1 302 Found\r\nLocation: /again\r\nX: ";
    let server = serve("127.0.0.1:0", Behaviour::Repeat(slow, "x", 50)).await;
    costs_the_deadline(server.address, follow()).await;
}

/// A gigabyte of zeros as seven megabytes of gzip: they are not asked for, and never unpacked.
#[tokio::test]
async fn a_gzip_bomb_of_a_gibibyte() {
    let bomb = gzip_of_zeros(NonZeroU32::new(1 << 30).unwrap());
    assert!((6_000_000..8_000_000).contains(&bomb.len()), "{}", bomb.len());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_head(&mut stream).await;
        // It is not taken to its end.
        let sent = stream.write_all(&[head.as_bytes(), &bomb].concat()).await;
        (request, sent.is_err())
    });
    fails_at_once(at, web(wants_body()), "in 65536 octets").await;
    let (request, is_cut) = request.await.unwrap();
    assert!(!request.to_ascii_lowercase().contains("accept-encoding"), "{request}");
    assert!(is_cut, "all of it was taken");
}

/// RFC 1951 §3.2.6: the fixed codes. After a first zero, "258 octets again from one octet back" is 13 bits.
fn gzip_of_zeros(octets: NonZeroU32) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    // The last block, with fixed codes; the literal 0.
    bits.extend([true, true, false]);
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..octets.get() / 258 {
        // The length 258 is the code 285, 11000101; the distance 1 is the code 0, 00000.
        bits.extend([true, true, false, false, false, true, false, true, false, false, false, false, false]);
    }
    // The end of the block is the code 256, 0000000.
    bits.extend([false; 7]);
    // RFC 1952 §2.3: magic, deflate, no flags, no time, no extra flags, unknown system.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.chunks(8).map(|bits| {
        bits.iter().rev().fold(0_u8, |octet, bit| octet << 1 | u8::from(*bit)) << (8 - bits.len())
    }));
    gzip
}

//----------- Broken ---------------------------------------------------------------------

#[tokio::test]
async fn a_wrong_certificate() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let at = https(&ours.issue("shop.example", |_| {}), None).await;
    let other_name = trusting(&ours, Some("other.example"));
    for tls in [other_name, trusting(&stranger, Some("shop.example")), Tls::default()] {
        let wanted = "invalid peer certificate";
        fails_at_once(at, Check::Tls(tls.clone()), wanted).await;
        fails_at_once(at, web(HttpCheck { tls: Some(tls), ..HttpCheck::default() }), wanted).await;
    }
}

#[tokio::test]
async fn resets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // To close with octets unread resets the connection.
            stream.readable().await.unwrap();
            let _head = stream.read_u8().await;
        }
    });
    fails_at_once(at, web(HttpCheck::default()), "connection reset").await;
    fails_at_once(at, talk(HELLO), "connection reset").await;
}
