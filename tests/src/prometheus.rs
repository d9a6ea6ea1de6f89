//! Debian's Prometheus, which watches itself, and a Meridian where there is one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::binary::{DEADLINE, lines_of, now, scratch};
use crate::clients::not_started;

/// The Debian package.
const PACKAGE: &str = "prometheus";

/// A running Prometheus on the loopback. It scrapes itself ten times a second.
pub struct Prometheus {
    child: Child,
    folder: PathBuf,
    /// Where its API is.
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts it and waits until it takes requests.
    ///
    /// # Panics
    /// Without the program, or when it does not get ready; what it says is in the message.
    #[must_use]
    pub fn start() -> Self {
        Self::run("")
    }

    /// The same, which scrapes the API of a server as well, and goes by the alerts of `deploy/`.
    ///
    /// # Panics
    /// As [`Prometheus::start`].
    #[must_use]
    pub fn of(meridian: SocketAddr) -> Self {
        let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus/alerts.yml");
        Self::run(&format!(
            "- job_name: meridian\n  static_configs:\n  - targets: [\"{meridian}\"]\nrule_files: [\"{alerts}\"]\n"
        ))
    }

    fn run(more: &str) -> Self {
        let folder = scratch();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, configuration(address, more)).expect("it is written");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut child = match command.stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{}", not_started(&command, PACKAGE, &error)),
        };
        let logs = lines_of(child.stderr.take().expect("piped"));
        let prometheus = Self { child, folder, address };
        let until = now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            let Ok(line) = logs.recv_timeout(until.saturating_duration_since(now())) else {
                panic!("Prometheus did not start in {DEADLINE:?}: {seen:#?}");
            };
            seen.push(line);
            if seen.iter().any(|line| line.contains("ready to receive web requests")) {
                // What it writes from now on is of no interest, but it must find a reader.
                std::thread::spawn(move || logs.into_iter().for_each(drop));
                return prometheus;
            }
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}

/// `more`: further jobs, and what comes behind them.
fn configuration(address: SocketAddr, more: &str) -> String {
    format!(
        "global:\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  evaluation_interval: 100ms\nscrape_configs:\n\
         - job_name: itself\n  static_configs:\n  - targets: [\"{address}\"]\n{more}"
    )
}
