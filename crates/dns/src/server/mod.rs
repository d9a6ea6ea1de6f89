//! The sockets: UDP and TCP on every address, and the encrypted transports.
//!
//! hickory-server serves none: it spawns a task a datagram, has no limit on connections and takes
//! the client's word for reply sizes. These loops are ours, with the bounds of `limits`.

mod accept;
mod batch;
mod bind;
mod doh;
mod doh3;
mod doq;
mod framed;
mod http;
mod inherited;
mod metered;
mod passed;
mod phase;
mod proxy;
mod quic;
mod table;
mod tap;
mod tls;
mod udp;

use std::io::{self, PipeWriter};
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use bind::Parts;
pub use bind::{BindError, Bound, Handle, Listen, Listening, Service};
pub use inherited::{Inherited, Protocol};
pub use passed::Passed;
use phase::{Phase, Phases};
use table::Table;
pub use tap::{Ends, Taken, Taps};
use tap::{Served, Tap, draw};

use crate::answer::{Reply, answer};
use crate::counters::{Counters, add};
use crate::facts::Facts;
use crate::limits::{PASSED_WAITING, TRANSFERS};
use crate::manners::Streams;
use crate::message::{Rcode, Received, receive};
use crate::peer::{Moment, Peer, Transport};
use crate::reply::header_only;
use crate::view::{Live, View};

/// What tells the time of day.
pub type Wall = fn() -> SystemTime;

//----------- Server ---------------------------------------------------------

/// A running server. Dropping it stops it without waiting.
pub struct Server {
    listening: Vec<Listening>,
    phase: watch::Sender<Phase>,
    /// Its end stops the workers of UDP, which are threads.
    workers: PipeWriter,
    /// Until [`Server::start_quic`].
    quic: Vec<(Service, UdpSocket)>,
    seeds: fastrand::Rng,
    shared: Shared,
    taps: Arc<Taps>,
    /// Closed when the last worker and connection has ended.
    ended: mpsc::Receiver<()>,
    /// Closed when nothing reads the sockets of QUIC.
    quic_ended: mpsc::Receiver<()>,
    quic_alive: mpsc::Sender<()>,
}

impl Server {
    /// Starts answering on bound sockets, from whatever view is live; on those of QUIC with
    /// [`Server::start_quic`]. Needs a tokio runtime.
    ///
    /// `seed` begins the random numbers that decide between equal candidates; `wall` is the wall clock; what
    /// happens is added to `counters`.
    ///
    /// # Errors
    /// When a worker cannot have its thread, or a socket its place in a runtime; none runs on then.
    pub fn start(
        bound: Bound,
        live: Arc<Live>,
        counters: Arc<Counters>,
        seed: u64,
        wall: Wall,
    ) -> io::Result<Self> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let (workers_stop, stop_workers) = io::pipe()?;
        let (alive, ended) = mpsc::channel(1);
        let (quic_alive, quic_ended) = mpsc::channel(1);
        let listening = bound.listening().to_vec();
        let taps = Arc::new(Taps::new());
        let shared = Shared {
            live,
            counters: counters.clone(),
            tap: taps.tap(counters.clone()),
            table: Table::new(counters),
            wall,
            started: Instant::now(),
            ends: Ends::default(),
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            phases: Phases::new(phases),
            _alive: alive,
        };
        let mut seeds = fastrand::Rng::with_seed(seed);
        let Parts { udp, tcp, quic } = bound.parts;
        for (index, sockets) in udp.into_iter().enumerate() {
            let counters = shared.counters.of_worker();
            let shared = Shared { tap: taps.tap(counters.clone()), counters, ..shared.clone() };
            udp::start(index, sockets, workers_stop.try_clone()?, shared, seeds.u64(..))?;
        }
        accept::start(tcp, &shared, seeds.u64(..))?;
        Ok(Self {
            listening,
            phase,
            workers: stop_workers,
            quic,
            seeds,
            shared,
            taps,
            ended,
            quic_ended,
            quic_alive,
        })
    }

    /// Starts answering over QUIC. Two processes cannot read such a socket at once: each would get packets of the
    /// other's connections.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_quic(&mut self) -> io::Result<()> {
        let sockets = std::mem::take(&mut self.quic);
        quic::start(sockets, &self.shared, &self.quic_alive, self.seeds.u64(..))
    }

    /// Serves a connection on that another server has begun. One that is broken is passed over.
    pub fn resume(&mut self, passed: Passed) {
        accept::resume(passed, &self.shared, self.seeds.fork());
    }

    /// Where it listens, the plain addresses first.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// What takes queries down.
    #[must_use]
    pub fn taps(&self) -> &Arc<Taps> {
        &self.taps
    }

    /// Stops: no new connection, what has arrived is answered, then all sockets close. Returns
    /// whether all ended by the deadline; what has not ends with the runtime.
    pub async fn stop(self, deadline: Duration) -> bool {
        let mut ending = self.end(Phase::Ending);
        tokio::time::timeout(deadline, ending.ended.recv()).await.is_ok()
    }

    /// Leaves its sockets to another server, which reads them already. What this one has received it answers;
    /// plain connections come out of what is returned; others are served until they are done or idle.
    pub fn leave(self) -> Leaving {
        let (successor, passed) = mpsc::channel(PASSED_WAITING);
        let Ending { ended, quic_ended } = self.end(Phase::Leaving(successor));
        Leaving { passed, ended, quic_ended: Some(quic_ended) }
    }

    fn end(self, phase: Phase) -> Ending {
        let Self { phase: phases, workers, shared, quic_alive, quic, ended, quic_ended, .. } = self;
        drop((workers, quic));
        phases.send_replace(phase);
        drop((shared, quic_alive));
        // Whoever looks at the phase from now on sees the last one.
        drop(phases);
        Ending { ended, quic_ended }
    }
}

