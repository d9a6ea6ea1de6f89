//! What operators say, kept and handed on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use meridian_health_probe::{Handle as Probes, Timed};
use meridian_model::{Order, Override, OverrideTarget};
use meridian_store::{Folder, KeptOverride, StoreError};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use crate::limits::{KEEP_WAIT_MAX, OVERRIDES_MAX};
use crate::status::one_override;
use crate::{Change, Ledger};

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
    /// Which change of the book it is.
    pub change: u64,
}

/// All overrides: in force in the probes, and in the folder for the next start.
///
/// The wall clock is read when something is said and at the start. Between, only the monotonic clock counts:
/// one that jumps neither lifts an override nor holds it.
///
/// What is said is in force at once, and written by [`Book::run`] alone: a disk that hangs holds up nobody.
#[derive(Debug)]
pub struct Book {
    folder: Arc<Folder>,
    probes: Arc<Probes>,
    ledger: Arc<Ledger>,
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
    changes: Changes,
}

/// Changes of a book, by number, on their way to the disk.
#[derive(Debug, Default)]
struct Changes {
    /// The last that was made.
    made: watch::Sender<u64>,
    /// The last that was tried to write, and why it is not on the disk.
    written: watch::Sender<(u64, Option<String>)>,
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
    pub fn open(
        folder: Arc<Folder>,
        probes: Arc<Probes>,
        ledger: Arc<Ledger>,
        wall: SystemTime,
    ) -> Result<Self, StoreError> {
        let entries = kept(&folder, wall)?;
        for Entry { kept: KeptOverride { said, .. }, .. } in &entries {
            log("override from before the start", said);
        }
        let book = Self {
            folder,
            probes,
            ledger,
            entries: Mutex::new(entries),
            changed: Notify::new(),
            changes: Changes::default(),
        };
        book.hand_over(&book.lock(), Instant::now());
        Ok(book)
    }

    /// Takes up anew what is kept: another process may have written it until now.
    ///
    /// # Errors
    /// As [`Book::open`]; what was in force stays so.
    pub fn reread(&self, wall: SystemTime) -> Result<(), StoreError> {
        let entries = kept(&self.folder, wall)?;
        let mut all = self.lock();
        *all = entries;
        self.hand_over(&all, Instant::now());
        self.changed.notify_one();
        Ok(())
    }

    /// The override of a target, which must be written as it was said.
    #[must_use]
    pub fn find(&self, target: &OverrideTarget) -> Option<KeptOverride> {
        self.all().into_iter().find(|kept| kept.said.target == *target)
    }

    /// What all mean now.
    #[must_use]
    pub fn orders(&self) -> Vec<(OverrideTarget, Order)> {
        let now = Instant::now();
        let in_force = |entry: &&Entry| !entry.is_over(now);
        let order = |entry: &Entry| {
            let Timed { said, age, .. } = entry.timed(now);
            (said.target, said.forced.order(age))
        };
        self.lock().iter().filter(in_force).map(order).collect()
    }

