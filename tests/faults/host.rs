//! What the machine has no more of: a disk, descriptors, somebody who reads the log.

use std::fs;
use std::io::{PipeReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, exchange};
use meridian_tests::{
    Ask, Cluster, Config, FIRST_UNLESS_DOWN, Meridian, Process, Signal, Site, binary, now, scratch, signal,
};

use crate::control::{reload, renamed, until};
use crate::steady::Steady;

/// The gateway of [`Config::watched`], wherever its clients are.
fn shop() -> Ask {
    Ask::new("shop.gslb.example.", RecordType::A)
}

fn two(site: &Site) -> [Cluster; 2] {
    [site.cluster(1), site.cluster(2)]
}

fn is_error(line: &serde_json::Value, what: &str) -> bool {
    line["level"] == "ERROR" && line["message"].as_str().is_some_and(|said| said.contains(what))
}

//----------- Disk -----------------------------------------------------------

/// A server whose folder is a disk of its own, which only it has mounted.
struct OnADisk {
    meridian: Meridian,
    folder: PathBuf,
}

impl OnADisk {
    /// On one that `mount` mounts, a script, on the folder `$0`.
    fn serve(config: &Config, mount: &str) -> Self {
        let folder = scratch();
        let config = config
            .clone()
            .with(&format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\ndata_dir = {folder:?}\n"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &format!("{mount}\nexec \"$@\"")]).arg(&folder).arg(binary());
        let files: &[(&str, &str)] = &[];
        Self { meridian: Meridian::serve_by(command, config.text(), files), folder }
    }

    /// The folder as the server sees it.
    fn seen(&self) -> PathBuf {
        Path::new("/proc")
            .join(self.meridian.id().to_string())
            .join("root")
            .join(self.folder.strip_prefix("/").unwrap())
    }

    /// Changes what the server has mounted.
    fn mount(&self, script: &str) {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.meridian.id().to_string(), "sh", "-ec", script]);
        assert!(command.arg(&self.folder).status().unwrap().success(), "{script}");
    }

    /// A command about the server.
    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--data-dir").arg(self.seen());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What a command about the server says on its standard error, where it does not end well.
    fn command(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.spawn(arguments).wait_with_output().unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// A way to lose a disk, and to have it back.
type Loss = (&'static str, fn(&OnADisk), fn(&OnADisk));

const LOSSES: [Loss; 3] = [
    (
        "full",
        |of| {
            let _to_the_last_octet = fs::write(of.seen().join("ballast"), vec![1; 1 << 20]);
        },
        |of| fs::remove_file(of.seen().join("ballast")).unwrap(),
    ),
    (
        "out of inodes",
        |of| while fs::File::create(of.seen().join(format!("ballast-{}", fastrand::u32(..)))).is_ok() {},
        |of| {
            let ballast = fs::read_dir(of.seen()).unwrap().map(|file| file.unwrap());
            for file in ballast.filter(|file| file.file_name().to_string_lossy().starts_with("ballast-")) {
                fs::remove_file(file.path()).unwrap();
            }
        },
    ),
    // A mount in which a file is open for writing cannot be made read-only, so another goes over it.
    (
        "read-only",
        |of| of.mount("mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\""),
        |of| of.mount("umount \"$0\""),
    ),
];

/// A disk on which nothing can be kept: what operators say counts and they are told, verdicts change, reloads come
/// through, and nothing is lost. When there is a disk again it is used.
#[test]
fn disks() {
    let site = Site::new();
    let mut clusters = two(&site);
    let [first, second] = [1, 2].map(|host| site.address(host).to_string());
    let transfer = "[zones.transfer]\nallow = [\"127.0.0.0/8\"]\n";
    let config = Config::new().with(transfer).watched(&site, "0s", FIRST_UNLESS_DOWN);
    let mut of = OnADisk::serve(&config, "mount -t tmpfs -o size=64k,nr_inodes=16 none \"$0\"");
    let server = of.meridian.address();
    let steady = Steady::start_as(server, &shop());
    let said = ["--reason", "a drill", "--by", "ann"];
    let mut told = 0;
    for (what, lose, have) in LOSSES {
        lose(&of);
        let error = of.command(&[&["override", "cluster/frankfurt", "down"], &said[..]].concat());
        let error = error.expect_err("it cannot be kept");
        assert!(error.contains("it counts now, but a restart will not know of it"), "{what}: {error}");
        of.meridian.wait_for(what, |line| is_error(line, "a restart will not know of the last change"));
        told += 1;
        until(server, &shop(), &second);
        // Lifting it cannot be kept either.
        assert!(of.command(&["restore", "cluster/frankfurt"]).is_err(), "{what}");
        until(server, &shop(), &first);
        clusters[0].kill();
        until(server, &shop(), &second);
        clusters[0].mend();
        until(server, &shop(), &first);
        let text = fs::read_to_string(of.meridian.config()).unwrap();
        renamed(
            &of.meridian.config(),
            &format!("{text}[[zones.records]]\nname = \"new{told}\"\ntype = \"TXT\"\ndata = [\"x\"]\n"),
        );
        assert!(reload(&mut of.meridian), "{what}");
        of.meridian.wait_for(what, |line| is_error(line, "serials are not kept"));
        have(&of);
        of.command(&[&["override", "cluster/tokyo", "up"], &said[..]].concat()).unwrap();
        of.command(&["restore", "cluster/tokyo"]).unwrap();
    }
    let noted = steady.stop();
    println!(
        "disks: {told} of 3 alarms (full, out of inodes, read-only); {} of {} queries lost, 99 % within {:.1?}",
        noted.lost,
        noted.asked,
        noted.within()
    );
    assert_eq!((told, noted.lost), (3, 0));
    assert_eq!(of.meridian.totals()["panics"], 0);
    fs::remove_dir(&of.folder).unwrap();
}

/// A disk that hangs, until it is dropped: nothing ends that waits for it.
struct Hanging<'d>(&'d OnADisk);

impl<'d> Hanging<'d> {
    fn new(of: &'d OnADisk) -> Self {
        of.mount("fsfreeze --freeze \"$0\"");
        Self(of)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.mount("fsfreeze --unfreeze \"$0\"");
    }
}

/// A disk that does not answer at all: what operators say counts, they see that it does, and everything goes on.
#[test]
fn a_disk_that_hangs() {
    let site = Site::new();
    let mut clusters = two(&site);
    let [first, second] = [1, 2].map(|host| site.address(host).to_string());
    let image = scratch().join("image");
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let config = Config::new().watched(&site, "0s", FIRST_UNLESS_DOWN);
    let mount = format!("mkfs.ext4 -q {image:?} && mount -o loop {image:?} \"$0\"");
    let of = OnADisk::serve(&config, &mount);
    let server = of.meridian.address();
    let steady = Steady::start_as(server, &shop());
    let began = now();
    let hanging = Hanging::new(&of);
    let said = ["--reason", "a drill", "--by", "ann"];
    let over = of.spawn(&[&["override", "cluster/frankfurt", "down"], &said[..]].concat());
    until(server, &shop(), &second);
    let forced = began.elapsed();
    // More of them than the server has threads for all that is not UDP.
    let statuses: Vec<Child> = (0..4).map(|_| of.spawn(&["status", "--json"])).collect();
    let lift = of.spawn(&["restore", "cluster/frankfurt"]);
    until(server, &shop(), &first);
    let began = now();
    clusters[0].kill();
    until(server, &shop(), &second);
    let moved = began.elapsed();
    let shown = statuses.into_iter().map(|status| status.wait_with_output().unwrap());
    let shown = shown.filter(|status| status.status.success()).count();
    let told = [over, lift].map(|command| {
        let output = command.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    drop(hanging);
    let noted = steady.stop();
    println!(
        "a disk that hangs: forced in {forced:.1?}, {shown} of 4 statuses, failover in {moved:.1?}; {} of {} queries lost, 99 % within {:.1?}; operators are told {told:?}",
        noted.lost,
        noted.asked,
        noted.within()
    );
    assert_eq!((shown, noted.lost), (4, 0));
    assert!(
        told.iter().all(|told| told.contains("it counts now, but a restart will not know of it")),
        "{told:?}"
    );
    // And then it is kept.
    of.command(&[&["override", "cluster/tokyo", "up"], &said[..]].concat()).unwrap();
    assert_eq!(of.meridian.totals()["panics"], 0);
    fs::remove_dir_all(image.parent().unwrap()).unwrap();
    fs::remove_dir(&of.folder).unwrap();
}

//----------- Descriptors ----------------------------------------------------

/// More connections than descriptors: the listener lives and spins not, queries over UDP are answered, what cannot be
/// probed is not taken for down, and when they are free again all is as before.
#[test]
fn descriptors() {
    let site = Site::new();
    let _clusters = two(&site);
    let first = site.address(1).to_string();
    let config = Config::new()
        .with("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[server.tcp]\nconnections_per_client = 4096\n")
        .watched(&site, "0s", FIRST_UNLESS_DOWN);
    let mut meridian = Meridian::serve_with_descriptors(config.text(), 64);
    let (server, query) = (meridian.address(), shop().octets());
    let steady = Steady::start_as(server, &shop());
    let held: Vec<TcpStream> =
        (0..200).map(|_| connect_from(Ipv4Addr::new(127, 0, 0, 2).into(), server).unwrap()).collect();
    let (began, busy) = (now(), meridian.processor_time());
    let newcomer = |patience| {
        let began = now();
        let mut stream = connect_from(Ipv4Addr::new(127, 0, 0, 3).into(), server).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        exchange(&mut stream, &query).map(|_| began.elapsed())
    };
    let among = newcomer(Duration::from_secs(20)).expect("the longest idle make room");
    // They keep coming, so that it stays so.
    let mut more = Vec::new();
    while began.elapsed() < Duration::from_secs(4) {
        more.push(connect_from(Ipv4Addr::new(127, 0, 0, 2).into(), server).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let share = (meridian.processor_time() - busy).as_secs_f64() / began.elapsed().as_secs_f64();
    let open = meridian.descriptors();
    drop((held, more));
    let after = newcomer(Duration::from_secs(20)).expect("there are descriptors again");
    let noted = steady.stop();
    let transitions = meridian.total("shed_descriptors");
    let down = meridian
        .seen
        .iter()
        .filter(|line| line["message"] == "transition" && line["effective"] != "healthy")
        .count();
    println!(
        "descriptors: {open} of 64 open, {transitions} connections shed for them, {:.0} % of a core meanwhile; a newcomer answered in {among:.1?}, afterwards in {after:.1?}; {down} endpoints taken for down; {} of {} queries lost, 99 % within {:.1?}",
        100.0 * share,
        noted.lost,
        noted.asked,
        noted.within()
    );
    assert!(open >= 60, "there were descriptors for all: {open}");
    assert!(share < 0.5, "{share} of a core");
    assert_eq!((down, noted.lost), (0, 0));
    assert_eq!(noted.answers, [[first]]);
}

//----------- The log --------------------------------------------------------

/// A server whose log is a pipe of one page, and the pipe's other end.
fn with_a_log(site: &Site, server: SocketAddr) -> (Process, PipeReader, PathBuf) {
    let (log, end) = std::io::pipe().unwrap();
    nix::fcntl::fcntl(end.as_fd(), nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let config = Config::new().with(&format!("[server]\nlisten = [\"{server}\"]\nworkers = 2\n")).watched(
        site,
        "0s",
        FIRST_UNLESS_DOWN,
    );
    let file = scratch().join("meridian.toml");
    fs::write(&file, config.text()).unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--log-level", "debug", "--config"]).arg(&file);
    // Nothing is written to it; if something were, the first line would block.
    let child = command.stdin(Stdio::null()).stdout(end.try_clone().unwrap()).stderr(end).spawn().unwrap();
    (Process(child), log, file)
}

/// A log that nobody reads, and one whose reader is gone: answers and verdicts go on as ever, and what was not written
/// is counted.
#[test]
fn a_blocked_log() {
    for is_read_again in [true, false] {
        let site = Site::new();
        let mut clusters = two(&site);
        let [first, second] = [1, 2].map(|host| site.address(host).to_string());
        let server = SocketAddr::from((site.address(200), site.port));
        let (mut meridian, mut log, file) = with_a_log(&site, server);
        until(server, &shop(), &first);
        let with_reader = {
            let steady = Steady::start_as(server, &shop());
            let mut some = [0; 4096];
            let began = now();
            while began.elapsed() < Duration::from_secs(2) {
                signal(&meridian.0, Signal::SIGHUP);
                let _lines = log.read(&mut some).unwrap();
            }
            steady.stop()
        };
        // More lines than wait at most: each reload has two hundred mistakes to tell.
        let mistakes: String = (0..200).map(|number| format!("mistake{number} = 1\n")).collect();
        renamed(&file, &mistakes);
        let mut log = is_read_again.then_some(log);
        let steady = Steady::start_as(server, &shop());
        // Twice as many as that takes: on a machine that is busy two signals may come to one reload.
        for _ in 0..160 {
            signal(&meridian.0, Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(70));
        }
        let began = now();
        clusters[0].kill();
        until(server, &shop(), &second);
        let moved = began.elapsed();
        let without = steady.stop();
        signal(&meridian.0, Signal::SIGTERM);
        let mut rest = String::new();
        if let Some(log) = &mut log {
            log.read_to_string(&mut rest).unwrap();
        }
        assert_eq!(meridian.0.wait().unwrap().code(), Some(0));
        let dropped = rest.lines().find(|line| line.contains("log lines were dropped")).unwrap_or("");
        println!(
            "a log that is {}: 99 % within {:.1?} with a reader, {:.1?} without; failover in {moved:.1?}; {} of {} queries lost; {dropped}",
            if is_read_again { "not read" } else { "closed" },
            with_reader.within(),
            without.within(),
            without.lost,
            without.asked,
        );
        assert_eq!((with_reader.lost, without.lost), (0, 0));
        assert!(without.within() < with_reader.within() + Duration::from_millis(20));
        assert!(moved < Duration::from_secs(2), "{moved:?}");
        assert!(!is_read_again || !dropped.is_empty(), "{rest}");
        fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }
}
