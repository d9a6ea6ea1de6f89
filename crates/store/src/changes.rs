//! `audit.jsonl`: every change that was made of a server, one a line, appended and never rewritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::folder::{FILE_MODE, Folder, StoreError, failed};

const CHANGES: &str = "audit.jsonl";
/// A file beyond this is put aside under the next of these names, and the last of them goes: 40 MiB in all, which is a change
/// every minute for more than a year.
const FILE_OCTETS_MAX: u64 = 8 << 20;
const ASIDE: [&str; 4] = ["audit.1.jsonl", "audit.2.jsonl", "audit.3.jsonl", "audit.4.jsonl"];

/// A change, or one that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptChange {
    /// Counts all of the folder, from 1.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// Who says that it was them.
    pub by: Box<str>,
    /// Who it was: the name of a token, the user at the Unix socket, a signal.
    pub caller: Box<str>,
    /// What was done.
    pub action: Box<str>,
    /// To what.
    pub target: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// What was so before, and after; null where there is nothing.
    pub before: Value,
    /// See `before`.
    pub after: Value,
    /// Whether it was done although clients lose by it.
    pub forced: bool,
    /// Why it was not done; `None`: it was.
    pub refused: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    at: String,
    by: Box<str>,
    caller: Box<str>,
    action: Box<str>,
    target: Box<str>,
    reason: Box<str>,
    before: Value,
    after: Value,
    forced: bool,
    refused: Option<Box<str>>,
}

impl Folder {
    /// The last changes, at most `most`, oldest first. Lines that cannot be understood, as the last of a disk that was full, are
    /// passed over.
    ///
    /// # Errors
    /// When a file is there and the system does not let it be read.
    pub fn changes(&self, most: usize) -> Result<Vec<KeptChange>, StoreError> {
        let mut all = Vec::new();
        // One file may just have been begun.
        for name in [ASIDE[0], CHANGES] {
            let path = self.path().join(name);
            let mut octets = Vec::new();
            match File::open(&path) {
                Ok(file) => {
                    file.take(2 * FILE_OCTETS_MAX).read_to_end(&mut octets).map_err(failed("read", &path))?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("read", &path)(error)),
            }
            all.extend(octets.split(|&octet| octet == b'\n').filter_map(parse));
        }
        all.drain(..all.len().saturating_sub(most));
        Ok(all)
    }

    /// Keeps changes behind those that were kept.
    ///
    /// # Errors
    /// When they are not on the disk.
    pub fn keep_changes(&self, new: &[KeptChange]) -> Result<(), StoreError> {
        let path = self.path().join(CHANGES);
        if fs::metadata(&path).is_ok_and(|file| file.len() > FILE_OCTETS_MAX) {
            self.put_aside(&path)?;
        }
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(&path);
        let mut file = opened.map_err(failed("write", &path))?;
        let mut octets = Vec::new();
        if !ends_a_line(&mut file).map_err(failed("read", &path))? {
            octets.push(b'\n');
        }
        for change in new {
            render(change, &mut octets);
        }
        file.write_all(&octets).map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("flush", &path))
    }

    /// Each file takes the name of the next older one.
    fn put_aside(&self, path: &Path) -> Result<(), StoreError> {
        for pair in ASIDE.windows(2).rev() {
            let (newer, older) = (self.path().join(pair[0]), self.path().join(pair[1]));
            match fs::rename(&newer, &older) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("rename", &newer)(error));
                }
                _ => {}
            }
        }
        fs::rename(path, self.path().join(ASIDE[0])).map_err(failed("rename", path))
    }
}

/// Whether what was written last is whole.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn render(change: &KeptChange, octets: &mut Vec<u8>) {
    let KeptChange { number, at, by, caller, action, target, reason, before, after, forced, refused } =
        change.clone();
    let at = humantime::format_rfc3339_millis(at).to_string();
    let line = Line { number, at, by, caller, action, target, reason, before, after, forced, refused };
    octets.extend(serde_json::to_vec(&line).unwrap_or_default());
    octets.push(b'\n');
}

fn parse(line: &[u8]) -> Option<KeptChange> {
    let Line { number, at, by, caller, action, target, reason, before, after, forced, refused } =
        serde_json::from_slice(line).ok()?;
    let at = humantime::parse_rfc3339(&at).ok()?;
    Some(KeptChange { number, at, by, caller, action, target, reason, before, after, forced, refused })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn change(number: u64) -> KeptChange {
        KeptChange {
            number,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123),
            by: "ann".into(),
            caller: "token ann".into(),
            action: "override".into(),
            target: "cluster/eu-*".into(),
            reason: "a \"drill\"\nof two lines".into(),
            before: Value::Null,
            after: json!({ "state": "down" }),
            forced: false,
            refused: Some("nobody would be left".into()),
        }
    }

    #[test]
    fn changes_are_there_after_a_restart_and_half_a_line_costs_itself_alone() {
        let root = TempDir::new().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert_eq!(folder.changes(9).unwrap(), []);
        folder.keep_changes(&[change(1), change(2)]).unwrap();
        let path = root.path().join(CHANGES);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"number\":3,\"at\":\"20").unwrap();
        drop(folder);
        let folder = Folder::open(root.path()).unwrap();
        folder.keep_changes(&[change(4)]).unwrap();
        assert_eq!(folder.changes(9).unwrap(), [change(1), change(2), change(4)]);
        assert_eq!(folder.changes(2).unwrap(), [change(2), change(4)]);
    }

    #[test]
    fn old_files_go() {
        let root = TempDir::new().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for number in 1..=7 {
            // Holes, which cost no disk.
            let path = root.path().join(CHANGES);
            let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
            file.set_len(FILE_OCTETS_MAX + 1).unwrap();
            folder.keep_changes(&[change(number)]).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let mut wanted: Vec<&str> = ASIDE.to_vec();
        wanted.extend([CHANGES, "lock"]);
        assert_eq!(names, wanted);
        assert_eq!(folder.changes(9).unwrap(), [change(6), change(7)]);
    }
}
