//! What the server counts.

mod answers;
mod latency;
mod queries;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use answers::Answers;
pub(crate) use answers::{AnswerCounts, Latest, Table};
use latency::Durations;
pub use latency::Latency;
use queries::Matrix;
pub use queries::{Count, QueryCounts};

use crate::answer::{Denied, Reply};
use crate::facts::Facts;
use crate::message::Rcode;
use crate::peer::Transport;
use crate::view::Ground;

//----------- Counters -------------------------------------------------------

/// A counter as metrics have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name of its family, without prefix and suffix; those of one family stand together.
    pub family: &'static str,
    /// What the family counts.
    pub help: &'static str,
    /// What tells it from others of its family.
    pub label: Option<(&'static str, &'static str)>,
    /// The count.
    pub value: u64,
}

macro_rules! counters {
    (
        rcodes { $($rcode_name:ident $rcode:ident,)* }
        $($family:ident $help:literal { $($name:ident $($key:ident = $word:literal)?,)* })*
    ) => {
        /// Counters of one server. Its connections share them; a worker of UDP has some of its own, which nobody else
        /// writes, and takes no line of memory from another core.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            matrix: Matrix,
            /// By transport.
            durations: [Durations; Transport::ALL.len()],
            $($(pub(crate) $name: AtomicU64,)*)*
            answers: Arc<AnswerCounts>,
            latest: Latest,
            of_workers: Mutex<Vec<Arc<Counters>>>,
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $(#[doc = concat!("Replies with ", stringify!($rcode), ".")] pub $rcode_name: u64,)*
            $($(#[doc = concat!($help, ": `", stringify!($name), "`.")] pub $name: u64,)*)*
        }

        impl Counters {
            /// Reads all of them. Each is exact, they are not read at one instant.
            #[must_use]
            pub fn totals(&self) -> Totals {
                let mut totals = Totals::default();
                self.each(|counters| {
                    $(totals.$rcode_name += counters.matrix.of_rcode(Rcode::$rcode);)*
                    $($(totals.$name += counters.$name.load(Ordering::Relaxed);)*)*
                });
                totals
            }
        }

        impl Totals {
            /// Each as metrics have it; those by rcode are in [`Counters::queries`].
            #[must_use]
            pub fn named(&self) -> Vec<Named> {
                vec![$($(Named {
                    family: stringify!($family),
                    help: $help,
                    label: [$((stringify!($key), $word))?].first().copied(),
                    value: self.$name,
                },)*)*]
            }
        }
    };
}

counters! {
    rcodes {
        noerror NoError,
        nxdomain NxDomain,
        refused Refused,
        formerr FormErr,
        notimp NotImp,
        yxdomain YxDomain,
        notauth NotAuth,
        badvers BadVers,
        badcookie BadCookie,
        servfail ServFail,
    }
    received "Messages read" {
        udp_received transport = "udp",
        tcp_received transport = "tcp",
        tls_received transport = "tls",
        https_received transport = "https",
        quic_received transport = "quic",
    }
    ignored "Messages that got no reply: too short, or replies themselves" { ignored, }
    truncated "Replies with TC" { truncated, }
    rate_limited "Replies that were one too many for the client's network: slipped went out truncated or with a cookie, dropped did not" {
        rate_slipped action = "slipped",
        rate_dropped action = "dropped",
    }
    residency_denied "Replies without an address because residency lets no cluster serve the client (prohibited), or none of those that can (filtered)" {
        residency_prohibited reason = "prohibited",
        residency_filtered reason = "filtered",
    }
    transfers "Zone transfers begun" { transfers, }
    transfers_refused "Zone transfers refused: too many at once" { transfers_over_total, }
    panics "Panics while answering; each cost that one answer" { panics, }
    send_failures "Replies that the kernel did not take" { send_failed, }
    receive_failures "Failures of receiving from UDP" { receive_failed, }
    connections "Connections accepted" {
        tcp_accepted transport = "tcp",
        tls_accepted transport = "tls",
        https_accepted transport = "https",
        quic_accepted transport = "quic",
    }
    connections_closed "Connections closed by the server: the longest idle of all (full), of its client (client_full), or for want of descriptors, for a newcomer; no whole query came (idle); its age (aged); the client did not read (unread)" {
        shed_total reason = "full",
        shed_client reason = "client_full",
        shed_descriptors reason = "descriptors",
        connection_idle reason = "idle",
        connection_aged reason = "aged",
        connection_unread reason = "unread",
    }
    taken "Queries taken down, for the query log, dnstap or traces" { taken, }
    taken_dropped "Queries that were to be taken down and were not, as too many waited" { taken_dropped, }
    accept_failures "Failures of accepting a connection" { accept_failed, }
    handshake_failures "Handshakes of TLS that failed, or took too long" {
        handshake_failed reason = "failed",
        handshake_timed_out reason = "timed_out",
    }
    quic_retries "QUIC handshakes that were sent back once, to show that the client is where it says" { quic_retried, }
    quic_violations "QUIC connections closed for what RFC 9250 does not allow" { quic_violations, }
    http_refused "Requests over HTTPS that had no query: not found, not understood, too large" { http_refused, }
    proxy_malformed "Datagrams and connections from a load balancer without the header that says who the client is" { proxy_malformed, }
}

impl Counters {
    /// Those of one worker more, which count for these.
    pub(crate) fn of_worker(&self) -> Arc<Self> {
        let counters = Arc::new(Self { answers: Arc::clone(&self.answers), ..Self::default() });
        self.of_workers.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// Replies by transport, type and rcode, and what else is counted of queries.
    #[must_use]
    pub fn queries(&self) -> QueryCounts {
        let workers = self.of_workers.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<&Matrix> = std::iter::once(self)
            .chain(workers.iter().map(|worker| &**worker))
            .map(|one| &one.matrix)
            .collect();
        queries::read(&all)
    }

    /// How long answers took, by transport: from before a batch is received until it is sent; on connections until it
    /// is written. Each query of a batch counts as long as the batch took.
    #[must_use]
    pub fn latency(&self) -> Vec<(Transport, Latency)> {
        let mut all: Vec<_> = Transport::ALL.iter().map(|of| (*of, Latency::default())).collect();
        self.each(|counters| {
            for ((_, latency), durations) in all.iter_mut().zip(&counters.durations) {
                durations.add_to(latency);
            }
        });
        all
    }

    /// Answers of gateways, by what the configuration says.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.answers.read()
    }

    pub(crate) fn answer_counts(&self) -> &Arc<AnswerCounts> {
        &self.answers
    }

    fn each(&self, mut read: impl FnMut(&Self)) {
        read(self);
        let workers = self.of_workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().for_each(|worker| read(worker));
    }

    //--- Counting

    /// Counts what became of one message.
    pub(crate) fn count(&self, transport: Transport, reply: &Reply) {
        self.count_by(transport, reply, add);
    }

    /// The same for who alone writes these counters.
    #[inline]
    pub(crate) fn count_alone(&self, transport: Transport, reply: &Reply) {
        self.count_by(transport, reply, |counter| add_alone(counter, 1));
    }

    #[inline]
    fn count_by(&self, transport: Transport, reply: &Reply, add: impl Fn(&AtomicU64)) {
        let Reply::Sent { rcode, truncated, slipped, denied, facts, .. } = reply else {
            return self.count_unsent(transport, reply, add);
        };
        self.matrix.count(transport, *rcode, facts, &add);
        // Most are none of these.
        if *truncated || denied.is_some() || *slipped {
            self.count_oddities((*truncated, *slipped), *denied, add);
        }
    }

    #[cold]
    fn count_oddities(
        &self,
        (truncated, slipped): (bool, bool),
        denied: Option<Denied>,
        add: impl Fn(&AtomicU64),
    ) {
        if slipped {
            add(&self.rate_slipped);
        }
        if truncated {
            add(&self.truncated);
        }
        match denied {
            None => {}
            Some(Denied::Prohibited) => add(&self.residency_prohibited),
            Some(Denied::Filtered) => add(&self.residency_filtered),
        }
    }

    #[cold]
    fn count_unsent(&self, transport: Transport, reply: &Reply, add: impl Fn(&AtomicU64)) {
        match reply {
            Reply::Transfer(asked) => {
                let facts = Facts { asked: *asked, ..Facts::default() };
                self.matrix.count(transport, Rcode::NoError, &facts, &add);
                add(&self.transfers);
            }
            Reply::Dropped => add(&self.rate_dropped),
            Reply::None | Reply::Sent { .. } => add(&self.ignored),
        }
    }

    /// So many queries were answered within so long.
    pub(crate) fn took(&self, transport: Transport, took_us: u64, queries: usize) {
        let add = |counter: &AtomicU64, count| {
            counter.fetch_add(count, Ordering::Relaxed);
        };
        self.durations[transport as usize].observe(took_us, queries, add);
    }

    /// The same for who alone writes these counters.
    pub(crate) fn took_alone(&self, transport: Transport, took_us: u64, queries: usize) {
        self.durations[transport as usize].observe(took_us, queries, add_alone);
    }

    /// Counts an answer of a view in its series, on a connection.
    pub(crate) fn answered(&self, ground: &Ground, reply: &Reply) {
        if let (Some(series), Some(number)) = (ground.series(), series_of(reply)) {
            self.latest.count(&self.answers, series, number);
        }
    }
}

/// In which series of its ground a reply counts.
#[inline]
pub(crate) fn series_of(reply: &Reply) -> Option<u32> {
    match reply {
        Reply::Sent { facts, .. } => facts.chosen?.series,
        _ => None,
    }
}

//----------- Adding ---------------------------------------------------------

/// Adds a number.
pub(crate) fn add_many(counter: &AtomicU64, number: usize) {
    if number > 0 {
        counter.fetch_add(number as u64, Ordering::Relaxed);
    }
}

/// Adds one.
pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Adds to a counter that nobody else writes: without the lock of the bus that an atomic addition takes, which costs as
/// much as some steps of an answer.
#[inline]
pub(crate) fn add_alone(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
}
