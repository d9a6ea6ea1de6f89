//! Opening sockets, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::limits::{EPHEMERAL_TRIES, RECEIVE_BUFFER};

/// Datagrams and connections that the kernel keeps while nobody reads.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
#[error("{protocol} {address}: {}", match cause.kind() {
    io::ErrorKind::AddrInUse => "in use by another process".to_owned(),
    _ => cause.to_string(),
})]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// `UDP` or `TCP`.
    pub protocol: &'static str,
    /// What the kernel says.
    pub cause: io::Error,
}

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DNS over UDP and TCP.
    Plain,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS (RFC 8484), by HTTP/2 and HTTP/1.1.
    Doh,
    /// DNS over HTTPS by HTTP/3.
    Doh3,
    /// DNS over dedicated QUIC connections (RFC 9250).
    Doq,
}

impl Service {
    /// Its name for operators.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "dns",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doh3 => "doh3",
            Self::Doq => "doq",
        }
    }
}

/// Where to listen, and what for.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// DNS over UDP and TCP, on the same port.
    pub plain: Vec<SocketAddr>,
    /// DNS over TLS.
    pub dot: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub doh: Vec<SocketAddr>,
    /// DNS over HTTPS by HTTP/3.
    pub doh3: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub doq: Vec<SocketAddr>,
}

/// One bound address; port 0 has become the port that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What is spoken there.
    pub service: Service,
    /// Where.
    pub address: SocketAddr,
}

/// Sockets that are bound and not yet read: queries wait in the kernel until a server starts.
pub struct Bound {
    listening: Vec<Listening>,
    /// By worker: one socket an address.
    udp: Vec<Vec<UdpSocket>>,
    tcp: Vec<(Service, TcpListener)>,
    quic: Vec<(Service, UdpSocket)>,
}

impl Bound {
    /// Binds UDP (once a worker) and TCP on the same port of every plain address (RFC 7766 §5), and what the
    /// other services need.
    ///
    /// # Errors
    /// Names the first address that cannot be had; nothing stays bound then.
    pub fn bind(listen: &Listen, workers: usize) -> Result<Self, BindError> {
        let workers = workers.max(1);
        let mut bound = Self { listening: Vec::new(), udp: Vec::new(), tcp: Vec::new(), quic: Vec::new() };
        bound.udp.resize_with(workers, Vec::new);
        for &address in &listen.plain {
            let (udp, tcp) = both(address)?;
            let address =
                local_address(&udp).map_err(|cause| BindError { address, protocol: "UDP", cause })?;
            let failed = |cause| BindError { address, protocol: "UDP", cause };
            // The first socket was bound alone, so a port in use was found; now others may join it.
            udp.set_reuse_port(true).map_err(failed)?;
            let mut sockets = vec![udp.into()];
            for _ in 1..workers {
                sockets.push(udp_socket(address, true).map_err(failed)?.into());
            }
            for (worker, socket) in bound.udp.iter_mut().zip(sockets) {
                worker.push(socket);
            }
            bound.listening.push(Listening { service: Service::Plain, address });
            bound.tcp.push((Service::Plain, tcp.into()));
        }
        let encrypted = [(Service::Dot, &listen.dot), (Service::Doh, &listen.doh)];
        for (service, addresses) in encrypted {
            for &address in addresses {
                let failed = |cause| BindError { address, protocol: "TCP", cause };
                let tcp = tcp_socket(address).map_err(failed)?;
                let address = local_address(&tcp).map_err(failed)?;
                bound.listening.push(Listening { service, address });
                bound.tcp.push((service, tcp.into()));
            }
        }
        let over_quic = [(Service::Doh3, &listen.doh3), (Service::Doq, &listen.doq)];
        for (service, addresses) in over_quic {
            for &address in addresses {
                let failed = |cause| BindError { address, protocol: "UDP", cause };
                let udp = udp_socket(address, false).map_err(failed)?;
                let address = local_address(&udp).map_err(failed)?;
                bound.listening.push(Listening { service, address });
                bound.quic.push((service, udp.into()));
            }
        }
        Ok(bound)
    }

    /// Where the sockets are bound, the plain ones first.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The UDP sockets by worker, the TCP listeners, and the sockets of QUIC.
    #[expect(clippy::type_complexity, reason = "three lists, each taken apart at once")]
    pub(super) fn into_parts(
        self,
    ) -> (Vec<Vec<UdpSocket>>, Vec<(Service, TcpListener)>, Vec<(Service, UdpSocket)>) {
        (self.udp, self.tcp, self.quic)
    }
}

/// The first UDP socket and the TCP listener of an address, on one port.
fn both(address: SocketAddr) -> Result<(Socket, Socket), BindError> {
    let mut tries = if address.port() == 0 { EPHEMERAL_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp =
            udp_socket(address, false).map_err(|cause| BindError { address, protocol: "UDP", cause })?;
        let given = local_address(&udp).map_err(|cause| BindError { address, protocol: "UDP", cause })?;
        match tcp_socket(given) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(cause) if tries > 0 && cause.kind() == io::ErrorKind::AddrInUse => {}
            Err(cause) => return Err(BindError { address: given, protocol: "TCP", cause }),
        }
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an internet address"))
}

fn udp_socket(address: SocketAddr, join: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if join {
        socket.set_reuse_port(true)?;
    }
    common(&socket, address)?;
    no_fragments(&socket, address)?;
    keep_bursts(&socket);
    if address.ip().is_unspecified() {
        // A reply must come from the address that was asked: the kernel tells us which.
        if address.is_ipv4() {
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)?;
        } else {
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Replies fit into every path, so a smaller one is a lie: whoever forges an ICMP message must not make the kernel
/// cut them into fragments, which others can forge a part of (RFC 9715 §3.1, RFC 8900 §3.7).
fn no_fragments(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::INTERFACE)?;
    } else {
        sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::INTERFACE)?;
    }
    Ok(())
}

/// A worker that waits for a processor must not lose what comes meanwhile. Beyond `net.core.rmem_max` only with
/// `CAP_NET_ADMIN`; without it the kernel gives as much as that says, and if it gives nothing more, queries are answered
/// all the same.
fn keep_bursts(socket: &Socket) {
    let forced =
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::RcvBufForce, &RECEIVE_BUFFER);
    if forced.is_err() {
        let _as_much_as_it_gives = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a server that has just ended do not hold the port.
    socket.set_reuse_address(true)?;
    common(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn common(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        // [::] leaves IPv4 to 0.0.0.0, so that an IPv4 peer is never seen as a mapped address.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)
}
