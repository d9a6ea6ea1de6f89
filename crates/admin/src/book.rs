//! What operators say, kept and handed on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use meridian_health_probe::{Handle as Probes, Timed};
use meridian_model::{Override, OverrideTarget};
use meridian_store::{Folder, KeptOverride, StoreError};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::limits::OVERRIDES_MAX;

/// Why an override is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BookError {
    /// There are as many as there can be.
    #[error("expected at most {OVERRIDES_MAX} overrides at once; lift some first")]
    Full,
    /// There is none to lift.
    #[error("no override of {0}")]
    Unknown(String),
}

/// An override that was said or lifted.
#[derive(Debug)]
pub struct Said {
    /// As it is, or was, in force.
    pub kept: KeptOverride,
    /// Why the disk does not know of it. It counts even so: who forces something needs it now.
    pub not_kept: Option<StoreError>,
}

/// All overrides: in force in the probes, and in the folder for the next start.
///
/// The wall clock is read when something is said and at the start. Between, only the monotonic clock counts:
/// one that jumps neither lifts an override nor holds it.
#[derive(Debug)]
pub struct Book {
    folder: Folder,
    probes: Arc<Probes>,
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
}

#[derive(Clone, Debug)]
struct Entry {
    kept: KeptOverride,
    entered: Instant,
    age_then: Duration,
    until: Option<Instant>,
}

impl Entry {
    fn new(kept: KeptOverride, wall: SystemTime, now: Instant) -> Self {
        // A clock that is behind what it was then: as if said now.
        let age_then = wall.duration_since(kept.since).unwrap_or_default();
        let left = kept.until.map(|until| until.duration_since(wall).unwrap_or_default());
        // One so far away that the clock has no name for it has no end.
        let until = left.and_then(|left| now.checked_add(left));
        Self { kept, entered: now, age_then, until }
    }

    fn timed(&self, now: Instant) -> Timed {
        Timed {
            said: self.kept.said.clone(),
            age: self.age_then + now.saturating_duration_since(self.entered),
            left: self.until.map(|until| until.saturating_duration_since(now)),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Book {
    /// Takes up what was kept, without what is over, and hands it to the probes.
    ///
    /// # Errors
    /// When the system does not let the file be read.
    pub fn open(folder: Folder, probes: Arc<Probes>, wall: SystemTime) -> Result<Self, StoreError> {
        let loaded = folder.overrides()?;
        if let Some(why) = loaded.set_aside {
            tracing::error!("overrides are lost: {why}");
        }
        let now = Instant::now();
        let mut entries: Vec<Entry> =
            loaded.content.into_iter().map(|kept| Entry::new(kept, wall, now)).collect();
        entries.retain(|entry| !entry.is_over(now));
        entries.truncate(OVERRIDES_MAX);
        for Entry { kept: KeptOverride { said, .. }, .. } in &entries {
            log("override from before the start", said);
        }
        let book = Self { folder, probes, entries: Mutex::new(entries), changed: Notify::new() };
        book.hand_over(&book.lock(), now);
        Ok(book)
    }

    /// Puts an override into force, in place of one of the same target.
    ///
    /// # Errors
    /// When there are too many.
    pub fn say(
        &self,
        said: Override,
        hold_for: Option<Duration>,
        wall: SystemTime,
    ) -> Result<Said, BookError> {
        let now = Instant::now();
        let until = hold_for.and_then(|hold_for| wall.checked_add(hold_for));
        let kept = KeptOverride { said, since: wall, until };
        let mut entries = self.lock();
        let replaced = entries.iter().position(|entry| entry.kept.said.target == kept.said.target);
        if replaced.is_none() && entries.len() >= OVERRIDES_MAX {
            return Err(BookError::Full);
        }
        if let Some(index) = replaced {
            entries.remove(index);
        }
        entries.push(Entry::new(kept.clone(), wall, now));
        log("override", &kept.said);
        let not_kept = self.put(&entries, now);
        Ok(Said { kept, not_kept })
    }

    /// Lifts the override of a target, which must be written as it was said.
    ///
    /// # Errors
    /// When there is none.
    pub fn lift(&self, target: &OverrideTarget) -> Result<Said, BookError> {
        let mut entries = self.lock();
        let index = entries.iter().position(|entry| entry.kept.said.target == *target);
        let index = index.ok_or_else(|| BookError::Unknown(target.to_string()))?;
        let kept = entries.remove(index).kept;
        log("override lifted", &kept.said);
        let not_kept = self.put(&entries, Instant::now());
        Ok(Said { kept, not_kept })
    }

    /// Where it is kept.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Those in force, as said first.
    #[must_use]
    pub fn all(&self) -> Vec<KeptOverride> {
        let now = Instant::now();
        let entries = self.lock();
        entries.iter().filter(|entry| !entry.is_over(now)).map(|entry| entry.kept.clone()).collect()
    }

    /// Lifts overrides when their time is over. The probes know of it by themselves; this keeps the file and
    /// the list short, and says it.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.lock().iter().filter_map(|entry| entry.until).min();
            let over = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = over => {
                    let book = Arc::clone(&self);
                    // It writes to the disk.
                    let _ended = spawn_blocking(move || book.expire(Instant::now())).await;
                }
            }
        }
    }

    fn expire(&self, now: Instant) {
        let mut entries = self.lock();
        entries.retain(|entry| {
            if entry.is_over(now) {
                log("override over", &entry.kept.said);
            }
            !entry.is_over(now)
        });
        self.put(&entries, now);
    }

    /// Into force first, then to the disk.
    fn put(&self, entries: &[Entry], now: Instant) -> Option<StoreError> {
        self.hand_over(entries, now);
        self.changed.notify_one();
        let all: Vec<KeptOverride> = entries.iter().map(|entry| entry.kept.clone()).collect();
        let error = self.folder.keep_overrides(&all).err();
        if let Some(error) = &error {
            tracing::error!(
                "overrides are in force, and a restart will not know of the last change: {error}"
            );
        }
        error
    }

    fn hand_over(&self, entries: &[Entry], now: Instant) {
        self.probes.override_with(entries.iter().map(|entry| entry.timed(now)).collect());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(what: &str, said: &Override) {
    let (state, reason) = (said.forced.as_str(), &said.reason);
    tracing::info!(target_of = %said.target, state, reason = %reason, by = %said.by, "{what}");
}
