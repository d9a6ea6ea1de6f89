//! Whoever holds a thousand connections keeps nobody else out, on any transport.
//!
//! For each of TCP, TLS, HTTPS, QUIC and HTTP/3: connections that say nothing, that say half of something, and
//! that ask and never read, from a thousand addresses (to a table that is full by then) and from one. Fifty
//! honest clients get fifty answers, over that transport and over UDP; the worst of their latencies is printed
//! (`--nocapture`).

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::RecordType;
use http_body_util::Full;
use hyper::Request;
use meridian_tests::quic::{connect, endpoint, exchange, https3};
use meridian_tests::stream::framed;
use meridian_tests::tls::{Identity, NAME, every_transport, https};
use meridian_tests::{Ask, Asked, Meridian, exchange_udp, now};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// How many each attack has.
const HOSTILE: u16 = 1000;
/// How many honest clients ask, one after the other, each over a connection of its own.
const HONEST: u8 = 50;
/// How long an honest client waits; a resolver asks another server after some seconds.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// Connects, over QUIC shakes hands too, and says nothing.
    Silent,
    /// Begins a query, or a handshake.
    Half,
    /// Asks as much as it can, and reads nothing.
    Unread,
}

const TRANSPORTS: [&str; 5] = ["dns", "dot", "doh", "doq", "doh3"];

/// What an attack runs against.
#[derive(Clone)]
struct Target {
    transport: &'static str,
    server: SocketAddr,
    identity: Arc<Identity>,
}

/// What keeps a connection open.
type Held = Box<dyn Any + Send>;

fn query() -> Vec<u8> {
    Ask { id: 0, ..Ask::new("ns1.gslb.example.", RecordType::A) }.octets()
}

fn get(method: &str) -> String {
    format!("{method}/dns-query?dns={}", BASE64URL_NOPAD.encode(&query()))
}

//----------- Hostile clients ------------------------------------------------

/// Opens one hostile connection; an error is the server's right.
async fn hold(attack: Attack, target: &Target, from: IpAddr) -> anyhow::Result<Held> {
    match target.transport {
        "doq" | "doh3" => hold_quic(attack, target, from).await,
        _ => hold_stream(attack, target, from).await,
    }
}

async fn connect_tcp(from: IpAddr, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // What is not read is soon in the server's way.
    socket.set_recv_buffer_size(4096)?;
    socket.bind((from, 0).into())?;
    socket.connect(server).await
}

async fn hold_stream(attack: Attack, target: &Target, from: IpAddr) -> anyhow::Result<Held> {
    let mut stream = connect_tcp(from, target.server).await?;
    let encrypted = target.transport != "dns";
    match attack {
        Attack::Silent => {}
        // The head of a record that is a ClientHello, and nothing of it.
        Attack::Half if encrypted => stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await?,
        Attack::Half => stream.write_all(&framed(&query())[..20]).await?,
        Attack::Unread if !encrypted => {
            flood(&mut stream, &framed(&query())).await;
        }
        Attack::Unread => {
            let (protocol, asked) = match target.transport {
                "dot" => ("dot", framed(&query())),
                _ => ("http/1.1", format!("{} HTTP/1.1\r\nhost: x\r\n\r\n", get("GET ")).into_bytes()),
            };
            let connector = tokio_rustls::TlsConnector::from(Arc::new(target.identity.client(&[protocol])));
            let mut stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
            flood(&mut stream, &asked).await;
            return Ok(Box::new(stream));
        }
    }
    Ok(Box::new(stream))
}

