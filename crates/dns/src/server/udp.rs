//! UDP: step 1 of a query, and the sending of its reply.
//!
//! A worker is a thread and not a task: between two batches it waits in the kernel for its sockets, and nothing else
//! has to run there.

use std::io::{self, PipeReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use smallvec::SmallVec;

use super::batch::{Arrivals, Batch, Family, V4, V6};
use super::{Served, Shared, draw, guarded, proxy};
use crate::answer::{Reply, answer_asked};
use crate::counters::{Table, add, add_alone, add_many, series_of};
use crate::limits::{FAILURE_PAUSE, SEND_WAIT, TOGETHER, UDP_TURNS};
use crate::peer::{Moment, Peer, Transport};
use crate::together::Room;
use crate::view::View;

/// Starts a worker: one thread that serves one socket of every address, until the other end of `stop` is gone.
pub(super) fn start(
    index: usize,
    sockets: Vec<UdpSocket>,
    stop: PipeReader,
    shared: Shared,
    seed: u64,
) -> io::Result<()> {
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(sockets.len());
    for socket in &sockets {
        // A full send buffer is waited for: the kernel empties it at the pace of the wire.
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_WAIT))?;
        addresses.push(socket.local_addr()?);
    }
    let random = fastrand::Rng::with_seed(seed);
    let worker = Worker { shared, random, stop, room: Room::default(), tally: None };
    let run = move || worker.run(sockets.into_iter().zip(addresses).map(Port::new).collect());
    std::thread::Builder::new().name(format!("dns-udp-{index}")).spawn(run)?;
    Ok(())
}

/// A socket with its buffers.
struct Port {
    socket: UdpSocket,
    address: SocketAddr,
    batch: Buffers,
}

enum Buffers {
    V4(Batch<V4>),
    V6(Batch<V6>),
}

impl Port {
    /// For a socket that is bound to this address.
    fn new((socket, address): (UdpSocket, SocketAddr)) -> Self {
        let ip = address.ip();
        let batch = match ip {
            IpAddr::V4(_) => Buffers::V4(Batch::new(ip.is_unspecified())),
            IpAddr::V6(_) => Buffers::V6(Batch::new(ip.is_unspecified())),
        };
        Self { socket, address, batch }
    }
}

/// By port: whether something has arrived.
type Ready = SmallVec<[bool; 8]>;

struct Worker {
    shared: Shared,
    random: fastrand::Rng,
    stop: PipeReader,
    room: Room,
    /// Where the answers of the ground count that was answered from last.
    tally: Option<Arc<Table>>,
}

