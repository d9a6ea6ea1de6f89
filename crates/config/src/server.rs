//! `[server]`: sockets, threads and files.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::admin::AdminSpec;
use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::kinds::{At, FilePath, Flag, List, Parsed, Section, Span, Whole};
use crate::limits;
use crate::manners::{self, MannersSpec};
use crate::reader::{Kind, Table};
use crate::settings::Server;
use crate::tls::{self, TlsSpec};

/// Loopback and a port that needs no privilege: a first try is open to nobody else.
const LISTEN_DEFAULT: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 5300),
];
/// One worker a core.
const WORKERS_DEFAULT: usize = 0;
/// Longer than a check of the default probe takes to fail.
const FIRST_ROUND_DEFAULT: Duration = Duration::from_secs(5);
/// Who edits a file is not always done when it is saved.
const RELOAD_ON_CHANGE_DEFAULT: bool = false;

pub(crate) const SOCKET: Parsed<SocketAddr> = Parsed {
    what: "an address with a port, such as \"192.0.2.53:53\" or \"[2001:db8::53]:53\"",
    pattern: forms::SOCKET,
    parse: |text| text.parse().map_err(|_| String::new()),
};

/// `[server]` as written.
#[derive(Default)]
pub(crate) struct ServerSpec {
    listen: Option<Vec<Spotted<SocketAddr>>>,
    data_dir: Option<PathBuf>,
    workers: Option<usize>,
    first_round: Option<Duration>,
    reload_on_change: bool,
    tls: Option<TlsSpec>,
    manners: MannersSpec,
}

impl ServerSpec {
    /// The files that it names.
    pub(crate) fn data_files(&self) -> impl Iterator<Item = PathBuf> {
        self.manners.data_files().into_iter().chain(self.tls.iter().flat_map(TlsSpec::data_files))
    }
}

/// Reads `[server]`; relative paths begin at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> ServerSpec {
    let listen = List { of: At(SOCKET), what: "addresses with ports", min: 1, max: limits::LISTEN };
    let workers = Whole { min: 0, max: limits::WORKERS, unit: "" };
    let first_round = Span { min: Duration::ZERO, max: limits::FIRST_ROUND_MAX };
    let read = |table: &mut Table<'_>| {
        let spec = ServerSpec {
            listen: table.optional("listen", &listen),
            data_dir: table.optional("data_dir", &FilePath { file, what: "the path of a folder" }),
            workers: table.optional("workers", &workers),
            first_round: table.optional("first_round", &first_round),
            reload_on_change: table.or("reload_on_change", RELOAD_ON_CHANGE_DEFAULT, &Flag),
            tls: tls::read(table, file),
            manners: manners::read(table, file),
        };
        table.default("listen", || Some(json!(LISTEN_DEFAULT.map(|socket| socket.to_string()))));
        table.default("workers", || workers.written(&WORKERS_DEFAULT));
        table.default("first_round", || first_round.written(&FIRST_ROUND_DEFAULT));
        spec
    };
    root.or("server", ServerSpec::default(), &Section { header: "[server]", read })
}

/// Builds the sections, and checks that no socket stands twice.
pub(crate) fn build(spec: ServerSpec, admin: AdminSpec, findings: &Findings<'_>) -> Server {
    let ServerSpec { listen, data_dir, workers, first_round, reload_on_change, tls, manners } = spec;
    // One address and port is two sockets: one of TCP, one of UDP.
    let plain = || listen.iter().flatten();
    once(std::iter::empty(), plain(), findings);
    once(plain(), tls.iter().flat_map(|tls| [&tls.dot, &tls.doh]).flatten(), findings);
    once(plain(), tls.iter().flat_map(|tls| [&tls.doh3, &tls.doq]).flatten(), findings);
    let before = || plain().chain(tls.iter().flat_map(|tls| [&tls.dot, &tls.doh]).flatten());
    once(before(), admin.listen(), findings);
    let admin = admin.build(data_dir.is_some(), findings);
    let listen = listen.map(|sockets| sockets.into_iter().map(|socket| socket.value).collect());
    Server {
        listen: listen.unwrap_or_else(|| LISTEN_DEFAULT.to_vec()),
        data_dir,
        workers: workers.unwrap_or(WORKERS_DEFAULT),
        first_round: first_round.unwrap_or(FIRST_ROUND_DEFAULT),
        reload_on_change,
        tls: tls.map(|tls| tls.build(findings)),
        manners: manners.build(findings),
        admin,
    }
}

/// Reports those of `sockets` that stand above in it or in `before`.
fn once<'s>(
    before: impl Iterator<Item = &'s Spotted<SocketAddr>>,
    sockets: impl Iterator<Item = &'s Spotted<SocketAddr>>,
    findings: &Findings<'_>,
) {
    // Port 0 asks for any free one, which two sockets can do.
    let mut seen: HashSet<SocketAddr> = before.map(|socket| socket.value).collect();
    for socket in sockets.filter(|socket| socket.value.port() != 0) {
        if !seen.insert(socket.value) {
            let found = format_args!("{} again", socket.value);
            findings.mistake(&socket.spot, "each address with its port once", found);
        }
    }
}
