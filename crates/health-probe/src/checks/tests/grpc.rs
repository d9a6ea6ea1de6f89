//! gRPC's health protocol, against the reference server and against others that speak HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use meridian_model::{GrpcCheck, Tls};
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::tls::{Authority, NAME, terminate, trusting};
use super::*;

//----------- Servers ------------------------------------------------------------

/// The reference server in Rust.
async fn health() -> (SocketAddr, HealthReporter) {
    let (reporter, service) = health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (at, reporter)
}

/// A server without the health service.
async fn without_health() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let routes = tonic::service::Routes::default();
    let server = tonic::transport::Server::builder().add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    at
}

/// A server that answers every request over HTTP/2 with this.
async fn answering<B, F>(answer: F) -> SocketAddr
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    F: Fn(Request<Incoming>) -> Response<B> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response) }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service));
        }
    });
    at
}

/// What a gRPC server says: a message, and trailers or none.
fn said(message: &'static [u8], trailers: &[(&'static str, &'static str)]) -> Response<BoxedBody> {
    let trailers: HeaderMap = trailers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    let trailers = (!trailers.is_empty()).then_some(trailers);
    let body = Full::new(Bytes::from_static(message)).with_trailers(std::future::ready(trailers.map(Ok)));
    Response::builder().header("content-type", "application/grpc+proto").body(body.boxed()).unwrap()
}

type BoxedBody = http_body_util::combinators::BoxBody<Bytes, Infallible>;

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

//----------- Probes --------------------------------------------------------------

async fn found(at: SocketAddr, service: &str) -> Finding {
    found_by(at, GrpcCheck { service: service.into(), ..GrpcCheck::default() }).await
}

async fn found_by(at: SocketAddr, check: GrpcCheck) -> Finding {
    run(&probe(at.port(), Check::Grpc(Box::new(check))), at).await.finding
}

/// What is found behind the address.
async fn failure(at: SocketAddr, service: &str) -> String {
    let Finding::Failed(cause) = found(at, service).await else { panic!("no failure") };
    let of = if service.is_empty() { String::new() } else { format!(" of {service:?}") };
    let prefix = format!("gRPC health{of} at {at}: ");
    cause.strip_prefix(&prefix).unwrap_or_else(|| panic!("{cause}")).to_owned()
}

//----------- The reference server ---------------------------------------------------

#[tokio::test]
async fn a_service_that_serves_and_one_that_does_not() {
    let (at, reporter) = health().await;
    assert_eq!(found(at, "").await, Finding::Good, "the server as a whole");
    let unknown = failure(at, "shop").await;
    assert!(unknown.starts_with("grpc-status 5 (NOT_FOUND): "), "{unknown}");
    for (status, wanted) in [
        (ServingStatus::NotServing, "NOT_SERVING, wanted SERVING"),
        (ServingStatus::Unknown, "UNKNOWN, wanted SERVING"),
    ] {
        reporter.set_service_status("shop", status).await;
        assert_eq!(failure(at, "shop").await, wanted);
    }
    reporter.set_service_status("shop", ServingStatus::Serving).await;
    assert_eq!(found(at, "shop").await, Finding::Good);
    reporter.set_service_status("", ServingStatus::NotServing).await;
    assert_eq!(failure(at, "").await, "NOT_SERVING, wanted SERVING");
}

#[tokio::test]
async fn a_server_without_the_health_service() {
    assert_eq!(failure(without_health().await, "").await, "grpc-status 12 (UNIMPLEMENTED)");
}

#[tokio::test]
async fn over_tls_with_its_name_and_its_certificate() {
    let (at, _reporter) = health().await;
    let ours = Authority::new();
    let at = terminate(&ours.issue(NAME, |_| {}), at).await;
    let check = |tls| GrpcCheck { tls: Some(tls), ..GrpcCheck::default() };
    assert_eq!(found_by(at, check(trusting(&ours, Some(NAME)))).await, Finding::Good);
    let days = Tls { certificate_days: 1_000_000, ..trusting(&ours, Some(NAME)) };
    let Finding::Degraded(cause) = found_by(at, check(days)).await else { panic!("not degraded") };
    assert!(cause.starts_with(&format!("gRPC health at {at}: its certificate ends in ")), "{cause}");
    let Finding::Failed(cause) = found_by(at, check(Tls::default())).await else { panic!("no failure") };
    assert!(cause.contains("invalid peer certificate"), "{cause}");
}

#[tokio::test]
async fn what_is_refused_is_named() {
    let (_socket, at) = refused();
    assert_eq!(failure(at, "shop").await, "connection refused");
}

//----------- Other servers ------------------------------------------------------------

