//! PROXY protocol, version 2: clients behind a load balancer, on every transport that has it.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, exchange, wait_for_end};
use meridian_tests::tls::{Identity, every_transport, shake_hands};
use meridian_tests::{Ask, Asked, Meridian, exchange_udp};

/// The load balancer; everybody else is a client.
const BALANCER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

/// Clients near each of the two clusters, and the address that they are sent to.
const CLIENTS: [(&str, &str); 3] =
    [("203.0.113.7", "192.0.2.1"), ("198.51.100.7", "192.0.2.2"), ("2001:db8:1::7", "192.0.2.1")];

/// Networks of clients near eu-west and us-east; the balancer's own is near us-east.
const NETWORKS: &str = r#"
[[geoip.networks]]
prefix = "203.0.113.0/24"
country = "IE"
[[geoip.networks]]
prefix = "2001:db8:1::/48"
country = "IE"
[[geoip.networks]]
prefix = "198.51.100.0/24"
country = "US"
[[geoip.networks]]
prefix = "127.0.0.0/8"
country = "US"
"#;

fn serve(identity: &Identity, server: &str) -> Meridian {
    let config = every_transport("") + "[server.proxy]\nnetworks = [\"127.0.0.2/32\"]\n" + server + NETWORKS;
    Meridian::serve_with_files(&config, &identity.files())
}

fn query() -> Vec<u8> {
    Ask::new("shop.gslb.example.", RecordType::A).octets()
}

/// A header: command, family and protocol, and what it names.
fn header(command: u8, family: u8, named: &[u8]) -> Vec<u8> {
    let length = u16::try_from(named.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family], &length, named].concat()
}

/// The header for a client, with something behind the addresses that no one asked for.
fn of(client: &str, protocol: u8) -> Vec<u8> {
    let (family, mut named) = match client.parse().unwrap() {
        IpAddr::V4(address) => (0x10, [&address.octets()[..], &[192, 0, 2, 53]].concat()),
        IpAddr::V6(address) => (0x20, [&address.octets()[..], &[0; 16]].concat()),
    };
    named.extend_from_slice(&[0x30, 0x39, 0, 53]);
    named.extend_from_slice(&[4, 0, 2, 0, 0]);
    header(1, family | protocol, &named)
}

fn over_udp(from: IpAddr, server: SocketAddr, header: &[u8]) -> Vec<String> {
    let reply = exchange_udp(server, Some(from), &[header, &query()].concat()).unwrap();
    Asked::decode(reply).unwrap().addresses()
}

fn over_tcp(from: IpAddr, server: SocketAddr, header: &[u8]) -> Vec<String> {
    let mut stream = connect_from(from, server).unwrap();
    stream.write_all(header).unwrap();
    // Both queries are the client's.
    exchange(&mut stream, &query()).unwrap();
    Asked::decode(exchange(&mut stream, &query()).unwrap()).unwrap().addresses()
}

/// The client of the header is whom the answer is for.
#[test]
fn answers_go_by_the_client_in_the_header() {
    let identity = Identity::new();
    let meridian = serve(&identity, "");
    let server = meridian.address();
    for (client, address) in CLIENTS {
        assert_eq!(over_udp(BALANCER, server, &of(client, 2)), [address], "{client}");
        assert_eq!(over_tcp(BALANCER, server, &of(client, 1)), [address], "{client}");
        // TLS begins behind the header.
        let mut stream = connect_from(BALANCER, meridian.address_of("dot")).unwrap();
        stream.write_all(&of(client, 1)).unwrap();
        let mut stream = shake_hands(stream, identity.client(&["dot"])).unwrap();
        let reply = Asked::decode(exchange(&mut stream, &query()).unwrap()).unwrap();
        assert_eq!(reply.addresses(), [address], "{client}");
    }
    // LOCAL, and a family that the balancer does not know: itself.
    for local in [header(0, 0, &[]), header(0, 0x11, &of(CLIENTS[0].0, 1)[16..28]), header(1, 0, &[])] {
        assert_eq!(over_udp(BALANCER, server, &local), ["192.0.2.2"]);
        assert_eq!(over_tcp(BALANCER, server, &local), ["192.0.2.2"]);
    }
}

