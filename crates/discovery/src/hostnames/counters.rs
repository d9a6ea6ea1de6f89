//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, written by the engine and read by anybody at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) lookups: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) partial: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) catalogs: AtomicU64,
}

/// The values of [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lookups of a name that ended, A and AAAA together one.
    pub lookups: u64,
    /// Those of them that brought no address.
    pub failures: u64,
    /// Those that brought addresses of one family and a failure for the other.
    pub partial: u64,
    /// Addresses in answers that nobody allowed, each time they came.
    pub refused: u64,
    /// Changes of what a name shows: addresses, TTL or lost; the first addresses included.
    pub changes: u64,
    /// Catalogs published.
    pub catalogs: u64,
}

impl Counters {
    /// The values now. Each is exact; a reader may see one move before another.
    #[must_use]
    pub fn read(&self) -> Counts {
        let Self { lookups, failures, partial, refused, changes, catalogs } = self;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            lookups: value(lookups),
            failures: value(failures),
            partial: value(partial),
            refused: value(refused),
            changes: value(changes),
            catalogs: value(catalogs),
        }
    }
}

/// Adds to one counter.
pub(crate) fn count(counter: &AtomicU64, events: u64) {
    counter.fetch_add(events, Ordering::Relaxed);
}
