//! The other side, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;

use crate::measure;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
/// As many octets as the other, so that a bad day can cost the same.
const DOWN: &[u8] = b"HTTP/1.1 503 NO\r\nContent-Length: 3\r\n\r\nno\n";
/// The kernel's own bound of connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// On every address of 127.0.0.0/8.
pub(crate) struct Ports {
    pub(crate) up: u16,
    pub(crate) status: u16,
    pub(crate) silent: u16,
    pub(crate) refused: u16,
}

/// The process; it ends with this.
pub(crate) struct Servers {
    pub(crate) ports: Ports,
    child: Child,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mut child = command.arg("serve").stdout(Stdio::piped()).spawn().expect("the servers start");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line of ports");
        let ports: Vec<u16> = line.split_whitespace().filter_map(|port| port.parse().ok()).collect();
        let [up, status, silent, refused] = ports[..] else { panic!("four ports, found {line:?}") };
        Self { ports: Ports { up, status, silent, refused }, child }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Serves until the process is killed.
pub(crate) fn run() {
    measure::raise_descriptors();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (up, status, silent) = (listen(), listen(), listen());
        // Taken, so that nobody else gets it, and nobody listens.
        let refused = TcpSocket::new_v4().expect("a socket");
        refused.bind(any()).expect("a port");
        let port = |address: std::io::Result<SocketAddr>| address.expect("an address").port();
        println!(
            "{} {} {} {}",
            port(up.local_addr()),
            port(status.local_addr()),
            port(silent.local_addr()),
            port(refused.local_addr())
        );
        tokio::join!(answer(up, Some(OK)), answer(status, Some(DOWN)), answer(silent, None));
    });
}

fn any() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(any()).expect("a port");
    socket.listen(BACKLOG).expect("a listener")
}

async fn answer(listener: TcpListener, with: Option<&'static [u8]>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, with));
    }
}

/// An answer to each request, until the other side closes or asks to.
async fn converse(mut stream: TcpStream, with: Option<&'static [u8]>) {
    let mut request = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut request).await {
        let Some(with) = with else { continue };
        let head = request.get(..read).unwrap_or_default();
        if stream.write_all(with).await.is_err() || head.windows(5).any(|word| word == b"close") {
            break;
        }
    }
}
