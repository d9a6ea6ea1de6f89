//! Connections that wait for the next check of their address (`keep_alive`).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::connection::Connection;
use crate::checks::descriptors;
use crate::limits::CONNECTION_KEPT_FOR_MAX;

/// At most one an address, and of all probes together as many as the descriptors allow.
#[derive(Default)]
pub(super) struct Kept(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    by_address: HashMap<SocketAddr, (Instant, Connection, Place)>,
    /// When those that wait too long were last looked for.
    swept: Option<Instant>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    /// The connection to an address, if it is not too old and its server's certificate still holds.
    pub(super) fn take(&self, at: SocketAddr) -> Option<Connection> {
        let (since, connection, _place) = self.idle().by_address.remove(&at)?;
        let is_good = since.elapsed() < CONNECTION_KEPT_FOR_MAX
            && connection.certificate_end.is_none_or(|end| !end.has_passed());
        is_good.then_some(connection)
    }

    /// Keeps a connection, or closes it where too many are kept.
    pub(super) fn put(&self, at: SocketAddr, connection: Connection) {
        let now = Instant::now();
        let mut idle = self.idle();
        // Those of targets that are gone, and of targets that are checked more seldom than that.
        if idle.swept.is_none_or(|swept| now.duration_since(swept) >= CONNECTION_KEPT_FOR_MAX) {
            idle.swept = Some(now);
            idle.by_address.retain(|_, (since, _, _)| now.duration_since(*since) < CONNECTION_KEPT_FOR_MAX);
        }
        if let Some(place) = Place::take() {
            idle.by_address.insert(at, (now, connection, place));
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that this process may keep: descriptors are the process's.
struct Place;

static PLACES_TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Place {
    fn take() -> Option<Self> {
        let max = descriptors::kept_max();
        let taken = PLACES_TAKEN
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < max).then_some(taken + 1));
        // Made only then: one that is dropped gives a place back.
        taken.is_ok().then(|| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES_TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}
