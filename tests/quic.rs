//! DNS over QUIC (RFC 9250) and DNS over HTTPS by HTTP/3, of the built binary.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hyper::Request;
use meridian_tests::quic::{connect, endpoint, exchange, exchange_octets, https3};
use meridian_tests::stream::framed;
use meridian_tests::tls::{Identity, NAME, every_transport};
use meridian_tests::{Ask, Asked, Meridian, ask_tcp, now};
use quinn::{Connection, ConnectionError, ReadError, ReadToEndError, VarInt};

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn serve(identity: &Identity, tcp: &str) -> Meridian {
    Meridian::serve_with_files(&every_transport(tcp), &identity.files())
}

fn static_ask() -> Ask {
    Ask::new("ns1.gslb.example.", RecordType::A)
}

fn steered_ask() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
}

async fn doq(meridian: &Meridian, identity: &Identity) -> Connection {
    connect(&endpoint(ME).unwrap(), meridian.address_of("doq"), identity.client(&["doq"])).await.unwrap()
}

/// With what code the server has closed a connection.
async fn closed_with(connection: &Connection) -> u64 {
    match tokio::time::timeout(Duration::from_secs(20), connection.closed()).await {
        Ok(ConnectionError::ApplicationClosed(close)) => close.error_code.into_inner(),
        other => panic!("not closed by the server: {other:?}"),
    }
}

//----------- DNS over QUIC --------------------------------------------------

/// Statement 65: ALPN "doq", a stream for each query, ID 0, two octets of length. 67: padding.
#[tokio::test]
async fn s65_s67_rfc9250_4_doq_answers() {
    let identity = Identity::new();
    let meridian = serve(&identity, "");
    let connection = doq(&meridian, &identity).await;
    let plain = ask_tcp(meridian.address(), &Ask { id: 0, ..steered_ask() }).unwrap();
    assert_eq!(exchange(&connection, &steered_ask().octets()).await.unwrap(), plain.octets);
    let nothing = Ask::new("nothing.gslb.example.", RecordType::A).octets();
    let reply = Asked::decode(exchange(&connection, &nothing).await.unwrap()).unwrap();
    assert_eq!(reply.message.response_code, ResponseCode::NXDomain);
    let padded = static_ask().edns(1232).option(12, &[]).octets();
    assert_eq!(exchange(&connection, &padded).await.unwrap().len() % 468, 0);
    // A hundred at once, and more than a hundred one after the other.
    let query = static_ask().octets();
    for _ in 0..2 {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (connection, query) = (connection.clone(), query.clone());
            all.spawn(async move { exchange(&connection, &query).await.unwrap() });
        }
        assert_eq!(all.join_all().await.len(), 100);
    }
    let (endpoint, server) = (endpoint(ME).unwrap(), meridian.address_of("doq"));
    for wrong in [&["dot"][..], &[]] {
        assert!(connect(&endpoint, server, identity.client(wrong)).await.is_err(), "{wrong:?}");
    }
}

/// Statements 24 and 65: what RFC 9250 §4.3.3 does not allow closes the connection, with DOQ_PROTOCOL_ERROR.
#[tokio::test]
async fn s24_s65_rfc9250_4_3_3_a_violation_closes_the_connection() {
    let identity = Identity::new();
    let mut meridian = serve(&identity, "");
    let query = Ask { id: 0, ..static_ask() }.octets();
    let with_id = Ask { id: 1, ..static_ask() }.octets();
    let keepalive = Ask { id: 0, ..static_ask() }.edns(1232).option(11, &[]).octets();
    let violations = [
        framed(&with_id),
        [framed(&query), framed(&query)].concat(),
        framed(&query)[..20].to_vec(),
        query.clone(),
        vec![0],
        Vec::new(),
        framed(&keepalive),
    ];
    for octets in &violations {
        let connection = doq(&meridian, &identity).await;
        assert!(exchange(&connection, &query).await.is_ok());
        assert!(exchange_octets(&connection, octets).await.is_err(), "{octets:?}");
        assert_eq!(closed_with(&connection).await, 2, "{octets:?}");
    }
    assert_eq!(meridian.total("quic_violations"), violations.len() as u64);
}