/// Asks again and again until neither side takes more.
async fn flood(stream: &mut (impl AsyncWriteExt + Unpin), asked: &[u8]) {
    let many = asked.repeat(100);
    for _ in 0..20 {
        let written = tokio::time::timeout(Duration::from_millis(50), stream.write_all(&many)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

async fn hold_quic(attack: Attack, target: &Target, from: IpAddr) -> anyhow::Result<Held> {
    let protocol = if target.transport == "doq" { "doq" } else { "h3" };
    let client = QuicClientConfig::try_from(target.identity.client(&[protocol]))?;
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    let mut transport = quinn::TransportConfig::default();
    // Not even the head of a reply fits.
    transport.stream_receive_window(1_u32.into());
    client.transport_config(Arc::new(transport));
    let endpoint = endpoint(from)?;
    let connection = endpoint.connect_with(client, target.server, NAME)?.await?;
    let mut held: Vec<Held> = Vec::new();
    if attack != Attack::Silent {
        let streams = if attack == Attack::Half { 1 } else { 100 };
        for _ in 0..streams {
            let (mut send, receive) = connection.open_bi().await?;
            let whole = match target.transport {
                "doq" => framed(&query()),
                // A frame HEADERS with what QPACK's static table has: GET https /, and an authority (RFC 9204 §A).
                _ => vec![1, 7, 0, 0, 0xd1, 0xd7, 0xc1, 0x50, 0],
            };
            if attack == Attack::Half {
                send.write_all(&whole[..whole.len() / 2]).await?;
            } else {
                send.write_all(&whole).await?;
                send.finish()?;
            }
            held.push(Box::new((send, receive)));
        }
    }
    Ok(Box::new((endpoint, connection, held)))
}

//----------- Honest clients -------------------------------------------------

async fn ask(target: &Target, from: IpAddr) -> anyhow::Result<Vec<u8>> {
    let uri = get(&format!("https://{NAME}"));
    match target.transport {
        "dns" => {
            let mut stream = connect_tcp(from, target.server).await?;
            stream.write_all(&framed(&query())).await?;
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            Ok(reply)
        }
        "dot" => {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(target.identity.client(&["dot"])));
            let stream = connect_tcp(from, target.server).await?;
            let mut stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
            stream.write_all(&framed(&query())).await?;
            stream.flush().await?;
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            Ok(reply)
        }
        "doh" => {
            let request = Request::get(uri).body(Full::new(Bytes::new()))?;
            let response = https(from, target.server, target.identity.client(&["h2"]), request).await?;
            Ok(response.into_body().to_vec())
        }
        "doq" => {
            let endpoint = endpoint(from)?;
            let connection = connect(&endpoint, target.server, target.identity.client(&["doq"])).await?;
            exchange(&connection, &query()).await
        }
        _ => {
            let request = Request::get(uri).body(())?;
            let client = target.identity.client(&["h3"]);
            let response = https3(from, target.server, client, request, Bytes::new()).await?;
            Ok(response.into_body().to_vec())
        }
    }
}

/// How many of the honest are answered, and the worst time of one.
async fn honest(target: &Target) -> (u8, Duration) {
    let (mut answered, mut worst) = (0, Duration::ZERO);
    for host in 1..=HONEST {
        let began = now();
        let reply = tokio::time::timeout(PATIENCE, ask(target, [127, 9, 9, host].into())).await;
        if let Ok(Ok(reply)) = reply {
            answered += u8::from(Asked::decode(reply).is_ok_and(|reply| reply.addresses().len() == 1));
        }
        worst = worst.max(began.elapsed());
    }
    (answered, worst)
}

fn honest_over_udp(server: SocketAddr) -> u8 {
    let answered = (1..=HONEST).filter(|host| {
        exchange_udp(server, Some([127, 9, 9, *host].into()), &query()).is_ok_and(|reply| reply.len() > 12)
    });
    u8::try_from(answered.count()).unwrap()
}

/// One attack on one transport; `many`: from as many addresses as connections.
async fn withstands(meridian: &Meridian, target: &Target, attack: Attack, many: bool) {
    let mut opening = JoinSet::new();
    let mut held: Vec<Held> = Vec::new();
    for index in 0..HOSTILE {
        let target = target.clone();
        let [high, low] = index.to_be_bytes();
        let from = if many { Ipv4Addr::new(127, 1, high, low) } else { Ipv4Addr::new(127, 1, 1, 1) };
        opening.spawn(async move { hold(attack, &target, from.into()).await });
        // So many at once as a queue of the kernel takes.
        if opening.len() >= 200 {
            held.extend(opening.join_next().await.and_then(|opened| opened.ok()?.ok()));
        }
    }
    held.extend(opening.join_all().await.into_iter().flatten());
    let (answered, worst) = honest(target).await;
    let over_udp = honest_over_udp(meridian.address());
    let of = if many { "1,000 addresses" } else { "one address" };
    println!(
        "{:5} {attack:?} from {of}: {} held, {answered} of {HONEST} answered, the slowest in {} ms; UDP {over_udp} of {HONEST}",
        target.transport,
        held.len(),
        worst.as_millis(),
    );
    assert_eq!((answered, over_udp), (HONEST, HONEST), "{} {attack:?} from {of}", target.transport);
    drop(held);
}

async fn withstand_all(tcp: &str, many: bool) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let identity = Arc::new(Identity::new());
    for transport in TRANSPORTS {
        // A server for each, so that none has another's dying connections.
        let meridian = Meridian::serve_with_files(&every_transport(tcp), &identity.files());
        let server = meridian.address_of(transport);
        let target = Target { transport, server, identity: Arc::clone(&identity) };
        for attack in [Attack::Silent, Attack::Half, Attack::Unread] {
            withstands(&meridian, &target, attack, many).await;
        }
    }
}

/// From a thousand clients, to a table that half of them fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_many_addresses() {
    withstand_all("connections = 500\n", true).await;
}

/// From one client, to a table with room for all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_address() {
    withstand_all("", false).await;
}
