//! Knot and NSD, authoritative servers to compare ours with on the same zone files.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use nix::sys::signal::Signal;

use crate::binary::{DEADLINE, lines_of, now, scratch, signal};
use crate::clients::not_started;
use crate::unbound::free_port;

/// Another name server, on loopback and from a folder of its own.
pub struct Authority {
    child: Child,
    logs: Receiver<String>,
    folder: PathBuf,
    /// Where it takes queries, over UDP and TCP.
    pub address: SocketAddr,
}

impl Authority {
    /// Starts Knot on zones, each with its file, and waits until it takes queries.
    ///
    /// # Panics
    /// Without the program, or when it does not get ready; what it says is in the message.
    #[must_use]
    pub fn knot(zones: &[(String, PathBuf)]) -> Self {
        let (folder, address) = place();
        let config = folder.join("knot.conf");
        std::fs::write(&config, knot_config(&folder, address, zones)).expect("it is written");
        let mut command = Command::new("knotd");
        command.arg("-c").arg(&config);
        Self::start(command, "knot", folder, address, "server started")
    }

    /// Starts Knot as a secondary of a zone, which takes it from `primary` with a key (its name, and the secret in
    /// base 64) and waits to be told of changes.
    ///
    /// # Panics
    /// Without the program, or when it does not get ready; what it says is in the message.
    #[must_use]
    pub fn secondary(zone: &str, primary: SocketAddr, key: (&str, &str)) -> Self {
        let (folder, address) = place();
        let config = folder.join("knot.conf");
        std::fs::write(&config, secondary_config(&folder, address, zone, primary, key))
            .expect("it is written");
        let mut command = Command::new("knotd");
        command.arg("-c").arg(&config);
        Self::start(command, "knot", folder, address, "server started")
    }

    /// Starts NSD, likewise.
    ///
    /// # Panics
    /// Without the program, or when it does not get ready; what it says is in the message.
    #[must_use]
    pub fn nsd(zones: &[(String, PathBuf)]) -> Self {
        let (folder, address) = place();
        let config = folder.join("nsd.conf");
        std::fs::write(&config, nsd_config(&folder, address, zones)).expect("it is written");
        let mut command = Command::new("nsd");
        // -d: in the foreground.
        command.arg("-d").arg("-c").arg(&config);
        Self::start(command, "nsd", folder, address, "nsd started")
    }

    fn start(
        mut command: Command,
        package: &str,
        folder: PathBuf,
        address: SocketAddr,
        started: &str,
    ) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{}", not_started(&command, package, &error)),
        };
        let logs = lines_of(child.stderr.take().expect("piped"));
        let authority = Self { child, logs, folder, address };
        let until = now() + DEADLINE;
        let mut seen: Vec<String> = Vec::new();
        loop {
            let Ok(line) = authority.logs.recv_timeout(until.saturating_duration_since(now())) else {
                panic!("{package} did not start in {DEADLINE:?}: {seen:#?}");
            };
            let is_it = line.contains(started);
            seen.push(line);
            if is_it {
                return authority;
            }
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // NSD has children, which end when it is asked to, and not when it is killed.
        signal(&self.child, Signal::SIGTERM);
        let until = now() + DEADLINE;
        // Its standard error closes when the last of them ends.
        while self.logs.recv_timeout(until.saturating_duration_since(now())).is_ok() {}
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

fn place() -> (PathBuf, SocketAddr) {
    (scratch(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST))))
}

/// What every Knot has.
fn knot_server(folder: &Path, address: SocketAddr) -> String {
    let (ip, port, folder) = (address.ip(), address.port(), folder.display());
    format!(
        r#"server:
  rundir: "{folder}"
  pidfile: "{folder}/knot.pid"
  listen: {ip}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: "{folder}"
"#
    )
}

fn knot_config(folder: &Path, address: SocketAddr, zones: &[(String, PathBuf)]) -> String {
    let mut config = knot_server(folder, address);
    config.push_str(
        "template:\n  - id: default\n    zonefile-load: whole\n    zonefile-sync: -1\n    journal-content: none\nzone:\n",
    );
    for (zone, file) in zones {
        // Writing to a string cannot fail.
        let _infallible = writeln!(config, "  - domain: {zone}\n    file: {:?}", file.display().to_string());
    }
    config
}

fn secondary_config(
    folder: &Path,
    address: SocketAddr,
    zone: &str,
    primary: SocketAddr,
    (name, secret): (&str, &str),
) -> String {
    let (server, folder) = (knot_server(folder, address), folder.display());
    let (ip, port) = (primary.ip(), primary.port());
    format!(
        r#"{server}key:
  - id: {name}
    algorithm: hmac-sha256
    secret: {secret}
remote:
  - id: primary
    address: {ip}@{port}
    key: {name}
acl:
  - id: told
    address: {ip}
    key: {name}
    action: notify
zone:
  - domain: {zone}
    storage: "{folder}"
    master: primary
    acl: told
"#
    )
}

fn nsd_config(folder: &Path, address: SocketAddr, zones: &[(String, PathBuf)]) -> String {
    let (ip, port, folder) = (address.ip(), address.port(), folder.display());
    let mut config = format!(
        r#"server:
  ip-address: {ip}@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  # No NS records beside an answer, as Knot and we.
  minimal-responses: yes
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"#
    );
    for (zone, file) in zones {
        // Writing to a string cannot fail.
        let _infallible =
            writeln!(config, "zone:\n  name: {zone:?}\n  zonefile: {:?}", file.display().to_string());
    }
    config
}
