//! Batches of datagrams: many received by one system call, and their replies sent by one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike,
    recvmmsg, sendmmsg,
};
use smallvec::SmallVec;

use super::Ends;
use crate::limits::{UDP_BATCH, UDP_PAYLOAD_SIZE, UDP_QUERY_SIZE};

/// Between the starts of two queries in their buffer: not a power of two, or all of them would share a few lines of
/// the cache.
const QUERY_STRIDE: usize = UDP_QUERY_SIZE + 48;
/// The same of replies, which are allocated one by one.
const REPLY_CAPACITY: usize = UDP_PAYLOAD_SIZE as usize + 64;

//----------- Batch ----------------------------------------------------------

/// The buffers of one socket.
pub(super) struct Batch<F: Family> {
    /// Whether it is bound to all addresses, so that each reply says from which it goes out.
    wildcard: bool,
    queries: Vec<u8>,
    received: MultiHeaders<F::Address>,
    sent: MultiHeaders<F::Address>,
    replies: Vec<Vec<u8>>,
    /// By reply: to whom.
    to: Vec<Option<F::Address>>,
    /// By reply, of a wildcard socket: from which of our addresses.
    from: Vec<Option<F::Local>>,
}

/// The datagrams of a batch, and the replies to them.
pub(super) struct Arrivals<'b, 'd, F: Family> {
    arrived: &'b [Arrived<'d, F>],
    replies: &'b mut [Vec<u8>],
    to: &'b mut Vec<Option<F::Address>>,
    from: &'b mut Vec<Option<F::Local>>,
}

impl<'d, F: Family> Arrivals<'_, 'd, F> {
    pub(super) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// From which address one came, and its octets.
    pub(super) fn datagram(&self, index: usize) -> Option<(IpAddr, &'d [u8])> {
        self.arrived.get(index).map(|(from, _, octets)| (F::ip(from), *octets))
    }

    /// The ends of one of a client, on a socket that is bound here.
    pub(super) fn ends(&self, index: usize, client: IpAddr, mut server: SocketAddr) -> Ends {
        let Some((from, to, _)) = self.arrived.get(index) else { return Ends::default() };
        if let Some(to) = to {
            server.set_ip(F::local_ip(to));
        }
        // Behind a load balancer the port is that of the balancer.
        let client_port = (F::ip(from) == client).then(|| F::port(from));
        Ends { client_port, server: Some(server) }
    }

    /// The reply that was written last.
    pub(super) fn last(&self) -> &[u8] {
        let last = self.to.len().checked_sub(1).and_then(|last| self.replies.get(last));
        last.map_or(&[], Vec::as_slice)
    }

    /// Replies to one what `write` makes of the room for it, which says whether that is to be sent.
    pub(super) fn reply(&mut self, index: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let (Some((to, from, _)), Some(reply)) =
            (self.arrived.get(index), self.replies.get_mut(self.to.len()))
        else {
            return;
        };
        if write(reply) {
            self.to.push(Some(*to));
            self.from.push(*from);
        }
    }
}

/// A datagram: from where it came, to which of our addresses on a wildcard socket, and its octets.
type Arrived<'d, F> = (<F as Family>::Address, Option<<F as Family>::Local>, &'d [u8]);

impl<F: Family> Batch<F> {
    pub(super) fn new(wildcard: bool) -> Self {
        Self {
            wildcard,
            queries: vec![0; UDP_BATCH * QUERY_STRIDE],
            received: Self::headers(wildcard),
            sent: Self::headers(wildcard),
            replies: (0..UDP_BATCH).map(|_| Vec::with_capacity(REPLY_CAPACITY)).collect(),
            to: Vec::with_capacity(UDP_BATCH),
            from: Vec::with_capacity(UDP_BATCH),
        }
    }

    fn headers(wildcard: bool) -> MultiHeaders<F::Address> {
        MultiHeaders::preallocate(UDP_BATCH, wildcard.then(F::control_space))
    }

