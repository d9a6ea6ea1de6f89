//! The folder, its lock and its files.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::{KeptOverride, KeptSerial, overrides, serials};

/// Who may read what is kept: the server's own user.
const FOLDER_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: u32 = 0o600;

const LOCK: &str = "lock";
const OVERRIDES: &str = "overrides.json";
const SERIALS: &str = "serials.json";
/// Octets of a file that are read; far more than the most overrides, and serials of the most zones, take.
const FILE_OCTETS_MAX: u64 = 64 << 20;

//----------- Errors ---------------------------------------------------------

/// Why something cannot be kept or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system says no.
    #[error("{}: cannot {action}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another server holds the folder.
    #[error("{}: another server keeps its data there; each needs a data_dir of its own", .0.display())]
    Taken(PathBuf),
}

/// Gives an error of the system its place.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |error| StoreError::Io { action, path: path.to_owned(), error }
}

//----------- Folder ---------------------------------------------------------

/// A folder that this process alone writes, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Locked; the kernel lets go of it when the last process that has it ends, however it ends.
    lock: File,
}

/// What was read of a file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What it had; nothing where there was no file.
    pub content: T,
    /// What was wrong with a file that could not be read, and where it is now: out of the way, and not lost.
    pub set_aside: Option<String>,
}

impl Folder {
    /// Creates the folder where it is missing, for this user alone, and locks it.
    ///
    /// # Errors
    /// When it cannot be created or written, or another server has it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(failed("create the folder", path))?;
        let file = path.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&file)
            .map_err(failed("write", &file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Taken(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed("lock", &file)(error)),
        }
    }

    /// Takes the folder together with the process that has it, by that one's lock.
    ///
    /// # Errors
    /// When the lock is not that folder's.
    pub fn join(path: &Path, lock: OwnedFd) -> Result<Self, StoreError> {
        let (lock, file) = (File::from(lock), path.join(LOCK));
        let same = lock.metadata().and_then(|its| {
            let wanted = fs::metadata(&file)?;
            Ok((its.dev(), its.ino()) == (wanted.dev(), wanted.ino()))
        });
        match same.map_err(failed("read", &file))? {
            true => Ok(Self { path: path.to_owned(), lock }),
            false => Err(StoreError::Taken(path.to_owned())),
        }
    }

    /// Its lock, for a process that takes over.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn lock(&self) -> Result<OwnedFd, StoreError> {
        Ok(self.lock.try_clone().map_err(failed("share", &self.path.join(LOCK)))?.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The overrides that were kept. A file that cannot be understood is set aside.
    ///
    /// # Errors
    /// When the file is there and the system does not let it be read.
    pub fn overrides(&self) -> Result<Loaded<Vec<KeptOverride>>, StoreError> {
        self.load(OVERRIDES, overrides::parse)
    }

    /// Keeps these overrides in place of those that were kept.
    ///
    /// # Errors
    /// When they are not on the disk; what was kept before still is.
    pub fn keep_overrides(&self, all: &[KeptOverride]) -> Result<(), StoreError> {
        self.replace(OVERRIDES, &overrides::render(all))
    }

    /// The serials of zones that were kept. A file that cannot be understood is set aside.
    ///
    /// # Errors
    /// When the file is there and the system does not let it be read.
    pub fn serials(&self) -> Result<Loaded<Vec<KeptSerial>>, StoreError> {
        self.load(SERIALS, serials::parse)
    }

    /// Keeps these serials in place of those that were kept.
    ///
    /// # Errors
    /// When they are not on the disk; what was kept before still is.
    pub fn keep_serials(&self, all: &[KeptSerial]) -> Result<(), StoreError> {
        self.replace(SERIALS, &serials::render(all))
    }

    fn load<T>(
        &self,
        name: &str,
        parse: fn(&[u8]) -> Result<Vec<T>, String>,
    ) -> Result<Loaded<Vec<T>>, StoreError> {
        let file = self.path.join(name);
        let mut octets = Vec::new();
        match File::open(&file) {
            Ok(open) => {
                open.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(failed("read", &file))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Loaded { content: Vec::new(), set_aside: None });
            }
            Err(error) => return Err(failed("read", &file)(error)),
        }
        let parsed = if octets.len() as u64 > FILE_OCTETS_MAX {
            Err(format!("expected at most {FILE_OCTETS_MAX} octets"))
        } else {
            parse(&octets)
        };
        match parsed {
            Ok(content) => Ok(Loaded { content, set_aside: None }),
            Err(why) => {
                let aside = self.path.join(format!("{name}.unreadable"));
                fs::rename(&file, &aside).map_err(failed("rename", &file))?;
                let said = format!("{}: {why}; it is now {}", file.display(), aside.display());
                Ok(Loaded { content: Vec::new(), set_aside: Some(said) })
            }
        }
    }

    /// Writes a file beside its place and renames it, each step flushed.
    fn replace(&self, name: &str, octets: &[u8]) -> Result<(), StoreError> {
        let file = self.path.join(name);
        // With mode 0600, and gone again if any step fails.
        let mut new = NamedTempFile::new_in(&self.path).map_err(failed("write in", &self.path))?;
        new.write_all(octets).map_err(failed("write", &file))?;
        new.as_file().sync_all().map_err(failed("flush", &file))?;
        new.persist(&file).map_err(|error| failed("rename to", &file)(error.error))?;
        // The name too must be on the disk.
        let folder = File::open(&self.path).map_err(failed("read", &self.path))?;
        folder.sync_all().map_err(failed("flush", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    use meridian_model::{Forced, Override};
    use tempfile::TempDir;

    use super::*;

    fn kept(target: &str, forced: Forced) -> KeptOverride {
        let said =
            Override { target: target.parse().unwrap(), forced, reason: "drill".into(), by: "ann".into() };
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        KeptOverride { said, since, until: Some(since + Duration::from_secs(60)) }
    }

    fn all() -> Vec<KeptOverride> {
        let over = Duration::from_secs(300);
        let mut all = vec![
            kept("cluster/eu-*", Forced::Drain { over }),
            kept("gateway/shop", Forced::Up),
            kept("endpoint/shop/eu-west/192.0.2.10", Forced::Down),
        ];
        all[1].until = None;
        all
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("data/meridian");
        let folder = Folder::open(&path).unwrap();
        assert!(folder.overrides().unwrap().content.is_empty());
        folder.keep_overrides(&all()).unwrap();
        drop(folder);
        let folder = Folder::open(&path).unwrap();
        let loaded = folder.overrides().unwrap();
        assert_eq!((loaded.content, loaded.set_aside), (all(), None));
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("lock"), mode(OVERRIDES)), (0o700, 0o600, 0o600));
        // Nothing is left of what was written on the way.
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["lock", OVERRIDES]);
    }

    #[test]
    fn one_server_has_it() {
        let root = TempDir::new().unwrap();
        let first = Folder::open(root.path()).unwrap();
        let second = Folder::open(root.path()).unwrap_err();
        assert!(second.to_string().ends_with("each needs a data_dir of its own"), "{second}");
        drop(first);
        Folder::open(root.path()).unwrap();
    }

    #[test]
    fn two_processes_have_it_while_one_takes_over() {
        let root = TempDir::new().unwrap();
        let first = Folder::open(root.path()).unwrap();
        let second = Folder::join(root.path(), first.lock().unwrap()).unwrap();
        drop(first);
        assert!(matches!(Folder::open(root.path()), Err(StoreError::Taken(_))));
        // The lock of another folder is none of this one.
        let other = TempDir::new().unwrap();
        let lock = Folder::open(other.path()).unwrap().lock().unwrap();
        assert!(matches!(Folder::join(root.path(), lock), Err(StoreError::Taken(_))));
        drop(second);
        Folder::open(root.path()).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_and_not_lost() {
        let root = TempDir::new().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for content in ["", "{", r#"{"version":2,"overrides":[]}"#, "\u{0}\u{0}\u{0}"] {
            fs::write(root.path().join(OVERRIDES), content).unwrap();
            let loaded = folder.overrides().unwrap();
            let said = loaded.set_aside.unwrap_or_else(|| panic!("{content:?}"));
            assert!(said.contains("overrides.json.unreadable"), "{said}");
            assert!(loaded.content.is_empty());
            let aside = fs::read_to_string(root.path().join("overrides.json.unreadable")).unwrap();
            assert_eq!(aside, content);
            // What is kept then begins anew.
            folder.keep_overrides(&all()).unwrap();
            assert_eq!(folder.overrides().unwrap().content, all());
        }
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_an_error_with_its_name() {
        let root = TempDir::new().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        let error = Folder::open(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot create the folder: ", path.display())), "{error}");
    }
}
