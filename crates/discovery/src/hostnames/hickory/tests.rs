//! Against a name server on loopback, made here, over UDP and TCP.

use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::*;

/// More than any answer here takes; only silence is waited for this long.
const TIMEOUT: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_millis(300);

//----------- Server -----------------------------------------------------------

/// A name server that stops when it is dropped.
struct Server {
    address: SocketAddr,
    over_udp: Arc<AtomicUsize>,
    over_tcp: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl Server {
    /// Answers as [`respond`] does; with `broken`, SERVFAIL to everything.
    async fn start(broken: bool) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let (over_udp, over_tcp) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&over_udp);
        tasks.spawn(async move {
            let mut packet = [0; 1500];
            loop {
                let (octets, peer) = udp.recv_from(&mut packet).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(response) = respond(&packet[..octets], Transport::Udp, broken) {
                    udp.send_to(&response, peer).await.unwrap();
                }
            }
        });
        let counted = Arc::clone(&over_tcp);
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                // Until the client closes.
                while let Ok(octets) = stream.read_u16().await {
                    let mut packet = vec![0; octets.into()];
                    stream.read_exact(&mut packet).await.unwrap();
                    counted.fetch_add(1, Ordering::Relaxed);
                    let response = respond(&packet, Transport::Tcp, broken).unwrap();
                    stream.write_u16(response.len().try_into().unwrap()).await.unwrap();
                    stream.write_all(&response).await.unwrap();
                }
            }
        });
        Self { address, over_udp, over_tcp, _tasks: tasks }
    }

    fn lookup(&self) -> HickoryLookup {
        HickoryLookup::new(&[self.address], TIMEOUT).unwrap()
    }
}

/// Two sockets of one port. Another process may have the TCP port of a free UDP port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn a(owner: &str, ttl: u32, address: [u8; 4]) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(A(address.into())))
}

fn cname(owner: &str, ttl: u32, to: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
}

fn soa() -> Record {
    let soa = SOA::new(name("ns.example."), name("host.example."), 1, 60, 60, 60, 60);
    Record::from_rdata(name("example."), 60, RData::SOA(soa))
}

/// What the server answers; `None`: nothing.
fn respond(packet: &[u8], transport: Transport, broken: bool) -> Option<Vec<u8>> {
    let request = Message::from_vec(packet).unwrap();
    let query = request.queries.first().unwrap().clone();
    let mut response = Message::response(request.metadata.id, OpCode::Query);
    response.add_query(query.clone());
    response.metadata.recursion_available = true;
    if broken {
        response.metadata.response_code = ResponseCode::ServFail;
        return response.to_vec().ok();
    }
    fill(&mut response, &query, transport)?;
    let mut octets = response.to_vec().unwrap();
    if query.name() == &name("garbage.example.") {
        octets.truncate(octets.len() - 3);
    }
    Some(octets)
}

fn fill(response: &mut Message, query: &Query, transport: Transport) -> Option<()> {
    let is_v4 = query.query_type() == RecordType::A;
    match query.name().to_ascii().as_str() {
        "lb.example." => {
            response.add_answer(cname("lb.example.", 300, "mid.example."));
            response.add_answer(cname("mid.example.", 20, "end.example."));
            if is_v4 {
                response.add_answer(a("end.example.", 60, [192, 0, 2, 2]));
                response.add_answer(a("end.example.", 60, [192, 0, 2, 1]));
                response.add_answer(a("other.example.", 1, [192, 0, 2, 99]));
            } else {
                response.add_authority(soa());
            }
        }
        "end.example." if !is_v4 => {
            response.add_authority(soa());
        }
        // The rest of the chain is to be asked for.
        "far.example." => {
            response.add_answer(cname("far.example.", 7, "near.example."));
        }
        "near.example." if !is_v4 => {
            let address = AAAA("2001:db8::1".parse().unwrap());
            response.add_answer(Record::from_rdata(name("near.example."), 60, RData::AAAA(address)));
        }
        "many.example." if transport == Transport::Udp => response.metadata.truncation = true,
        "many.example." => {
            for last in 0..100 {
                response.add_answer(a("many.example.", 60, [192, 0, 2, last]));
            }
        }
        "loop.example." => {
            response.add_answer(cname("loop.example.", 60, "pool.example."));
            response.add_answer(cname("pool.example.", 60, "loop.example."));
        }
        "referral.example." => {
            let ns = RData::NS(NS(name("ns.example.")));
            response.add_authority(Record::from_rdata(name("example."), 60, ns));
        }
        "servfail.example." => response.metadata.response_code = ResponseCode::ServFail,
        "refused.example." => response.metadata.response_code = ResponseCode::Refused,
        "garbage.example." => {
            response.add_answer(a("garbage.example.", 60, [192, 0, 2, 1]));
        }
        "silent.example." => return None,
        _ => {
            response.metadata.response_code = ResponseCode::NXDomain;
            response.add_authority(soa());
        }
    }
    Some(())
}

