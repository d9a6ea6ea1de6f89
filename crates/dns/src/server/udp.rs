//! UDP: step 1 of a query, and the sending of its reply.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use tokio::io::Interest;

use super::{Shared, proxy};
use crate::answer::{Moment, Peer, Reply, Transport};
use crate::counters::add;
use crate::limits::{FAILURE_PAUSE, QUERY_SIZE, UDP_BATCH};

/// Starts a worker: one thread that serves one socket of every address. Returns when it serves.
pub(super) fn start(index: usize, sockets: Vec<UdpSocket>, shared: Shared, seed: u64) -> io::Result<()> {
    let (started, starts) = std::sync::mpsc::sync_channel(1);
    let run = move || {
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match made.and_then(|runtime| Ok((within(&runtime, sockets)?, runtime))) {
            Ok((sockets, runtime)) => {
                // Nobody waits any more only when the start was given up.
                let _given_up = started.send(Ok(()));
                Some((sockets, runtime))
            }
            Err(error) => {
                let _given_up = started.send(Err(error));
                None
            }
        };
        if let Some((sockets, runtime)) = runtime {
            let mut seeds = fastrand::Rng::with_seed(seed);
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for socket in sockets {
                    tasks.spawn(serve(socket, shared.clone(), seeds.fork()));
                }
                tasks.join_all().await;
            });
        }
    };
    std::thread::Builder::new().name(format!("dns-udp-{index}")).spawn(run)?;
    starts.recv().unwrap_or_else(|_| Err(io::Error::other("the worker ended at once")))
}

/// Gives sockets to a runtime.
fn within(
    runtime: &tokio::runtime::Runtime,
    sockets: Vec<UdpSocket>,
) -> io::Result<Vec<tokio::net::UdpSocket>> {
    let _inside = runtime.enter();
    sockets.into_iter().map(tokio::net::UdpSocket::from_std).collect()
}

async fn serve(socket: tokio::net::UdpSocket, mut shared: Shared, random: fastrand::Rng) {
    let mut worker = Worker {
        query: vec![0; QUERY_SIZE],
        reply: Vec::with_capacity(QUERY_SIZE),
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
        loop {
            match worker.batch(&socket, &shared) {
                Batch::Full => {}
                Batch::Empty => break,
                Batch::Failed => {
                    add(&shared.counters.receive_failed);
                    tokio::time::sleep(FAILURE_PAUSE).await;
                    break;
                }
            }
        }
        if stop {
            return;
        }
    }
}

/// How a batch ended.
enum Batch {
    /// There may be more.
    Full,
    /// All that had arrived is answered.
    Empty,
    /// The kernel reported something that is not the client's doing, such as a lack of memory.
    Failed,
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
    /// Answers what has arrived, up to a batch, from one load of the view.
    fn batch(&mut self, socket: &tokio::net::UdpSocket, shared: &Shared) -> Batch {
        let view = shared.live.load();
        let moment = shared.moment(&mut self.random);
        for _ in 0..UDP_BATCH {
            let datagram = match socket.try_io(Interest::READABLE, || self.receive(socket)) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Batch::Empty,
                Err(_) => return Batch::Failed,
            };
            let Some(received) = self.query.get(..datagram.length) else {
                continue;
            };
            let from = datagram.from.ip();
            let (address, query) = match view.ground().manners().is_proxy(from) {
                false => (from, received),
                true => match proxy::of_datagram(received) {
                    Ok((client, query)) => (client.unwrap_or(from), query),
                    Err(_) => {
                        add(&shared.counters.proxy_malformed);
                        continue;
                    }
                },
            };
            let peer = Peer { address, transport: Transport::Udp };
            let moment = Moment { random: self.random.u64(..), ..moment };
            let reply = shared.answer(&view, query, peer, moment, &mut self.reply);
            if matches!(reply, Reply::Sent { .. }) && self.send(socket, &datagram).is_err() {
                add(&shared.counters.send_failed);
            }
        }
        Batch::Full
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
