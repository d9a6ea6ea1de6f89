//! TLS: who is trusted, for which name, until when; HTTP/2.

use hyper::server::conn::{http1 as server_http1, http2 as server_http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use meridian_model::{HttpVersion, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) type Pem = Arc<[u8]>;

fn pem(text: &str) -> Pem {
    text.as_bytes().into()
}

//----------- Authorities and servers ------------------------------------------------

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> Pem {
        pem(&self.0.pem())
    }

    /// A certificate for a name or an address, with its key.
    pub(super) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (Pem, Pem) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'_, _> = &self.0;
        let certificate = params.signed_by(&key, issuer).unwrap();
        (pem(&certificate.pem()), pem(&key.serialize_pem()))
    }
}

/// Ends TLS with this certificate, by ALPN for HTTP/2, and passes on to a server in clear text.
pub(super) async fn terminate(identity: &(Pem, Pem), behind: SocketAddr) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(&identity.0).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.1).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(mut behind) = TcpStream::connect(behind).await else { return };
                let _ended = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    address
}

/// Serves `GET` over HTTP/1.1 and HTTP/2 with this certificate; the body names the host and, over TLS,
/// the name that was asked for. `clients`: whose certificates a client must show.
pub(super) async fn https(identity: &(Pem, Pem), clients: Option<&Authority>) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(&identity.0).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.1).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(&authority.pem()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.unwrap().with_client_cert_verifier(verifier.unwrap())
        }
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let connection = stream.get_ref().1;
                let name = connection.server_name().unwrap_or("nobody").to_owned();
                let is_h2 = connection.alpn_protocol() == Some(b"h2");
                let answer = service_fn(move |request| answer(request, name.clone()));
                let io = TokioIo::new(stream);
                let _ended = if is_h2 {
                    server_http2::Builder::new(TokioExecutor::new()).serve_connection(io, answer).await
                } else {
                    server_http1::Builder::new().serve_connection(io, answer).await
                };
            });
        }
    });
    address
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    name: String,
) -> hyper::http::Result<Response<String>> {
    let header = request.headers().get("host").and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|host| host.as_str()).or(header).unwrap_or("none");
    Response::builder().body(format!("{:?} asked {name} for {host}\n", request.version()))
}

//----------- Probes ----------------------------------------------------------------

fn over_tls(tls: Tls) -> HttpCheck {
    HttpCheck { tls: Some(tls), ..HttpCheck::default() }
}

pub(super) fn trusting(authority: &Authority, sni: Option<&str>) -> Tls {
    Tls { sni: sni.map(Into::into), roots: Some(authority.pem()), ..Tls::default() }
}

async fn found(at: SocketAddr, check: HttpCheck) -> Finding {
    run(&probe(at.port(), Check::Http(Box::new(check))), at).await.finding
}

fn failure(found: Finding) -> String {
    let Finding::Failed(cause) = found else { panic!("{found:?}") };
    cause
}

pub(super) const NAME: &str = "shop.example";

//----------- Who is trusted ------------------------------------------------------------

/// The matrix of verdicts: who signed it, for whom, until when.
#[tokio::test]
async fn certificates_are_verified_by_default() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let good = https(&ours.issue(NAME, |_| {}), None).await;
    let found = |at, tls| found(at, over_tls(tls));
    assert_eq!(found(good, trusting(&ours, Some(NAME))).await, Finding::Good);
    let wrong_name = failure(found(good, trusting(&ours, Some("other.example"))).await);
    assert!(
        wrong_name.starts_with(&format!("GET https://{good}/: invalid peer certificate")),
        "{wrong_name}"
    );
    assert!(wrong_name.contains("other.example"), "{wrong_name}");
    let unknown = failure(found(good, trusting(&stranger, Some(NAME))).await);
    assert!(unknown.contains("invalid peer certificate: "), "{unknown}");
    // Public authorities know neither.
    let public = failure(found(good, Tls { sni: Some(NAME.into()), ..Tls::default() }).await);
    assert!(public.contains("invalid peer certificate: UnknownIssuer"), "{public}");

    let expired = ours.issue(NAME, |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let expired = https(&expired, None).await;
    let cause = failure(found(expired, trusting(&ours, Some(NAME))).await);
    assert!(cause.contains("certificate expired"), "{cause}");
    let by_address = https(&ours.issue("127.0.0.1", |_| {}), None).await;
    assert_eq!(found(by_address, trusting(&ours, None)).await, Finding::Good, "without a name the address");

    for at in [good, expired] {
        let insecure = Tls { verify: false, ..Tls::default() };
        assert_eq!(found(at, insecure).await, Finding::Good, "insecure takes anything");
    }
}