    /// Receives what has arrived, up to a batch, without waiting, and sends what `answer` makes of it. Returns how many
    /// replies the kernel did not take.
    ///
    /// # Errors
    /// Of receiving. Nothing was there: [`io::ErrorKind::WouldBlock`].
    pub(super) fn turn(
        &mut self,
        socket: &UdpSocket,
        answer: impl FnOnce(&mut Arrivals<'_, '_, F>),
    ) -> io::Result<usize> {
        let descriptor = socket.as_raw_fd();
        let Self { wildcard, queries, received, replies, to, from, .. } = self;
        to.clear();
        from.clear();
        let mut chunks = queries.chunks_exact_mut(QUERY_STRIDE);
        let mut parts: [[IoSliceMut<'_>; 1]; UDP_BATCH] = std::array::from_fn(|_| {
            let buffer = chunks.next().and_then(|chunk| chunk.get_mut(..UDP_QUERY_SIZE));
            [IoSliceMut::new(buffer.unwrap_or_default())]
        });
        let mut told = true;
        let messages = recvmmsg(descriptor, received, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut arrived: SmallVec<[Arrived<'_, F>; UDP_BATCH]> = SmallVec::new();
        for message in messages {
            // A datagram from port 0 wants no reply (RFC 768), and can have none.
            let Some(to) = message.address.filter(|address| F::port(address) != 0) else { continue };
            // What is cut off is as good as not told: the other datagrams are not lost for it.
            let controls = message.cmsgs().ok().filter(|_| *wildcard);
            let from = controls.and_then(|mut all| all.find_map(|control| F::local(&control)));
            told &= !*wildcard || from.is_some();
            arrived.push((to, from, message.iovs().next().unwrap_or_default()));
        }
        answer(&mut Arrivals { arrived: &arrived, replies, to, from });
        drop(arrived);
        let unsent = self.send(descriptor);
        if !told {
            // The kernel writes into the headers how long what it told is, and would not tell more the next time.
            self.received = Self::headers(self.wildcard);
        }
        Ok(unsent)
    }

    /// Sends the replies; returns how many the kernel did not take. The network drops some too: the client asks again.
    fn send(&mut self, descriptor: RawFd) -> usize {
        let (mut at, mut unsent) = (0, 0);
        while at < self.to.len() {
            // Those that go out from one address go together.
            let from = self.from.get(at).copied().flatten();
            let alike =
                self.from.iter().skip(at).take_while(|other| !self.wildcard || **other == from).count();
            match self.send_alike(descriptor, at, alike, from) {
                Ok(taken) if taken > 0 => at += taken,
                Err(Errno::EINTR) => {}
                // It was waited for; each of the others would wait as long, and the worker's other sockets with it.
                Err(Errno::EAGAIN) => return unsent + self.to.len() - at,
                Ok(_) | Err(_) => {
                    unsent += 1;
                    at += 1;
                }
            }
        }
        unsent
    }

    fn send_alike(
        &mut self,
        descriptor: RawFd,
        start: usize,
        count: usize,
        from: Option<F::Local>,
    ) -> Result<usize, Errno> {
        let mut replies = self.replies.iter().skip(start);
        let parts: [[IoSlice<'_>; 1]; UDP_BATCH] =
            std::array::from_fn(|_| [IoSlice::new(replies.next().map_or(&[], Vec::as_slice))]);
        let to = self.to.get(start..start + count).unwrap_or_default();
        let send = |control: &[ControlMessage<'_>], headers: &mut MultiHeaders<F::Address>| {
            let sent =
                sendmmsg(descriptor, headers, parts.iter().take(count), to, control, MsgFlags::empty());
            sent.map(Iterator::count)
        };
        match from {
            None if !self.wildcard => send(&[], &mut self.sent),
            // Not known: the kernel chooses.
            None => send(&[], &mut Self::headers(false)),
            Some(local) => F::with_control(local, |control| send(&[control], &mut self.sent)),
        }
    }
}

//----------- Family ---------------------------------------------------------

/// IPv4 or IPv6.
pub(super) trait Family {
    /// As sockets have them.
    type Address: SockaddrLike + Copy;
    /// One of our own addresses, as the kernel tells it and takes it back for a reply's source.
    type Local: Copy + PartialEq;

    fn ip(address: &Self::Address) -> IpAddr;
    fn port(address: &Self::Address) -> u16;
    /// The room for a [`Family::Local`].
    fn control_space() -> Vec<u8>;
    fn local(control: &ControlMessageOwned) -> Option<Self::Local>;
    fn local_ip(local: &Self::Local) -> IpAddr;
    fn with_control<T>(local: Self::Local, then: impl FnOnce(ControlMessage<'_>) -> T) -> T;
}

pub(super) enum V4 {}
pub(super) enum V6 {}

impl Family for V4 {
    type Address = SockaddrIn;
    /// Only the address: the kernel routes the reply itself.
    type Local = Ipv4Addr;

    fn ip(address: &SockaddrIn) -> IpAddr {
        IpAddr::V4(address.ip())
    }

    fn port(address: &SockaddrIn) -> u16 {
        address.port()
    }

    fn control_space() -> Vec<u8> {
        nix::cmsg_space!(libc::in_pktinfo)
    }

    fn local(control: &ControlMessageOwned) -> Option<Ipv4Addr> {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()))
            }
            _ => None,
        }
    }

    fn local_ip(local: &Ipv4Addr) -> IpAddr {
        IpAddr::V4(*local)
    }

    fn with_control<T>(local: Ipv4Addr, then: impl FnOnce(ControlMessage<'_>) -> T) -> T {
        let address = libc::in_addr { s_addr: u32::from_ne_bytes(local.octets()) };
        then(ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: address,
            ipi_addr: address,
        }))
    }
}

impl Family for V6 {
    type Address = SockaddrIn6;
    /// With the interface, which link-local addresses need.
    type Local = (Ipv6Addr, libc::c_uint);

    fn ip(address: &SockaddrIn6) -> IpAddr {
        IpAddr::V6(address.ip())
    }

    fn port(address: &SockaddrIn6) -> u16 {
        address.port()
    }

    fn control_space() -> Vec<u8> {
        nix::cmsg_space!(libc::in6_pktinfo)
    }

    fn local(control: &ControlMessageOwned) -> Option<Self::Local> {
        match control {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some((Ipv6Addr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex))
            }
            _ => None,
        }
    }

    fn local_ip((ip, _): &Self::Local) -> IpAddr {
        IpAddr::V6(*ip)
    }

    fn with_control<T>((ip, index): Self::Local, then: impl FnOnce(ControlMessage<'_>) -> T) -> T {
        let address = libc::in6_addr { s6_addr: ip.octets() };
        then(ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: index }))
    }
}
