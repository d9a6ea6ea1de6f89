//! The thread that reads what workers have taken down, and tells it: to the log, to dnstap, as traces.
//!
//! It is a thread, as nothing that it does is to hold up a task; and it looks and is not woken, as that would cost a
//! worker a system call.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use meridian_config::{Dnstap, Geoip, Telemetry as Settings};
use meridian_dns::{Reply, Taken, Taps, Transport};
use meridian_model::Share;
use meridian_telemetry::dnstap::{CONTENT_TYPE, Protocol, Told, What};
use meridian_telemetry::{Counters, Frames, Tracer};
use tokio::runtime::Handle;

use super::known::Known;
use super::{host_name, spans};

/// Between two looks when there was nothing: what a worker takes meanwhile must have room.
const LOOK: Duration = Duration::from_millis(5);

/// How long a worker may take for what it has begun to take down.
const SETTLE: Duration = Duration::from_secs(1);

/// What the thread is told.
pub(super) enum Change {
    /// What is asked for from now on.
    Settings(Box<(Settings, Geoip)>),
    /// What has been taken is told, and that is the end.
    End,
}

/// All that the thread has.
pub(super) struct Reader {
    pub(super) taps: Arc<Taps>,
    pub(super) changes: Receiver<Change>,
    pub(super) tracer: Tracer,
    pub(super) counters: Arc<Counters>,
    pub(super) runtime: Handle,
}

/// What is told at present, and to whom.
#[derive(Default)]
struct Telling {
    query_log: Share,
    traced: Share,
    /// Of places.
    geoip: Option<Geoip>,
    dnstap: Option<(Dnstap, Frames)>,
    identity: Box<str>,
}

impl Reader {
    /// Begins with what has been asked for already, in a thread of its own. To be called inside the runtime.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let mut telling = Telling::default();
        // Before any query comes.
        while let Ok(Change::Settings(settings)) = self.changes.try_recv() {
            self.follow(&mut telling, *settings);
        }
        std::thread::Builder::new().name("taps".to_owned()).spawn(move || self.run(telling))
    }

    /// Until it is told to end.
    fn run(self, mut telling: Telling) {
        let _entered = self.runtime.enter();
        let mut settled = true;
        loop {
            let within = |wait| {
                self.changes.recv_timeout(wait).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            };
            let is_on = telling.most() > Share::NONE;
            let change = match (is_on, self.drain(&telling)) {
                (true, 0) => within(LOOK),
                (true, _) => self.changes.try_recv(),
                // What a worker was just taking down, with the view that it holds, is not left lying.
                (false, _) if !std::mem::replace(&mut settled, true) => within(SETTLE),
                // Nothing is to be done until something is asked for.
                (false, _) => self.changes.recv().map_err(|_| TryRecvError::Disconnected),
            };
            match change {
                Ok(Change::Settings(settings)) => {
                    self.follow(&mut telling, *settings);
                    settled = false;
                }
                Err(TryRecvError::Empty) => {}
                Ok(Change::End) | Err(TryRecvError::Disconnected) => break,
            }
        }
        self.drain(&telling);
        self.taps.take(Share::NONE);
        if let Some((_, frames)) = telling.dnstap {
            self.runtime.block_on(frames.close());
        }
    }

    fn follow(&self, telling: &mut Telling, (settings, geoip): (Settings, Geoip)) {
        let Settings { query_log, dnstap, traces } = settings;
        telling.query_log = query_log;
        telling.traced = traces.map_or(Share::NONE, |traces| traces.sample_queries);
        telling.geoip = Some(geoip);
        let is_same = |(before, _): &(Dnstap, Frames)| {
            dnstap.as_ref().is_some_and(|dnstap| dnstap.socket == before.socket)
        };
        let frames = match telling.dnstap.take() {
            Some(same) if is_same(&same) => Some(same.1),
            other => {
                if let Some((_, frames)) = other {
                    self.runtime.spawn(frames.close());
                }
                None
            }
        };
        telling.dnstap = dnstap.map(|dnstap| {
            let start = || Frames::start(dnstap.socket.clone(), CONTENT_TYPE, self.counters.clone());
            telling.identity = dnstap.identity.clone().unwrap_or_else(host_name);
            let frames = frames.unwrap_or_else(start);
            (dnstap, frames)
        });
        self.taps.take(telling.most());
    }

    fn drain(&self, telling: &Telling) -> usize {
        // None is known that makes this panic; one would cost that one line.
        self.taps.drain(|taken| drop(catch_unwind(AssertUnwindSafe(|| self.tell(telling, taken)))))
    }

    fn tell(&self, telling: &Telling, taken: &Taken) {
        if let Some((dnstap, frames)) = &telling.dnstap
            && dnstap.sample.takes(taken.draw)
        {
            messages(taken, dnstap, &telling.identity, |message| frames.send(message));
        }
        let is_logged = telling.query_log.takes(taken.draw);
        let is_traced = telling.traced.takes(taken.draw) && self.tracer.is_on();
        if !is_logged && !is_traced {
            return;
        }
        let Some(known) = Known::of(taken) else { return };
        if is_logged {
            known.log();
        }
        if is_traced && let Some(geoip) = &telling.geoip {
            self.tracer.send(spans::query(&self.tracer, &known, geoip));
        }
    }
}

impl Telling {
    /// The largest of the samples: what workers are to take down.
    fn most(&self) -> Share {
        let dnstap = self.dnstap.as_ref().map_or(Share::NONE, |(dnstap, _)| dnstap.sample);
        self.query_log.max(self.traced).max(dnstap)
    }
}

/// The messages of dnstap about a query and its response.
fn messages(taken: &Taken, dnstap: &Dnstap, identity: &str, mut send: impl FnMut(Vec<u8>)) {
    let told = |what| Told {
        identity,
        version: concat!("meridian ", env!("CARGO_PKG_VERSION")),
        what,
        protocol: match taken.peer.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
            Transport::Tls => Protocol::Dot,
            Transport::Https => Protocol::Doh,
            Transport::Quic => Protocol::Doq,
        },
        client: (taken.peer.address, taken.ends.client_port),
        server: taken.ends.server.map(|server| (server.ip(), server.port())),
        received: taken.received,
    };
    if dnstap.queries {
        send(told(What::Query(&taken.query)).encode());
    }
    if dnstap.responses && matches!(taken.reply, Reply::Sent { .. }) {
        send(told(What::Response(&taken.answer, taken.replied)).encode());
    }
}