#[tokio::test]
async fn the_request_is_a_call() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let at = answering(move |request: Request<Incoming>| {
        sender.send((request.method().clone(), request.uri().clone(), request.headers().clone())).unwrap();
        said(SERVING, &[("grpc-status", "0")])
    })
    .await;
    let check = GrpcCheck { host: Some("shop.example:444".into()), ..GrpcCheck::default() };
    assert_eq!(found_by(at, check).await, Finding::Good);
    let (method, uri, headers) = requests.recv().await.unwrap();
    assert_eq!(method, "POST");
    assert_eq!(uri, "http://shop.example:444/grpc.health.v1.Health/Check");
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "10000m"),
        ("user-agent", "meridian-probe"),
    ] {
        assert_eq!(headers.get(name).map(HeaderValue::as_bytes), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(found(at, "").await, Finding::Good);
    assert_eq!(requests.recv().await.unwrap().1.authority().unwrap().as_str(), at.to_string());
}

#[tokio::test]
async fn errors_in_trailers_and_in_their_place() {
    let in_trailers = |_| said(b"", &[("grpc-status", "14"), ("grpc-message", "no%20backend%0Aleft, 100%")]);
    let at = answering(in_trailers).await;
    assert_eq!(failure(at, "shop").await, "grpc-status 14 (UNAVAILABLE): no backendleft, 100%");
    let after_a_message = |_| said(SERVING, &[("grpc-status", "4")]);
    assert_eq!(failure(answering(after_a_message).await, "").await, "grpc-status 4 (DEADLINE_EXCEEDED)");
    let in_the_head = |_| {
        let mut response = said(b"", &[]);
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("99"));
        response
    };
    assert_eq!(failure(answering(in_the_head).await, "").await, "grpc-status 99");
    let no_number = |_| said(SERVING, &[("grpc-status", "ok")]);
    assert_eq!(failure(answering(no_number).await, "").await, r#"grpc-status "ok", wanted a number"#);
    let no_status = |_| said(SERVING, &[]);
    assert_eq!(failure(answering(no_status).await, "").await, "no grpc-status at its end");
}

#[tokio::test]
async fn messages_that_say_nothing_good() {
    for (message, wanted) in [
        (&[0, 0, 0, 0, 2, 8, 3][..], "SERVICE_UNKNOWN, wanted SERVING"),
        (&[0, 0, 0, 0, 2, 8, 9], "the serving status 9, wanted SERVING"),
        (&[1, 0, 0, 0, 2, 8, 1], "a compressed message, wanted one that is not"),
        (&[], "0 octets, wanted a message"),
        (&[0; 2000], "a message of over 1024 octets"),
    ] {
        let at = answering(move |_| said(message, &[("grpc-status", "0")])).await;
        assert_eq!(failure(at, "").await, wanted);
    }
}

#[tokio::test]
async fn a_web_server_is_no_grpc_server() {
    let page = |_| {
        let body = Full::new(Bytes::from_static(b"<html>")).boxed();
        Response::builder().header("content-type", "text/html").body(body).unwrap()
    };
    let wanted = r#"content-type is "text/html", wanted "application/grpc""#;
    assert_eq!(failure(answering(page).await, "").await, wanted);
    let unavailable = |_| Response::builder().status(503).body(Full::new(Bytes::new()).boxed()).unwrap();
    assert_eq!(failure(answering(unavailable).await, "").await, "503, wanted 200");
    // One that has no HTTP/2 and says so at once.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let _closed = stream.read_to_end(&mut Vec::new()).await;
    });
    let cause = failure(at, "").await;
    assert!(cause.contains("frame"), "{cause}");
}

//----------- Hostile -------------------------------------------------------------------

/// A body of these octets over and over, without an end.
struct Endless(&'static [u8], tokio::time::Interval);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::ready!(self.1.poll_tick(context));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.0)))))
    }
}

fn endless(octets: &'static [u8], pause: Duration) -> BoxedBody {
    Endless(octets, tokio::time::interval(pause)).boxed()
}

fn grpc(body: BoxedBody) -> Response<BoxedBody> {
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

#[tokio::test]
async fn a_stream_without_end_costs_the_deadline() {
    // The message is there, but what the call ended with is not.
    for octets in [SERVING, b""] {
        let at = answering(move |_| grpc(endless(octets, LONG))).await;
        let check = Check::Grpc(Box::default());
        let Finding::Failed(cause) =
            run(&Probe { timeout: SHORT, ..probe(at.port(), check) }, at).await.finding
        else {
            panic!("no failure")
        };
        assert!(cause.ends_with(": no answer within 100ms"), "{cause}");
    }
}

#[tokio::test]
async fn a_message_without_end_costs_its_limit() {
    let at = answering(move |_| grpc(endless(&[0; 512], Duration::from_millis(1)))).await;
    assert_eq!(failure(at, "").await, "a message of over 1024 octets");
}
