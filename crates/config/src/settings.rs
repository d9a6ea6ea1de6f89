//! What the process needs to know beside the catalog.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use meridian_model::Network;

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

/// `[health]`: what holds for all probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether a probe may run a command.
    pub allow_exec: bool,
}
