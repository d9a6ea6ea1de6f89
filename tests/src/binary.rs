//! The built binary, started as an operator starts it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use serde_json::Value;

/// Only a broken build waits for it: a debug build with ten random gateways and a database takes 9 s of a
/// processor to start, and other suites may want that too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The path of the built binary: `$MERIDIAN_BIN`, or what cargo builds of this checkout in the
/// profile of the test itself.
///
/// # Panics
/// When cargo cannot build it.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("MERIDIAN_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bin", "meridian", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(built.status.success(), "cargo build: {}", String::from_utf8_lossy(&built.stderr));
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "meridian")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the binary")
}

/// A folder of the test's own, below cargo's folder for temporary files; emptied at the start.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("meridian-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    // It is left from a process of the same id, or not there.
    let _not_there = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

/// The clock of deadlines.
#[expect(clippy::disallowed_methods, reason = "a deadline on a real process")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The lines of a process as they come; the channel closes with the process's end of the pipe.
pub(crate) fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A process that ends with the test, also with one that fails.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Sends a signal to a process that was started here; no `kill` need be installed.
///
/// # Panics
/// When the process is gone.
pub fn signal(process: &Child, wanted: Signal) {
    let id = i32::try_from(process.id()).expect("an id of this kernel");
    nix::sys::signal::kill(Pid::from_raw(id), wanted).expect("the process is there");
}

//----------- Meridian -------------------------------------------------------

/// A running `meridian` with its log lines.
pub struct Meridian {
    child: Child,
    /// The process that has taken over from it, or from another such.
    successor: Option<Pid>,
    logs: Receiver<String>,
    /// Log lines that were read so far.
    pub seen: Vec<Value>,
    /// Where the server listens.
    pub addresses: Vec<SocketAddr>,
    folder: PathBuf,
}

/// For [`Meridian::serve_by`]: nothing beside the configuration.
pub const NO_FILES: &[(&str, &str)] = &[];

impl Meridian {
    /// Starts `meridian serve` on a configuration and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    #[must_use]
    pub fn serve(config: &str) -> Self {
        Self::serve_in(config, &[])
    }

    /// As [`Meridian::serve`], with further variables in its environment.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    #[must_use]
    pub fn serve_in(config: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.envs(environment.iter().copied());
        Self::serve_by(command, config, NO_FILES)
    }

    /// As [`Meridian::serve`], with files beside the configuration: name and content.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    #[must_use]
    pub fn serve_with_files(config: &str, files: &[(&str, impl AsRef<[u8]>)]) -> Self {
        Self::serve_by(Command::new(binary()), config, files)
    }

