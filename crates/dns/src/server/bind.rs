//! Opening sockets, before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::limits::EPHEMERAL_TRIES;

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

/// Sockets that are bound and not yet read: queries wait in the kernel until a server starts.
pub struct Bound {
    addresses: Vec<SocketAddr>,
    /// By worker: one socket an address.
    udp: Vec<Vec<UdpSocket>>,
    tcp: Vec<TcpListener>,
}

impl Bound {
    /// Binds UDP (once a worker) and TCP on the same port of every address (RFC 7766 §5).
    ///
    /// # Errors
    /// Names the first address that cannot be had; nothing stays bound then.
    pub fn bind(listen: &[SocketAddr], workers: usize) -> Result<Self, BindError> {
        let workers = workers.max(1);
        let mut bound = Self { addresses: Vec::new(), udp: Vec::new(), tcp: Vec::new() };
        bound.udp.resize_with(workers, Vec::new);
        for &address in listen {
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
            bound.addresses.push(address);
            bound.tcp.push(tcp.into());
        }
        Ok(bound)
    }

    /// Where the sockets are bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// The UDP sockets by worker, and the TCP listeners.
    pub(super) fn into_parts(self) -> (Vec<Vec<UdpSocket>>, Vec<TcpListener>) {
        (self.udp, self.tcp)
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