async fn ask(lookup: &HickoryLookup, text: &str, family: Family) -> Result<Found, NotFound> {
    lookup.lookup(&DomainName::parse(text).unwrap(), family).await
}

fn failed(answer: Result<Found, NotFound>) -> String {
    match answer {
        Err(NotFound::Failed(cause)) => cause,
        other => panic!("not a failure: {other:?}"),
    }
}

//----------- Answers ----------------------------------------------------------

#[tokio::test]
async fn a_chain_of_cnames_is_followed_and_its_least_ttl_counts() {
    let server = Server::start(false).await;
    let lookup = server.lookup();
    let Found { mut addresses, ttl } = ask(&lookup, "lb.example", Family::V4).await.unwrap();
    addresses.sort_unstable();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"].map(|address| address.parse::<IpAddr>().unwrap()));
    assert_eq!(ttl, 20);
    assert_eq!(ask(&lookup, "lb.example", Family::V6).await, Err(NotFound::NoData));
    let far = Found { addresses: vec!["2001:db8::1".parse().unwrap()], ttl: 7 };
    assert_eq!(ask(&lookup, "far.example", Family::V6).await, Ok(far));
}

#[tokio::test]
async fn nothing_is_cached() {
    let server = Server::start(false).await;
    let lookup = server.lookup();
    for _ in 0..3 {
        ask(&lookup, "lb.example", Family::V4).await.unwrap();
        assert_eq!(ask(&lookup, "nowhere.example", Family::V4).await, Err(NotFound::NoName));
    }
    assert_eq!(server.over_udp.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = Server::start(false).await;
    let found = ask(&server.lookup(), "many.example", Family::V4).await.unwrap();
    assert_eq!(found.addresses.len(), 100);
    let counts = [&server.over_udp, &server.over_tcp].map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 1]);
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_that_says_why() {
    let server = Server::start(false).await;
    let lookup = HickoryLookup::new(&[server.address], SILENCE).unwrap();
    for (name, wanted) in [
        ("servfail.example", "SERVFAIL"),
        ("refused.example", "REFUSED"),
        ("referral.example", "a referral"),
        ("silent.example", "no answer within 300ms"),
    ] {
        let cause = failed(ask(&lookup, name, Family::V4).await);
        assert!(cause.starts_with(&format!("{}: {wanted}", server.address)), "{name}: {cause}");
    }
    failed(ask(&lookup, "garbage.example", Family::V4).await);
    ask(&lookup, "loop.example", Family::V4).await.unwrap_err();
}

#[tokio::test]
async fn the_next_resolver_is_asked_where_one_has_no_answer() {
    let (broken, good) = (Server::start(true).await, Server::start(false).await);
    // A socket that nobody reads.
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let servers = [silent.local_addr().unwrap(), broken.address, good.address];
    let lookup = HickoryLookup::new(&servers, SILENCE).unwrap();
    assert_eq!(ask(&lookup, "lb.example", Family::V4).await.unwrap().ttl, 20);
    assert_eq!(ask(&lookup, "nowhere.example", Family::V4).await, Err(NotFound::NoName));

    // An answer is an answer, also NXDOMAIN.
    let lookup = HickoryLookup::new(&[good.address, broken.address], TIMEOUT).unwrap();
    let asked = broken.over_udp.load(Ordering::Relaxed);
    assert_eq!(ask(&lookup, "nowhere.example", Family::V6).await, Err(NotFound::NoName));
    assert_eq!(broken.over_udp.load(Ordering::Relaxed), asked);
}

//----------- Resolvers --------------------------------------------------------

#[test]
fn resolvers_that_cannot_be_asked_are_refused() {
    for bad in ["0.0.0.0:53", "[::]:53", "224.0.0.1:53", "192.0.2.1:0"] {
        let found: SocketAddr = bad.parse().unwrap();
        let error = HickoryLookup::new(&[found], TIMEOUT).unwrap_err();
        assert_eq!(error, HickoryLookupError::Address { found });
        assert!(error.to_string().ends_with(&format!("found: {bad}")), "{error}");
    }
    let many = vec![SocketAddr::from(([127, 0, 0, 1], 53)); RESOLVERS_MAX + 1];
    let error = HickoryLookup::new(&many, TIMEOUT).unwrap_err();
    assert_eq!(error.to_string(), "expected at most 8 resolvers, found: 9");
}

#[test]
fn resolv_conf_gives_servers_and_no_search_list() {
    let text = b"search corp.example\nnameserver 192.0.2.53\nnameserver ::1\noptions ndots:5\n";
    let wanted: Vec<SocketAddr> = ["192.0.2.53:53", "[::1]:53"].iter().map(|s| s.parse().unwrap()).collect();
    assert_eq!(servers_of(text), Ok(wanted));
    assert!(servers_of(b"").is_err());
    assert!(servers_of(b"\xff\xfe nonsense").is_err());
}
