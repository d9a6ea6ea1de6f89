//! UDP: step 1 of a query, and the sending of its reply.
//!
//! A worker is a thread and not a task: between two batches it waits in the kernel for its sockets, and nothing else
//! has to run there.

use std::io::{self, PipeReader};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::batch::{Batch, Tally, V4, V6};
use super::{Shared, proxy};
use crate::ahead::read_ahead;
use crate::answer::{Moment, Peer, Reply, Transport};
use crate::counters::{add, add_many};
use crate::limits::{FAILURE_PAUSE, SEND_WAIT, UDP_TURNS};
use crate::view::View;

/// Starts a worker: one thread that serves one socket of every address, until the other end of `stop` is gone.
pub(super) fn start(
    index: usize,
    sockets: Vec<UdpSocket>,
    stop: PipeReader,
    shared: Shared,
    seed: u64,
) -> io::Result<()> {
    let mut addresses = Vec::with_capacity(sockets.len());
    for socket in &sockets {
        // A full send buffer is waited for: the kernel empties it at the pace of the wire.
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_WAIT))?;
        addresses.push(socket.local_addr()?.ip());
    }
    let random = fastrand::Rng::with_seed(seed);
    let worker = Worker { shared, random, stop };
    let run = move || worker.run(sockets.into_iter().zip(addresses).map(Port::new).collect());
    std::thread::Builder::new().name(format!("dns-udp-{index}")).spawn(run)?;
    Ok(())
}

/// A socket with its buffers.
struct Port {
    socket: UdpSocket,
    batch: Buffers,
}

enum Buffers {
    V4(Batch<V4>),
    V6(Batch<V6>),
}

impl Port {
    /// For a socket that is bound to this address.
    fn new((socket, ip): (UdpSocket, IpAddr)) -> Self {
        let batch = match ip {
            IpAddr::V4(_) => Buffers::V4(Batch::new(ip.is_unspecified())),
            IpAddr::V6(_) => Buffers::V6(Batch::new(ip.is_unspecified())),
        };
        Self { socket, batch }
    }
}

struct Worker {
    shared: Shared,
    random: fastrand::Rng,
    stop: PipeReader,
}

impl Worker {
    fn run(mut self, mut ports: Vec<Port>) {
        loop {
            let ready = match self.wait(&ports) {
                Ok(Some(ready)) => ready,
                // What has arrived is answered, also when it is time to stop.
                Ok(None) => return ports.iter_mut().for_each(|port| self.turns(port)),
                Err(_) => {
                    self.failed();
                    continue;
                }
            };
            for (port, _) in ports.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                self.turns(port);
            }
        }
    }

    /// Waits until some socket has something; `None`: it is time to stop.
    fn wait(&self, ports: &[Port]) -> io::Result<Option<Vec<bool>>> {
        let sockets = ports.iter().map(|port| port.socket.as_fd());
        let mut all: Vec<PollFd<'_>> =
            sockets.chain([self.stop.as_fd()]).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        loop {
            match poll(&mut all, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut ready: Vec<bool> = all.iter().map(|one| one.any().unwrap_or(true)).collect();
        let stop = ready.pop().unwrap_or(true);
        Ok((!stop).then_some(ready))
    }

    /// Answers what has arrived at a socket, up to so much that the others get their turn.
    fn turns(&mut self, port: &mut Port) {
        for _ in 0..UDP_TURNS {
            match self.turn(port) {
                Ok(tally) => {
                    add_many(&self.shared.counters.send_failed, tally.unsent);
                    if !tally.is_full() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.failed(),
            }
        }
    }

    /// The kernel reported something that is not the client's doing, such as a lack of memory.
    fn failed(&self) {
        add(&self.shared.counters.receive_failed);
        std::thread::sleep(FAILURE_PAUSE);
    }

    /// Answers a batch from one load of the view.
    fn turn(&mut self, Port { socket, batch }: &mut Port) -> io::Result<Tally> {
        let Self { shared, random, .. } = self;
        let view = shared.live.load();
        let moment = shared.moment(random);
        let ahead = |packets: &mut dyn Iterator<Item = (IpAddr, &[u8])>| {
            // What goes wrong here goes wrong again where it counts.
            let _guess = catch_unwind(AssertUnwindSafe(|| read_ahead(&view, packets)));
        };
        let answer = |from: IpAddr, datagram: &[u8], out: &mut Vec<u8>| {
            let moment = Moment { random: random.u64(..), ..moment };
            reply(shared, &view, from, datagram, moment, out)
        };
        match batch {
            Buffers::V4(batch) => batch.turn(socket, ahead, answer),
            Buffers::V6(batch) => batch.turn(socket, ahead, answer),
        }
    }
}

/// Answers a datagram into `out`; says whether that is to be sent.
fn reply(
    shared: &Shared,
    view: &View,
    from: IpAddr,
    datagram: &[u8],
    moment: Moment,
    out: &mut Vec<u8>,
) -> bool {
    let (address, query) = match view.ground().manners().is_proxy(from) {
        false => (from, datagram),
        true => match proxy::of_datagram(datagram) {
            Ok((client, query)) => (client.unwrap_or(from), query),
            Err(_) => {
                add(&shared.counters.proxy_malformed);
                return false;
            }
        },
    };
    let peer = Peer { address, transport: Transport::Udp };
    matches!(shared.answer(view, query, peer, moment, out), Reply::Sent { .. })
}
