//! Who has spans to tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::counters::add;
use crate::exporter::{Destination, Exporter};
use crate::limits::{CLOSE_WAIT, SPANS_WAITING};
use crate::{Context, Counters, Span};

/// Takes spans to a collector, while there is one.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_on: AtomicBool,
    queue: mpsc::Sender<Span>,
    destination: watch::Sender<Option<Destination>>,
    counters: Arc<Counters>,
    seed: u64,
    drawn: AtomicU64,
}

impl Tracer {
    /// Begins without a collector. `seed`: a number that no other process has. To be called inside a tokio runtime;
    /// the second of what is returned ends when the tracer has been closed.
    #[must_use]
    pub fn start(seed: u64, counters: Arc<Counters>) -> (Self, JoinHandle<()>) {
        let (queue, spans) = mpsc::channel(SPANS_WAITING);
        let (destination, destinations) = watch::channel(None);
        let exporter = tokio::spawn(Exporter::new(spans, destinations, counters.clone()).run());
        let inner =
            Inner { is_on: false.into(), queue, destination, counters, seed, drawn: AtomicU64::new(0) };
        (Self(Arc::new(inner)), exporter)
    }

    /// Says where spans go from now on; `None`: nowhere.
    pub fn tell(&self, destination: Option<Destination>) {
        self.0.is_on.store(destination.is_some(), Ordering::Relaxed);
        self.0.destination.send_replace(destination);
    }

    /// What became of spans, and of all else that is counted there.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.0.counters.clone()
    }

    /// Whether anybody is told: if not, no span need be made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Relaxed)
    }

    /// Puts a span behind the others, if there is room.
    pub fn send(&self, span: Span) {
        if self.is_on() && self.0.queue.try_send(span).is_err() {
            add(&self.0.counters.spans_dropped, 1);
        }
    }

    /// Sends what waits, as far as that is possible soon; nothing is sent after it.
    pub async fn close(self, exporter: JoinHandle<()>) {
        let abort = exporter.abort_handle();
        // Others may hold the tracer still.
        self.0.is_on.store(false, Ordering::Relaxed);
        let has_one = self.0.destination.send_if_modified(|destination| {
            destination.as_mut().map(|destination| destination.is_last = true).is_some()
        });
        drop(self);
        if !has_one {
            return abort.abort();
        }
        if timeout(CLOSE_WAIT, exporter).await.is_err() {
            abort.abort();
        }
    }

    //--- Which spans

    /// The root of a new trace.
    #[must_use]
    pub fn root(&self) -> Context {
        let drawn = self.0.drawn.fetch_add(1, Ordering::Relaxed);
        self.numbered(u64::MAX, drawn)
    }

    /// A new span of a trace.
    #[must_use]
    pub fn child(&self, of: Context) -> Context {
        Context { span_id: self.root().span_id, ..of }
    }

    /// The root of the trace of something that has a number among those of its kind: whoever knows the number knows
    /// the span.
    #[must_use]
    pub fn numbered(&self, kind: u64, number: u64) -> Context {
        let first = mixed(self.0.seed ^ mixed(kind));
        let (high, low) = (mixed(first ^ number), mixed(mixed(first).wrapping_add(number)));
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&high.to_be_bytes());
        trace_id[8..].copy_from_slice(&low.to_be_bytes());
        let span_id = mixed(high.wrapping_add(low) | 1).max(1).to_be_bytes();
        Context { trace_id, span_id }
    }
}

/// The finaliser of SplitMix64: from numbers that follow each other to such that do not.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
