//! Connections to one address, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use meridian_model::Tls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::parse_x509_certificate;

use super::text::shown;
use crate::Finding;

//----------- Connector ------------------------------------------------------

/// Connects, and speaks TLS where the probe says so.
pub(super) struct Connector {
    tls: Option<(TlsConnector, Option<ServerName<'static>>)>,
    /// As [`Tls::certificate_days`].
    pub(super) certificate_days: u32,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.tls.as_ref().map(|(_, name)| name);
        f.debug_struct("Connector").field("tls", &name).finish_non_exhaustive()
    }
}

impl Connector {
    /// `protocols`: what is offered by ALPN.
    pub(super) fn new(tls: Option<&Tls>, protocols: &[&[u8]]) -> Result<Self, String> {
        let Some(tls) = tls else { return Ok(Self { tls: None, certificate_days: 0 }) };
        let mut config = client_config(tls)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let name = tls.sni.as_deref().map(|name| ServerName::try_from(name.to_owned())).transpose();
        let name = name.map_err(|error| format!("the server name {:?}: {error}", tls.sni))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { tls: Some((connector, name)), certificate_days: tls.certificate_days })
    }

    /// Whose certificate is asked for; `None` without TLS.
    pub(super) fn server_name(&self, at: SocketAddr) -> Option<String> {
        let (_, name) = self.tls.as_ref()?;
        Some(name.as_ref().map_or_else(|| at.ip().to_string(), |name| name.to_str().into_owned()))
    }

    pub(super) async fn connect(&self, at: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                let name = name.clone().unwrap_or_else(|| ServerName::from(at.ip()));
                Ok(Stream::Tls(Box::new(connector.connect(name, stream).await?)))
            }
        }
    }
}

/// Of the one TLS provider.
pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    };
    let Some((chain, key)) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("key_file: {}", pem_error(&error)))?;
    builder
        .with_client_auth_cert(certificates(chain, "cert_file")?, key)
        .map_err(|error| format!("cert_file and key_file: {error}"))
}

fn roots(tls: &Tls) -> Result<RootCertStore, String> {
    let Some(pem) = &tls.roots else {
        return Ok(RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "ca_file")? {
        roots.add(certificate).map_err(|error| format!("ca_file: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("{key}: {}", pem_error(&error)))?;
    if all.is_empty() { Err(format!("{key}: no certificate in it")) } else { Ok(all) }
}

/// In words; the library's own show octets as numbers.
fn pem_error(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("no \"-----END {}-----\" in it", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => format!("a wrong line {}", shown(line)),
        other => other.to_string(),
    }
}

/// Takes every certificate (`insecure = true`), but still wants its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//----------- Certificates that end ------------------------------------------

/// When a server's certificate ends; `None` inside: it cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct CertificateEnd(Option<i64>);

/// The end of the certificate of the server, where it showed one.
pub(super) fn certificate_end(stream: &Stream) -> Option<CertificateEnd> {
    let Stream::Tls(stream) = stream else { return None };
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let end = parse_x509_certificate(certificate).ok();
    Some(CertificateEnd(end.map(|(_, parsed)| parsed.validity().not_after.timestamp())))
}

impl CertificateEnd {
    pub(super) fn has_passed(self) -> bool {
        self.0.is_some_and(|end_s| end_s < wall_clock_s())
    }

    /// Degraded where it is in fewer days than wanted; `None` where it is not.
    pub(super) fn finding(self, wanted_days: u32) -> Option<Finding> {
        if wanted_days == 0 {
            return None;
        }
        let Some(end_s) = self.0 else {
            return Some(Finding::Degraded("a certificate whose end cannot be read".to_owned()));
        };
        let left_s = end_s.saturating_sub(wall_clock_s());
        const DAY_S: i64 = 24 * 3600;
        let days = left_s.div_euclid(DAY_S);
        (left_s < i64::from(wanted_days) * DAY_S).then(|| {
            Finding::Degraded(if left_s < 0 {
                "its certificate has ended".to_owned()
            } else {
                format!("its certificate ends in {days} days, wanted {wanted_days}")
            })
        })
    }
}

/// Degraded where the server's certificate ends in fewer days than wanted; `None` where it does not.
pub(super) fn expiry(stream: &Stream, wanted_days: u32) -> Option<Finding> {
    certificate_end(stream)?.finding(wanted_days)
}

/// Seconds since 1970: what certificates are dated by.
#[expect(clippy::disallowed_methods, reason = "a certificate ends at a time of the calendar")]
fn wall_clock_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

//----------- Stream ---------------------------------------------------------

/// A connection, in clear text or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
