//! Statements 59 to 67, and what of 24 and 25 is of encrypted transports. `connections.rs`, `encrypted.rs` and
//! `quic.rs` say more of each.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use http_body_util::Full;
use hyper::{Request, Response};
use meridian_tests::quic::{connect, endpoint, exchange_octets};
use meridian_tests::stream::{connect_from, exchange, framed, read_framed, wait_for_end};
use meridian_tests::tls::{Identity, NAME, connect_tls, every_transport, https};
use meridian_tests::{Ask, Asked, Meridian, quic};

const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

fn serve(tcp: &str) -> (Meridian, Identity) {
    let identity = Identity::new();
    (Meridian::serve_with_files(&every_transport(tcp), &identity.files()), identity)
}

fn ask() -> Ask {
    Ask { id: 0, ..Ask::new("ns1.gslb.example.", RecordType::A) }
}

fn with_empty(code: u16) -> Vec<u8> {
    ask().edns(1232).option(code, &[]).octets()
}

async fn get(meridian: &Meridian, identity: &Identity, query: &[u8]) -> Response<Bytes> {
    let uri = format!("https://{NAME}/dns-query?dns={}", BASE64URL_NOPAD.encode(query));
    let request = Request::get(uri).body(Full::new(Bytes::new())).unwrap();
    https(ME, meridian.address_of("doh"), identity.client(&["h2"]), request).await.unwrap()
}

async fn doq(meridian: &Meridian, identity: &Identity) -> quinn::Connection {
    connect(&endpoint(ME).unwrap(), meridian.address_of("doq"), identity.client(&["doq"])).await.unwrap()
}

#[tokio::test]
async fn s24_rfc9250_5_5_2_keepalive_is_of_streams_and_never_of_quic() {
    let (meridian, identity) = serve("idle = \"7s\"\n");
    let mut stream = connect_tls(ME, meridian.address_of("dot"), identity.client(&["dot"])).unwrap();
    let reply = Asked::decode(exchange(&mut stream, &with_empty(KEEPALIVE)).unwrap()).unwrap();
    assert_eq!(reply.option(KEEPALIVE), Some(vec![0, 70]));
    let connection = doq(&meridian, &identity).await;
    assert!(quic::exchange(&connection, &with_empty(KEEPALIVE)).await.is_err());
    let reply =
        Asked::decode(get(&meridian, &identity, &with_empty(KEEPALIVE)).await.body().to_vec()).unwrap();
    assert_eq!(reply.option(KEEPALIVE), None);
}

/// With padding asked for, and without.
fn padded_or_not() -> [(Vec<u8>, bool); 2] {
    [(with_empty(PADDING), true), (ask().edns(1232).octets(), false)]
}

#[tokio::test]
async fn s25_rfc8467_4_1_padding_where_it_hides_something() {
    let (meridian, identity) = serve("");
    for (query, padded) in padded_or_not() {
        let length = get(&meridian, &identity, &query).await.body().len();
        assert_eq!(length % 468 == 0, padded, "{length}");
        let plain = meridian_tests::exchange_tcp(meridian.address(), &query).unwrap();
        assert!(plain.len() < 468);
    }
}

#[tokio::test]
async fn s67_rfc9250_5_4_padding_over_tls_and_quic() {
    let (meridian, identity) = serve("");
    let mut stream = connect_tls(ME, meridian.address_of("dot"), identity.client(&["dot"])).unwrap();
    let connection = doq(&meridian, &identity).await;
    for (query, padded) in padded_or_not() {
        let lengths = [
            exchange(&mut stream, &query).unwrap().len(),
            quic::exchange(&connection, &query).await.unwrap().len(),
        ];
        assert!(lengths.iter().all(|length| (length % 468 == 0) == padded), "{lengths:?}");
    }
}

#[test]
fn s59_rfc7766_6_2_1_1_octet_by_octet_and_many_in_one_segment() {
    let (meridian, _) = serve("");
    let mut stream = TcpStream::connect(meridian.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    for octet in framed(&ask().octets()) {
        stream.write_all(&[octet]).unwrap();
    }
    assert!(read_framed(&mut stream).is_ok());
    let many: Vec<u8> = (1..=40).flat_map(|id| framed(&Ask { id, ..ask() }.octets())).collect();
    stream.write_all(&many).unwrap();
    let mut ids: Vec<u16> =
        (0..40).map(|_| Asked::decode(read_framed(&mut stream).unwrap()).unwrap().message.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=40).collect::<Vec<u16>>());
}

