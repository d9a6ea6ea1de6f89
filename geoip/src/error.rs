//! What can be wrong with a database.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::limits::{MOST_DATABASE_BYTES, MOST_DATABASES};

/// One of the databases cannot be used.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct DatabaseError {
    /// Its position in the list that was given, from 0.
    pub index: usize,
    /// As it was given.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: DatabaseProblem,
}

/// Why a database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseProblem {
    /// There is nothing at the path.
    #[error("expected a MaxMind DB, found no file")]
    Missing,
    /// The path leads to something other than a file.
    #[error("expected a MaxMind DB, found {found}")]
    NotAFile {
        /// What is there: `a directory`.
        found: &'static str,
    },
    /// The operating system does not let us have it.
    #[error("expected a MaxMind DB, found a file that cannot be read: {0}")]
    Unreadable(io::Error),
    /// Larger than any database in use.
    #[error("expected at most {MOST_DATABASE_BYTES} bytes, found {bytes}")]
    TooLarge {
        /// The file's size; for a file that grows meanwhile, how much was read.
        bytes: u64,
    },
    /// Further down the list than databases are taken.
    #[error("expected at most {MOST_DATABASES} databases, found this one after them")]
    TooMany,
    /// Some other kind of file, or one that lacks its end, where the format has its metadata.
    #[error("expected a MaxMind DB, found {found}")]
    NotADatabase {
        /// What it looks like, with its size.
        found: String,
    },
    /// The metadata, the search tree or the data section contradict themselves.
    #[error("expected a sound MaxMind DB, found {database_type} damaged: {reason}")]
    Damaged {
        /// What the metadata call it, or `a database` if they are what is damaged.
        database_type: String,
        /// What does not hold.
        reason: String,
    },
    /// A record that is not what the schemas say.
    #[error(
        "expected records of a City, Country or ASN database, found in {database_type} at {network}: {reason}"
    )]
    Record {
        /// What the metadata call it.
        database_type: String,
        /// The first network with this record.
        network: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A sound database that does not say where anything is.
    #[error(
        "expected a City or Country database (an ASN database only beside one), found {database_type}: \
         no record has a country or coordinates"
    )]
    WrongType {
        /// What the metadata call it.
        database_type: String,
    },
}
