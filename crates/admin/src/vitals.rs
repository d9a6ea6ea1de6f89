//! What a process tells of itself, beside what it counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Written by who publishes and loads, and read by whoever asks.
#[derive(Debug, Default)]
pub struct Vitals(Mutex<Known>);

/// What is known now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) published: Option<NewView>,
    pub(crate) took: Took,
    /// How many catalogs have come into force.
    pub(crate) catalogs: u64,
    pub(crate) catalog_at: Option<SystemTime>,
    pub(crate) data: Data,
}

/// A view that was published.
#[derive(Clone, Copy, Debug)]
pub struct NewView {
    /// Its number.
    pub generation: u64,
    /// Whether it is the first of its catalog.
    pub has_new_catalog: bool,
    /// How long it took to be made.
    pub took: Duration,
    /// When it came into force.
    pub at: SystemTime,
}

/// What was read beside the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// The databases of places, in their order.
    pub databases: Vec<Database>,
    /// When the certificate of the encrypted transports expires, in seconds since 1970.
    pub server_certificate_s: Option<i64>,
    /// The same of the API's.
    pub admin_certificate_s: Option<i64>,
}

/// A database of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The name of its file.
    pub name: String,
    /// What it calls itself.
    pub kind: String,
    /// When it was built, in seconds since 1970.
    pub built_s: u64,
}

/// How long views took, not cumulative: by [`TOOK_BOUNDS_S`], and the last above them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) buckets: [u64; TOOK_BOUNDS_S.len() + 1],
    pub(crate) sum: Duration,
}

/// One verdict of a few gateways takes some tens of microseconds, a catalog of 100,000 a second.
pub(crate) const TOOK_BOUNDS_S: [f64; 10] = [0.0001, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

impl Vitals {
    /// A view came into force.
    pub fn published(&self, published: NewView) {
        let mut known = self.lock();
        let took = &mut known.took;
        let bucket = TOOK_BOUNDS_S.partition_point(|bound| *bound < published.took.as_secs_f64());
        if let Some(count) = took.buckets.get_mut(bucket) {
            *count += 1;
        }
        took.sum += published.took;
        if published.has_new_catalog {
            known.catalogs += 1;
            known.catalog_at = Some(published.at);
        }
        known.published = Some(published);
    }

    /// Databases and certificates were accepted.
    pub fn accepted(&self, data: Data) {
        self.lock().data = data;
    }

    pub(crate) fn known(&self) -> Known {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