#[test]
fn s60_rfc9210_4_the_longest_idle_makes_room_and_not_the_newcomer() {
    let (meridian, _) = serve("connections = 10\nconnections_per_client = 2\n");
    let open = |host| {
        let mut stream = connect_from([127, 0, 0, host].into(), meridian.address()).unwrap();
        assert!(exchange(&mut stream, &ask().octets()).is_ok());
        stream
    };
    // One client: its own. All together: the longest idle of all.
    let (mut first, second, _third) = (open(1), open(1), open(1));
    wait_for_end(&mut first);
    let _others: Vec<TcpStream> = (2..=10).map(open).collect();
    wait_for_end(&mut { second });
}

#[test]
fn s61_rfc7766_6_2_4_half_closed_connections_get_their_answers() {
    let (meridian, _) = serve("");
    let mut stream = TcpStream::connect(meridian.address()).unwrap();
    stream.write_all(&framed(&ask().octets()).repeat(3)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert!(read_framed(&mut stream).is_ok());
    }
    wait_for_end(&mut stream);
}

#[test]
fn s62_rfc7858_3_dns_over_tls() {
    let (meridian, identity) = serve("");
    for protocols in [&["dot"][..], &[]] {
        let mut stream = connect_tls(ME, meridian.address_of("dot"), identity.client(protocols)).unwrap();
        assert!(exchange(&mut stream, &ask().octets()).is_ok());
    }
}

#[tokio::test]
async fn s63_rfc8484_4_2_http_says_200_whatever_dns_says() {
    let (meridian, identity) = serve("");
    for (name, code) in
        [("ns1.gslb.example.", ResponseCode::NoError), ("missing.gslb.example.", ResponseCode::NXDomain)]
    {
        let response = get(&meridian, &identity, &Ask::new(name, RecordType::A).octets()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(&response.headers()["content-type"], "application/dns-message");
        assert_eq!(Asked::decode(response.body().to_vec()).unwrap().message.response_code, code);
    }
}

#[tokio::test]
async fn s64_rfc8484_5_1_caches_keep_what_is_everybodys_as_long_as_its_ttl() {
    let (meridian, identity) = serve("");
    for (name, cache) in [
        ("ns1.gslb.example.", "max-age=3600"),
        ("missing.gslb.example.", "max-age=60"),
        ("shop.gslb.example.", "max-age=0, private"),
    ] {
        let response = get(&meridian, &identity, &Ask::new(name, RecordType::A).octets()).await;
        assert_eq!(&response.headers()["cache-control"], cache, "{name}");
    }
}

#[tokio::test]
async fn s65_rfc9250_4_2_one_query_a_stream_with_id_0() {
    let (meridian, identity) = serve("");
    let connection = doq(&meridian, &identity).await;
    assert!(quic::exchange(&connection, &ask().octets()).await.is_ok());
    let wrong = framed(&Ask { id: 7, ..ask() }.octets());
    assert!(exchange_octets(&connection, &wrong).await.is_err());
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("not closed by the server")
    };
    assert_eq!(close.error_code.into_inner(), 2, "DOQ_PROTOCOL_ERROR");
}

#[tokio::test]
async fn s66_rfc9250_4_5_nothing_is_taken_before_the_handshake_ends() {
    let (meridian, identity) = serve("");
    let mut client = identity.client(&["doq"]);
    client.enable_early_data = true;
    let client = quinn::crypto::rustls::QuicClientConfig::try_from(client).unwrap();
    let client = quinn::ClientConfig::new(std::sync::Arc::new(client));
    let (endpoint, server) = (endpoint(ME).unwrap(), meridian.address_of("doq"));
    for _ in 0..2 {
        let connecting = endpoint.connect_with(client.clone(), server, NAME).unwrap();
        // The second has a session to resume; that it may not say anything early is in the ticket.
        let Err(connecting) = connecting.into_0rtt() else { panic!("early data may be sent") };
        let connection = connecting.await.unwrap();
        assert!(quic::exchange(&connection, &ask().octets()).await.is_ok());
    }
}
