//! TLS of the server's side: one certificate, which every handshake takes from the view that is live.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::view::Live;

/// The protocols that a listener names (RFC 7301), the best first. A client that names none is served: many of
/// DNS over TLS do not (RFC 7858 §3.2 has none).
pub(super) const DOT: [&[u8]; 1] = [b"dot"];
/// HTTP/2 first; one of RFC 7301 §3.2 that has neither is turned away.
pub(super) const DOH: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS 1.2 or later; sessions resume by tickets, but nothing is taken before the handshake ends (no 0-RTT).
pub(super) fn config(live: &Arc<Live>, protocols: &[&[u8]]) -> io::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current(Arc::clone(live))));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.ticketer = Ticketer::new().map_err(io::Error::other)?;
    Ok(config)
}

/// The certificate that is in force.
struct Current(Arc<Live>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let view = self.0.load();
        view.ground().manners().certificate.as_ref().map(|certificate| Arc::clone(certificate.key()))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
