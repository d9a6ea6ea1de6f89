//! What the statements are asked about: one zone with every kind of answer.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, framed, read_framed};
use meridian_tests::{Ask, Config, Meridian, Wire, exchange_tcp, exchange_udp};

/// Clients of this network are the German ones.
pub(crate) const GERMAN: &str = "10.1.0.0";

/// A zone with every kind of answer, and a gateway whose answers depend on who asks.
pub(crate) fn config() -> Config {
    let texts: Vec<String> = (0..12).map(|number| format!("\"\\\"{number:0>200}\\\"\"")).collect();
    Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\nworkers = 2\n")
        .record("static", "A", "\"192.0.2.10\", \"192.0.2.11\"")
        .record("static", "TXT", "\"hello\"")
        .record("alias", "CNAME", "\"static\"")
        .record("*.wild", "TXT", "\"anything\"")
        .record("large", "TXT", &texts.join(", "))
        .record("a.b.ent", "A", "\"192.0.2.12\"")
        .record("child", "NS", "\"ns.child\"")
        .record("ns.child", "A", "\"192.0.2.53\"")
        .networks([("10.1.0.0/16", "DE"), ("10.2.0.0/16", "JP")])
        .clusters(&[("frankfurt", 50.11, 8.68), ("tokyo", 35.68, 139.77)])
        .gateway(
            "shop",
            &["shop.gslb.example"],
            "",
            &[("frankfurt", "192.0.2.1,2001:db8::1"), ("tokyo", "192.0.2.2,2001:db8::2")],
        )
}

/// A server of [`config`], with further text.
pub(crate) fn serve(more: &str) -> Meridian {
    Meridian::serve(config().with(more).text())
}

/// One question for every kind of answer, and what is asked.
pub(crate) fn questions() -> Vec<(&'static str, Ask)> {
    use RecordType as T;
    let ask = |what, name: &str, record_type| (what, Ask::new(name, record_type));
    let mut questions = vec![
        ask("static", "static.gslb.example.", T::A),
        ask("no data", "static.gslb.example.", T::MX),
        ask("empty non-terminal", "b.ent.gslb.example.", T::A),
        ask("no name", "missing.gslb.example.", T::A),
        ask("apex", "gslb.example.", T::SOA),
        ask("alias", "alias.gslb.example.", T::A),
        ask("wildcard", "x.y.wild.gslb.example.", T::TXT),
        ask("referral", "www.child.gslb.example.", T::A),
        ask("steered", "shop.gslb.example.", T::A),
        ask("steered, AAAA", "shop.gslb.example.", T::AAAA),
        ask("steered, no data", "shop.gslb.example.", T::TXT),
        ask("any", "static.gslb.example.", T::ANY),
        ask("large", "large.gslb.example.", T::TXT),
        ask("elsewhere", "www.elsewhere.example.", T::A),
        ask("root", ".", T::NS),
        ask("transfer", "gslb.example.", T::AXFR),
        ask("IXFR", "gslb.example.", T::IXFR),
    ];
    let chaos = Ask { class: 3, ..Ask::new("version.bind.", T::TXT) };
    questions.push(("chaos", chaos));
    questions
}

/// The replies over UDP and TCP to the same octets.
pub(crate) fn both(server: SocketAddr, query: &[u8]) -> [Wire; 2] {
    [
        exchange_udp(server, None, query).expect("a reply over UDP"),
        exchange_tcp(server, query).expect("a reply over TCP"),
    ]
    .map(|reply| Wire::read(&reply).expect("a message"))
}

/// The reply over UDP from one address.
pub(crate) fn udp(server: SocketAddr, from: &str, query: &[u8]) -> Wire {
    let from = Some(from.parse().expect("an address"));
    Wire::read(&exchange_udp(server, from, query).expect("a reply")).expect("a message")
}

/// Whether packets get no reply over UDP: they are sent, and then a good one from the same socket, whose worker
/// has to read them all to come to it.
pub(crate) fn silent_over_udp(server: SocketAddr, packets: &[Vec<u8>]) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a route");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
    packets.iter().all(|packet| {
        socket.send(packet).expect("sent");
        let good = Ask { id: 0xa11e, ..Ask::new("static.gslb.example.", RecordType::A) };
        socket.send(&good.octets()).expect("sent");
        let mut reply = [0; 2048];
        let length = socket.recv(&mut reply).expect("the good one's reply");
        Wire::read(&reply[..length]).expect("a message").id == 0xa11e
    })
}

/// Sends a message over TCP.
pub(crate) fn send(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&framed(message)).expect("sent");
}

/// Reads one message from TCP.
pub(crate) fn receive(stream: &mut TcpStream) -> Wire {
    Wire::read(&read_framed(stream).expect("a reply")).expect("a message")
}

/// The first reply on a TCP connection to several messages.
pub(crate) fn first_over_tcp(server: SocketAddr, messages: &[&[u8]]) -> Wire {
    first_over_tcp_from("127.0.0.1", server, messages)
}

/// As [`first_over_tcp`], from this address.
pub(crate) fn first_over_tcp_from(from: &str, server: SocketAddr, messages: &[&[u8]]) -> Wire {
    let from = from.parse().expect("an address");
    let mut stream = connect_from(from, server).expect("a connection");
    messages.iter().for_each(|message| send(&mut stream, message));
    receive(&mut stream)
}

/// The time of day, as the server under test sees it.
pub(crate) fn unix_s() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "cookies and serials are of the time of day")]
    let now = SystemTime::now();
    u32::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
