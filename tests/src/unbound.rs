//! Unbound, a caching resolver that sends client subnets, in front of a server of ours.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::binary::{DEADLINE, lines_of, now, scratch};
use crate::clients::{not_started, run};

/// The Debian package.
const PACKAGE: &str = "unbound";

/// A running Unbound. It knows one zone, from one server, and asks nobody else.
pub struct Unbound {
    child: Child,
    logs: Receiver<String>,
    folder: PathBuf,
    /// Where it takes queries, over UDP and TCP.
    pub address: SocketAddr,
}

impl Unbound {
    /// Starts it on an address, with `zone` at `server`, and waits until it takes queries.
    ///
    /// # Panics
    /// Without the program, or when it does not get ready; what it says is in the message.
    #[must_use]
    pub fn start(ip: Ipv4Addr, zone: &str, server: SocketAddr) -> Self {
        let folder = scratch();
        let address = SocketAddr::from((ip, free_port(ip)));
        let config = folder.join("unbound.conf");
        std::fs::write(&config, configuration(&folder, address, zone, server)).expect("it is written");
        // -d: in the foreground; -p: without a file of its id.
        let mut command = Command::new("unbound");
        command.args(["-d", "-p", "-c"]).arg(&config).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = match command.stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{}", not_started(&command, PACKAGE, &error)),
        };
        let logs = lines_of(child.stderr.take().expect("piped"));
        let unbound = Self { child, logs, folder, address };
        unbound.wait_until_started();
        unbound
    }

    fn wait_until_started(&self) {
        let until = now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.logs.recv_timeout(until.saturating_duration_since(now())) else {
                panic!("Unbound did not start in {DEADLINE:?}: {seen:#?}");
            };
            seen.push(line);
            // Its sockets are bound before this line.
            if seen.iter().any(|line| line.contains("start of service")) {
                return;
            }
        }
    }

    /// Its statistics since the start, by name.
    ///
    /// # Panics
    /// When it does not give them.
    #[must_use]
    pub fn statistics(&self) -> BTreeMap<String, f64> {
        let mut command = Command::new("unbound-control");
        command.arg("-c").arg(self.folder.join("unbound.conf")).arg("stats_noreset");
        let output = run(&mut command, PACKAGE);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(pair).collect()
    }

    /// How many queries were answered from what is kept for a client subnet.
    ///
    /// # Panics
    /// When Unbound does not say so.
    #[must_use]
    pub fn from_subnet_cache(&self) -> u64 {
        // Counts of a few queries.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let count = self.statistics()["num.query.subnet_cache"] as u64;
        count
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free on an address, for UDP and TCP.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port(ip: Ipv4Addr) -> u16 {
    let free = |_| {
        let listener = TcpListener::bind((ip, 0)).ok()?;
        let port = listener.local_addr().ok()?.port();
        UdpSocket::bind((ip, port)).ok().map(|_| port)
    };
    (0..16).find_map(free).expect("a free port")
}

fn configuration(folder: &std::path::Path, address: SocketAddr, zone: &str, server: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (server_ip, server_port) = (server.ip(), server.port());
    let folder = folder.display();
    format!(
        r#"server:
  interface: {ip}@{port}
  access-control: 127.0.0.0/8 allow
  num-threads: 1
  extended-statistics: yes
  # No privileges, nothing outside its folder.
  username: ""
  chroot: ""
  directory: "{folder}"
  use-syslog: no
  logfile: ""
  verbosity: 1
  # Client subnets for the one server that wants them, with all bits; no validation.
  module-config: "subnetcache iterator"
  send-client-subnet: {server_ip}
  client-subnet-always-forward: no
  max-client-subnet-ipv4: 32
  max-client-subnet-ipv6: 128
  # The server is on this machine.
  do-not-query-localhost: no
  do-ip6: no
stub-zone:
  name: "{zone}"
  stub-addr: {server_ip}@{server_port}
  stub-prime: no
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
  control-use-cert: no
"#
    )
}
