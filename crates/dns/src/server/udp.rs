//! UDP: step 1 of a query, and the sending of its reply.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use tokio::io::Interest;

use super::Shared;
use crate::answer::{Peer, Reply, Transport};
use crate::counters::add;
use crate::limits::{UDP_BATCH, UDP_QUERY_SIZE};

/// Starts a worker: one thread that serves one socket of every address.
pub(super) fn start(index: usize, sockets: Vec<UdpSocket>, shared: Shared, seed: u64) {
    let run = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(worker = index, %error, "a UDP worker cannot start");
                return;
            }
        };
        let mut seeds = fastrand::Rng::with_seed(seed);
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for socket in sockets {
                tasks.spawn(serve(socket, shared.clone(), fastrand::Rng::with_seed(seeds.u64(..))));
            }
            tasks.join_all().await;
        });
    };
    if let Err(error) = std::thread::Builder::new().name(format!("dns-udp-{index}")).spawn(run) {
        tracing::error!(worker = index, %error, "a UDP worker cannot start");
    }
}

async fn serve(socket: UdpSocket, mut shared: Shared, random: fastrand::Rng) {
    let socket = match tokio::net::UdpSocket::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "a UDP socket cannot be served");
            return;
        }
    };
    let mut worker = Worker {
        query: vec![0; UDP_QUERY_SIZE],
        reply: Vec::with_capacity(UDP_QUERY_SIZE),
        control: nix::cmsg_space!(libc::in6_pktinfo),
        random,
    };
    loop {
        let stop = tokio::select! {
            biased;
            () = shared.stopped() => true,
            ready = socket.readable() => ready.is_err(),
        };
        // What has arrived is answered, also when it is time to stop.
        while worker.batch(&socket, &shared) {}
        if stop {
            return;
        }
    }
}

/// The buffers of one socket.
struct Worker {
    query: Vec<u8>,
    reply: Vec<u8>,
    control: Vec<u8>,
    random: fastrand::Rng,
}

/// One received datagram.
struct Datagram {
    length: usize,
    from: SocketAddr,
    /// Which of our addresses it came to, on sockets bound to all of them.
    to: Option<LocalAddress>,
}

/// One of our addresses, as the kernel takes it back for the reply's source.
enum LocalAddress {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Worker {
    /// Answers what has arrived, up to a batch, from one load of the view; says whether there may
    /// be more.
    fn batch(&mut self, socket: &tokio::net::UdpSocket, shared: &Shared) -> bool {
        let view = shared.live.load();
        for _ in 0..UDP_BATCH {
            let datagram = match socket.try_io(Interest::READABLE, || self.receive(socket)) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => continue,
                // Would block; anything else is told by the socket's next readiness.
                Err(_) => return false,
            };
            add(&shared.counters.udp_received);
            let peer = Peer { address: datagram.from.ip(), transport: Transport::Udp };
            let Some(query) = self.query.get(..datagram.length) else {
                continue;
            };
            let reply = shared.answer(&view, query, peer, self.random.u64(..), &mut self.reply);
            if reply != Reply::None && self.send(socket, &datagram).is_err() {
                add(&shared.counters.send_failed);
            }
        }
        true
    }

    /// Receives one datagram; `None` for one that came from no internet address.
    fn receive(&mut self, socket: &tokio::net::UdpSocket) -> io::Result<Option<Datagram>> {
        let mut parts = [IoSliceMut::new(&mut self.query)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let Some(from) = message.address.as_ref().and_then(socket_address) else {
            return Ok(None);
        };
        let to = message.cmsgs()?.find_map(|control| match control {
            // The kernel routes the reply itself: only the address is taken over.
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(LocalAddress::V4(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: info.ipi_addr,
                ..info
            })),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(LocalAddress::V6(info)),
            _ => None,
        });
        Ok(Some(Datagram { length: message.bytes, from, to }))
    }

    /// Sends the reply. A full send buffer drops it, as the network may: the client asks again.
    fn send(&self, socket: &tokio::net::UdpSocket, datagram: &Datagram) -> io::Result<()> {
        let parts = [IoSlice::new(&self.reply)];
        let from = match &datagram.to {
            None => None,
            Some(LocalAddress::V4(info)) => Some(ControlMessage::Ipv4PacketInfo(info)),
            Some(LocalAddress::V6(info)) => Some(ControlMessage::Ipv6PacketInfo(info)),
        };
        let to = SockaddrStorage::from(datagram.from);
        sendmsg(socket.as_raw_fd(), &parts, from.as_slice(), MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}
