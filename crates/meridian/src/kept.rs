//! What people have said and changed, as a folder keeps it while a server runs.

use std::sync::Arc;
use std::time::Duration;

use meridian_admin::{Book, Events, Ledger};
use meridian_health_probe::Handle as Probes;
use meridian_store::Folder;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::serve::wall;

/// How long the last changes may take to be written.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// The overrides and the audit.
pub(crate) struct Kept {
    pub(crate) book: Arc<Book>,
    pub(crate) ledger: Arc<Ledger>,
    /// Writes what the ledger records.
    writer: JoinHandle<()>,
}

impl Kept {
    /// Takes up what a folder has. Whatever is wrong with it, answers are given.
    pub(crate) fn open(folder: &Arc<Folder>, probes: &Arc<Probes>, events: &Arc<Events>) -> Option<Self> {
        let opened = Ledger::open(folder.clone(), events.clone(), wall).and_then(|ledger| {
            let ledger = Arc::new(ledger);
            let book = Book::open(folder.clone(), probes.clone(), ledger.clone(), wall())?;
            let writer = tokio::spawn(Arc::clone(&ledger).run());
            Ok(Self { book: Arc::new(book), ledger, writer })
        });
        opened
            .inspect_err(|error| tracing::error!("no status, no overrides, no metrics: data_dir: {error}"))
            .ok()
    }

    /// Takes up what the process before has kept until now.
    pub(crate) fn reread(&self) {
        if let Err(error) = self.book.reread(wall()) {
            tracing::error!("overrides of the last moment are lost: {error}");
        }
        if let Err(error) = self.ledger.reread() {
            tracing::error!("changes of the last moment are not shown: {error}");
        }
    }

    /// Waits until the last changes are written, but not for a disk that hangs.
    pub(crate) async fn end(self) {
        self.ledger.close();
        let _at_most = timeout(LAST_WRITE, self.writer).await;
    }
}
