//! The built binary as a service manager runs it: sockets that it was given, and those that are kept for it; its
//! privileges, and its unit in `deploy/`.

use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use hickory_proto::rr::RecordType;
use meridian_tests::stream::{connect_from, framed, read_framed};
use meridian_tests::{Ask, Config, Meridian, NO_FILES, Signal, Wire, ask_udp, binary, free_port, scratch};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// A zone alone.
fn config(listen: &str) -> String {
    Config::new().with(&format!("[server]\nlisten = [\"{listen}\"]\nworkers = 2\n")).text().to_owned()
}

fn question(id: u16) -> Vec<u8> {
    Ask { id, ..Ask::new("ns1.gslb.example.", RecordType::A) }.octets()
}

/// Of an address that nobody connects from here, so that its ports are not taken by chance.
fn free_address() -> SocketAddr {
    let ip = Ipv4Addr::new(127, 0, 82, 1);
    (ip, free_port(ip)).into()
}

fn is_good(reply: &[u8]) -> bool {
    Wire::read(reply).is_ok_and(|wire| wire.counts[1] == 1)
}

//----------- A service manager ----------------------------------------------

/// The socket that a service is told of, and what it has sent there.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    /// What it has given to keep.
    kept: Vec<(String, OwnedFd)>,
}

impl Manager {
    fn new() -> Self {
        let path = scratch().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, path, kept: Vec::new() }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// What it says next; files are kept.
    fn next(&mut self) -> String {
        let mut octets = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut octets)];
        let received = recvmsg(self.socket.as_fd(), &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)
            .expect("it says something");
        let files: Vec<OwnedFd> =
            beside
                .drain()
                .filter_map(|message| {
                    if let RecvAncillaryMessage::ScmRights(files) = message { Some(files) } else { None }
                })
                .flatten()
                .collect();
        let text = String::from_utf8(octets[..received.bytes].to_vec()).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).map(str::to_owned);
        self.kept.extend(files.into_iter().map(|file| (name.clone().unwrap_or_default(), file)));
        text
    }

    /// Waits for a line.
    fn wait_for(&mut self, wanted: &str) -> String {
        loop {
            let text = self.next();
            if text.lines().any(|line| line.starts_with(wanted)) {
                return text;
            }
        }
    }
}

/// Has the binary find sockets as it does those of a service manager.
fn with_sockets(mut command: Command, sockets: impl IntoIterator<Item = OwnedFd>) -> Command {
    let mappings: Vec<FdMapping> =
        sockets.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
    command.env("LISTEN_FDS", mappings.len().to_string());
    command.fd_mappings(mappings).unwrap();
    command
}

/// The binary by a shell, which knows its own number.
fn named() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).arg(binary());
    command
}

//----------- Its store of sockets -------------------------------------------

#[test]
fn what_arrives_while_nobody_is_there_is_answered_after() {
    let mut manager = Manager::new();
    let address = free_address();
    let file = config(&address.to_string());
    let mut meridian = Meridian::serve_in(&file, &[("NOTIFY_SOCKET", manager.path())]);
    manager.wait_for("READY=1");
    let name = address.to_string().replace(':', "_");
    let names: Vec<&str> = manager.kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [format!("udp-{name}"), format!("udp-{name}"), format!("tcp-{name}")]);
    meridian.signal(Signal::SIGHUP);
    assert!(manager.wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.wait_for("READY=1");
    meridian.signal(Signal::SIGTERM);
    manager.wait_for("STOPPING=1");
    assert!(meridian.wait().success());

    // Nobody reads; both sockets of UDP get some.
    let clients: Vec<UdpSocket> = (0..20)
        .map(|id| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.send(&question(id)).unwrap();
            client
        })
        .collect();
    let mut stream: TcpStream = connect_from([127, 0, 0, 1].into(), address).unwrap();
    stream.write_all(&framed(&question(7))).unwrap();
    let kept = std::mem::take(&mut manager.kept).into_iter().map(|(_, socket)| socket);
    let command = with_sockets(named(), kept);
    let mut meridian = Meridian::serve_by(command, &file, NO_FILES);
    assert_eq!(meridian.address(), address);
    let mut reply = [0; 512];
    for (client, id) in clients.iter().zip(0_u16..) {
        let length = client.recv(&mut reply).unwrap();
        assert!(is_good(&reply[..length]) && reply[..2] == id.to_be_bytes());
    }
    assert!(is_good(&read_framed(&mut stream).unwrap()));
    // And so for who takes over.
    meridian.restart();
    assert!(is_good(&ask_udp(address, &Ask::new("ns1.gslb.example.", RecordType::A)).unwrap().octets));
}

