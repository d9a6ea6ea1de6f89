//! What can be wrong with a database.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::limits::{MOST_DATABASE_BYTES, MOST_DATABASES, MOST_FOUND_CHARACTERS};

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
#[error("expected {}, found {}", self.expected(), self.found())]
pub enum DatabaseProblem {
    /// There is nothing at the path.
    Missing,
    /// The path leads to something other than a file.
    NotAFile {
        /// What is there: `a directory`.
        found: &'static str,
    },
    /// The operating system does not let us have it.
    Unreadable(io::Error),
    /// Larger than any database in use.
    TooLarge {
        /// The file's size; for a file that grows meanwhile, how much was read.
        bytes: u64,
    },
    /// Further down the list than databases are taken.
    TooMany,
    /// Some other kind of file, or one that lacks its end, where the format has its metadata.
    NotADatabase {
        /// What it looks like, with its size.
        found: String,
    },
    /// The metadata, the search tree or the data section contradict themselves.
    Damaged {
        /// What the metadata call it, or `a database` if they are what is damaged.
        database_type: String,
        /// What does not hold.
        reason: String,
    },
    /// A record that is not what the schemas say.
    Record {
        /// What the metadata call it.
        database_type: String,
        /// The first network with this record.
        network: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A sound database that does not say where anything is.
    WrongType {
        /// What the metadata call it.
        database_type: String,
    },
    /// A sound database of a schema that we do not know: no record says anything of a place.
    WrongSchema {
        /// What the metadata call it.
        database_type: String,
        /// The fields of its first record.
        fields: Vec<String>,
    },
}

impl DatabaseProblem {
    /// What should be there.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Missing | Self::NotAFile { .. } | Self::Unreadable(_) | Self::NotADatabase { .. } => {
                "a MaxMind DB".to_owned()
            }
            Self::TooLarge { .. } => format!("at most {MOST_DATABASE_BYTES} bytes"),
            Self::TooMany => format!("at most {MOST_DATABASES} databases"),
            Self::Damaged { .. } => "a sound MaxMind DB".to_owned(),
            Self::Record { .. } => "records of a City, Country or ASN database".to_owned(),
            Self::WrongType { .. } | Self::WrongSchema { .. } => {
                "a City or Country database (an ASN database only beside one)".to_owned()
            }
        }
    }

    /// What is, on one line: control characters are escaped, and what is very long is cut.
    #[must_use]
    pub fn found(&self) -> String {
        let found = self.found_as_it_is();
        let mut characters = found.chars();
        let kept = characters.by_ref().take(MOST_FOUND_CHARACTERS);
        let mut shown = String::new();
        for character in kept {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        if !characters.as_str().is_empty() {
            shown.push_str(" ...");
        }
        shown
    }

    /// With what the database calls itself and its fields, whatever that is.
    fn found_as_it_is(&self) -> String {
        match self {
            Self::Missing => "no file".to_owned(),
            Self::NotAFile { found } => (*found).to_owned(),
            Self::Unreadable(error) => format!("a file that cannot be read: {error}"),
            Self::TooLarge { bytes } => format!("{bytes} bytes"),
            Self::TooMany => "this one after them".to_owned(),
            Self::NotADatabase { found } => found.clone(),
            Self::Damaged { database_type, reason } => format!("{database_type} damaged: {reason}"),
            Self::Record { database_type, network, reason } => {
                format!("in {database_type} at {network}: {reason}")
            }
            Self::WrongType { database_type } => {
                format!("{database_type}: no record has a country or coordinates")
            }
            Self::WrongSchema { database_type, fields } if fields.is_empty() => {
                format!("{database_type}: no record has a country, coordinates or ASN; there are no fields")
            }
            Self::WrongSchema { database_type, fields } => {
                let fields = fields.join(", ");
                format!(
                    "{database_type}: no record has a country, coordinates or ASN; the fields are {fields}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_calls_itself_stays_on_one_line() {
        let named = |name: &str| DatabaseProblem::WrongType { database_type: name.to_owned() }.found();
        assert_eq!(
            named("a\nb\u{1b}[2J\u{9b}1m"),
            "a\\nb\\u{1b}[2J\\u{9b}1m: no record has a country or coordinates"
        );
        let long = named(&"é".repeat(100_000));
        assert_eq!(long, format!("{} ...", "é".repeat(MOST_FOUND_CHARACTERS)));
    }
}
