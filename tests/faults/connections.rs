//! What connections cost whom.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::rr::RecordType;
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
