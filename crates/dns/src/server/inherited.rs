//! Sockets that somebody else has bound: a service manager, or the server before this one.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt;
use socket2::Socket;

use super::bind::Service;

/// Of UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams; also those of QUIC.
    Udp,
    /// A listener.
    Tcp,
}

impl Protocol {
    /// Its name for operators.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// Sockets to take before new ones are bound: what waits in them for an answer stays there.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Given>,
    /// Whether another process reads them still.
    served: bool,
}

#[derive(Debug)]
struct Given {
    /// What was spoken there, where that is known.
    service: Option<Service>,
    protocol: Protocol,
    address: SocketAddr,
    socket: Socket,
}

impl Inherited {
    /// Of a server that serves on until this one does.
    #[must_use]
    pub fn served() -> Self {
        Self { sockets: Vec::new(), served: true }
    }

    /// Adds a socket. `service`: what was spoken there, where that is known.
    ///
    /// # Errors
    /// For what is no bound socket of UDP, and no listener of TCP.
    pub fn add(&mut self, service: Option<Service>, descriptor: OwnedFd) -> io::Result<()> {
        let invalid = |found: &str| io::Error::new(io::ErrorKind::InvalidInput, found.to_owned());
        let protocol = match sockopt::socket_type(descriptor.as_fd())? {
            rustix::net::SocketType::DGRAM => Protocol::Udp,
            rustix::net::SocketType::STREAM if sockopt::socket_acceptconn(descriptor.as_fd())? => {
                Protocol::Tcp
            }
            _ => return Err(invalid("neither a socket of UDP nor a listener of TCP")),
        };
        let socket = Socket::from(descriptor);
        let address = socket.local_addr()?.as_socket().ok_or_else(|| invalid("not an internet address"))?;
        self.sockets.push(Given { service, protocol, address, socket });
        Ok(())
    }

    /// Takes what is bound to an address. Port 0 is any port of the same service.
    pub(super) fn take(&mut self, service: Service, protocol: Protocol, wanted: SocketAddr) -> Vec<Socket> {
        let is_it = |given: &Given| {
            given.protocol == protocol
                && match wanted.port() {
                    0 => given.service == Some(service) && given.address.ip() == wanted.ip(),
                    _ => given.address == wanted,
                }
        };
        // Of several ports, one: the others are for those who want port 0 as well.
        let Some(address) = self.sockets.iter().find(|given| is_it(given)).map(|given| given.address) else {
            return Vec::new();
        };
        let its = |given: &mut Given| given.protocol == protocol && given.address == address;
        self.sockets.extract_if(.., its).map(|given| given.socket).collect()
    }

    /// Whether another process reads them still: then a socket that joins them would keep from it what nobody
    /// reads yet.
    pub(super) fn is_served(&self) -> bool {
        self.served
    }

    /// What nobody took.
    pub fn rest(&self) -> impl Iterator<Item = (Protocol, SocketAddr)> {
        self.sockets.iter().map(|given| (given.protocol, given.address))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    use super::super::bind::{Bound, Listen};
    use super::*;

    /// Of an address that nobody else here connects from: the port is free for TCP as well.
    const ANY_PORT: &str = "127.0.81.1:0";

    fn listen(plain: &[SocketAddr]) -> Listen {
        Listen { plain: plain.to_vec(), ..Listen::default() }
    }

    /// As a server hands them on.
    fn of(bound: &mut Bound) -> Inherited {
        let mut inherited = Inherited::served();
        for handle in bound.take_handles() {
            inherited.add(Some(handle.service), handle.socket).unwrap();
        }
        inherited
    }

    /// The inodes tell sockets apart, and their copies not.
    fn inodes(sockets: &[UdpSocket]) -> HashSet<u64> {
        sockets.iter().map(|socket| nix::sys::stat::fstat(socket).unwrap().st_ino).collect()
    }

    #[test]
    fn every_socket_is_read_however_many_workers_there_are() {
        for (before, after) in [(1, 1), (2, 2), (1, 3), (3, 1), (4, 2), (2, 3), (3, 2)] {
            let any = listen(&[ANY_PORT.parse().unwrap()]);
            let mut first = Bound::bind(&any, before, &mut Inherited::default()).unwrap();
            let mut inherited = of(&mut first);
            let second = Bound::bind(&any, after, &mut inherited).unwrap();
            assert_eq!(first.listening(), second.listening());
            assert_eq!(inherited.rest().count(), 0);
            let wanted: HashSet<u64> = first.parts.udp.iter().flat_map(|worker| inodes(worker)).collect();
            let read: HashSet<u64> = second.parts.udp.iter().flat_map(|worker| inodes(worker)).collect();
            // None is missed, and none has joined that nobody reads yet.
            assert_eq!((wanted.len(), &read), (before, &wanted), "{before} {after}");
            assert!(second.parts.udp.iter().all(|worker| !worker.is_empty()), "{before} {after}");
        }
    }

    #[test]
    fn what_is_not_listened_on_any_more_is_left() {
        let any = [ANY_PORT, ANY_PORT].map(|text| text.parse().unwrap());
        let mut first = Bound::bind(&listen(&any), 1, &mut Inherited::default()).unwrap();
        let [one, other] = [0, 1].map(|at| first.listening()[at].address);
        let mut inherited = of(&mut first);
        let second = Bound::bind(&listen(&[other]), 1, &mut inherited).unwrap();
        assert_eq!(second.listening()[0].address, other);
        assert_eq!(inherited.rest().collect::<Vec<_>>(), [(Protocol::Udp, one), (Protocol::Tcp, one)]);
    }

    #[test]
    fn one_socket_of_a_service_manager_is_joined_by_others() {
        let udp = UdpSocket::bind(ANY_PORT).unwrap();
        let address = udp.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.add(None, udp.into()).unwrap();
        let bound = Bound::bind(&listen(&[address]), 3, &mut inherited).unwrap();
        let all: HashSet<u64> = bound.parts.udp.iter().flat_map(|worker| inodes(worker)).collect();
        assert_eq!(all.len(), 3);
        // TCP was not given, and is on the same port.
        assert_eq!(bound.parts.tcp[0].1.local_addr().unwrap(), address);
        // A listener alone brings UDP to its port.
        drop(bound);
        let tcp = TcpListener::bind(ANY_PORT).unwrap();
        let address = tcp.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.add(None, tcp.into()).unwrap();
        let bound = Bound::bind(&listen(&[address]), 1, &mut inherited).unwrap();
        assert_eq!(bound.parts.udp[0][0].local_addr().unwrap(), address);
    }

    #[test]
    fn what_cannot_serve_is_refused() {
        let mut inherited = Inherited::default();
        let (one, _other) = UnixDatagram::pair().unwrap();
        assert_eq!(inherited.add(None, one.into()).unwrap_err().to_string(), "not an internet address");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(inherited.add(None, file.into()).is_err());
        // For IPv4 as well, by which its clients would be taken for others.
        let both = Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
        both.set_only_v6(false).unwrap();
        both.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = both.local_addr().unwrap().as_socket().unwrap();
        inherited.add(None, both.into()).unwrap();
        let error = Bound::bind(&listen(&[address]), 1, &mut inherited).unwrap_err().to_string();
        assert!(error.contains("BindIPv6Only=ipv6-only"), "{error}");
    }
}