/// Its main process changes at a restart; sockets that are not named any more are not to be kept.
#[test]
fn the_manager_follows_a_restart() {
    let mut manager = Manager::new();
    let both = [free_address(), free_address()];
    let listen = |addresses: &[SocketAddr]| {
        let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        config(&all.join("\", \""))
    };
    let mut meridian = Meridian::serve_in(&listen(&both), &[("NOTIFY_SOCKET", manager.path())]);
    manager.wait_for("READY=1");
    std::fs::write(meridian.config(), listen(&both[1..])).unwrap();
    meridian.restart();
    let removed = manager.wait_for("FDSTOREREMOVE=1");
    assert!(removed.contains(&format!("udp-{}", both[0]).replace(':', "_")), "{removed}");
    assert!(manager.wait_for("MAINPID=").contains(&format!("MAINPID={}", meridian.id())));
    manager.wait_for("READY=1");
    assert!(ask_udp(both[1], &Ask::new("ns1.gslb.example.", RecordType::A)).is_ok());
    // Nobody is at the other, once the manager has let go of it.
    manager.kept.clear();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(both[0]).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.send(&question(1)).unwrap();
    assert_eq!(client.recv(&mut [0; 512]).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

//----------- Its sockets ----------------------------------------------------

/// systemd's own tool binds one socket and starts the service when something comes; that is answered.
#[test]
fn sockets_are_activated() {
    for datagrams in [true, false] {
        let address = free_address();
        let folder = scratch();
        let file = folder.join("meridian.toml");
        std::fs::write(&file, config(&address.to_string())).unwrap();
        let mut command = Command::new("systemd-socket-activate");
        command.args(if datagrams { &["-d"][..] } else { &[] }).args(["-l", &address.to_string()]);
        command.arg(binary()).args(["serve", "--log-format", "json", "--config"]).arg(&file);
        let mut service = Meridian::started(command);
        service
            .wait_for("it listens", |line| line.as_str().is_some_and(|line| line.contains("Listening on")));
        let other_transport = if datagrams {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.send(&question(3)).unwrap();
            let mut reply = [0; 512];
            let length = client.recv(&mut reply).unwrap();
            assert!(is_good(&reply[..length]));
            "tcp"
        } else {
            let mut stream = connect_from([127, 0, 0, 1].into(), address).unwrap();
            stream.write_all(&framed(&question(3))).unwrap();
            assert!(is_good(&read_framed(&mut stream).unwrap()));
            "udp"
        };
        // What was not given was bound.
        let ask = Ask::new("ns1.gslb.example.", RecordType::A);
        let asked = if other_transport == "tcp" {
            meridian_tests::ask_tcp(address, &ask).unwrap()
        } else {
            ask_udp(address, &ask).unwrap()
        };
        assert!(is_good(&asked.octets), "{other_transport}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//----------- Its privileges -------------------------------------------------

/// Port 53 of an address of loopback, as a user with that one capability; also after a restart.
#[test]
fn low_ports_take_one_capability() {
    let folder = scratch();
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    open(&folder);
    // Where the binary is built, others may not look.
    let program = folder.join("meridian");
    std::fs::copy(binary(), &program).unwrap();
    open(&program);
    let capability = "-all,+net_bind_service";
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
    command.args(["--inh-caps", capability, "--ambient-caps", capability, "--bounding-set", capability]);
    command.arg(&program);
    let mut meridian = Meridian::serve_by(command, &config("127.0.83.53:53"), NO_FILES);
    let ask = Ask::new("ns1.gslb.example.", RecordType::A);
    assert!(is_good(&ask_udp(meridian.address(), &ask).unwrap().octets));
    let status = |id: u32| std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let effective = |id: u32| {
        let status = status(id);
        status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap().to_owned()
    };
    assert_eq!(effective(meridian.id()), format!("{:016x}", 1 << 10));
    meridian.restart();
    assert_eq!(effective(meridian.id()), format!("{:016x}", 1 << 10));
    assert!(is_good(&ask_udp(meridian.address(), &ask).unwrap().octets));
    std::fs::remove_dir_all(folder).unwrap();
}

/// systemd understands the units, and finds little that the sandbox leaves open.
#[test]
fn the_units_are_understood() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let folder = scratch();
    for name in ["meridian.service", "meridian.socket"] {
        let unit = std::fs::read_to_string(deploy.join(name)).unwrap();
        // Here, the binary is not where packages put it.
        let unit = unit.replace("/usr/bin/meridian", binary().to_str().unwrap());
        std::fs::write(folder.join(name), unit).unwrap();
    }
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).current_dir(&folder).output().unwrap();
        let text = [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap()).concat();
        (output.status.success(), text)
    };
    let (good, text) = analyze(&["verify", "--man=no", "./meridian.service", "./meridian.socket"]);
    assert!(good && text.is_empty(), "{text}");
    // In tenths; 10.0 is a service without any sandbox.
    let (good, text) = analyze(&["security", "--offline=true", "--threshold=20", "./meridian.service"]);
    assert!(good, "{text}");
    println!("{}", text.lines().last().unwrap_or_default());
    std::fs::remove_dir_all(folder).unwrap();
}
