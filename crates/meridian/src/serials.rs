//! Serials of zones that others may have: they rise with every change and never go back.
//!
//! A serial is the one before plus one, or the seconds since 1970 where that is more, or the file's own where that
//! is more still. So also a server that has lost what it kept goes on above what it gave, unless it changed
//! more than once a second for all of its life; and what is kept can be written after it is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use meridian_dns::{Content, View, Wall};
use meridian_model::{DomainName, is_newer_serial};
use meridian_store::{Folder, KeptSerial};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What every such zone had last.
pub(crate) struct Serials {
    by_zone: HashMap<DomainName, KeptSerial>,
    wall: Wall,
    /// To who writes them, and that; `None`: nobody.
    kept: Option<(watch::Sender<Vec<KeptSerial>>, JoinHandle<()>)>,
}

impl Serials {
    /// Those of a folder, where changed ones go. Needs a tokio runtime.
    pub(crate) fn open(folder: Option<&Arc<Folder>>, wall: Wall) -> Self {
        let mut serials = Self { by_zone: HashMap::new(), wall, kept: None };
        let Some(folder) = folder else { return serials };
        serials.by_zone = read(folder).unwrap_or_default();
        let (sender, receiver) = watch::channel(Vec::new());
        serials.kept = Some((sender, tokio::spawn(keep(folder.clone(), receiver))));
        serials
    }

    /// Takes up what another process has kept until now, where that is newer; says whether anything was.
    pub(crate) fn reread(&mut self, folder: &Folder) -> bool {
        let mut newer = false;
        for (zone, theirs) in read(folder).unwrap_or_default() {
            match self.by_zone.get(&zone) {
                Some(ours) if !is_newer_serial(theirs.serial, ours.serial) => {}
                _ => {
                    self.by_zone.insert(zone, theirs);
                    newer = true;
                }
            }
        }
        newer
    }

    /// Writes nothing more; what writes the last is returned.
    pub(crate) fn close(&mut self) -> Option<JoinHandle<()>> {
        self.kept.take().map(|(_, writer)| writer)
    }

    /// Gives a view its serials.
    pub(crate) fn give(&mut self, view: View) -> View {
        let contents = view.contents();
        if contents.is_empty() {
            return view;
        }
        let mut changed = false;
        let mut serial = |content: Content| {
            let before = self.by_zone.get(&content.zone);
            let least = content.serial;
            if let Some(before) = before.filter(|before| before.digest == content.digest)
                && !least.is_some_and(|least| is_newer_serial(least, before.serial))
            {
                return before.serial;
            }
            let serial = next(before.map(|before| before.serial), least, unix_s((self.wall)()));
            let Content { zone, digest, .. } = content;
            tracing::info!(%zone, serial, "zone content has changed");
            self.by_zone.insert(zone.clone(), KeptSerial { zone, digest, serial });
            changed = true;
            serial
        };
        let serials = contents.into_iter().map(&mut serial).collect();
        if let Some((kept, _)) = self.kept.as_ref().filter(|_| changed) {
            let mut all: Vec<KeptSerial> = self.by_zone.values().cloned().collect();
            all.sort_by(|one, other| one.zone.cmp(&other.zone));
            kept.send_replace(all);
        }
        view.with_serials(serials)
    }
}

/// What a folder has; nothing where that cannot be read.
fn read(folder: &Folder) -> Option<HashMap<DomainName, KeptSerial>> {
    match folder.serials() {
        Ok(loaded) => {
            if let Some(said) = loaded.set_aside {
                tracing::error!("serials begin with the time of day: {said}");
            }
            Some(loaded.content.into_iter().map(|kept| (kept.zone.clone(), kept)).collect())
        }
        Err(error) => {
            tracing::error!("serials begin with the time of day: {error}");
            None
        }
    }
}

/// Writes what changes, on a thread that nobody waits for: a disk that hangs holds up no answer.
async fn keep(folder: Arc<Folder>, mut serials: watch::Receiver<Vec<KeptSerial>>) {
    while serials.changed().await.is_ok() {
        let (all, folder) = (serials.borrow_and_update().clone(), folder.clone());
        let written = tokio::task::spawn_blocking(move || folder.keep_serials(&all)).await;
        if let Ok(Err(error)) = written {
            tracing::error!("serials are not kept: {error}");
        }
    }
}

/// The serial after one; `least` is the file's own.
fn next(before: Option<u32>, least: Option<u32>, now_s: u32) -> u32 {
    let above = before.map(|before| before.wrapping_add(1));
    let serial = above.filter(|&above| is_newer_serial(above, now_s)).unwrap_or(now_s);
    let rises =
        |to: &u32| is_newer_serial(*to, serial) && before.is_none_or(|before| is_newer_serial(*to, before));
    least.filter(rises).unwrap_or(serial)
}

fn unix_s(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // They wrap with it.
    let [.., a, b, c, d] = since.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_the_three() {
        for (before, least, now_s, wanted) in [
            (None, None, 1000, 1000),
            (None, Some(7), 1000, 1000),
            (None, Some(2_026_112_801), 1000, 2_026_112_801),
            (Some(900), None, 1000, 1000),
            (Some(1000), None, 1000, 1001),
            // A clock that was set back.
            (Some(5000), None, 1000, 5001),
            (Some(2_026_112_801), Some(2_026_112_801), 1000, 2_026_112_802),
            (Some(2_026_112_801), Some(2_026_113_000), 1000, 2_026_113_000),
            // They wrap: what is half the circle ahead is behind.
            (Some(u32::MAX), None, 1000, 1000),
            (Some(u32::MAX), None, u32::MAX - 7, 0),
            (Some(4_000_000_000), Some(3_000_000_000), 1_800_000_000, 1_800_000_000),
        ] {
            let serial = next(before, least, now_s);
            assert_eq!(serial, wanted, "{before:?} {least:?} {now_s}");
            assert!(before.is_none_or(|before| is_newer_serial(serial, before)));
        }
    }
}
