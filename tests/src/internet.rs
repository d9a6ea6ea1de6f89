//! An internet of our own: a network namespace in which a root and a top-level domain, served by NSD, delegate
//! `gslb.example` to two addresses that are free for name servers of ours.
//!
//! The addresses are public ones, as a checker of delegations wants them; they are on a loopback that
//! nothing leaves.

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::scratch;
use crate::clients::run;
use crate::daemon::Daemon;

/// Of the root's name server.
const ROOT: [&str; 2] = ["198.41.0.4", "2001:503:ba3e::2:30"];
/// Of the top-level domain's.
const TOP: [&str; 2] = ["192.5.6.30", "2001:503:a83e::2:30"];
/// Of the two name servers of the zone: in networks, and for those who look them up systems, of their own.
pub const SERVERS: [[&str; 2]; 2] = [["185.199.0.53", "2a0a:e5c0:1::53"], ["193.0.14.53", "2a0b:1780:2::53"]];
/// Of the name server of `lab.gslb.example`, which the zone delegates: `ns.lab`.
pub const LAB: [&str; 2] = ["194.0.25.99", "2a0c:a3c0:3::99"];
/// Where resolvers take queries.
const RESOLVER: [u8; 4] = [127, 0, 0, 153];

/// Says in the environment of a test that it is in the namespace already.
const MARK: &str = "MERIDIAN_TEST_NAMESPACE";

/// Runs a test in a network namespace of its own: the test's executable again, for this test alone. `name` is
/// the test's, with its modules.
///
/// # Panics
/// When the test fails there, or no namespace can be made.
pub fn apart(name: &str, test: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        ip("link set lo up");
        test();
        return;
    }
    let mut command = Command::new("unshare");
    command.arg("--net");
    if std::fs::metadata("/proc/self").expect("a kernel with /proc").uid() != 0 {
        command.arg("--map-root-user");
    }
    command.arg(std::env::current_exe().expect("its own path"));
    let output = run(command.args(["--exact", name, "--nocapture"]).env(MARK, "1"), "util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    // None would be run under a name that there is not.
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "in the namespace: {}", String::from_utf8_lossy(&output.stderr));
}

/// Root, top-level domain, and a zone below that of a test; they end with it.
pub struct Internet {
    folder: PathBuf,
    _servers: [Daemon; 3],
}

impl Internet {
    /// Gives the namespace its addresses and starts the three name servers.
    ///
    /// # Panics
    /// Without `ip` and `nsd`, and outside of [`apart`].
    #[must_use]
    pub fn start() -> Self {
        assert!(std::env::var_os(MARK).is_some(), "in a namespace only");
        for [v4, v6] in [ROOT, TOP, LAB, SERVERS[0], SERVERS[1]] {
            ip(&format!("addr add {v4}/32 dev lo"));
            // Nobody else can have it.
            ip(&format!("addr add {v6}/128 dev lo nodad"));
        }
        // BIND listens on addresses of interfaces only.
        ip(&format!("addr add {}/32 dev lo", IpAddr::from(RESOLVER)));
        let folder = scratch();
        let root = nsd(&folder, "root", ROOT, &root_zones());
        let top = nsd(&folder, "top", TOP, &[("example", top_zone())]);
        let lab = nsd(&folder, "lab", LAB, &[("lab.gslb.example", lab_zone())]);
        let internet = Self { folder, _servers: [root, top, lab] };
        let hints = format!(". 3600 NS a.root-servers.net.\n{}", addresses("a.root-servers.net.", ROOT));
        std::fs::write(internet.hints(), hints).expect("it is written");
        internet
    }

    /// The hints file of this root.
    #[must_use]
    pub fn hints(&self) -> PathBuf {
        self.folder.join("root.hints")
    }

