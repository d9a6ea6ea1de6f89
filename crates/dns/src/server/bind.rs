//! Opening sockets, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use super::inherited::{Inherited, Protocol};
use crate::limits::{EPHEMERAL_TRIES, RECEIVE_BUFFER};

/// Datagrams and connections that the kernel keeps while nobody reads.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
#[error("{} {address}: {}", protocol.as_str(), match cause.kind() {
    io::ErrorKind::AddrInUse => "in use by another process".to_owned(),
    _ => cause.to_string(),
})]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// Of which kind.
    pub protocol: Protocol,
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
#[derive(Debug)]
pub struct Bound {
    listening: Vec<Listening>,
    pub(super) parts: Parts,
    handles: Vec<Handle>,
}

/// What each part of a server reads.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By worker.
    pub(super) udp: Vec<Vec<UdpSocket>>,
    pub(super) tcp: Vec<(Service, TcpListener)>,
    pub(super) quic: Vec<(Service, UdpSocket)>,
}

/// A socket to hand to another process, beside the one that is read: both are one to the kernel.
#[derive(Debug)]
pub struct Handle {
    /// What is spoken there.
    pub service: Service,
    /// Of which kind.
    pub protocol: Protocol,
    /// Where it is bound.
    pub address: SocketAddr,
    /// The socket.
    pub socket: OwnedFd,
}

impl Bound {
    /// Binds UDP (once a worker) and TCP on the same port of every plain address (RFC 7766 §5), and what the
    /// other services need. What is inherited of that is taken first.
    ///
    /// # Errors
    /// Names the first address that cannot be had; nothing stays bound then.
    pub fn bind(listen: &Listen, workers: usize, inherited: &mut Inherited) -> Result<Self, BindError> {
        let mut bound = Self { listening: Vec::new(), parts: Parts::default(), handles: Vec::new() };
        bound.parts.udp.resize_with(workers.max(1), Vec::new);
        for &address in &listen.plain {
            bound.plain(address, inherited)?;
        }
        for (service, addresses) in [(Service::Dot, &listen.dot), (Service::Doh, &listen.doh)] {
            for &address in addresses {
                let failed = |cause| BindError { address, protocol: Protocol::Tcp, cause };
                let tcp = match inherited.take(service, Protocol::Tcp, address).pop() {
                    Some(tcp) => common(&tcp).map(|()| tcp),
                    None => tcp_socket(address),
                };
                let tcp = tcp.map_err(failed)?;
                let address = bound.keep(service, Protocol::Tcp, &tcp).map_err(failed)?;
                bound.listening.push(Listening { service, address });
                bound.parts.tcp.push((service, tcp.into()));
            }
        }
        for (service, addresses) in [(Service::Doh3, &listen.doh3), (Service::Doq, &listen.doq)] {
            for &address in addresses {
                let failed = |cause| BindError { address, protocol: Protocol::Udp, cause };
                let udp = match inherited.take(service, Protocol::Udp, address).pop() {
                    Some(udp) => prepared(&udp, address).map(|()| udp),
                    None => udp_socket(address, false),
                };
                let udp = udp.map_err(failed)?;
                let address = bound.keep(service, Protocol::Udp, &udp).map_err(failed)?;
                bound.listening.push(Listening { service, address });
                bound.parts.quic.push((service, udp.into()));
            }
        }
        Ok(bound)
    }