/// From anywhere else it is no header, but the begin of a query that says something else.
#[test]
fn others_are_not_believed() {
    let mut meridian = serve(&Identity::new(), "");
    let server = meridian.address();
    assert_eq!(over_udp(CLIENT, server, &[]), ["192.0.2.2"]);
    let reply = exchange_udp(server, Some(CLIENT), &[of(CLIENTS[0].0, 2), query()].concat()).unwrap();
    // The signature read as a header of DNS is of opcode 1: NOTIMP, and nothing else.
    assert_eq!((reply.len(), reply[3] & 0xf), (12, 4));
    // As a length it announces a query that does not come: nothing is answered.
    let mut stream = connect_from(CLIENT, server).unwrap();
    stream.write_all(&of(CLIENTS[0].0, 1)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(exchange(&mut stream, &query()).is_err());
    assert_eq!(meridian.total("proxy_malformed"), 0);
}

/// From the balancer, what has no header or a wrong one is dropped and counted.
#[test]
fn the_balancer_must_say_who_the_client_is() {
    let mut meridian = serve(&Identity::new(), "");
    let server = meridian.address();
    let good = of(CLIENTS[0].0, 1);
    let wrong = [
        query(),
        good[..20].to_vec(),
        header(1, 0x31, &[0; 216]),
        header(2, 0x11, &good[16..]),
        header(1, 0x11, &[0; 1009]),
        header(1, 0x21, &good[16..28]),
    ];
    let socket = UdpSocket::bind((BALANCER, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for octets in &wrong {
        let mut stream: TcpStream = connect_from(BALANCER, server).unwrap();
        stream.write_all(octets).unwrap();
        // The server may have closed it already.
        let _closed = stream.shutdown(std::net::Shutdown::Write);
        wait_for_end(&mut stream);
        socket.send_to(octets, server).unwrap();
    }
    // Only what is whole gets a reply, after all the others.
    let mut right = query();
    right[1] = 0xff;
    socket.send_to(&[of(CLIENTS[0].0, 2), right.clone()].concat(), server).unwrap();
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).unwrap();
    assert_eq!((&reply[..2], length > 12), (&right[..2], true));
    assert_eq!(meridian.total("proxy_malformed"), 2 * wrong.len() as u64);
}

/// The places and the rate of replies are the client's in the header, not the balancer's.
#[test]
fn limits_go_by_the_client_in_the_header() {
    let config = "[server.rate_limit]\nper_client = 3\nslip = 0\n";
    let meridian = serve(&Identity::new(), config);
    let server = meridian.address();
    let replies = |client: &str| {
        let socket = UdpSocket::bind((BALANCER, 0)).unwrap();
        for _ in 0..3 {
            socket.send_to(&[of(client, 2), query()].concat(), server).unwrap();
        }
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        (0..3).filter(|_| socket.recv(&mut [0; 512]).is_ok()).count()
    };
    // Each of twenty networks has its three.
    for third in 0..20 {
        assert_eq!(replies(&format!("203.0.{third}.9")), 3);
    }
    // More connections than one client may have, of as many clients.
    let mut held: Vec<TcpStream> = (0..100)
        .map(|host| {
            let mut stream = connect_from(BALANCER, server).unwrap();
            stream.write_all(&of(&format!("203.0.113.{host}"), 1)).unwrap();
            assert!(exchange(&mut stream, &query()).is_ok());
            stream
        })
        .collect();
    assert!(exchange(&mut held[0], &query()).is_ok());
    // And as many of one client, of which the first makes room.
    let mut first = connect_from(BALANCER, server).unwrap();
    first.write_all(&of("198.51.100.1", 1)).unwrap();
    assert!(exchange(&mut first, &query()).is_ok());
    for _ in 0..64 {
        let mut stream = connect_from(BALANCER, server).unwrap();
        stream.write_all(&of("198.51.100.1", 1)).unwrap();
        assert!(exchange(&mut stream, &query()).is_ok());
        held.push(stream);
    }
    wait_for_end(&mut first);
    assert!(exchange(&mut held[0], &query()).is_ok());
}