    /// Unbound, which asks from the root on, with the least that each server has to know.
    ///
    /// # Panics
    /// Without the program.
    #[must_use]
    pub fn unbound(&self) -> (Daemon, SocketAddr) {
        let (folder, hints) = (self.folder.display(), self.hints());
        let text = format!(
            r#"server:
  interface: 127.0.0.153@53
  num-threads: 1
  username: ""
  chroot: ""
  directory: "{folder}"
  use-syslog: no
  logfile: ""
  verbosity: 1
  module-config: "iterator"
  root-hints: "{}"
  do-not-query-localhost: no
  # What operators tighten.
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-glue: yes
  harden-below-nxdomain: yes
  harden-referral-path: yes
  harden-large-queries: yes
remote-control:
  control-enable: no
"#,
            hints.display()
        );
        let config = self.folder.join("unbound.conf");
        std::fs::write(&config, text).expect("it is written");
        let mut command = Command::new("unbound");
        command.args(["-d", "-p", "-c"]).arg(config);
        (Daemon::start(command, "unbound", "start of service"), (RESOLVER, 53).into())
    }

    /// BIND, likewise; it sends cookies.
    ///
    /// # Panics
    /// Without the program.
    #[must_use]
    pub fn bind(&self) -> (Daemon, SocketAddr) {
        let (folder, hints) = (self.folder.display(), self.hints());
        let text = format!(
            "options {{ directory \"{folder}\"; listen-on {{ 127.0.0.153; }}; listen-on-v6 {{ none; }}; recursion yes; \
             dnssec-validation no; qname-minimization strict; send-cookie yes; pid-file none; session-keyfile none; \
             lock-file none; }};\ncontrols {{ }};\nzone \".\" {{ type hint; file \"{}\"; }};\n",
            hints.display()
        );
        let config = self.folder.join("named.conf");
        std::fs::write(&config, text).expect("it is written");
        let mut command = Command::new("named");
        command.args(["-g", "-n", "1", "-c"]).arg(config);
        (Daemon::start(command, "bind9", "all zones loaded"), (RESOLVER, 53).into())
    }

