//! The audit: every change that is made of the server, by whom and why.
//!
//! What is recorded is kept by [`Ledger::run`] alone: a disk that hangs holds up nobody, and who asked is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use meridian_store::{Folder, KeptChange, StoreError};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Events;
use crate::limits::{CHANGES_KEPT, CHANGES_WAITING_MAX, KEEP_WAIT_MAX};

/// All changes: the last of them here, all of them in the folder.
#[derive(Debug)]
pub struct Ledger {
    folder: Arc<Folder>,
    entries: Mutex<Entries>,
    /// The number of the last change.
    made: watch::Sender<u64>,
    /// The last that was tried to write, and why it is not on the disk.
    written: watch::Sender<(u64, Option<String>)>,
    /// Gone when nothing more comes.
    closed: watch::Sender<bool>,
    events: Arc<Events>,
    wall: fn() -> SystemTime,
}

#[derive(Debug, Default)]
struct Entries {
    last: VecDeque<KeptChange>,
    /// Not yet on the disk.
    waiting: Vec<KeptChange>,
}

/// A change that somebody makes, or is refused.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Who says that it was them.
    pub by: String,
    /// Who it was.
    pub caller: String,
    /// What: `override`, `restore`, `expire`, `reload`, `restart`, `log`.
    pub action: &'static str,
    /// To what.
    pub target: String,
    /// Why.
    pub reason: String,
    /// What was so before; null where there was nothing.
    pub before: Value,
    /// What is so now.
    pub after: Value,
    /// Whether it was done although clients lose by it.
    pub forced: bool,
    /// Why it was not done.
    pub refused: Option<String>,
}

impl Ledger {
    /// Takes up what was kept.
    ///
    /// # Errors
    /// When the system does not let it be read.
    pub fn open(
        folder: Arc<Folder>,
        events: Arc<Events>,
        wall: fn() -> SystemTime,
    ) -> Result<Self, StoreError> {
        let last: VecDeque<KeptChange> = folder.changes(CHANGES_KEPT)?.into();
        let number = last.back().map_or(0, |newest| newest.number);
        Ok(Self {
            folder,
            entries: Mutex::new(Entries { last, waiting: Vec::new() }),
            made: watch::Sender::new(number),
            written: watch::Sender::new((number, None)),
            closed: watch::Sender::new(false),
            events,
            wall,
        })
    }

    /// Takes up what another process has kept until now.
    ///
    /// # Errors
    /// As [`Ledger::open`]; nothing is lost by it.
    pub fn reread(&self) -> Result<(), StoreError> {
        let last = self.folder.changes(CHANGES_KEPT)?;
        let mut entries = self.lock();
        if entries.waiting.is_empty() {
            let number = last.last().map_or(0, |newest| newest.number);
            entries.last = last.into();
            self.made.send_replace(number);
            self.written.send_replace((number, None));
        }
        Ok(())
    }

    /// Records a change; its number.
    pub fn record(&self, change: Change) -> u64 {
        let Change { by, caller, action, target, reason, before, after, forced, refused } = change;
        let mut entries = self.lock();
        let number = *self.made.borrow() + 1;
        let refused = refused.as_deref().map(Box::from);
        tracing::info!(
            number,
            action,
            target_of = target,
            by,
            caller,
            reason,
            forced,
            refused = refused.as_deref(),
            "change"
        );
        let kept = KeptChange {
            number,
            at: (self.wall)(),
            by: by.into(),
            caller: caller.into(),
            action: action.into(),
            target: target.into(),
            reason: reason.into(),
            before,
            after,
            forced,
            refused,
        };
        self.events.changed(&kept);
        entries.last.push_back(kept.clone());
        if entries.last.len() > CHANGES_KEPT {
            entries.last.pop_front();
        }
        if entries.waiting.len() < CHANGES_WAITING_MAX {
            entries.waiting.push(kept);
        } else {
            // It is in the log.
            tracing::error!(number, "too many changes wait for the disk: this one will not be on it");
        }
        self.made.send_replace(number);
        number
    }

    /// Waits until a change is on the disk, or says why it is not.
    pub async fn not_kept(&self, number: u64) -> Option<String> {
        let mut written = self.written.subscribe();
        let tried = timeout(KEEP_WAIT_MAX, written.wait_for(|(last, _)| *last >= number)).await;
        match tried {
            Ok(Ok(written)) => written.1.clone(),
            Ok(Err(_)) | Err(_) => Some(format!("the audit was not written in {KEEP_WAIT_MAX:?}")),
        }
    }

    /// The changes after one, the newest if there are more than `limit`; and the number of the last of all.
    pub(crate) fn after(&self, number: u64, limit: usize) -> (Vec<KeptChange>, u64) {
        let entries = self.lock();
        let mut found: Vec<KeptChange> =
            entries.last.iter().filter(|change| change.number > number).cloned().collect();
        found.drain(..found.len().saturating_sub(limit));
        (found, *self.made.borrow())
    }

    /// Writes what is recorded, until the ledger is closed and all of it is tried.
    pub async fn run(self: Arc<Self>) {
        let (mut made, mut closed) = (self.made.subscribe(), self.closed.subscribe());
        loop {
            // Looked at first: what was recorded before the end is written after this.
            let is_closed = *closed.borrow_and_update();
            let last = *made.borrow_and_update();
            self.write(last).await;
            if is_closed {
                return;
            }
            let changed = tokio::select! {
                changed = made.changed() => changed,
                changed = closed.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    async fn write(&self, last: u64) {
        let waiting = self.lock().waiting.clone();
        if waiting.is_empty() {
            // Perhaps with the write before, which came between the entry and its number.
            self.written.send_replace((last, None));
            return;
        }
        let (folder, count) = (Arc::clone(&self.folder), waiting.len());
        let error = match spawn_blocking(move || folder.keep_changes(&waiting)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match &error {
            None => drop(self.lock().waiting.drain(..count)),
            // They are tried again with the next.
            Some(error) => tracing::error!("changes are not in the audit yet: {error}"),
        }
        self.written.send_replace((last, error));
    }

    /// Records nothing more, as soon as all is written.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(target: &str) -> Change {
        Change { action: "override", target: target.to_owned(), ..Change::default() }
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_said_and_kept_with_the_next() {
        let root = tempfile::tempdir().unwrap();
        let wall = || SystemTime::UNIX_EPOCH;
        let folder = Arc::new(Folder::open(root.path()).unwrap());
        let ledger = Arc::new(Ledger::open(folder.clone(), Arc::new(Events::new(wall)), wall).unwrap());
        let running = tokio::spawn(Arc::clone(&ledger).run());
        let first = ledger.record(change("a"));
        assert_eq!((first, ledger.not_kept(first).await), (1, None));
        let file = root.path().join("audit.jsonl");
        std::fs::rename(&file, root.path().join("there")).unwrap();
        std::fs::create_dir(&file).unwrap();
        let second = ledger.record(change("b"));
        let error = ledger.not_kept(second).await.unwrap();
        assert!(error.contains("audit.jsonl"), "{error}");
        std::fs::remove_dir(&file).unwrap();
        std::fs::rename(root.path().join("there"), &file).unwrap();
        let third = ledger.record(change("c"));
        ledger.close();
        running.await.unwrap();
        let targets = |all: Vec<KeptChange>| all.into_iter().map(|one| one.target).collect::<Vec<_>>();
        assert_eq!(targets(folder.changes(9).unwrap()), ["a".into(), "b".into(), "c".into()]);
        assert_eq!(ledger.after(1, 9).1, third);
        assert_eq!(targets(ledger.after(0, 2).0), ["b".into(), "c".into()]);
    }
}
