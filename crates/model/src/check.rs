//! What a probe does with an address, one type each.

use std::sync::Arc;

use crate::{DomainName, ProbeId};

/// What a probe does with an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// A request over HTTP.
    Http(Box<HttpCheck>),
    /// A TCP connection that is accepted, perhaps with a short conversation.
    Tcp(TcpCheck),
    /// A TLS handshake.
    Tls(Tls),
    /// A file in which somebody else writes how addresses are.
    File(FileCheck),
    /// A command.
    Exec(ExecCheck),
    /// What a gRPC server says of its own health.
    Grpc(Box<GrpcCheck>),
    /// An ICMP echo (RFC 792, RFC 4443 §4).
    Icmp,
    /// A question to a name server.
    Dns(Box<DnsCheck>),
    /// A query to a Prometheus server, which knows of the address.
    Prometheus(Box<PrometheusCheck>),
    /// Nothing by itself: what other probes find.
    Combined(CombinedCheck),
}

impl Check {
    /// Whether it asks somebody else about the address, whose silence says nothing of the address itself.
    #[must_use]
    pub fn asks_another(&self) -> bool {
        matches!(self, Self::Prometheus(_))
    }
}

//----------- HTTP -----------------------------------------------------------

/// A request and what is wanted of the response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpCheck {
    /// The protocol.
    pub version: HttpVersion,
    /// TLS; `None`: in clear text.
    pub tls: Option<Tls>,
    /// Whether the connection is kept for the next check, if the server lets it.
    pub keep_alive: bool,
    /// `GET`, `HEAD`, …
    pub method: Box<str>,
    /// With its query; begins with `/`.
    pub path: Box<str>,
    /// The `Host` header, or `:authority`; the address and port when not given.
    pub host: Option<Box<str>>,
    /// Further header fields, in order.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// How many redirects are followed, on the same address and host only.
    pub redirects: u8,
    /// Octets of the body that are read at most, where something is wanted of it.
    pub max_body: u32,
    /// Ranges of status codes, both ends included; one of them must have the response's.
    pub status: Vec<(u16, u16)>,
    /// What the body must have, in its first `max_body` octets.
    pub body: Option<TextMatch>,
    /// Header fields that the response must have: a name, and what its value must have.
    pub response_headers: Vec<(Box<str>, Option<TextMatch>)>,
}

impl Default for HttpCheck {
    /// `GET /`, of which a status from 200 to 299 is a success.
    fn default() -> Self {
        Self {
            version: HttpVersion::Http1,
            tls: None,
            keep_alive: false,
            method: "GET".into(),
            path: "/".into(),
            host: None,
            headers: Vec::new(),
            redirects: 0,
            max_body: 64 * 1024,
            status: vec![(200, 299)],
            body: None,
            response_headers: Vec::new(),
        }
    }
}

/// Which HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without.
    Http2,
}

/// What a text must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// These characters somewhere.
    Contains(Box<str>),
    /// A match of this regular expression somewhere.
    Regex(Box<str>),
}

//----------- TCP, TLS -------------------------------------------------------

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpCheck {
    /// What is sent once it stands.
    pub send: Option<Box<[u8]>>,
    /// What must come back within the first `max_body` octets.
    pub expect: Option<TextMatch>,
    /// Octets that are read at most.
    pub max_body: u32,
}

/// How TLS is spoken and what is wanted of the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The server name that is asked for and that the certificate must be for; `None`: the address.
    pub sni: Option<Box<str>>,
    /// Whether the certificate must be valid: trusted, in its time and for the name.
    pub verify: bool,
    /// The certificates that are trusted, in PEM; `None`: those of the public authorities.
    pub roots: Option<Arc<[u8]>>,
    /// The client's certificate chain and its key, in PEM.
    pub identity: Option<Identity>,
    /// An address whose certificate ends in fewer days than this is degraded; 0: never.
    pub certificate_days: u32,
}

impl Default for Tls {
    /// The address itself, verified against the public authorities.
    fn default() -> Self {
        Self { sni: None, verify: true, roots: None, identity: None, certificate_days: 0 }
    }
}

/// A certificate chain and its key, in PEM.
pub type Identity = (Arc<[u8]>, Arc<[u8]>);

//----------- gRPC -----------------------------------------------------------

/// A call of `grpc.health.v1.Health/Check`, which must say `SERVING`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GrpcCheck {
    /// TLS; `None`: HTTP/2 in clear text, by prior knowledge.
    pub tls: Option<Tls>,
    /// The `:authority`; the address and port when not given.
    pub host: Option<Box<str>>,
    /// The service that is asked about; empty: the server as a whole.
    pub service: Box<str>,
}

//----------- DNS ------------------------------------------------------------

/// A question of class IN, and what is wanted of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsCheck {
    /// The name that is asked for.
    pub question: DomainName,
    /// The number of the type that is asked for.
    pub record_type: u16,
    /// How it is asked.
    pub transport: DnsTransport,
    /// RCODEs (RFC 6895 §2.3), one of which the answer must have.
    pub rcodes: Vec<u16>,
    /// The data of records, in uncompressed wire form: each must be among the records of the type asked
    /// for in the answer section, beside any others.
    pub answer: Vec<Box<[u8]>>,
    /// What the AA bit must be; `None`: either.
    pub authoritative: Option<bool>,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsTransport {
    /// Over UDP, and again over TCP where the answer is truncated (RFC 7766 §5).
    Udp,
    /// Over TCP alone.
    Tcp,
}

//----------- By others ------------------------------------------------------

/// A state file: `192.0.2.10 => up`, a line an address (as gdnsd's `extfile`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileCheck {
    /// Read anew for each check.
    pub path: Box<std::path::Path>,
}

/// A command that ends with 0 where the address serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecCheck {
    /// The program and its arguments; `{address}` and `{port}` stand for what is checked.
    pub command: Vec<Box<str>>,
}

/// A query whose value must be within bounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PrometheusCheck {
    /// The server: `http://prometheus.example:9090`, perhaps with a path in front of `/api`.
    pub url: Box<str>,
    /// In PromQL; `{address}` and `{port}` stand for what is checked.
    pub query: Box<str>,
    /// Further header fields, in order: a tenant, an authorisation.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// How TLS is spoken to an `https` server; its name is the one in the URL.
    pub tls: Tls,
    /// A value beyond them is a failure.
    pub wanted: Bounds,
    /// A value beyond these, and not beyond `wanted`, is degraded.
    pub preferred: Bounds,
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The least; `None`: any.
    pub min: Option<Finite>,
    /// The largest; `None`: any.
    pub max: Option<Finite>,
}

impl Bounds {
    /// Whether a number is less or more than they allow; NaN is neither.
    #[must_use]
    pub fn exclude(&self, number: f64) -> bool {
        self.min.is_some_and(|min| number < min.get()) || self.max.is_some_and(|max| number > max.get())
    }
}

impl std::fmt::Display for Bounds {
    /// `at least 0.5`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("any number"),
        }
    }
}

/// A number that is neither infinite nor NaN, so that equal ones are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finite(f64);

impl Finite {
    /// `None` for a number that is not finite.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        // A sum with zero makes one of the two zeros.
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Finite {}

impl std::hash::Hash for Finite {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl std::fmt::Display for Finite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

//----------- Combined -------------------------------------------------------

/// The probes whose verdicts make one: the `at_least`-th best of them is its verdict. So with 1 any of them is
/// enough, and with as many as there are all must serve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CombinedCheck {
    /// At least one, none twice, and none that leads back here.
    pub probes: Vec<ProbeId>,
    /// How many of them must serve: 1 to the number of probes.
    pub at_least: u16,
}
