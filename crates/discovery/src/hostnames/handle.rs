//! What the rest of the program holds of the lookups.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use meridian_model::Catalog;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::engine::Engine;
use super::{Counters, Lookup};

//----------- Settings -------------------------------------------------------

/// What the engine is told beside the catalog.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest that a catalog waits for the first outcomes of its new names; at most
    /// [`crate::limits::FIRST_ROUND_MAX`]. Those that have none by then have no addresses yet.
    pub first_round: Duration,
    /// The least from one lookup of a name to the next, whatever its TTL, and from a first failure
    /// to the next try; counts as [`crate::limits::MIN_TTL_MIN`] to [`crate::limits::REFRESH_MAX`].
    pub min_ttl: Duration,
    /// Where names may lead beside what anybody's may: prefixes of loopback, link-local and metadata
    /// addresses, which are refused otherwise.
    pub allow: Arc<[IpNet]>,
    /// Where the jitter begins; another for each server.
    pub seed: u64,
}

//----------- Resolved -------------------------------------------------------

/// A catalog with the addresses of its hostname endpoints.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What it was made from: the one that was given.
    pub base: Arc<Catalog>,
    /// The same `Arc` as `base` where no endpoint is a hostname.
    pub catalog: Arc<Catalog>,
}

//----------- Handle ---------------------------------------------------------

/// Starts looking up the names of a catalog. To be called inside a tokio runtime with its clock
/// (and, for [`super::HickoryLookup`], its sockets) enabled.
///
/// The first value comes when every name has an outcome or `settings.first_round` has passed. For a
/// catalog without hostname endpoints it is there when this returns, and nothing is looked up.
pub fn start<L: Lookup>(catalog: Arc<Catalog>, settings: Settings, lookup: L) -> Handle {
    let (bases, bases_in) = watch::channel(Arc::clone(&catalog));
    let (catalogs_out, catalogs) = watch::channel(None);
    let counters = Arc::new(Counters::default());
    let engine = Engine::new(catalog, lookup, settings, bases_in, catalogs_out, Arc::clone(&counters));
    Handle { bases, catalogs, counters, engine: tokio::spawn(engine.run()) }
}

/// The running lookups. They stop when it is dropped.
#[derive(Debug)]
pub struct Handle {
    bases: watch::Sender<Arc<Catalog>>,
    catalogs: watch::Receiver<Option<Resolved>>,
    counters: Arc<Counters>,
    engine: JoinHandle<()>,
}

impl Handle {
    /// The newest catalog with addresses; `None` until the first round has ended. One is sent when
    /// the addresses, the TTL or the standing of a name changed, at most every
    /// [`crate::limits::COALESCE`], and whenever the catalog switches. The channel closes only when
    /// the lookups stop.
    #[must_use]
    pub fn catalogs(&self) -> watch::Receiver<Option<Resolved>> {
        self.catalogs.clone()
    }

    /// Goes over to another catalog.
    ///
    /// Names that are known keep their addresses and their state. New ones have their first round
    /// first, capped by [`Settings::first_round`]; until it ends, the catalog in force goes on.
    /// Lookups of names that are gone stop at the switch. A catalog given during such a round waits
    /// until it ends; of several, the last counts.
    pub fn replace(&self, catalog: Arc<Catalog>) {
        self.bases.send_replace(catalog);
    }

    /// What was done since the start.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Stops all lookups, and returns when the last of them has been dropped.
    pub async fn stop(mut self) {
        self.engine.abort();
        // Cancelled, as was just asked for; a panic has been reported by its hook.
        let _ended = (&mut self.engine).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.engine.abort();
    }
}
