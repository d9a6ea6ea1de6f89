//! What the process needs to know beside the catalog.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use meridian_model::{DomainName, Network, Share};

use crate::Located;

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[server]`.
    pub server: Server,
    /// `[geoip]`.
    pub geoip: Geoip,
    /// `[resolver]`.
    pub resolver: Resolver,
    /// `[health]`.
    pub health: Health,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[query_log]`, `[dnstap]` and `[traces]`.
    pub telemetry: Telemetry,
    /// `[[keys]]`: no name twice.
    pub keys: Vec<Key>,
    /// Where each probe of the catalog stands, in its order: for who finds out that one cannot be run.
    pub probes: Vec<Located<()>>,
    /// Files beside the configuration that were read: who serves watches them.
    pub data_files: Vec<PathBuf>,
}

/// Where packages put such a folder (Filesystem Hierarchy Standard 3.0 §5.8).
pub const DATA_DIR_DEFAULT: &str = "/var/lib/meridian";

/// `[server]`: sockets, threads and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where UDP and TCP queries are received; at least one, none twice unless with port 0.
    pub listen: Vec<SocketAddr>,
    /// For what must survive a restart, and the API's socket. `None`: [`DATA_DIR_DEFAULT`], if it is there.
    pub data_dir: Option<PathBuf>,
    /// How many threads receive UDP; 0: one a core.
    pub workers: usize,
    /// How long the first answers wait for the first round of probes, at most.
    pub first_round: Duration,
    /// Whether the file is read again when it changes, without being asked.
    pub reload_on_change: bool,
    /// `[server.tls]`; `None`: no encrypted transport.
    pub tls: Option<Tls>,
    /// How queries are met, whatever they ask for.
    pub manners: Manners,
    /// `[admin]`; `None`: the API is on its Unix socket alone.
    pub admin: Option<Admin>,
}

/// `[admin]`: the API on a network. Elsewhere than on loopback there are tokens and TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; no socket of TCP besides.
    pub listen: SocketAddr,
    /// Who may do what; no name twice. `None`: who may connect may do everything.
    pub tokens: Option<Vec<Token>>,
    /// `[admin.tls]`; `None`: in the clear.
    pub tls: Option<AdminTls>,
}

/// `[admin.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTls {
    /// The certificate and what it is signed by, in PEM; not read here.
    pub cert_file: Located<PathBuf>,
    /// Its private key, in PEM; not read here.
    pub key_file: Located<PathBuf>,
    /// By whom clients have to be certified, in PEM; not read here. `None`: they need no certificate.
    pub client_ca_file: Option<Located<PathBuf>>,
}

/// A token, of which nobody knows more than its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is good for.
    pub role: Role,
    /// Whose it is: 1 to 64 characters in one line.
    pub name: Box<str>,
    /// The SHA-256 of its text.
    pub sha256: [u8; 32],
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See everything.
    Viewer,
    /// And change it.
    Operator,
}

/// `[server.tls]`: the encrypted transports. No socket stands twice, there and in `listen`, unless with port 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and what it is signed by, in PEM; not read here.
    pub cert_file: Located<PathBuf>,
    /// Its private key, in PEM; not read here.
    pub key_file: Located<PathBuf>,
    /// Where DNS over TLS is spoken (RFC 7858).
    pub dot: Vec<SocketAddr>,
    /// Where DNS over HTTPS is spoken, HTTP/2 and HTTP/1.1 (RFC 8484).
    pub doh: Vec<SocketAddr>,
    /// Where DNS over HTTPS is spoken by HTTP/3.
    pub doh3: Vec<SocketAddr>,
    /// Where DNS over QUIC is spoken (RFC 9250); never on port 53.
    pub doq: Vec<SocketAddr>,
    /// The path of DoH's URI.
    pub path: Box<str>,
}

/// How queries are met, whatever they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manners {
    /// `[server.identity]`.
    pub identity: Identity,
    /// `[server.cookies]`.
    pub cookies: Cookies,
    /// `trusted` of `[server.client_subnet]`: whose client subnets count; `None`: everybody's.
    pub subnets_of: Option<Vec<IpNet>>,
    /// `[server.rate_limit]`; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// `[server.tcp]`.
    pub streams: Streams,
    /// `networks` of `[server.proxy]`: the load balancers that say who a client is, and have to; none twice.
    pub proxies: Vec<IpNet>,
}