    /// Knot Resolver, likewise.
    ///
    /// # Panics
    /// Without the program.
    #[must_use]
    pub fn knot_resolver(&self) -> (Daemon, SocketAddr) {
        let folder = self.folder.join("kresd");
        std::fs::create_dir_all(&folder).expect("it is made");
        // Nothing is signed from this root.
        let text = format!(
            "net.listen('127.0.0.153', 53, {{ kind = 'dns' }})\ncache.open(10 * MB, 'lmdb://{}')\n\
             trust_anchors.remove('.')\nmodules.load('hints > iterate')\nhints.root_file('{}')\n\
             mode('strict')\nio.stderr:write('ready for queries\\n')\n",
            folder.display(),
            self.hints().display()
        );
        let config = folder.join("kresd.conf");
        std::fs::write(&config, text).expect("it is written");
        let mut command = Command::new("kresd");
        command.args(["-n", "-c"]).arg(config).arg(folder);
        (Daemon::start(command, "knot-resolver", "ready for queries"), (RESOLVER, 53).into())
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

/// Changes the network, in a namespace of [`apart`].
///
/// # Panics
/// When `ip` does not do it.
pub fn ip(words: &str) {
    let output = run(Command::new("ip").args(words.split(' ')), "iproute2");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// NSD with zones, each its name and content.
fn nsd(folder: &Path, name: &str, addresses: [&str; 2], zones: &[(&str, String)]) -> Daemon {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).expect("it is made");
    let at = folder.display();
    let mut text = format!(
        "server:\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{at}\"\n  database: \"\"\n  logfile: \"\"\n  \
         pidfile: \"\"\n  xfrdfile: \"{at}/xfrd\"\n  xfrdir: \"{at}\"\n  zonelistfile: \"{at}/zones\"\n  \
         verbosity: 1\n  ip-address: {}\n  ip-address: {}\nremote-control:\n  control-enable: no\n",
        addresses[0], addresses[1]
    );
    for (number, (zone, content)) in zones.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.zone")), content).expect("it is written");
        put(&mut text, &format!("zone:\n  name: \"{zone}\"\n  zonefile: \"{number}.zone\"\n"));
    }
    let config = folder.join("nsd.conf");
    std::fs::write(&config, text).expect("it is written");
    let mut command = Command::new("nsd");
    command.args(["-d", "-c"]).arg(config);
    Daemon::start(command, "nsd", "nsd started")
}

//----------- Zones ----------------------------------------------------------

fn put(text: &mut String, more: &str) {
    // Writing to a string cannot fail.
    let _infallible = text.write_str(more);
}

/// A and AAAA records.
fn addresses(name: &str, [v4, v6]: [&str; 2]) -> String {
    format!("{name} 3600 A {v4}\n{name} 3600 AAAA {v6}\n")
}

/// What a zone begins with.
fn head(zone: &str, server: &str) -> String {
    format!(
        "{zone} 3600 SOA {server} hostmaster.nic.example. 1 14400 7200 1209600 3600\n{zone} 3600 NS {server}\n"
    )
}

/// The root, and beside it the names of addresses and the systems that they belong to.
fn root_zones() -> Vec<(&'static str, String)> {
    let server = "a.root-servers.net.";
    let below = ["root-servers.net", "in-addr.arpa", "ip6.arpa", "asnlookup.zonemaster.net"];
    let mut root = head(".", server) + &addresses(server, ROOT);
    for zone in below {
        put(&mut root, &format!("{zone}. 3600 NS {server}\n"));
    }
    put(&mut root, "example. 3600 NS a.nic.example.\n");
    put(&mut root, &addresses("a.nic.example.", TOP));
    let [names, mut v4, mut v6, mut systems] = below.map(|zone| head(&format!("{zone}."), server));
    for (system, (name, both)) in (64500..).zip([
        ("ns1.gslb.example.", SERVERS[0]),
        ("ns2.gslb.example.", SERVERS[1]),
        ("a.nic.example.", TOP),
        (server, ROOT),
    ]) {
        for address in both {
            let (reverse, origin, length) = reverse(address);
            let zone = if length == 32 { &mut v4 } else { &mut v6 };
            put(
                zone,
                &format!(
                    "{reverse}.{} 3600 PTR {name}\n",
                    if length == 32 { "in-addr.arpa." } else { "ip6.arpa." }
                ),
            );
            put(
                &mut systems,
                &format!(
                    "{reverse}.{origin}.asnlookup.zonemaster.net. 3600 TXT \"{system} | {address}/{length} | EX | ripencc | 2020-01-01\"\n"
                ),
            );
        }
    }
    vec![
        (".", root),
        (below[0], names + &addresses(server, ROOT)),
        (below[1], v4),
        (below[2], v6),
        (below[3], systems),
    ]
}

/// The top-level domain with its delegation.
fn top_zone() -> String {
    let mut zone = head("example.", "a.nic.example.") + &addresses("a.nic.example.", TOP);
    for (number, both) in (1..).zip(SERVERS) {
        let name = format!("ns{number}.gslb.example.");
        put(&mut zone, &format!("gslb.example. 3600 NS {name}\n{}", addresses(&name, both)));
    }
    zone
}

/// The zone that a zone of ours delegates.
fn lab_zone() -> String {
    let server = "ns.lab.gslb.example.";
    head("lab.gslb.example.", server) + &addresses(server, LAB) + "www.lab.gslb.example. 60 A 194.0.25.7\n"
}

/// The labels of an address in reverse, what stands behind them in the zone of systems, and its bits.
fn reverse(address: &str) -> (String, &'static str, u8) {
    match address.parse().expect("an address") {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (format!("{d}.{c}.{b}.{a}"), "origin", 32)
        }
        IpAddr::V6(v6) => (nibbles(v6), "origin6", 128),
    }
}

fn nibbles(address: Ipv6Addr) -> String {
    let digits: Vec<String> = format!("{:032x}", address.to_bits()).chars().rev().map(String::from).collect();
    digits.join(".")
}
