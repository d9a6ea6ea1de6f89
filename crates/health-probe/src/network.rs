//! Checks over the network.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};

use meridian_model::{Check, Probe};
use reqwest::header::{CONNECTION, HOST};
use reqwest::{Client, redirect};
use thiserror::Error;
use tokio::net::TcpStream;

use crate::check::url;
use crate::{Checker, Finding, limits};

#[cfg(test)]
mod tests;

//----------- NetworkChecker -------------------------------------------------

/// Connects to exactly the address it is given: no DNS, no proxy, no redirect, and a new
/// connection each time, so that every probe proves that the address accepts one.
#[derive(Clone, Debug)]
pub struct NetworkChecker {
    client: Client,
}

/// The HTTP client could not be made.
#[derive(Debug, Error)]
#[error("expected an HTTP client for the probes, found: {0}")]
pub struct NetworkCheckerError(#[from] reqwest::Error);

impl NetworkChecker {
    /// Makes the one client that all probes share; it keeps no connection.
    ///
    /// # Errors
    /// When the client's settings do not fit this build of the library.
    pub fn new() -> Result<Self, NetworkCheckerError> {
        let client = Client::builder()
            .user_agent("meridian-probe")
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .http1_max_headers(limits::RESPONSE_HEADERS_MAX)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client })
    }

    /// A status from 200 to 299 is a success (RFC 9110 §15.3). The body is not read: the
    /// connection closes as soon as the head has been.
    async fn http(&self, address: SocketAddr, path: &str, host: Option<&str>) -> Result<(), String> {
        let mut request = self.client.get(url(address, path)).header(CONNECTION, "close");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let response = request.send().await.map_err(|error| finding(&error))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("{}, wanted 200-299", status.as_u16())) }
    }
}

impl Checker for NetworkChecker {
    async fn check(&self, probe: &Probe, address: IpAddr) -> Finding {
        let address = SocketAddr::new(address, probe.port);
        let result = match &probe.check {
            Check::Http { path, host } => self.http(address, path, host.as_deref()).await,
            Check::Tcp => TcpStream::connect(address).await.map(drop).map_err(|error| finding(&error)),
        };
        result.map_or_else(Finding::Failed, |()| Finding::Good)
    }
}

//----------- What was found -------------------------------------------------

/// The innermost error, which says what happened and not which layer passed it on.
fn finding(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(io::ErrorKind::ConnectionReset) => "connection reset".to_owned(),
        Some(io::ErrorKind::HostUnreachable) => "no route to the host".to_owned(),
        Some(io::ErrorKind::NetworkUnreachable) => "no route to the network".to_owned(),
        Some(_) | None => innermost.to_string(),
    }
}
