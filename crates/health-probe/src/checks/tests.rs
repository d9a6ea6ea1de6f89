//! Checks against real sockets on the loopback.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use meridian_model::{HttpCheck, TcpCheck, Thresholds};

use super::*;
use crate::Outcome;
use crate::check::{self, Prepared};

mod dns;
mod grpc;
mod hostile;
mod icmp;
mod kept;
mod local;
mod prometheus;
mod shortage;
mod tls;
mod wanted;

//----------- A server by hand ------------------------------------------------

/// What the server does once it has read a request.
#[derive(Clone, Debug)]
enum Behaviour {
    /// Sends this and waits for the other side to close.
    Send(&'static str),
    /// Sends the first, then the second for ever, every so many milliseconds.
    Repeat(&'static str, &'static str, u64),
    /// Closes.
    Close,
}

struct Server {
    address: SocketAddr,
    /// The head of every request.
    requests: mpsc::UnboundedReceiver<String>,
    /// One for every connection that the other side closed.
    closed: mpsc::UnboundedReceiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(address: &str, behaviour: Behaviour) -> Server {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests_in, requests) = mpsc::unbounded_channel();
    let (closed_in, closed) = mpsc::unbounded_channel();
    let behaviour = Arc::new(behaviour);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (behaviour, requests, closed) =
                (Arc::clone(&behaviour), requests_in.clone(), closed_in.clone());
            tokio::spawn(async move {
                let mut stream = stream;
                // A receiver is gone when the test has seen enough.
                let _sent = requests.send(read_head(&mut stream).await);
                converse(&mut stream, &behaviour).await;
                let _sent = closed.send(());
            });
        }
    });
    Server { address, requests, closed, task }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut octets = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut octets).await {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&octets[..read]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Returns when the other side has closed.
async fn converse(stream: &mut TcpStream, behaviour: &Behaviour) {
    match *behaviour {
        Behaviour::Send(text) => {
            let mut rest = Vec::new();
            if stream.write_all(text.as_bytes()).await.is_ok() {
                let _closed = stream.read_to_end(&mut rest).await;
            }
        }
        Behaviour::Repeat(first, again, pause_ms) => {
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(again.as_bytes()).await;
                if pause_ms > 0 {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
            }
        }
        Behaviour::Close => {}
    }
}

//----------- Probes -----------------------------------------------------------

fn http(port: u16, path: &str, host: Option<&str>) -> Probe {
    let check = HttpCheck { path: path.into(), host: host.map(Into::into), ..HttpCheck::default() };
    probe(port, Check::Http(Box::new(check)))
}

fn probe(port: u16, check: Check) -> Probe {
    Probe {
        name: "web".into(),
        check,
        invert: false,
        port,
        address: None,
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        thresholds: Thresholds { fall: 3, rise: 2, ..Thresholds::default() },
    }
}

async fn run(probe: &Probe, at: SocketAddr) -> Outcome {
    let prepared = Prepared::new(&NetworkChecker, Arc::new(probe.clone()));
    check::run(&NetworkChecker, &prepared, at).await
}

/// The failure's text after the address, for a server that behaves like this.
async fn failure_of(behaviour: Behaviour) -> String {
    let server = serve("127.0.0.1:0", behaviour).await;
    let outcome = run(&http(server.address.port(), "/healthz", None), server.address).await;
    let Finding::Failed(cause) = outcome.finding else { panic!("{outcome:?}") };
    let prefix = format!("GET http://{}/healthz: ", server.address);
    cause.strip_prefix(&prefix).unwrap_or_else(|| panic!("{cause}")).to_owned()
}

/// A port that is taken and on which nobody listens, for as long as the socket is kept.
fn refused() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

//----------- HTTP ---------------------------------------------------------------

#[tokio::test]
async fn a_status_from_200_to_299_is_a_success() {
    for status in ["200 OK", "204 No Content", "299 Odd"] {
        let text: &'static str = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").leak();
        let server = serve("127.0.0.1:0", Behaviour::Send(text)).await;
        let outcome = run(&http(server.address.port(), "/healthz", None), server.address).await;
        assert_eq!(outcome.finding, Finding::Good, "{status}");
        assert!(outcome.latency > Duration::ZERO);
    }
}

#[tokio::test]
async fn any_other_status_is_a_failure_that_names_it() {
    for (status, wanted) in [
        ("404 Not Found", "404, wanted 200-299"),
        ("503 Service Unavailable", "503, wanted 200-299"),
        ("300 Multiple Choices", "300, wanted 200-299"),
    ] {
        let text: &'static str = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").leak();
        assert_eq!(failure_of(Behaviour::Send(text)).await, wanted);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
    let text: &'static str = format!(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    )
    .leak();
    assert_eq!(failure_of(Behaviour::Send(text)).await, "301, wanted 200-299");
    assert!(elsewhere.requests.try_recv().is_err());
}

#[tokio::test]
async fn the_request_is_what_the_probe_says() {
    let mut server = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
    let probe = http(server.address.port(), "/healthz?deep=1", Some("shop.gslb.example"));
    assert_eq!(run(&probe, server.address).await.finding, Finding::Good);
    let request = server.requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{request}");
    for line in ["host: shop.gslb.example", "user-agent: meridian-probe", "connection: close"] {
        assert!(request.lines().any(|sent| sent == line), "{line} in {request}");
    }
    assert_eq!(request.matches("host:").count(), 1, "{request}");
}

#[tokio::test]
async fn without_a_host_the_address_is_sent() {
    let mut server = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
    assert_eq!(run(&http(server.address.port(), "/", None), server.address).await.finding, Finding::Good);
    let request = server.requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.contains(&format!("\r\nhost: {}\r\n", server.address)), "{request}");
}

#[tokio::test]
async fn each_probe_opens_and_closes_its_own_connection() {
    let mut server = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
    let probe = http(server.address.port(), "/", None);
    for _ in 0..3 {
        assert_eq!(run(&probe, server.address).await.finding, Finding::Good);
        server.closed.recv().await.unwrap();
    }
}

/// This process cannot change its environment while others read it, so another runs one of these
/// tests with a proxy that nobody could reach.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let mut tests = Command::new(env::current_exe().unwrap());
    tests.args(["--exact", "checks::tests::a_status_from_200_to_299_is_a_success"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        tests.env(name, "http://127.0.0.1:1");
    }
    let output = tests.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn http_over_ipv6() {
    let server = serve("[::1]:0", Behaviour::Send(OK)).await;
    let outcome = run(&http(server.address.port(), "/", None), server.address).await;
    assert_eq!(outcome.finding, Finding::Good);
    let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let server = serve("[::1]:0", Behaviour::Send(not_found)).await;
    let outcome = run(&http(server.address.port(), "/", None), server.address).await;
    let port = server.address.port();
    assert_eq!(outcome.finding, Finding::Failed(format!("GET http://[::1]:{port}/: 404, wanted 200-299")));
}

#[tokio::test]
async fn a_refused_connection_is_named() {
    let (_socket, address) = refused();
    let outcome = run(&http(address.port(), "/healthz", None), address).await;
    assert_eq!(outcome.finding, Finding::Failed(format!("GET http://{address}/healthz: connection refused")));
}

#[tokio::test]
async fn a_server_that_closes_or_talks_nonsense_fails() {
    let closed = failure_of(Behaviour::Close).await;
    assert!(closed.contains("connection closed before message completed"), "{closed}");
    let nonsense = failure_of(Behaviour::Send("220 mail.example ESMTP\r\n\r\n")).await;
    assert!(nonsense.contains("invalid HTTP version"), "{nonsense}");
    let no_head = failure_of(Behaviour::Send("HTTP/1.1 200 OK\r\nno colon\r\n\r\n")).await;
    assert!(no_head.contains("invalid HTTP header"), "{no_head}");
}

#[tokio::test]
async fn a_host_that_no_header_can_hold_fails_and_does_not_panic() {
    let (_socket, address) = refused();
    let outcome = run(&http(address.port(), "/", Some("two\r\nlines")), address).await;
    let Finding::Failed(cause) = outcome.finding else { panic!("{outcome:?}") };
    assert!(cause.ends_with(r#"the host "two\r\nlines""#), "{cause}");
}

//----------- Hostile servers ----------------------------------------------------

/// The cause, once the probe has ended and its connection is gone.
async fn hostile(behaviour: Behaviour, timeout: Duration) -> String {
    let mut server = serve("127.0.0.1:0", behaviour).await;
    let mut probe = http(server.address.port(), "/healthz", None);
    probe.timeout = timeout;
    let Finding::Failed(cause) = run(&probe, server.address).await.finding else { panic!("no failure") };
    server.closed.recv().await.unwrap();
    cause
}

const SHORT: Duration = Duration::from_millis(100);
/// Never reached: the probe ends before, for another reason.
const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn slowness_without_end_costs_the_deadline() {
    for behaviour in [
        Behaviour::Send(""),
        Behaviour::Repeat("HTTP/1.1 200 OK\r\nX-Slow: ", "x", 10),
        Behaviour::Repeat("HTTP/1.1 200 OK\r\n", "X-Slow: x\r\n", 10),
        Behaviour::Repeat("", "HTTP/1.1 100 Continue\r\n\r\n", 1),
    ] {
        let cause = hostile(behaviour.clone(), SHORT).await;
        assert!(cause.ends_with(": no answer within 100ms"), "{behaviour:?}: {cause}");
    }
}

#[tokio::test]
async fn headers_without_end_cost_their_limit() {
    let block: &'static str = "x".repeat(16 * 1024).leak();
    for behaviour in [
        Behaviour::Repeat("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n", 0),
        Behaviour::Repeat("HTTP/1.1 200 OK\r\nX-Long: ", block, 0),
    ] {
        let cause = hostile(behaviour, LONG).await;
        assert!(cause.ends_with(": message head is too large"), "{cause}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_read() {
    let block: &'static str = "x".repeat(16 * 1024).leak();
    let endless = Behaviour::Repeat("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", block, 0);
    let mut server = serve("127.0.0.1:0", endless).await;
    let outcome = run(&http(server.address.port(), "/", None), server.address).await;
    assert_eq!(outcome.finding, Finding::Good);
    server.closed.recv().await.unwrap();
}

//----------- TCP ------------------------------------------------------------------

#[tokio::test]
async fn tcp_open_and_refused() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).await.unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(
            run(&probe(open.port(), Check::Tcp(TcpCheck::default())), open).await.finding,
            Finding::Good,
            "{open}"
        );
    }
    let (_socket, address) = refused();
    let outcome = run(&probe(address.port(), Check::Tcp(TcpCheck::default())), address).await;
    assert_eq!(outcome.finding, Finding::Failed(format!("connect to {address}: connection refused")));
}
