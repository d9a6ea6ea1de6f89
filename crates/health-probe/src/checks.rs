//! Checks over the network and on this machine.

mod connect;
mod descriptors;
mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod prometheus;
mod sent;
mod shortage;
mod state_file;
mod tcp;
mod text;

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use meridian_model::{Check, Probe};
use rustls::crypto::ring;

use crate::checks::connect::{Connector, expiry};
use crate::checks::dns::Dns;
use crate::checks::exec::Command;
use crate::checks::grpc::Grpc;
use crate::checks::http::Http;
use crate::checks::prometheus::Prometheus;
use crate::checks::shortage::shortage;
use crate::checks::state_file::StateFile;
use crate::checks::tcp::Tcp;
use crate::{Checker, Finding};

pub(crate) use dns::type_name;
pub use sent::Sent;

#[cfg(test)]
mod tests;

//----------- NetworkChecker -------------------------------------------------

/// Connects to exactly the address it is given: no DNS, no proxy, and unless `keep_alive` says otherwise a new
/// connection each time, so that every probe proves that the address accepts one. Only a `prometheus` probe
/// asks another: its server, by name and over connections that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkChecker;

/// A probe with all that can be made before an address is known.
#[derive(Debug)]
pub struct Ready(Kind);

#[derive(Debug)]
enum Kind {
    Http(Box<Http>),
    Tcp(Tcp),
    Tls(Connector),
    File(StateFile),
    Exec(Command),
    Grpc(Box<Grpc>),
    Icmp,
    Dns(Box<Dns>),
    Prometheus(Box<Prometheus>),
}

impl Checker for NetworkChecker {
    type Ready = Ready;

    fn under_way_max(&self) -> usize {
        descriptors::under_way_max()
    }

    fn ready(&self, probe: &Probe) -> Result<Ready, String> {
        Ok(Ready(match &probe.check {
            Check::Http(http) => Kind::Http(Box::new(Http::new(http, probe.timeout)?)),
            Check::Tcp(tcp) => Kind::Tcp(Tcp::new(tcp)?),
            Check::Tls(tls) => Kind::Tls(Connector::new(Some(tls), &[])?),
            Check::File(file) => Kind::File(StateFile::new(file)),
            Check::Exec(exec) => Kind::Exec(Command::new(exec)),
            Check::Combined(_) => return Err("made of other probes, which are checked themselves".to_owned()),
            Check::Grpc(grpc) => Kind::Grpc(Box::new(Grpc::new(grpc, probe.timeout)?)),
            Check::Icmp => Kind::Icmp,
            Check::Dns(dns) => Kind::Dns(Box::new(Dns::new(dns)?)),
            Check::Prometheus(query) => Kind::Prometheus(Box::new(Prometheus::new(query, probe.timeout)?)),
        }))
    }

    async fn check(&self, _: &Probe, ready: &Ready, at: SocketAddr) -> Finding {
        match &ready.0 {
            Kind::Http(http) => http.check(at).await,
            Kind::Tcp(tcp) => tcp.check(at).await,
            Kind::Tls(connector) => match connector.connect(at).await {
                Ok(stream) => expiry(&stream, connector.certificate_days).unwrap_or(Finding::Good),
                Err(error) => failure(&error),
            },
            Kind::File(file) => file.check(at.ip()).await,
            Kind::Exec(command) => command.check(at).await,
            Kind::Grpc(grpc) => grpc.check(at).await,
            Kind::Icmp => icmp::check(at.ip()).await,
            Kind::Dns(dns) => dns.check(at).await,
            Kind::Prometheus(query) => query.check(at).await,
        }
    }
}

impl Ready {
    /// What a check of this address sends beside what its cause says.
    #[must_use]
    pub fn sent(&self, at: SocketAddr) -> Sent {
        match &self.0 {
            Kind::Http(http) => http.sent(at),
            Kind::Tls(connector) => Sent { server_name: connector.server_name(at), ..Sent::default() },
            Kind::Grpc(grpc) => grpc.sent(at),
            Kind::Prometheus(query) => query.sent(),
            Kind::Tcp(_) | Kind::File(_) | Kind::Exec(_) | Kind::Icmp | Kind::Dns(_) => Sent::default(),
        }
    }
}

/// Whether the kernel here lets this process do what a probe does, before anything is sent: so that
/// it can be said at once, and not by verdicts that stay unknown.
///
/// # Errors
/// What it would have to allow.
pub fn permitted(probe: &Probe) -> Result<(), String> {
    match probe.check {
        Check::Icmp => icmp::permitted(),
        _ => Ok(()),
    }
}

/// Octets that a stranger cannot guess: by them a reply shows that its sender saw the request.
fn random<const OCTETS: usize>() -> io::Result<[u8; OCTETS]> {
    let mut octets = [0; OCTETS];
    let source = ring::default_provider().secure_random;
    source.fill(&mut octets).map_err(|_| io::Error::other("no random octets on this machine"))?;
    Ok(octets)
}

//----------- What was found -------------------------------------------------

/// What an error says of the address: that it does not serve, or nothing where this process itself is short
/// of something.
fn failure(error: &(dyn Error + 'static)) -> Finding {
    let short = innermost(error).downcast_ref().and_then(shortage);
    short.unwrap_or_else(|| Finding::Failed(finding(error)))
}

/// The innermost error, which says what happened and not which layer passed it on.
fn innermost<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

fn finding(error: &(dyn Error + 'static)) -> String {
    let innermost = innermost(error);
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(io::ErrorKind::ConnectionReset) => "connection reset".to_owned(),
        Some(io::ErrorKind::HostUnreachable) => "no route to the host".to_owned(),
        Some(io::ErrorKind::NetworkUnreachable) => "no route to the network".to_owned(),
        Some(_) | None => innermost.to_string(),
    }
}
