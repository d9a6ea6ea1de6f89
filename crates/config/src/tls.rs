//! `[server.tls]`: the encrypted transports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::kinds::{At, FilePath, List, Parsed, Section};
use crate::limits;
use crate::reader::Table;
use crate::server::SOCKET;
use crate::settings::Tls;

/// Where DoH is found unless the file says otherwise, as in the examples of RFC 8484.
const PATH_DEFAULT: &str = "/dns-query";

const PATH: Parsed<Box<str>> = Parsed {
    what: "an absolute path of a URI, such as \"/dns-query\"",
    pattern: forms::PLAIN_PATH,
    parse: |text| {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"/-._~".contains(&octet);
        let fits = text.starts_with('/') && text.len() <= limits::DOH_PATH_OCTETS;
        if fits && text.bytes().all(plain) { Ok(text.into()) } else { Err(String::new()) }
    },
};

/// `[server.tls]` as written.
pub(crate) struct TlsSpec {
    cert_file: Spotted<PathBuf>,
    key_file: Spotted<PathBuf>,
    pub(crate) dot: Vec<Spotted<SocketAddr>>,
    pub(crate) doh: Vec<Spotted<SocketAddr>>,
    pub(crate) doh3: Vec<Spotted<SocketAddr>>,
    pub(crate) doq: Vec<Spotted<SocketAddr>>,
    path: Box<str>,
}

/// Reads the table below `[server]`.
pub(crate) fn read(server: &mut Table<'_>, file: &Path) -> Option<TlsSpec> {
    let sockets = List { of: At(SOCKET), what: "addresses with ports", min: 0, max: limits::LISTEN };
    let path = |what| At(FilePath { file, what });
    let read = |table: &mut Table<'_>| {
        let cert_file = table.required("cert_file", &path("the path of a certificate in PEM"));
        let key_file = table.required("key_file", &path("the path of a private key in PEM"));
        let dot = table.or("dot", Vec::new(), &sockets);
        let doh = table.or("doh", Vec::new(), &sockets);
        let doh3 = table.or("doh3", Vec::new(), &sockets);
        let doq = table.or("doq", Vec::new(), &sockets);
        let at = table.or("path", PATH_DEFAULT.into(), &PATH);
        table.default("path", || Some(json!(PATH_DEFAULT)));
        if [&dot, &doh, &doh3, &doq].iter().all(|sockets| sockets.is_empty()) {
            table.findings.warn(&table.spot, "no effect: it names no address to listen on");
        }
        Some(TlsSpec { cert_file: cert_file?, key_file: key_file?, dot, doh, doh3, doq, path: at })
    };
    server.optional("tls", &Section { header: "[server.tls]", read }).flatten()
}

impl TlsSpec {
    /// The files that it names.
    pub(crate) fn data_files(&self) -> [PathBuf; 2] {
        [self.cert_file.value.clone(), self.key_file.value.clone()]
    }

    pub(crate) fn build(self, findings: &Findings<'_>) -> Tls {
        let Self { cert_file, key_file, dot, doh, doh3, doq, path } = self;
        // RFC 9250 §4.1.1: not on the port of DNS over UDP.
        for socket in doq.iter().filter(|socket| socket.value.port() == 53) {
            findings.mistake(&socket.spot, "another port than 53, which is that of plain DNS", socket.value);
        }
        let plain =
            |sockets: Vec<Spotted<SocketAddr>>| sockets.into_iter().map(|socket| socket.value).collect();
        Tls {
            cert_file: findings.located(cert_file),
            key_file: findings.located(key_file),
            dot: plain(dot),
            doh: plain(doh),
            doh3: plain(doh3),
            doq: plain(doq),
            path,
        }
    }
}
