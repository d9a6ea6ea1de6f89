//! Whether files have changed: by looking once a second.
//!
//! Looking works for what events miss: a rename onto the file, the symlink that Kubernetes swaps for a
//! mounted ConfigMap or Secret, a network file system.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// Some files, and how they were when they were last read.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    read: Vec<Print>,
    seen: Vec<Print>,
}

/// What changes when a file does: device, inode, length, and the time of the last change in
/// nanoseconds; `None` for a file that is not there.
type Print = Option<(u64, u64, u64, i128)>;

impl Watch {
    /// Looks at the files. Call it before they are read: what changes meanwhile is then seen.
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        let read = prints(&files);
        Self { files, seen: read.clone(), read }
    }

    /// Whether all are as they were when they were read.
    pub(crate) fn is_as_read(&self) -> bool {
        prints(&self.files) == self.read
    }

    /// Whether a file differs from what was read and has not changed since the last look: one that is
    /// being written is left alone. Asks only once for each change.
    pub(crate) fn changed(&mut self) -> bool {
        let now = prints(&self.files);
        let settled = now == self.seen;
        self.seen = now;
        let changed = settled && self.seen != self.read;
        if changed {
            self.read.clone_from(&self.seen);
        }
        changed
    }
}

fn prints(files: &[PathBuf]) -> Vec<Print> {
    let print = |file: &PathBuf| {
        // Follows symlinks, also those of the folders above.
        let metadata = std::fs::metadata(file).ok()?;
        let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
        Some((metadata.dev(), metadata.ino(), metadata.len(), changed))
    };
    files.iter().map(print).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_it_has_settled() {
        let folder = std::env::temp_dir().join(format!("meridian-watch-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("one")).unwrap();
        std::fs::create_dir_all(folder.join("two")).unwrap();
        std::fs::write(folder.join("one/db"), "1").unwrap();
        std::fs::write(folder.join("two/db"), "2").unwrap();
        std::os::unix::fs::symlink("one", folder.join("data")).unwrap();
        let mut watch = Watch::new(vec![folder.join("data/db"), folder.join("missing")]);
        assert!(!watch.changed());
        // As kubelet does: a new link, renamed over the old one.
        std::os::unix::fs::symlink("two", folder.join("next")).unwrap();
        std::fs::rename(folder.join("next"), folder.join("data")).unwrap();
        assert!(!watch.changed(), "it may still be being written");
        assert!(watch.changed());
        assert!(!watch.changed(), "once");
        std::fs::write(folder.join("missing"), "now there").unwrap();
        assert_eq!([watch.changed(), watch.changed(), watch.changed()], [false, true, false]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