    /// UDP and TCP on one port, of which each worker has a socket of UDP.
    fn plain(&mut self, wanted: SocketAddr, inherited: &mut Inherited) -> Result<(), BindError> {
        let udp_failed = |cause| BindError { address: wanted, protocol: Protocol::Udp, cause };
        let tcp_failed = |cause| BindError { address: wanted, protocol: Protocol::Tcp, cause };
        let mut udp = inherited.take(Service::Plain, Protocol::Udp, wanted);
        let mut tcp = inherited.take(Service::Plain, Protocol::Tcp, wanted).pop();
        let shared = !udp.is_empty();
        for socket in &udp {
            prepared(socket, wanted).map_err(udp_failed)?;
        }
        if let Some(tcp) = &tcp {
            common(tcp).map_err(tcp_failed)?;
        }
        if udp.is_empty() && tcp.is_none() {
            let both = both(wanted)?;
            udp.push(both.0);
            tcp = Some(both.1);
        }
        // One of them was inherited alone.
        let given = udp.first().or(tcp.as_ref()).map_or(Ok(wanted), local_address).map_err(udp_failed)?;
        if udp.is_empty() {
            udp.push(udp_socket(given, false).map_err(udp_failed)?);
        }
        let tcp = tcp.map_or_else(|| tcp_socket(given), Ok).map_err(tcp_failed)?;

        let workers = self.parts.udp.len();
        if udp.len() < workers && !(shared && inherited.is_served()) {
            // The first socket was bound alone, so a port in use was found; now others may join it.
            for socket in &udp {
                socket.set_reuse_port(true).map_err(udp_failed)?;
            }
            while udp.len() < workers {
                match udp_socket(given, true) {
                    Ok(socket) => udp.push(socket),
                    // Who bound the first is another user, or did not let others join: all workers read that one.
                    Err(_) if shared => break,
                    Err(cause) => return Err(udp_failed(cause)),
                }
            }
        }
        for socket in &udp {
            self.keep(Service::Plain, Protocol::Udp, socket).map_err(udp_failed)?;
        }
        self.keep(Service::Plain, Protocol::Tcp, &tcp).map_err(tcp_failed)?;
        // However many there are of each, every socket is read and every worker reads.
        for at in 0..workers.max(udp.len()) {
            let (Some(socket), Some(worker)) =
                (udp.get(at % udp.len()), self.parts.udp.get_mut(at % workers))
            else {
                continue;
            };
            worker.push(socket.try_clone().map_err(udp_failed)?.into());
        }
        self.listening.push(Listening { service: Service::Plain, address: given });
        self.parts.tcp.push((Service::Plain, tcp.into()));
        Ok(())
    }

    /// Keeps a handle of a socket; returns where it is bound.
    fn keep(&mut self, service: Service, protocol: Protocol, socket: &Socket) -> io::Result<SocketAddr> {
        let (address, copy) = (local_address(socket)?, socket.try_clone()?);
        self.handles.push(Handle { service, protocol, address, socket: copy.into() });
        Ok(address)
    }

    /// Where the sockets are bound, the plain ones first.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Takes the handles of all sockets. Until they are dropped, no socket closes.
    pub fn take_handles(&mut self) -> Vec<Handle> {
        std::mem::take(&mut self.handles)
    }
}

/// The first UDP socket and the TCP listener of an address, on one port.
fn both(address: SocketAddr) -> Result<(Socket, Socket), BindError> {
    let mut tries = if address.port() == 0 { EPHEMERAL_TRIES } else { 1 };
    loop {
        tries -= 1;
        let failed = |cause| BindError { address, protocol: Protocol::Udp, cause };
        let udp = udp_socket(address, false).map_err(failed)?;
        let given = local_address(&udp).map_err(failed)?;
        match tcp_socket(given) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(cause) if tries > 0 && cause.kind() == io::ErrorKind::AddrInUse => {}
            Err(cause) => return Err(BindError { address: given, protocol: Protocol::Tcp, cause }),
        }
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an internet address"))
}

fn udp_socket(address: SocketAddr, join: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if join {
        socket.set_reuse_port(true)?;
    }
    alone(&socket, address)?;
    prepared(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets what a socket of UDP needs, whoever made it.
fn prepared(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    common(socket)?;
    no_fragments(socket, address)?;
    keep_bursts(socket);
    if address.ip().is_unspecified() {
        // A reply must come from the address that was asked: the kernel tells us which.
        if address.is_ipv4() {
            nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)?;
        } else {
            nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    Ok(())
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
    // The kernel counts its own account of it as well. Who has bound it for us may have asked for more.
    if socket.recv_buffer_size().is_ok_and(|size| size >= 2 * RECEIVE_BUFFER) {
        return;
    }
    let forced =
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::RcvBufForce, &RECEIVE_BUFFER);
    if forced.is_err() {
        let _as_much_as_it_gives = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    // Connections of a server that has just ended do not hold the port.
    socket.set_reuse_address(true)?;
    alone(&socket, address)?;
    common(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// `[::]` leaves IPv4 to 0.0.0.0, so that an IPv4 peer is never seen as a mapped address.
fn alone(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

/// Sets what every socket needs, whoever made it.
fn common(socket: &Socket) -> io::Result<()> {
    let address = socket.local_addr()?.as_socket();
    if address.is_some_and(|address| address.is_ipv6()) && !socket.only_v6()? {
        // Once bound, a socket keeps what it has.
        return Err(io::Error::other(
            "expected a socket for IPv6 alone (BindIPv6Only=ipv6-only), found one for both",
        ));
    }
    socket.set_nonblocking(true)
}
