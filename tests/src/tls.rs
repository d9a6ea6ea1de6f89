//! Certificates of tests, and clients that speak TLS and HTTPS.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::stream::connect_from;
use crate::{Config, WORLD};

/// The name in every certificate.
pub const NAME: &str = "ns1.gslb.example";

//----------- Identity -------------------------------------------------------

/// A certificate that is its own authority, and its key.
pub struct Identity {
    /// In PEM.
    pub certificate: String,
    /// In PEM.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Identity {
    /// One that holds for decades.
    #[must_use]
    pub fn new() -> Self {
        Self::until(4096)
    }

    /// One that holds to the begin of a year.
    ///
    /// # Panics
    /// Never, as the name is one.
    #[must_use]
    pub fn until(year: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        Self { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// The files that [`TLS_FILES`] names.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &str); 2] {
        [("server.pem", &self.certificate), ("server.key", &self.key)]
    }

    /// What a client is told that trusts this certificate alone, and names these protocols.
    ///
    /// # Panics
    /// Never, as the certificate is one.
    #[must_use]
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_of(protocols, rustls::DEFAULT_VERSIONS)
    }

    /// As [`Identity::client`], of these versions of TLS alone.
    ///
    /// # Panics
    /// Where the provider has none of them.
    #[must_use]
    pub fn client_of(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that the provider has")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines of `[server.tls]` that name the files of an [`Identity`].
pub const TLS_FILES: &str = "[server.tls]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\n";

/// A configuration with a static zone and one gateway, over every transport; `tcp` are lines of `[server.tcp]`.
#[must_use]
pub fn every_transport(tcp: &str) -> String {
    let any = "[\"127.0.0.1:0\"]";
    Config::new()
        .with(&format!("[server]\nlisten = {any}\nworkers = 2\n[server.tcp]\n{tcp}{TLS_FILES}"))
        .with(&format!("dot = {any}\ndoh = {any}\ndoh3 = {any}\ndoq = {any}\n"))
        .clusters(&WORLD[..2])
        .gateway("shop", &["shop.gslb.example"], "", &[("eu-west", "192.0.2.1"), ("us-east", "192.0.2.2")])
        .text()
        .to_owned()
}

//----------- Clients --------------------------------------------------------

/// A connection of TLS.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects and shakes hands.
///
/// # Errors
/// Without a connection, and where the certificate or the protocols do not fit.
pub fn connect_tls(from: IpAddr, server: SocketAddr, client: ClientConfig) -> io::Result<TlsStream> {
    shake_hands(connect_from(from, server)?, client)
}

/// Shakes hands over a connection.
///
/// # Errors
/// Where the certificate or the protocols do not fit.
pub fn shake_hands(mut stream: TcpStream, client: ClientConfig) -> io::Result<TlsStream> {
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(client), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// One request over a new connection, by HTTP/2 where the client names "h2" and else by HTTP/1.1.
///
/// # Errors
/// Without a response.
pub async fn https(
    from: IpAddr,
    server: SocketAddr,
    client: ClientConfig,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    let socket =
        if from.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    socket.bind((from, 0).into())?;
    let two = client.alpn_protocols == [b"h2"];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = connector.connect(ServerName::try_from(NAME)?, socket.connect(server).await?).await?;
    let stream = TokioIo::new(stream);
    let response = if two {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        let _served = tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let _served = tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}
