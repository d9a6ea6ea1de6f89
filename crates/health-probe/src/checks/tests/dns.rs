//! Questions to small name servers of the test's own.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};
use meridian_model::{DnsCheck, DnsTransport, DomainName};
use tokio::net::UdpSocket;

use super::*;

//----------- Servers ------------------------------------------------------------

/// What a server answers a query with: none, one or several datagrams, or messages of one connection.
type Answers = fn(&Message, Transport) -> Vec<Vec<u8>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

struct NameServer {
    at: SocketAddr,
    udp: JoinHandle<()>,
    tcp: JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.udp.abort();
        self.tcp.abort();
    }
}

/// Listens on one port over UDP and TCP.
async fn name_server(ip: &str, answers: Answers) -> NameServer {
    let (socket, listener) = loop {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        // Another process may have the port over TCP.
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let at = socket.local_addr().unwrap();
    let udp = tokio::spawn(async move {
        let mut octets = [0; 512];
        while let Ok((read, client)) = socket.recv_from(&mut octets).await {
            let query = Message::from_vec(&octets[..read]).unwrap();
            for answer in answers(&query, Transport::Udp) {
                socket.send_to(&answer, client).await.unwrap();
            }
        }
    });
    let tcp = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut octets = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut octets).await.unwrap();
            for answer in answers(&Message::from_vec(&octets).unwrap(), Transport::Tcp) {
                let length = u16::try_from(answer.len()).unwrap();
                stream.write_u16(length).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    NameServer { at, udp, tcp }
}

fn octets(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

/// A reply to a query without any record.
fn reply(query: &Message, rcode: ResponseCode) -> Message {
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.response_code = rcode;
    reply.metadata.authoritative = true;
    reply.add_queries(query.queries.clone());
    reply
}

fn with(mut reply: Message, data: impl IntoIterator<Item = RData>) -> Message {
    let owner = reply.queries[0].name().clone();
    reply.add_answers(data.into_iter().map(|data| Record::from_rdata(owner.clone(), 60, data)));
    reply
}

fn address(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

fn two_addresses(query: &Message, _: Transport) -> Vec<Vec<u8>> {
    let alias = RData::CNAME(CNAME(Name::from_ascii("real.example.").unwrap()));
    vec![octets(&with(reply(query, ResponseCode::NoError), [alias, address(1), address(2)]))]
}

//----------- Probes --------------------------------------------------------------

fn question(record_type: u16) -> DnsCheck {
    DnsCheck {
        question: DomainName::parse("Shop.example").unwrap(),
        record_type,
        transport: DnsTransport::Udp,
        rcodes: vec![0],
        answer: Vec::new(),
        authoritative: None,
    }
}

const A_TYPE: u16 = 1;

async fn found(at: SocketAddr, check: DnsCheck) -> Finding {
    run(&probe(at.port(), Check::Dns(Box::new(check))), at).await.finding
}

/// What is found behind the address, of a question for addresses.
async fn failure(at: SocketAddr, check: DnsCheck) -> String {
    let Finding::Failed(cause) = found(at, check).await else { panic!("no failure") };
    let prefix = format!("query shop.example. A to {at}: ");
    cause.strip_prefix(&prefix).unwrap_or_else(|| panic!("{cause}")).to_owned()
}

fn wanting(last: &[u8]) -> DnsCheck {
    let answer = last.iter().map(|last| Box::from([192, 0, 2, *last])).collect();
    DnsCheck { answer, ..question(A_TYPE) }
}

//----------- Answers --------------------------------------------------------------

#[tokio::test]
async fn an_answer_over_both_transports_and_families() {
    for ip in ["127.0.0.1", "::1"] {
        let server = name_server(ip, two_addresses).await;
        for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
            let check = DnsCheck { transport, ..wanting(&[2, 1]) };
            assert_eq!(found(server.at, check).await, Finding::Good, "{ip} {transport:?}");
        }
    }
}

#[tokio::test]
async fn every_record_that_is_wanted_must_be_there() {
    let server = name_server("127.0.0.1", two_addresses).await;
    assert_eq!(found(server.at, question(A_TYPE)).await, Finding::Good);
    assert_eq!(found(server.at, wanting(&[2])).await, Finding::Good);
    let wanted = "NOERROR, 192.0.2.1, 192.0.2.2, wanted 192.0.2.3";
    assert_eq!(failure(server.at, wanting(&[1, 3])).await, wanted);
    let nothing =
        name_server("127.0.0.1", |query, _| vec![octets(&reply(query, ResponseCode::NoError))]).await;
    assert_eq!(found(nothing.at, question(A_TYPE)).await, Finding::Good, "NODATA is an answer");
    assert_eq!(failure(nothing.at, wanting(&[1])).await, "NOERROR, no A record, wanted 192.0.2.1");
    let five =
        |query: &Message, _| vec![octets(&with(reply(query, ResponseCode::NoError), (1..6).map(address)))];
    let five = name_server("127.0.0.1", five).await;
    let wanted = "NOERROR, 192.0.2.1, 192.0.2.2, 192.0.2.3 and 2 more, wanted 192.0.2.9";
    assert_eq!(failure(five.at, wanting(&[9])).await, wanted);
}

/// Names in data are compared without regard to case, texts octet by octet.
#[tokio::test]
async fn other_types() {
    let answers = |query: &Message, _: Transport| {
        let name = |text| Name::from_ascii(text).unwrap();
        let data = match u16::from(query.queries[0].query_type()) {
            5 => RData::CNAME(CNAME(name("Real.Example."))),
            6 => RData::SOA(SOA::new(name("ns.example."), name("h.example."), 1, 2, 3, 4, 5)),
            _ => RData::TXT(TXT::new(vec!["v=1\n".to_owned()])),
        };
        vec![octets(&with(reply(query, ResponseCode::NoError), [data]))]
    };
    let server = name_server("127.0.0.1", answers).await;
    let wire = |wire: &[u8], record_type| DnsCheck { answer: vec![wire.into()], ..question(record_type) };
    assert_eq!(found(server.at, wire(b"\x04real\x07example\x00", 5)).await, Finding::Good);
    assert_eq!(found(server.at, question(6)).await, Finding::Good);
    assert_eq!(found(server.at, wire(b"\x04v=1\n", 16)).await, Finding::Good);
    let Finding::Failed(cause) = found(server.at, wire(b"\x03v=1", 16)).await else { panic!("no failure") };
    assert!(cause.ends_with(": NOERROR, v=1?, wanted v=1"), "{cause}");
}

#[tokio::test]
async fn codes_and_authority() {
    let refuses = |query: &Message, _: Transport| vec![octets(&reply(query, ResponseCode::Refused))];
    let server = name_server("127.0.0.1", refuses).await;
    assert_eq!(failure(server.at, question(A_TYPE)).await, "REFUSED, wanted NOERROR");
    let rcodes = |rcodes: &[u16]| DnsCheck { rcodes: rcodes.to_vec(), ..question(A_TYPE) };
    assert_eq!(found(server.at, rcodes(&[3, 5])).await, Finding::Good);
    assert_eq!(failure(server.at, rcodes(&[0, 3])).await, "REFUSED, wanted NOERROR or NXDOMAIN");

    let authoritative = |wanted| DnsCheck { authoritative: Some(wanted), ..question(A_TYPE) };
    let server = name_server("127.0.0.1", two_addresses).await;
    assert_eq!(found(server.at, authoritative(true)).await, Finding::Good);
    assert_eq!(failure(server.at, authoritative(false)).await, "NOERROR with AA, wanted none");
    let cached = |query: &Message, _: Transport| {
        let mut reply = reply(query, ResponseCode::NoError);
        reply.metadata.authoritative = false;
        vec![octets(&reply)]
    };
    let server = name_server("127.0.0.1", cached).await;
    assert_eq!(failure(server.at, authoritative(true)).await, "NOERROR without AA, wanted it");
}

//----------- Truncation ------------------------------------------------------------

#[tokio::test]
async fn what_is_truncated_is_asked_again_over_tcp() {
    let truncates = |query: &Message, transport: Transport| {
        let mut whole = with(reply(query, ResponseCode::NoError), [address(1)]);
        if transport == Transport::Udp {
            whole.metadata.truncation = true;
            // Cut in the middle of a record, as some do.
            let mut cut = octets(&whole);
            cut.truncate(cut.len() - 2);
            return vec![cut];
        }
        vec![octets(&whole)]
    };
    let server = name_server("127.0.0.1", truncates).await;
    assert_eq!(found(server.at, wanting(&[1])).await, Finding::Good);
    server.tcp.abort();
    // The listener is gone once its task has ended.
    while !server.tcp.is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(failure(server.at, wanting(&[1])).await, "truncated; TCP: connection refused");
}

//----------- Strangers and nonsense --------------------------------------------------

/// Another id, another question, a query, garbage: passed over until the answer comes.
#[tokio::test]
async fn what_is_no_answer_to_the_question_is_passed_over() {
    let noisy = |query: &Message, _: Transport| {
        let refused = reply(query, ResponseCode::Refused);
        let mut other_id = refused.clone();
        other_id.metadata.id = query.metadata.id.wrapping_add(1);
        let mut other_question = refused.clone();
        other_question.queries[0].set_name(Name::from_ascii("other.example.").unwrap());
        let mut no_reply = refused.clone();
        no_reply.metadata.message_type = MessageType::Query;
        let mut garbage = vec![0x5a; 40];
        // Not by chance the id.
        garbage[0] = !query.metadata.id.to_be_bytes()[0];
        let whole = with(reply(query, ResponseCode::NoError), [address(1)]);
        let messages = [other_id, other_question, no_reply, whole];
        [garbage, Vec::new()].into_iter().chain(messages.iter().map(octets)).collect()
    };
    let server = name_server("127.0.0.1", noisy).await;
    assert_eq!(found(server.at, wanting(&[1])).await, Finding::Good);
    let over_tcp = DnsCheck { transport: DnsTransport::Tcp, ..wanting(&[1]) };
    assert_eq!(found(server.at, over_tcp).await, Finding::Good);
}

#[tokio::test]
async fn without_an_answer_the_time_ends_the_check() {
    let strangers = |query: &Message, _: Transport| {
        let mut other = reply(query, ResponseCode::NoError);
        other.metadata.id = query.metadata.id.wrapping_add(1);
        vec![octets(&other)]
    };
    let server = name_server("127.0.0.1", strangers).await;
    let check = Check::Dns(Box::new(question(A_TYPE)));
    let late = Probe { timeout: SHORT, ..probe(server.at.port(), check) };
    let Finding::Failed(cause) = run(&late, server.at).await.finding else { panic!("no failure") };
    assert!(cause.ends_with(": no answer within 100ms"), "{cause}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails() {
    let broken = |query: &Message, _: Transport| {
        let mut whole = octets(&with(reply(query, ResponseCode::NoError), [address(1)]));
        whole.truncate(whole.len() - 1);
        vec![whole]
    };
    let server = name_server("127.0.0.1", broken).await;
    for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
        let cause = failure(server.at, DnsCheck { transport, ..wanting(&[1]) }).await;
        assert!(cause.starts_with("an answer that cannot be read: "), "{cause}");
    }
    // One that does not understand the question need not repeat it.
    let blank = |query: &Message, _: Transport| {
        let mut blank = reply(query, ResponseCode::FormErr);
        blank.queries.clear();
        vec![octets(&blank)]
    };
    let server = name_server("127.0.0.1", blank).await;
    assert_eq!(failure(server.at, question(A_TYPE)).await, "FORMERR, wanted NOERROR");
}

#[tokio::test]
async fn nobody_there() {
    let (_socket, at) = refused();
    assert_eq!(failure(at, question(A_TYPE)).await, "connection refused", "as ICMP says");
    let closes = name_server("127.0.0.1", |_, _| Vec::new()).await;
    let over_tcp = DnsCheck { transport: DnsTransport::Tcp, ..question(A_TYPE) };
    assert_eq!(failure(closes.at, over_tcp).await, "connection closed before an answer");
}
