//! The maps of the view that is served: which clusters answer the clients of each country.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use meridian_dns::{Family, Live, Spread, View};
use meridian_model::GatewayId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::limits::{MAP_WAIT_MAX, MAPS_KEPT};

/// The spreads of the view that is served: made one at a time on a thread that does nothing else, and kept as long as
/// it is served.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) live: Arc<Live>,
    turn: Arc<Semaphore>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    generation: u64,
    spreads: HashMap<(GatewayId, Family), Arc<Spread>>,
}

impl Maps {
    pub(crate) fn new(live: Arc<Live>) -> Self {
        Self { live, turn: Arc::new(Semaphore::new(1)), kept: Arc::default() }
    }

    /// `None`: it is not ready in time, but is being made; or there is no such gateway.
    pub(crate) async fn spread(
        &self,
        view: &Arc<View>,
        gateway: GatewayId,
        family: Family,
    ) -> Option<Arc<Spread>> {
        let key = (gateway, family);
        if let Some(spread) = self.kept(view.generation(), key) {
            return Some(spread);
        }
        let made = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
            // Who waited for the same has it now.
            if let Some(spread) = self.kept(view.generation(), key) {
                return Some(spread);
            }
            let (view, kept) = (Arc::clone(view), Arc::clone(&self.kept));
            let making = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let spread = Arc::new(view.spread(gateway, family)?);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.keep(view.generation(), key, Arc::clone(&spread));
                Some(spread)
            });
            making.await.ok()?
        };
        timeout(MAP_WAIT_MAX, made).await.ok()?
    }

    fn kept(&self, generation: u64, key: (GatewayId, Family)) -> Option<Arc<Spread>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.spreads.get(&key).filter(|_| kept.generation == generation).cloned()
    }
}

impl Kept {
    fn keep(&mut self, generation: u64, key: (GatewayId, Family), spread: Arc<Spread>) {
        if generation < self.generation {
            return;
        }
        // To forget all is cheap: a map is made again in less than a millisecond.
        if generation > self.generation || self.spreads.len() >= MAPS_KEPT {
            self.spreads.clear();
        }
        self.generation = generation;
        self.spreads.insert(key, spread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_of_one_view_and_bounded() {
        let mut kept = Kept::default();
        let spread = Arc::new(Spread::default());
        let key = |index| (GatewayId::from_index(index), Family::V4);
        for index in 0..MAPS_KEPT {
            kept.keep(2, key(index), Arc::clone(&spread));
        }
        assert_eq!(kept.spreads.len(), MAPS_KEPT);
        kept.keep(2, key(MAPS_KEPT), Arc::clone(&spread));
        assert_eq!(kept.spreads.len(), 1);
        kept.keep(1, key(0), Arc::clone(&spread));
        assert_eq!((kept.generation, kept.spreads.len()), (2, 1), "an older view adds nothing");
        kept.keep(3, key(0), spread);
        assert_eq!((kept.generation, kept.spreads.len()), (3, 1));
    }
}