impl Worker {
    fn run(mut self, mut ports: Vec<Port>) {
        let view = self.shared.live.load();
        // From the start on, so that a count begins at none.
        self.follow(&view);
        drop(view);
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
    fn wait(&self, ports: &[Port]) -> io::Result<Option<Ready>> {
        let sockets = ports.iter().map(|port| port.socket.as_fd());
        let mut all: SmallVec<[PollFd<'_>; 8]> =
            sockets.chain([self.stop.as_fd()]).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        loop {
            match poll(&mut all, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut ready: Ready = all.iter().map(|one| one.any().unwrap_or(true)).collect();
        let stop = ready.pop().unwrap_or(true);
        Ok((!stop).then_some(ready))
    }

    /// Answers what has arrived at a socket, up to so much that the others get their turn. While the worker is busy more
    /// has arrived behind a batch that was not full, and to ask for that costs less than to wait for it.
    fn turns(&mut self, port: &mut Port) {
        for _ in 0..UDP_TURNS {
            match self.turn(port) {
                Ok(unsent) => add_many(&self.shared.counters.send_failed, unsent),
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

    /// Answers a batch from one load of the view; returns how many replies the kernel did not take.
    fn turn(&mut self, Port { socket, address, batch }: &mut Port) -> io::Result<usize> {
        let view = self.shared.live.load();
        self.follow(&view);
        let Self { shared, random, room, tally, .. } = self;
        let moment = shared.moment(random);
        let tally = tally.as_deref();
        let (below, local) = (shared.tap.below(), *address);
        let mut answering =
            Answering { shared, view: &view, moment, random, room, tally, answered: 0, below, local };
        let unsent = match batch {
            Buffers::V4(batch) => batch.turn(socket, |arrivals| answering.all(arrivals)),
            Buffers::V6(batch) => batch.turn(socket, |arrivals| answering.all(arrivals)),
        }?;
        let (queries, since) = (answering.answered, moment.uptime_us);
        if queries > 0 {
            shared.counters.took_alone(Transport::Udp, shared.uptime_us().saturating_sub(since), queries);
        }
        Ok(unsent)
    }

    /// Counts answers where those of this view count. A new ground costs a lock and an allocation, between two batches.
    fn follow(&mut self, view: &View) {
        let series = view.ground().series();
        let is_its = match (&self.tally, series) {
            (Some(tally), Some(series)) => tally.is_of(series),
            (None, None) => true,
            _ => false,
        };
        if !is_its {
            self.tally = series.map(|series| self.shared.counters.answer_counts().alone(series));
        }
    }
}

//----------- Answering ------------------------------------------------------

/// The answers of one batch.
struct Answering<'w> {
    shared: &'w Shared,
    view: &'w Arc<View>,
    moment: Moment,
    random: &'w mut fastrand::Rng,
    room: &'w mut Room,
    tally: Option<&'w Table>,
    /// How many queries there were.
    answered: usize,
    /// Which queries are taken down.
    below: u64,
    /// Where the socket is.
    local: SocketAddr,
}

/// A query, by the number of its datagram.
type Numbered<'d> = (usize, (Peer, &'d [u8]));

impl Answering<'_> {
    fn all<F: Family>(&mut self, arrivals: &mut Arrivals<'_, '_, F>) {
        for first in (0..arrivals.len()).step_by(TOGETHER) {
            let numbered = |index| Some((index, self.query(arrivals.datagram(index)?)?));
            let queries: SmallVec<[Numbered<'_>; TOGETHER]> =
                (first..arrivals.len()).take(TOGETHER).filter_map(numbered).collect();
            let (room, view) = (&mut *self.room, &**self.view);
            let read = AssertUnwindSafe(|| room.read(view, queries.iter().map(|(_, query)| query)));
            if catch_unwind(read).is_err() {
                // What goes wrong there goes wrong again where it counts.
                self.room.forget();
            }
            self.answered += queries.len();
            for (&(index, (ref peer, query)), asked) in queries.iter().zip(self.room.asked()) {
                let moment = Moment { random: self.random.u64(..), ..self.moment };
                let answer = |out: &mut Vec<u8>| answer_asked(self.view, asked, query, *peer, moment, out);
                let mut became = Reply::None;
                arrivals.reply(index, |out| {
                    became = guarded(&self.shared.counters, query, out, answer);
                    self.shared.counters.count_alone(Transport::Udp, &became);
                    if let Some(cell) = series_of(&became).and_then(|series| self.tally?.cell(series)) {
                        add_alone(cell, 1);
                    }
                    matches!(became, Reply::Sent { .. })
                });
                if self.below > 0 && draw(moment) < self.below {
                    let (ends, answer) = (arrivals.ends(index, peer.address, self.local), arrivals.last());
                    let view = self.view;
                    take(
                        self.shared,
                        &Served { view, peer: *peer, ends, moment, reply: became, query, answer },
                    );
                }
            }
        }
        add_alone(&self.shared.counters.udp_received, self.answered as u64);
    }

    /// Who asks, and the query: as a datagram says that comes from a load balancer.
    fn query<'d>(&self, (from, datagram): (IpAddr, &'d [u8])) -> Option<(Peer, &'d [u8])> {
        let peer = |address| Peer { address, transport: Transport::Udp };
        if !self.view.ground().manners().is_proxy(from) {
            return Some((peer(from), datagram));
        }
        match proxy::of_datagram(datagram) {
            Ok((client, query)) => Some((peer(client.unwrap_or(from)), query)),
            Err(_) => {
                add(&self.shared.counters.proxy_malformed);
                None
            }
        }
    }
}

/// Takes one down. Apart, and not in the loop: it is for few.
#[cold]
fn take(shared: &Shared, served: &Served<'_>) {
    served.take(&shared.tap, shared.wall, shared.uptime_us());
}
