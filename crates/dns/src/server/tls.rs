//! TLS of the server's side: one certificate, which every handshake takes from the view that is live.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

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
    let current = Current { live: Arc::clone(live), last: Mutex::default() };
    // The one to begin with.
    current.key();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(current));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.ticketer = Ticketer::new().map_err(io::Error::other)?;
    Ok(config)
}

/// The certificate that is in force.
struct Current {
    live: Arc<Live>,
    /// The one before: a file that names none any more closes no socket before the next start, and until then
    /// whoever connects is served.
    last: Mutex<Option<Arc<CertifiedKey>>>,
}

impl Current {
    fn key(&self) -> Option<Arc<CertifiedKey>> {
        let view = self.live.load();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = &view.ground().manners().certificate {
            *last = Some(Arc::clone(certificate.key()));
        }
        last.clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key()
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
