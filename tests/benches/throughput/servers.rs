//! The servers, each on the first core, over the same names.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::{Ask, City, Process, binary, free_port, now, scratch};

use crate::{pinned, quiet};

/// Of the cities that clouds are in.
const CLUSTERS: [(&str, f64, f64); 8] = [
    ("use1", 39.04, -77.49),
    ("usw2", 45.84, -119.7),
    ("euw1", 53.35, -6.26),
    ("euc1", 50.11, 8.68),
    ("apne1", 35.68, 139.69),
    ("apse1", 1.35, 103.82),
    ("sae1", -23.55, -46.63),
    ("afs1", -33.92, 18.42),
];

/// A cluster: its name, and where it is.
type Place = (String, f64, f64);

/// So many datacenters gdnsd takes.
const GDNSDS_MOST: usize = 254;

/// How long a server may take to load.
const LOADING: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Echo,
    Meridian,
    Gdnsd,
}

pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    _process: Process,
}

/// Gateways and as many static names, with a City database.
pub(crate) struct World {
    size: usize,
    clusters: Vec<Place>,
    database: PathBuf,
    folder: PathBuf,
}

impl World {
    pub(crate) fn new((size, clusters): (usize, usize)) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let known =
            CLUSTERS.iter().map(|&(name, latitude, longitude)| (name.to_owned(), latitude, longitude));
        let more = std::iter::repeat_with(|| (random.f64() * 130.0 - 60.0, random.f64() * 360.0 - 180.0));
        let more =
            more.zip(CLUSTERS.len()..).map(|((north, east), number)| (format!("c{number}"), north, east));
        let clusters = known.chain(more).take(clusters).collect();
        Self { size, clusters, database: City::open().in_maxminds_schema(), folder: scratch() }
    }

    /// The servers that can have it.
    pub(crate) fn kinds(&self) -> &'static [Kind] {
        let all = &[Kind::Echo, Kind::Meridian, Kind::Gdnsd];
        if self.clusters.len() > GDNSDS_MOST { &all[..2] } else { all }
    }

    pub(crate) fn start(&self, kind: Kind) -> Server {
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST)).into();
        let process = match kind {
            Kind::Echo => {
                let mut echo = pinned(0);
                echo.args(["echo", &address.to_string()]);
                quiet(echo)
            }
            Kind::Meridian => {
                let file = self.folder.join("meridian.toml");
                std::fs::write(&file, self.meridian(address)).expect("it is written");
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(binary()).args(["serve", "--config"]).arg(&file);
                quiet(command)
            }
            Kind::Gdnsd => {
                let folder = self.folder.join("gdnsd");
                for part in ["zones", "run", "state"] {
                    std::fs::create_dir_all(folder.join(part)).expect("a folder");
                }
                std::fs::write(folder.join("config"), self.gdnsd(address)).expect("it is written");
                std::fs::write(folder.join("zones/gslb.example"), self.zone()).expect("it is written");
                let mut command = Command::new("taskset");
                command.args(["-c", "0", "gdnsd", "-c"]).arg(&folder).arg("start");
                quiet(command)
            }
        };
        let until = now() + LOADING;
        let probe = Ask::new("g00000.gslb.example.", RecordType::A).octets();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(address).expect("an address");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket of ours");
        while socket.send(&probe).is_err() || socket.recv(&mut [0; 512]).is_err() {
            assert!(now() < until, "{kind:?} does not answer");
            sleep(Duration::from_millis(100));
        }
        Server { kind, address, _process: process }
    }

    fn meridian(&self, address: SocketAddr) -> String {
        let mut text = format!(
            "version = 1\n[server]\nlisten = [\"{address}\"]\nworkers = 1\n[geoip]\ndatabases = [\"{}\"]\n[[zones]]\n\
             name = \"gslb.example\"\nnameservers = [\"ns1.gslb.example\"]\nhostmaster = \"hostmaster.gslb.example\"\n\
             records = [{{ name = \"ns1\", type = \"A\", data = [\"192.0.2.53\"] }},\n",
            self.database.display()
        );
        for name in self.names("s") {
            for (record_type, data) in STATIC {
                let data = data.replace('\\', "\\\\").replace('"', "\\\"");
                writeln!(
                    text,
                    "{{ name = \"{name}\", type = \"{record_type}\", ttl = 30, data = [\"{data}\"] }},"
                )
                .expect("a string");
            }
        }
        text.push_str("]\n");
        for (name, latitude, longitude) in &self.clusters {
            writeln!(
                text,
                "[[clusters]]\nname = \"{name}\"\nlatitude = {latitude:?}\nlongitude = {longitude:?}"
            )
            .expect("a string");
        }
        let endpoint = |(index, (name, ..)): (usize, &Place)| {
            let (net, host) = (index / 250, index % 250 + 1);
            format!(
                "{{ cluster = \"{name}\", addresses = [\"100.64.{net}.{host}\", \"2001:db8::{net}:{host}\"] }}"
            )
        };
        let endpoints: Vec<String> = self.clusters.iter().enumerate().map(endpoint).collect();
        let names: Vec<String> = self.names("g").map(|name| format!("\"{name}.gslb.example\"")).collect();
        // With gdnsd all names have one resource. Of Meridian's gateways each has at most so many.
        for (number, hostnames) in names.chunks(10_000).enumerate() {
            writeln!(
                text,
                "[[gateways]]\nname = \"g{number}\"\nhostnames = [{}]\nttl = 30\npolicy = \"nearest\"\nendpoints = [{}]",
                hostnames.join(", "),
                endpoints.join(", ")
            )
            .expect("a string");
        }
        text
    }

    fn gdnsd(&self, address: SocketAddr) -> String {
        let names: Vec<&str> = self.clusters.iter().map(|(name, ..)| &**name).collect();
        let spots: Vec<String> =
            self.clusters.iter().map(|(name, lat, lon)| format!("{name} => [{lat:?}, {lon:?}]")).collect();
        let addresses: Vec<String> = (1..=names.len())
            .map(|host| {
                format!(
                    "{} => {{ addrs_v4 => [192.0.2.{host}], addrs_v6 => [2001:db8::{host}] }}",
                    names[host - 1]
                )
            })
            .collect();
        let folder = self.folder.join("gdnsd");
        format!(
            "options => {{ listen => [{address}], udp_threads => 1, tcp_threads => 1, run_dir => {0}/run, state_dir => {0}/state, \
             zones_rfc1035_auto => false, edns_client_subnet => true }}\n\
             plugins => {{ geoip => {{ maps => {{ m => {{ geoip2_db => {1}, datacenters => [{2}], auto_dc_coords => {{ {3} }}, \
             auto_dc_limit => 3 }} }}, resources => {{ app => {{ map => m, service_types => up, dcmap => {{ {4} }} }} }} }} }}\n",
            folder.display(),
            self.database.display(),
            names.join(", "),
            spots.join(", "),
            addresses.join(", "),
        )
    }

    fn zone(&self) -> String {
        let mut text =
            String::from("@ SOA ns1 hostmaster ( 1 7200 30m 3D 900 )\n@ NS ns1\nns1 A 192.0.2.53\n");
        for name in self.names("g") {
            writeln!(text, "{name} 30 DYNA geoip!app").expect("a string");
        }
        for name in self.names("s") {
            for (record_type, data) in STATIC {
                // What gdnsd has no name for goes as RFC 3597 has it.
                let line = match record_type {
                    "HTTPS" => r"TYPE65 \# 10 00010000010003026832".to_owned(),
                    _ => format!("{record_type} {data}"),
                };
                writeln!(text, "{name} 30 {line}").expect("a string");
            }
        }
        text
    }

    fn names(&self, prefix: &'static str) -> impl Iterator<Item = String> {
        // Static names are asked for among a thousand.
        let count = if prefix == "s" { self.size.min(1000) } else { self.size };
        (0..count).map(move |number| format!("{prefix}{number:05}"))
    }
}

/// The records of a static name.
const STATIC: [(&str, &str); 3] = [("A", "192.0.2.1"), ("TXT", "\"v=spf1 -all\""), ("HTTPS", "1 . alpn=h2")];