/// Statement 65: no end, no reply; what is given up or too long is that stream's business alone.
#[tokio::test]
async fn s65_rfc9250_4_2_a_stream_is_a_querys_own() {
    let identity = Identity::new();
    let meridian = serve(&identity, "");
    let connection = doq(&meridian, &identity).await;
    let query = Ask { id: 0, ..static_ask() }.octets();
    let (mut open, mut unanswered) = connection.open_bi().await.unwrap();
    open.write_all(&framed(&query)).await.unwrap();
    assert!(exchange(&connection, &query).await.is_ok());
    let early = tokio::time::timeout(Duration::from_millis(300), unanswered.read_to_end(65537)).await;
    assert!(early.is_err(), "a reply to a query that has not ended");
    open.finish().unwrap();
    assert!(unanswered.read_to_end(65537).await.is_ok());

    let (mut given_up, _) = connection.open_bi().await.unwrap();
    given_up.write_all(&[0]).await.unwrap();
    given_up.reset(VarInt::from_u32(3)).unwrap();
    let (mut long, mut reset) = connection.open_bi().await.unwrap();
    // It may be stopped before all is written.
    let _stopped = long.write_all(&framed(&[0; 60_000])).await;
    match reset.read_to_end(65537).await {
        Err(ReadToEndError::Read(ReadError::Reset(code))) => assert_eq!(code.into_inner(), 4),
        other => panic!("DOQ_EXCESSIVE_LOAD is expected: {other:?}"),
    }
    // Statement 1: a reply gets none.
    let mut reply = query.clone();
    reply[2] |= 0x80;
    assert!(exchange(&connection, &reply).await.is_err());
    assert!(exchange(&connection, &query).await.is_ok());
}

/// The bounds of `[server.tcp]` hold for QUIC: a client's longest idle connection makes room; idling ends.
#[tokio::test]
async fn quic_has_its_places_in_the_table() {
    let identity = Identity::new();
    let mut meridian = serve(&identity, "connections_per_client = 2\nidle = \"2s\"\n");
    let query = static_ask().octets();
    let first = doq(&meridian, &identity).await;
    let second = doq(&meridian, &identity).await;
    assert!(exchange(&second, &query).await.is_ok() && exchange(&first, &query).await.is_ok());
    let third = doq(&meridian, &identity).await;
    assert_eq!(closed_with(&second).await, 0);
    assert!(exchange(&first, &query).await.is_ok() && exchange(&third, &query).await.is_ok());
    let began = now();
    assert_eq!((closed_with(&first).await, closed_with(&third).await), (0, 0));
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!((meridian.total("shed_client"), meridian.total("connection_idle")), (1, 2));
}

//----------- HTTP/3 ---------------------------------------------------------

const MESSAGE: &str = "application/dns-message";

fn request(method: &str, uri: &str, content_type: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(format!("https://{NAME}{uri}"));
    request.header("content-type", content_type).body(()).unwrap()
}

/// Statements 63 and 64, by HTTP/3: the same responses as by HTTP/2.
#[tokio::test]
async fn s63_s64_rfc8484_4_doh3_answers() {
    let identity = Identity::new();
    let meridian = serve(&identity, "");
    let server = meridian.address_of("doh3");
    let plain = ask_tcp(meridian.address(), &steered_ask()).unwrap();
    let (steered, fixed) = (steered_ask().octets(), static_ask().octets());
    let get = |query: &[u8]| format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(query));
    for (request, body, wanted, cache) in [
        (request("POST", "/dns-query", MESSAGE), &steered[..], 200, "max-age=0, private"),
        (request("GET", &get(&steered), ""), &[], 200, "max-age=0, private"),
        (request("GET", &get(&fixed), ""), &[], 200, "max-age=3600"),
        (request("POST", "/dns-query", "text/plain"), &steered, 415, ""),
        (request("GET", "/elsewhere", ""), &[], 404, ""),
        (request("PUT", "/dns-query", MESSAGE), &steered, 405, ""),
        (request("POST", "/dns-query", MESSAGE), &[0; 5000], 413, ""),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let body = Bytes::copy_from_slice(body);
        let response = https3(ME, server, identity.client(&["h3"]), request, body).await.unwrap();
        let said = response.headers().get("cache-control").map_or("", |value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), said), (wanted, cache), "{what}");
        if cache.ends_with("private") {
            assert_eq!(response.body(), &plain.octets);
        }
    }
}

/// A frame that claims to be a gigabyte is not waited for.
#[tokio::test]
async fn an_endless_frame_is_cut_off() {
    let identity = Identity::new();
    let meridian = serve(&identity, "");
    let server: SocketAddr = meridian.address_of("doh3");
    let endpoint = endpoint(ME).unwrap();
    let connection = connect(&endpoint, server, identity.client(&["h3"])).await.unwrap();
    // The control stream with empty settings, and a request whose HEADERS are 2^30 octets (RFC 9114 §6.2, §7.1).
    let mut control = connection.open_uni().await.unwrap();
    control.write_all(&[0, 4, 0]).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
    let mut sent = 0;
    while sent < 1 << 20 && send.write_all(&[0; 4096]).await.is_ok() {
        sent += 4096;
    }
    assert!(sent < 128 << 10, "{sent} octets of one frame were taken");
}