    /// As [`Meridian::serve`], where the system lets it have so many files and sockets open at once.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    #[must_use]
    pub fn serve_with_descriptors(config: &str, most: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]).arg(binary());
        Self::serve_by(command, config, NO_FILES)
    }

    /// Starts any command; nothing is waited for.
    #[must_use]
    pub fn started(command: Command) -> Self {
        Self::start(command, scratch())
    }

    /// As [`Meridian::serve_with_files`], by a command that runs the binary with the arguments behind its own.
    ///
    /// # Panics
    /// When it does not get ready; its log is in the message.
    #[must_use]
    pub fn serve_by(mut command: Command, config: &str, files: &[(&str, impl AsRef<[u8]>)]) -> Self {
        let folder = scratch();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).expect("the file is written");
        }
        let file = folder.join("meridian.toml");
        std::fs::write(&file, config).expect("the configuration is written");
        command.args(["serve", "--log-format", "json", "--log-level", "debug", "--config"]).arg(&file);
        let mut meridian = Self::start(command, folder);
        meridian.wait_for("ready", |line| line["message"] == "ready");
        let listening = meridian.seen.iter().filter(|line| line["message"] == "listening");
        meridian.addresses = listening.filter_map(|line| line["address"].as_str()?.parse().ok()).collect();
        meridian
    }

    fn start(mut command: Command, folder: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let logs = lines_of(stderr);
        Self { child, successor: None, logs, seen: Vec::new(), addresses: Vec::new(), folder }
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where a service listens, by its name in the log.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn address_of(&self, service: &str) -> SocketAddr {
        let line = self.seen.iter().find(|line| line["message"] == "listening" && line["service"] == service);
        let address = line.and_then(|line| line["address"].as_str()?.parse().ok());
        address.unwrap_or_else(|| panic!("no {service}: {:#?}", self.seen))
    }

    /// The configuration file, to be changed before a reload.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("meridian.toml")
    }

    /// Waits for a log line that was not waited for before.
    ///
    /// # Panics
    /// When none comes in time; all lines so far are in the message.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(now());
            let Ok(line) = self.logs.recv_timeout(left) else {
                panic!("{what}: no such line in {DEADLINE:?}; lines: {:#?}", self.seen);
            };
            let line = parsed(&line);
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits until the endpoint of an address has become `effective`, and a view says so.
    pub fn wait_for_verdict(&mut self, address: &str, effective: &str) -> Value {
        self.wait_for_transition("", address, effective)
    }

    /// As [`Meridian::wait_for_verdict`], of one probe of the address.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn wait_for_probe(&mut self, probe: &str, address: &str, effective: &str) -> Value {
        self.wait_for_transition(probe, address, effective)
    }

    fn wait_for_transition(&mut self, probe: &str, address: &str, effective: &str) -> Value {
        let transition = self.wait_for(&format!("{address} {effective}"), |line| {
            line["message"] == "transition"
                && (probe.is_empty() || line["probe"] == probe)
                && line["effective"] == effective
                && line["endpoint"].as_str().is_some_and(|endpoint| endpoint.ends_with(address))
        });
        let number = transition["number"].as_u64();
        self.wait_for("its view", |line| {
            line["message"] == "view published" && line["transitions"].as_u64() >= number
        });
        transition
    }

    /// Its process; after a restart the one that has taken over.
    #[must_use]
    pub fn id(&self) -> u32 {
        match self.successor {
            Some(pid) => pid.as_raw().unsigned_abs(),
            None => self.child.id(),
        }
    }

    /// Has a process take over from it (SIGUSR2), and waits until the one before has ended.
    ///
    /// # Panics
    /// When that does not come to pass, or the one before does not end well.
    pub fn restart(&mut self) {
        adopt_orphans();
        self.signal(Signal::SIGUSR2);
        self.wait_for_successor();
    }

    /// Waits until a process is started to take over, kills the one before, and waits until all is taken over.
    ///
    /// # Panics
    /// As [`Meridian::restart`].
    pub fn wait_for_killed_predecessor(&mut self) {
        adopt_orphans();
        let started = self.wait_for_start();
        self.wait_for("its sockets", |line| line["message"] == "sockets were handed over");
        self.signal(Signal::SIGKILL);
        let ended = self.take(started);
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32));
    }

    fn wait_for_start(&mut self) -> Pid {
        let started =
            self.wait_for("a successor", |line| line["message"] == "a process is started to take over");
        let pid = started["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("an id");
        Pid::from_raw(pid)
    }

    /// Waits until a process has taken over; how the one before ended.
    fn take(&mut self, pid: Pid) -> ExitStatus {
        self.wait_for("the end of the process before", |line| {
            line["message"] == "the process before this one has ended"
        });
        let before = self.successor.replace(pid);
        before.map_or_else(|| self.child.wait().expect("ours"), status_of)
    }

    /// Waits until the process that was started to take over has done so, and the one before has ended.
    ///
    /// # Panics
    /// As [`Meridian::restart`].
    pub fn wait_for_successor(&mut self) {
        adopt_orphans();
        let started = self.wait_for_start();
        let ended = self.take(started);
        assert!(ended.success(), "{ended}");
    }

    /// Stops it and says what it has counted under a name.
    ///
    /// # Panics
    /// When it does not stop in time, or counts nothing under that name.
    pub fn total(&mut self, name: &str) -> u64 {
        if !self.seen.iter().any(|line| line["message"] == "stopped") {
            self.signal(Signal::SIGTERM);
            let _status = self.wait();
        }
        let stopped = self.seen.iter().find(|line| line["message"] == "stopped").expect("it stopped");
        let totals = stopped["totals"].as_str().expect("totals");
        let (_, after) = totals.split_once(&format!(" {name}: ")).expect("a counter of that name");
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    }

    /// Stops it, and says what it has counted, by name.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn totals(mut self) -> BTreeMap<String, u64> {
        self.signal(Signal::SIGTERM);
        let line = self.wait_for("its totals", |line| line["message"] == "stopped");
        let text = line["totals"].as_str().expect("totals").to_owned();
        let (_, fields) = text.split_once('{').expect("their fields");
        let field = |field: &str| {
            let (name, count) = field.split_once(':')?;
            Some((name.trim().to_owned(), count.trim().trim_end_matches([' ', '}']).parse().ok()?))
        };
        fields.split(',').filter_map(field).collect()
    }

    /// Memory in use and the most that ever was, in KiB (`/proc/<pid>/status`).
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Begins the most that ever was anew (man 5 proc, `clear_refs`).
    ///
    /// # Panics
    /// When the process is gone, or is not ours.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("it runs");
    }

    /// How many files and sockets it has open.
    ///
    /// # Panics
    /// When the process is gone, or is not ours.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// Processor time used so far (`/proc/<pid>/stat`, in hundredths of a second).
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("its name");
        let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        Duration::from_millis((fields[11] + fields[12]) * 10)
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, wanted: Signal) {
        match self.successor {
            Some(pid) => nix::sys::signal::kill(pid, wanted).expect("the process is there"),
            None => signal(&self.child, wanted),
        }
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        let until = now() + DEADLINE;
        // Its standard error closes when it ends: that is the event.
        while let Ok(line) = self.logs.recv_timeout(until.saturating_duration_since(now())) {
            self.seen.push(parsed(&line));
        }
        assert!(now() < until, "the process did not end in {DEADLINE:?}");
        match self.successor.take() {
            Some(pid) => status_of(pid),
            None => self.child.wait().expect("the process is ours"),
        }
    }
}

/// Whoever loses its parent becomes a child of this process, so that it can be waited for.
fn adopt_orphans() {
    nix::sys::prctl::set_child_subreaper(true).expect("a process may");
}

/// How a process ended that became our child.
fn status_of(pid: Pid) -> ExitStatus {
    match nix::sys::wait::waitpid(pid, None).expect("our child") {
        WaitStatus::Exited(_, code) => ExitStatus::from_raw(code << 8),
        WaitStatus::Signaled(_, signal, _) => ExitStatus::from_raw(signal as i32),
        other => panic!("{other:?}"),
    }
}

/// Whether a log line's message begins like this.
#[must_use]
pub fn says(line: &Value, start: &str) -> bool {
    line["message"].as_str().is_some_and(|message| message.starts_with(start))
}

/// What is no JSON stands in the record all the same.
fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
}

impl Drop for Meridian {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if let Some(pid) = self.successor {
            let _ended = nix::sys::signal::kill(pid, Signal::SIGKILL);
            let _status = nix::sys::wait::waitpid(pid, None);
        }
        if let Some(stderr) = &mut self.child.stderr {
            let _rest = stderr.read_to_end(&mut Vec::new());
        }
        let _kept = std::fs::remove_dir_all(&self.folder);
    }
}
