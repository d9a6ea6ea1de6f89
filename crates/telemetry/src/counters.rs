//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $help:literal])* $name:ident,)*) => {
        /// What became of what was to be told.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// Each with its name, what it counts and its number.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($help),*).trim(), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Messages of dnstap written to their reader.
    dnstap_sent,
    /// Messages of dnstap dropped: too many waited, or nobody read.
    dnstap_dropped,
    /// Connections to a reader of dnstap.
    dnstap_connected,
    /// Spans that a collector took.
    spans_sent,
    /// Spans dropped: too many waited, or the collector refused them.
    spans_dropped,
    /// Requests with spans that a collector did not take.
    span_requests_failed,
}

pub(crate) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}