/// `[server.tcp]`: the bounds of connections, on all transports together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// How many at once.
    pub connections: usize,
    /// How many of one client at once; at most as many as `connections`.
    pub per_client: usize,
    /// How long one lasts after its last query.
    pub idle: Duration,
    /// How long one lasts, however busy; at least `idle`.
    pub lifetime: Duration,
}

/// `[server.identity]`: what the server says of itself. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// To who asks for the name server's identifier (RFC 5001).
    pub nsid: Option<Box<[u8]>>,
    /// At `version.bind` and `version.server`, at most 255 octets.
    pub version: Option<Box<[u8]>>,
    /// At `id.server` and `hostname.bind`, at most 255 octets.
    pub id: Option<Box<[u8]>>,
}

/// `[server.cookies]` (RFC 7873).
#[derive(Clone, PartialEq, Eq)]
pub enum Cookies {
    /// The option is not known.
    Off,
    /// By a secret that the process makes.
    Own,
    /// By the secrets of a file that a fleet shares: the first makes cookies, all are accepted.
    Shared(Vec<[u8; 16]>),
}

impl std::fmt::Debug for Cookies {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Own => f.write_str("Own"),
            Self::Shared(secrets) => write!(f, "Shared({})", secrets.len()),
        }
    }
}

/// `[server.rate_limit]`: replies a second over UDP to clients without a good cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// To one network of clients.
    pub per_client: u32,
    /// Of these, for one name; at most as many as `per_client`.
    pub per_name: u32,
    /// Of these, errors: REFUSED, FORMERR and alike.
    pub errors: u32,
    /// Each how manieth reply over the limit is sent truncated and not dropped; 0: none.
    pub slip: u32,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
    /// Clients without a limit.
    pub exempt: Vec<IpNet>,
}

/// A secret that messages are signed with (RFC 8945).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name, which both sides must have alike.
    pub name: DomainName,
    /// How messages are signed.
    pub algorithm: KeyAlgorithm,
    /// 16 to 128 octets.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Key {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {:?})", self.name, self.algorithm)
    }
}

/// RFC 8945 §6, those that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// hmac-sha256.
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

/// What is told of single queries, and of what the server does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// `[query_log]`: which share of the queries has a line in the log.
    pub query_log: Share,
    /// `[dnstap]`; `None`: nobody is told.
    pub dnstap: Option<Dnstap>,
    /// `[traces]`; `None`: none.
    pub traces: Option<Traces>,
}

/// `[dnstap]`: queries and responses for another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnstap {
    /// Where it listens.
    pub socket: PathBuf,
    /// Which share of the queries it is told.
    pub sample: Share,
    /// Whether queries are told.
    pub queries: bool,
    /// Whether responses are told.
    pub responses: bool,
    /// Who tells it; `None`: the machine's name.
    pub identity: Option<Box<str>>,
}

/// `[traces]`: what the server does, for a collector of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The URL of its receiver of OTLP over HTTP, `http` or `https`; `/v1/traces` is put behind it.
    pub endpoint: Box<str>,
    /// Which share of the queries is traced.
    pub sample_queries: Share,
    /// Who tells it.
    pub service_name: Box<str>,
}

/// `[geoip]`: where clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geoip {
    /// MMDB files, the first that knows an address wins; empty: the embedded country database.
    pub databases: Vec<Located<PathBuf>>,
    /// The operator's own networks, before every database; no prefix twice.
    pub networks: Vec<Network>,
}

/// `[resolver]`: who resolves the hostnames of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Asked in this order; empty: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one of them may take.
    pub timeout: Duration,
    /// How soon a name is resolved again at the earliest, whatever its TTL.
    pub min_ttl: Duration,
    /// Where names may lead although it is loopback, link-local or a metadata address; none twice.
    pub allow: Vec<IpNet>,
}

/// `[metrics]`: what is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// What answers are counted by, each once; empty: they are not counted.
    pub answers_by: Vec<AnswerLabel>,
}

/// A label of the metric that counts answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerLabel {
    /// The gateway's name.
    Gateway,
    /// The name of the cluster of the first address.
    Cluster,
    /// The country of the client.
    Country,
}

impl std::fmt::Display for AnswerLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Cluster => "cluster",
            Self::Country => "country",
        })
    }
}

/// `[health]`: what holds for all probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether a probe may run a command.
    pub allow_exec: bool,
}