struct Ending {
    ended: mpsc::Receiver<()>,
    quic_ended: mpsc::Receiver<()>,
}

/// A server that leaves.
#[derive(Debug)]
pub struct Leaving {
    passed: mpsc::Receiver<Passed>,
    ended: mpsc::Receiver<()>,
    /// `None`: that has been told.
    quic_ended: Option<mpsc::Receiver<()>>,
}

/// What a server that leaves has given up.
#[derive(Debug)]
pub enum Departed {
    /// A connection that the other server takes on.
    Connection(Passed),
    /// The sockets of QUIC: nothing reads them.
    Quic,
}

impl Leaving {
    /// What is given up next; `None`: all has ended.
    pub async fn next(&mut self) -> Option<Departed> {
        let quic_ended = async {
            match &mut self.quic_ended {
                Some(ended) => ended.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = quic_ended => {}
            Some(passed) = self.passed.recv() => return Some(Departed::Connection(passed)),
            _ = self.ended.recv() => return self.passed.try_recv().ok().map(Departed::Connection),
        }
        self.quic_ended = None;
        Some(Departed::Quic)
    }
}

/// Answers; a panic costs this one answer, and SERVFAIL goes out instead.
fn guarded(
    counters: &Counters,
    packet: &[u8],
    out: &mut Vec<u8>,
    answer: impl FnOnce(&mut Vec<u8>) -> Reply,
) -> Reply {
    let answered = catch_unwind(AssertUnwindSafe(|| answer(&mut *out)));
    answered.unwrap_or_else(|_| {
        add(&counters.panics);
        let rcode = Rcode::ServFail;
        match receive(packet) {
            Received::Ignore => return Reply::None,
            Received::HeaderOnly(header, _) | Received::CookieOnly(header, _) => {
                header_only(header, rcode, out);
            }
            Received::Query(query, _) => header_only(query.header, rcode, out),
        }
        let facts = Facts::default();
        Reply::Sent { rcode, truncated: false, slipped: false, denied: None, tailored: true, facts }
    })
}

/// What every worker and connection holds.
#[derive(Clone)]
struct Shared {
    live: Arc<Live>,
    counters: Arc<Counters>,
    tap: Arc<Tap>,
    table: Arc<Table>,
    wall: Wall,
    started: Instant,
    /// Of a connection.
    ends: Ends,
    /// The room for zone transfers.
    transfers: Arc<Semaphore>,
    phases: Phases,
    /// The server has ended when the last of these is dropped.
    _alive: mpsc::Sender<()>,
}

impl Shared {
    /// Answers and counts one message, and takes it down if it is one of those.
    fn answer(
        &self,
        view: &Arc<View>,
        packet: &[u8],
        peer: Peer,
        moment: Moment,
        out: &mut Vec<u8>,
    ) -> Reply {
        add(match peer.transport {
            Transport::Udp => &self.counters.udp_received,
            Transport::Tcp => &self.counters.tcp_received,
            Transport::Tls => &self.counters.tls_received,
            Transport::Https => &self.counters.https_received,
            Transport::Quic => &self.counters.quic_received,
        });
        let reply = guarded(&self.counters, packet, out, |out| answer(view, packet, peer, moment, out));
        self.counters.count(peer.transport, &reply);
        self.counters.answered(view.ground(), &reply);
        let below = self.tap.below();
        if below > 0 && draw(moment) < below {
            let ends = self.ends;
            let served = Served { view, peer, ends, moment, reply, query: packet, answer: out };
            served.take(&self.tap, self.wall, self.uptime_us());
        }
        reply
    }

    /// So many queries were answered since this moment, on a connection.
    fn took(&self, transport: Transport, since: Moment, queries: usize) {
        if queries > 0 {
            self.counters.took(transport, self.uptime_us().saturating_sub(since.uptime_us), queries);
        }
    }

    /// Microseconds since the start.
    fn uptime_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// What enters an answer of this moment, with the next random number. To be had once a batch.
    fn moment(&self, random: &mut fastrand::Rng) -> Moment {
        let since = (self.wall)().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { random: random.u64(..), unix_s: since.as_secs(), uptime_us: self.uptime_us() }
    }

    /// The bounds of connections, as the configuration in force has them.
    fn streams(&self) -> Streams {
        self.live.load().ground().manners().streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No packet is known that makes answering panic; what one would cost is known.
    #[test]
    fn a_panic_costs_one_answer() {
        let counters = Counters::default();
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let mut out = Vec::new();
        let reply = guarded(&counters, query, &mut out, |out| {
            out.extend_from_slice(b"half an answer");
            panic!("on purpose")
        });
        assert!(matches!(reply, Reply::Sent { rcode: Rcode::ServFail, .. }), "{reply:?}");
        assert_eq!(out, b"\x12\x34\x81\x02\0\0\0\0\0\0\0\0");
        assert_eq!(guarded(&counters, &[0; 5], &mut out, |_| panic!("on purpose")), Reply::None);
        assert_eq!(counters.totals().panics, 2);
    }
}
