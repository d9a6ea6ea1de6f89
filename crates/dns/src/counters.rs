//! What the server counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::answer::{Denied, Reply};
use crate::message::Rcode;

macro_rules! counters {
    ($($(#[doc = $help:literal])* $name:ident,)*) => {
        /// Counters of one server. Its connections share them; a worker of UDP has some of its own, and takes no line
        /// of memory from another core.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            of_workers: Mutex<Vec<Arc<Counters>>>,
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[doc = $help])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all of them. Each is exact, they are not read at one instant.
            #[must_use]
            pub fn totals(&self) -> Totals {
                let mut totals = Totals { $($name: self.$name.load(Ordering::Relaxed),)* };
                for worker in self.of_workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    $(totals.$name += worker.$name.load(Ordering::Relaxed);)*
                }
                totals
            }
        }

        impl Totals {
            /// Each with its name and what it counts.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($help),*).trim(), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Messages read from UDP.
    udp_received,
    /// Messages read from TCP.
    tcp_received,
    /// Messages read from TLS.
    tls_received,
    /// Messages read from HTTPS.
    https_received,
    /// Messages read from QUIC.
    quic_received,
    /// Messages that got no reply: too short, or replies themselves.
    ignored,
    /// Replies with NOERROR.
    noerror,
    /// Replies with NXDOMAIN.
    nxdomain,
    /// Replies with REFUSED.
    refused,
    /// Replies with FORMERR.
    formerr,
    /// Replies with NOTIMP.
    notimp,
    /// Replies with YXDOMAIN.
    yxdomain,
    /// Replies with NOTAUTH.
    notauth,
    /// Replies with BADVERS.
    badvers,
    /// Replies with BADCOOKIE.
    badcookie,
    /// Replies with SERVFAIL.
    servfail,
    /// Zone transfers begun.
    transfers,
    /// Zone transfers refused: too many at once.
    transfers_over_total,
    /// Replies that were one too many for the client's network, and were truncated.
    rate_slipped,
    /// Replies that were one too many for the client's network, and were not sent.
    rate_dropped,
    /// Replies with TC.
    truncated,
    /// Replies without an address because residency lets no cluster serve the client.
    residency_prohibited,
    /// Replies without an address because no cluster that may serve the client can.
    residency_filtered,
    /// Panics while answering; each cost that one answer.
    panics,
    /// Replies that the kernel did not take.
    send_failed,
    /// Failures of receiving from UDP.
    receive_failed,
    /// TCP connections accepted.
    tcp_accepted,
    /// TLS connections accepted.
    tls_accepted,
    /// HTTPS connections accepted.
    https_accepted,
    /// QUIC connections accepted, for DNS without HTTP.
    quic_accepted,
    /// QUIC handshakes that were sent back once, to show that the client is where it says.
    quic_retried,
    /// QUIC connections closed for what RFC 9250 does not allow.
    quic_violations,
    /// Requests over HTTPS that had no query: not found, not understood, too large.
    http_refused,
    /// Handshakes of TLS that failed.
    handshake_failed,
    /// Handshakes of TLS that took too long.
    handshake_timed_out,
    /// Datagrams and connections from a load balancer without the header that says who the client is.
    proxy_malformed,
    /// Connections closed for a newcomer, as the longest idle of all.
    shed_total,
    /// Connections closed for a newcomer, as the longest idle of its client.
    shed_client,
    /// Connections closed, as the longest idle, because file descriptors were short.
    shed_descriptors,
    /// Connections closed because no whole query came.
    connection_idle,
    /// Connections closed for their age.
    connection_aged,
    /// Connections closed because the client did not read its replies.
    connection_unread,
    /// Failures of `accept`.
    accept_failed,
}

impl Counters {
    /// Those of one worker more, which count for these.
    pub(crate) fn of_worker(&self) -> Arc<Self> {
        let counters = Arc::<Self>::default();
        self.of_workers.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// Counts what became of one message.
    pub(crate) fn count(&self, reply: Reply) {
        let (rcode, truncated, slipped, denied) = match reply {
            Reply::Sent { rcode, truncated, slipped, denied, .. } => (rcode, truncated, slipped, denied),
            Reply::Dropped => return add(&self.rate_dropped),
            Reply::Transfer => return add(&self.transfers),
            Reply::None => return add(&self.ignored),
        };
        if slipped {
            add(&self.rate_slipped);
        }
        add(match rcode {
            Rcode::NoError => &self.noerror,
            Rcode::NxDomain => &self.nxdomain,
            Rcode::Refused => &self.refused,
            Rcode::FormErr => &self.formerr,
            Rcode::NotImp => &self.notimp,
            Rcode::YxDomain => &self.yxdomain,
            Rcode::NotAuth => &self.notauth,
            Rcode::BadVers => &self.badvers,
            Rcode::BadCookie => &self.badcookie,
            Rcode::ServFail => &self.servfail,
        });
        if truncated {
            add(&self.truncated);
        }
        match denied {
            None => {}
            Some(Denied::Prohibited) => add(&self.residency_prohibited),
            Some(Denied::Filtered) => add(&self.residency_filtered),
        }
    }
}

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
