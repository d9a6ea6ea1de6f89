//! One request of HTTP to a collector, on a connection of its own: there is one a second at most.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::limits::RESPONSE_OCTETS;

/// What OTLP over HTTP puts behind the base of a collector's URL.
const PATH: &str = "/v1/traces";

/// Where spans go: the receiver of a collector.
#[derive(Clone, Debug)]
pub struct Endpoint {
    uri: Uri,
    host: Box<str>,
    port: u16,
    /// `None`: in the clear.
    tls: Option<Arc<ClientConfig>>,
}

/// Why a URL is none of a collector.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// It is not a URL.
    #[error("{0}")]
    Uri(#[from] hyper::http::uri::InvalidUri),
    /// It has no host, or another scheme than http and https.
    #[error("expected http or https and a host, found {0}")]
    Other(Uri),
    /// TLS cannot be had.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

impl Endpoint {
    /// Of the base of a URL, such as `http://127.0.0.1:4318`. TLS trusts the public authorities.
    ///
    /// # Errors
    /// For what is no such URL.
    pub fn new(base: &str) -> Result<Self, EndpointError> {
        let uri: Uri = format!("{}{PATH}", base.trim_end_matches('/')).parse()?;
        let over_tls = uri.scheme() == Some(&Scheme::HTTPS);
        if !over_tls && uri.scheme() != Some(&Scheme::HTTP) {
            return Err(EndpointError::Other(uri));
        }
        let Some(host) = uri.host() else { return Err(EndpointError::Other(uri)) };
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        let port = uri.port_u16().unwrap_or(if over_tls { 443 } else { 80 });
        let tls = over_tls.then(tls).transpose()?;
        Ok(Self { uri, host, port, tls })
    }

    /// Posts octets; the status and the beginning of what comes back.
    pub(crate) async fn post(&self, body: Vec<u8>) -> Result<(StatusCode, Bytes), String> {
        let stream = TcpStream::connect((&*self.host, self.port)).await.map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.exchange(stream, body).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.to_string()).map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(tls.clone()).connect(name, stream).await;
                self.exchange(stream.map_err(|error| error.to_string())?, body).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), String> {
        let text = |error: hyper::Error| error.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
        let path = self.uri.path_and_query().map_or(PATH, |path| path.as_str());
        let host = self.uri.authority().map_or(&*self.host, |authority| authority.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("meridian/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        // With its end the sender is gone, and so ends the connection.
        let exchange = async move {
            let response = sender.send_request(request).await.map_err(text)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), RESPONSE_OCTETS).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let (answer, _ended) = tokio::join!(exchange, connection);
        answer
    }
}

fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_base() {
        let of = |base: &str| Endpoint::new(base).map(|of| (of.uri.to_string(), of.port, of.tls.is_some()));
        assert_eq!(of("http://c:4318").unwrap(), ("http://c:4318/v1/traces".to_owned(), 4318, false));
        assert_eq!(of("https://c/otlp/").unwrap(), ("https://c/otlp/v1/traces".to_owned(), 443, true));
        assert_eq!(&*Endpoint::new("http://[::1]:4318").unwrap().host, "::1");
        assert!(of("ftp://c").is_err() && of("c:4318").is_err() && of("").is_err());
    }
}