    /// How many changes there were since the start.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.changes.made.borrow()
    }

    /// Puts an override into force, in place of one of the same target. The same once more changes nothing.
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
        let mut kept = kept;
        if let Some(index) = replaced {
            let before = &entries[index].kept;
            if before.said.forced == kept.said.forced {
                // A drain that is said once more does not begin again.
                kept.since = before.since;
            }
            if *before == kept {
                return Ok(Said { kept, change: *self.changes.made.borrow() });
            }
            entries.remove(index);
        }
        entries.push(Entry::new(kept.clone(), wall, now));
        log("override", &kept.said);
        let change = self.put(&entries, now);
        Ok(Said { kept, change })
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
        let change = self.put(&entries, Instant::now());
        Ok(Said { kept, change })
    }

    /// Waits until a change is on the disk, or says why it is not; it counts even so: who forces something needs it now.
    pub async fn not_kept(&self, change: u64) -> Option<String> {
        let mut written = self.changes.written.subscribe();
        let tried = timeout(KEEP_WAIT_MAX, written.wait_for(|(last, _)| *last >= change)).await;
        match tried {
            Ok(Ok(written)) => written.1.clone(),
            Ok(Err(_)) | Err(_) => {
                Some(format!("{}: not written in {KEEP_WAIT_MAX:?}", self.folder.path().display()))
            }
        }
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

    /// Writes what changes, and lifts overrides when their time is over: the probes know of it by themselves; this
    /// keeps the file and the list short, and says it.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.write(), self.lift_what_is_over());
    }

    async fn lift_what_is_over(&self) {
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
                () = over => self.expire(Instant::now()),
            }
        }
    }

    /// Writes each time something has changed; what changes while it writes comes together in the next.
    async fn write(&self) {
        let mut made = self.changes.made.subscribe();
        loop {
            let last = *made.borrow_and_update();
            if last > self.changes.written.borrow().0 {
                self.write_all(last).await;
            }
            if made.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes all that is in force, up to a change at least.
    async fn write_all(&self, last: u64) {
        let all: Vec<KeptOverride> = self.lock().iter().map(|entry| entry.kept.clone()).collect();
        let folder = Arc::clone(&self.folder);
        let error = match spawn_blocking(move || folder.keep_overrides(&all)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match &error {
            None => tracing::debug!(change = last, "overrides are kept"),
            Some(error) => tracing::error!(
                "overrides are in force, and a restart will not know of the last change: {error}"
            ),
        }
        self.changes.written.send_replace((last, error));
    }

    fn expire(&self, now: Instant) {
        let mut entries = self.lock();
        entries.retain(|entry| {
            if entry.is_over(now) {
                log("override over", &entry.kept.said);
                self.ledger.record(Change {
                    caller: "clock".to_owned(),
                    action: "expire",
                    target: entry.kept.said.target.to_string(),
                    before: json(&entry.kept),
                    ..Change::default()
                });
            }
            !entry.is_over(now)
        });
        self.put(&entries, now);
    }

    /// Into force; which change it is.
    fn put(&self, entries: &[Entry], now: Instant) -> u64 {
        self.hand_over(entries, now);
        self.changed.notify_one();
        self.changes.made.send_modify(|made| *made += 1);
        *self.changes.made.borrow()
    }

    fn hand_over(&self, entries: &[Entry], now: Instant) {
        self.probes.override_with(entries.iter().map(|entry| entry.timed(now)).collect());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the folder has, without what is over.
fn kept(folder: &Folder, wall: SystemTime) -> Result<Vec<Entry>, StoreError> {
    let loaded = folder.overrides()?;
    if let Some(why) = loaded.set_aside {
        tracing::error!("overrides are lost: {why}");
    }
    let now = Instant::now();
    let mut entries: Vec<Entry> =
        loaded.content.into_iter().map(|kept| Entry::new(kept, wall, now)).collect();
    entries.retain(|entry| !entry.is_over(now));
    entries.truncate(OVERRIDES_MAX);
    Ok(entries)
}

/// An override as the audit has it.
pub(crate) fn json(kept: &KeptOverride) -> Value {
    serde_json::to_value(one_override(kept)).unwrap_or_default()
}

fn log(what: &str, said: &Override) {
    let (state, reason) = (said.forced.as_str(), &said.reason);
    tracing::info!(target_of = %said.target, state, reason = %reason, by = %said.by, "{what}");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use meridian_health_probe::{NetworkChecker, Settings, start};
    use meridian_model::{Catalog, CatalogParts, Forced};

    use super::*;

    const WALL: SystemTime = SystemTime::UNIX_EPOCH;

    fn book(root: &tempfile::TempDir) -> Book {
        let catalog = Arc::new(Catalog::new(CatalogParts::default()));
        let settings = Settings { first_round: Duration::from_secs(1), seed: 0 };
        let probes = Arc::new(start(catalog, settings, NetworkChecker));
        let folder = Arc::new(Folder::open(root.path()).unwrap());
        let events = Arc::new(crate::Events::new(|| WALL));
        let ledger = Arc::new(Ledger::open(folder.clone(), events, || WALL).unwrap());
        Book::open(folder, probes, ledger, WALL).unwrap()
    }

    fn of(target: &str) -> Override {
        let (reason, by) = ("a test".into(), "it".into());
        Override { target: target.parse().unwrap(), forced: Forced::Down, reason, by }
    }

    fn targets(book: &Book) -> Vec<String> {
        book.all().iter().map(|kept| kept.said.target.to_string()).collect()
    }

    #[tokio::test]
    async fn a_full_book_takes_no_other_target() {
        let root = tempfile::tempdir().unwrap();
        let book = book(&root);
        for index in 0..OVERRIDES_MAX {
            book.say(of(&format!("cluster/c{index}")), None, WALL).unwrap();
        }
        assert_eq!(book.say(of("cluster/more"), None, WALL).unwrap_err(), BookError::Full);
        // In place of one that is there it fits, and behind the others.
        book.say(Override { reason: "another".into(), ..of("cluster/c7") }, None, WALL).unwrap();
        assert_eq!(targets(&book).last().unwrap(), "cluster/c7");
        book.lift(&of("cluster/c0").target).unwrap();
        book.say(of("cluster/more"), None, WALL).unwrap();
        assert_eq!(targets(&book).len(), OVERRIDES_MAX);
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_in_force_and_said() {
        let root = tempfile::tempdir().unwrap();
        let book = Arc::new(book(&root));
        let running = tokio::spawn(Arc::clone(&book).run());
        let first = book.say(of("cluster/first"), None, WALL).unwrap();
        assert_eq!(book.not_kept(first.change).await, None);
        // Nothing can be renamed over a folder that has something in it.
        let file = root.path().join("overrides.json");
        fs::remove_file(&file).unwrap();
        fs::create_dir_all(file.join("in the way")).unwrap();
        let second = book.say(of("cluster/second"), None, WALL).unwrap();
        let error = book.not_kept(second.change).await.unwrap();
        assert!(error.contains("overrides.json"), "{error}");
        assert_eq!(targets(&book), ["cluster/first", "cluster/second"]);
        assert_eq!(book.probes.report().await.unwrap().overrides.len(), 2);
        fs::remove_dir_all(&file).unwrap();
        // The next change brings the disk up to date.
        let lifted = book.lift(&of("cluster/first").target).unwrap();
        assert_eq!(book.not_kept(lifted.change).await, None);
        let kept = book.folder.overrides().unwrap().content;
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].said, of("cluster/second"));
        running.abort();
    }

    #[tokio::test]
    async fn the_same_once_more_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let book = book(&root);
        let drain = |reason: &str| Override {
            forced: Forced::Drain { over: Duration::from_secs(600) },
            reason: reason.into(),
            ..of("cluster/eu")
        };
        let first = book.say(drain("a"), None, WALL).unwrap();
        let later = WALL + Duration::from_secs(300);
        let again = book.say(drain("a"), None, later).unwrap();
        assert_eq!((again.kept, again.change), (first.kept, first.change));
        // For another reason it is said anew, and goes on as it was.
        let other = book.say(drain("b"), Some(Duration::from_secs(900)), later).unwrap();
        assert_eq!((other.kept.since, other.change), (WALL, first.change + 1));
        assert_eq!(book.say(of("cluster/eu"), None, later).unwrap().kept.since, later);
    }

    #[tokio::test]
    async fn what_was_never_said_cannot_be_lifted() {
        let root = tempfile::tempdir().unwrap();
        let error = book(&root).lift(&of("cluster/eu").target).unwrap_err();
        assert_eq!(error.to_string(), "no override of cluster/eu");
    }

    #[tokio::test(start_paused = true)]
    async fn the_monotonic_clock_ends_an_override() {
        let root = tempfile::tempdir().unwrap();
        let book = Arc::new(book(&root));
        let running = tokio::spawn(Arc::clone(&book).run());
        book.say(of("cluster/eu"), Some(Duration::from_secs(60)), WALL).unwrap();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(targets(&book), ["cluster/eu"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(targets(&book), [""; 0]);
        running.abort();
    }
}
