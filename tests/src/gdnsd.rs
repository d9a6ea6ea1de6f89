//! gdnsd as the reference: what its geoip plugin would choose, and with which scope.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use ipnet::IpNet;

use crate::binary::scratch;
use crate::clients::run;

/// What gdnsd says of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The clusters in its order, by their index in the list it was given.
    pub order: Vec<usize>,
    /// SCOPE PREFIX-LENGTH in the client's family.
    pub scope: u8,
}

/// What gdnsd chooses from.
pub struct Gdnsd<'a> {
    /// A City database of MaxMind's schema.
    pub database: &'a Path,
    /// Name, latitude, longitude.
    pub clusters: &'a [(&'static str, f64, f64)],
    /// Networks before the database, each with the index of its cluster.
    pub networks: &'a [(IpNet, usize)],
}

impl Gdnsd<'_> {
    /// Asks gdnsd's own tool (`gdnsd_geoip_test`, of Debian's `gdnsd`) for the nearest `limit` clusters
    /// of each client. No server is started.
    ///
    /// # Panics
    /// Without the program, and when it does not answer for each client.
    #[must_use]
    pub fn ask(&self, limit: usize, clients: &[IpAddr]) -> Vec<Chosen> {
        let folder = scratch();
        std::fs::write(folder.join("config"), self.config(limit)).expect("it is written");
        let mut questions = String::new();
        for client in clients {
            // Writing to a string cannot fail.
            let _infallible = writeln!(questions, "nearest {client}");
        }
        // Files on both ends: neither side waits for the other's pipe.
        let (asked, said) = (folder.join("asked"), folder.join("said"));
        std::fs::write(&asked, questions).expect("it is written");
        let mut command = Command::new("sh");
        command.arg("-c").arg("exec gdnsd_geoip_test -c \"$1\" <\"$2\" >\"$3\"").arg("sh");
        command.args([&folder, &asked, &said]);
        let output = run(&mut command, "gdnsd");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "expected gdnsd_geoip_test of Debian's gdnsd to run: {log}");
        let said = std::fs::read_to_string(said).expect("text");
        let chosen: Vec<Chosen> = said.lines().map(|line| read(line, self.clusters)).collect();
        assert_eq!(chosen.len(), clients.len(), "a line a client: {log}");
        std::fs::remove_dir_all(folder).expect("it is ours");
        chosen
    }

    fn config(&self, limit: usize) -> String {
        let names: Vec<&str> = self.clusters.iter().map(|(name, ..)| *name).collect();
        let coordinates: Vec<String> = self
            .clusters
            .iter()
            .map(|(name, latitude, longitude)| format!("{name} => [{latitude:?}, {longitude:?}]"))
            .collect();
        let networks: Vec<String> = self
            .networks
            .iter()
            .map(|(network, index)| format!("{network} => {}\n", names[*index]))
            .collect();
        format!(
            "plugins => {{ geoip => {{ maps => {{ nearest => {{\n\
             geoip2_db => {}\ndatacenters => [{}]\nauto_dc_coords => {{ {} }}\nauto_dc_limit => {limit}\n\
             nets => {{\n{}}}\n}} }}, resources => {{}} }} }}\n",
            self.database.display(),
            names.join(", "),
            coordinates.join(", "),
            networks.concat(),
        )
    }
}

/// `nearest => 192.0.2.1/13 => dublin, frankfurt`.
fn read(line: &str, clusters: &[(&str, f64, f64)]) -> Chosen {
    let parts: Vec<&str> = line.split(" => ").collect();
    let [_, client, order] = parts[..] else { panic!("expected MAP => CLIENT/SCOPE => NAMES, found {line}") };
    let index = |name: &str| clusters.iter().position(|(known, ..)| *known == name).expect("a cluster");
    let (_, scope) = client.split_once('/').unwrap_or_else(|| panic!("no scope in {line}"));
    Chosen { order: order.split(", ").map(index).collect(), scope: scope.parse().expect("a number") }
}
