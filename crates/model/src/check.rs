//! What a probe does with an address, one type each.

use std::sync::Arc;

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