#[tokio::test]
async fn a_certificate_near_its_end_is_degraded() {
    let ours = Authority::new();
    let in_ten_days = Duration::from_secs(now_s() + 10 * 86_400 - 60);
    let soon = |params: &mut CertificateParams| params.not_after = date_time_ymd(1970, 1, 1) + in_ten_days;
    let at = https(&ours.issue(NAME, soon), None).await;
    let days = |certificate_days| Tls { certificate_days, ..trusting(&ours, Some(NAME)) };
    assert_eq!(found(at, over_tls(days(9))).await, Finding::Good);
    let Finding::Degraded(cause) = found(at, over_tls(days(30))).await else { panic!("not degraded") };
    assert_eq!(cause, format!("GET https://{at}/: its certificate ends in 9 days, wanted 30"));
    // What fails anyhow is a failure.
    let check = HttpCheck { status: vec![(404, 404)], ..over_tls(days(30)) };
    assert!(failure(found(at, check).await).ends_with("200, wanted 404"));
    // The handshake alone says as much.
    let handshake = run(&probe(at.port(), Check::Tls(days(30))), at).await.finding;
    assert!(matches!(&handshake, Finding::Degraded(cause) if cause.starts_with("TLS with")), "{handshake:?}");
    assert_eq!(run(&probe(at.port(), Check::Tls(days(0))), at).await.finding, Finding::Good);
}

#[expect(clippy::disallowed_methods, reason = "certificates are dated by the calendar")]
fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let at = https(&ours.issue(NAME, |_| {}), Some(&clients)).await;
    let tls = trusting(&ours, Some(NAME));
    let without = failure(found(at, over_tls(tls.clone())).await);
    assert!(without.contains("CertificateRequired"), "{without}");
    let identity = Some(clients.issue("probe.example", |_| {}));
    assert_eq!(found(at, over_tls(Tls { identity, ..tls.clone() })).await, Finding::Good);
    // A key that is another's is said, not met with a panic.
    let (certificate, _) = clients.issue("probe.example", |_| {});
    let (_, key) = clients.issue("probe.example", |_| {});
    let cause = failure(found(at, over_tls(Tls { identity: Some((certificate, key)), ..tls })).await);
    assert!(cause.contains("cert_file and key_file: "), "{cause}");
}

#[tokio::test]
async fn the_name_that_is_asked_for_and_the_host_may_differ() {
    let ours = Authority::new();
    let at = https(&ours.issue(NAME, |_| {}), None).await;
    for (version, word) in [(HttpVersion::Http1, "HTTP/1.1"), (HttpVersion::Http2, "HTTP/2.0")] {
        let check = HttpCheck {
            version,
            host: Some("inner.example:444".into()),
            body: Some(meridian_model::TextMatch::Contains(
                format!("{word} asked {NAME} for inner.example:444").into(),
            )),
            ..over_tls(trusting(&ours, Some(NAME)))
        };
        assert_eq!(found(at, check).await, Finding::Good);
    }
}

//----------- HTTP/2 ---------------------------------------------------------------

#[tokio::test]
async fn http2_in_clear_text_and_against_a_server_that_has_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(|request| answer(request, "nobody".into()));
            let io = TokioIo::new(stream);
            tokio::spawn(server_http2::Builder::new(TokioExecutor::new()).serve_connection(io, answer));
        }
    });
    let http2 = || HttpCheck { version: HttpVersion::Http2, ..HttpCheck::default() };
    assert_eq!(found(at, http2()).await, Finding::Good);
    let only_http1 = serve("127.0.0.1:0", Behaviour::Send(OK)).await;
    let cause = failure(found(only_http1.address, http2()).await);
    assert!(cause.starts_with(&format!("GET http://{}/: ", only_http1.address)), "{cause}");
}

//----------- Hostile ----------------------------------------------------------------

#[tokio::test]
async fn a_handshake_that_stalls_costs_the_deadline() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let mut server = serve("127.0.0.1:0", Behaviour::Send("")).await;
        let check = HttpCheck { version, ..over_tls(Tls::default()) };
        let stalls = Probe { timeout: SHORT, ..probe(server.address.port(), Check::Http(Box::new(check))) };
        let cause = failure(run(&stalls, server.address).await.finding);
        assert!(cause.ends_with("no answer within 100ms"), "{cause}");
        server.closed.recv().await.unwrap();
    }
    let plain = serve("127.0.0.1:0", Behaviour::Send("HTTP/1.1 200 OK\r\n\r\n")).await;
    let quick = Probe { timeout: SHORT, ..probe(plain.address.port(), Check::Tls(Tls::default())) };
    failure(run(&quick, plain.address).await.finding);
}
