//! From a database file to a place for every address.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use maxminddb::Reader;
use meridian_model::Place;

use crate::address_map::AddressMap;
use crate::error::DatabaseProblem;
use crate::layer::{Layer, Places};
use crate::limits::MOST_DATABASE_BYTES;
use crate::origin::{PackedSource, Sourced};
use crate::range_map::{Builder, Key, RangeMap};
use crate::record::{Fields, Record};
use crate::tree::{Leaf, Tree, TreeError};

/// The database that needs no file. `data/README.md` says where it is from.
static EMBEDDED: &[u8] = include_bytes!("../data/geo-whois-asn-country.mmdb");

/// What the metadata of a database begin with, at most 128 KiB before its end.
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

//----------- load -----------------------------------------------------------

/// A database, compiled.
#[derive(Debug)]
pub(crate) struct Database {
    /// What its metadata call it.
    pub(crate) database_type: String,
    /// The fields of its first record; none where there is none, or it is no map.
    pub(crate) fields: Vec<String>,
    /// When it was built, in seconds since 1970, as its metadata say.
    pub(crate) built_s: u64,
    /// Its places and where they are.
    pub(crate) layer: Layer,
}

/// Reads and compiles a database file. The file is closed afterwards.
pub(crate) fn load(path: &Path, source: PackedSource) -> Result<Database, DatabaseProblem> {
    compile(&read(path)?, source)
}

/// Compiles the embedded database.
pub(crate) fn embedded() -> Result<Database, DatabaseProblem> {
    compile(EMBEDDED, PackedSource::EMBEDDED)
}

/// The whole file. It is not mapped into memory, so that replacing it in place cannot fault us.
fn read(path: &Path) -> Result<Vec<u8>, DatabaseProblem> {
    let problem = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DatabaseProblem::Missing,
        _ => DatabaseProblem::Unreadable(error),
    };
    let metadata = std::fs::metadata(path).map_err(problem)?;
    if metadata.is_dir() {
        return Err(DatabaseProblem::NotAFile { found: "a directory" });
    }
    // Opening a pipe would wait for a writer.
    if !metadata.is_file() {
        return Err(DatabaseProblem::NotAFile { found: "a pipe, socket or device" });
    }
    if metadata.len() > MOST_DATABASE_BYTES {
        return Err(DatabaseProblem::TooLarge { bytes: metadata.len() });
    }
    let mut bytes = Vec::new();
    let limit = MOST_DATABASE_BYTES + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(problem)?;
    if read as u64 == limit {
        return Err(DatabaseProblem::TooLarge { bytes: limit });
    }
    Ok(bytes)
}

fn compile(bytes: &[u8], source: PackedSource) -> Result<Database, DatabaseProblem> {
    if !bytes.windows(METADATA_MARKER.len()).rev().any(|window| window == METADATA_MARKER) {
        return Err(DatabaseProblem::NotADatabase { found: describe(bytes) });
    }
    let reader = Reader::from_source(bytes).map_err(|error| DatabaseProblem::Damaged {
        database_type: "a database".into(),
        reason: error.to_string(),
    })?;
    let metadata = reader.metadata();
    let tree = Tree::new(bytes, metadata.node_count, metadata.record_size, metadata.ip_version == 6);
    let mut records = Records {
        reader: &reader,
        source,
        places: Places::default(),
        known: HashMap::new(),
        fields: Vec::new(),
    };
    let map = records.ipv4(&tree).and_then(|ipv4| Ok(AddressMap::new(ipv4, records.ipv6(&tree)?)));
    let database_type = metadata.database_type.clone();
    match map {
        Ok(map) => {
            let (fields, built_s) = (records.fields, metadata.build_epoch);
            Ok(Database { database_type, fields, built_s, layer: Layer::new(records.places, map) })
        }
        Err(CompileError::Tree(error)) => {
            Err(DatabaseProblem::Damaged { database_type, reason: error.to_string() })
        }
        Err(CompileError::Record { network, reason }) => {
            Err(DatabaseProblem::Record { database_type, network, reason })
        }
    }
}

/// What a file that is no database looks like, for the one who has to find out.
fn describe(bytes: &[u8]) -> String {
    let kind = match bytes {
        [] => return "an empty file".into(),
        [0x1f, 0x8b, ..] => "a gzip file (unpack it first)",
        [b'P', b'K', ..] => "a zip file (unpack it first)",
        [b'<', ..] => "a web page",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar file (unpack it first)",
        _ if bytes.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "a text file"
        }
        _ => "a file without its metadata (cut off, or another format)",
    };
    format!("{kind} of {} bytes", bytes.len())
}

//----------- Records --------------------------------------------------------

/// The records of a database, each decoded once, however many networks lead to it.
struct Records<'a> {
    reader: &'a Reader<&'a [u8]>,
    source: PackedSource,
    places: Places,
    /// Place ids by the number that leads to the record.
    known: HashMap<u32, u32>,
    /// The fields of the first record.
    fields: Vec<String>,
}

enum CompileError {
    Tree(TreeError),
    Record { network: String, reason: String },
}

impl From<TreeError> for CompileError {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

impl Records<'_> {
    fn ipv4(&mut self, tree: &Tree<'_>) -> Result<RangeMap<u32>, CompileError> {
        let mut builder = Builder::default();
        tree.walk_ipv4(|leaf| self.push(&mut builder, leaf, |start| Ipv4Addr::from_bits(start).into()))?;
        Ok(builder.finish())
    }

    fn ipv6(&mut self, tree: &Tree<'_>) -> Result<RangeMap<u128>, CompileError> {
        let mut builder = Builder::default();
        tree.walk_ipv6(|leaf| self.push(&mut builder, leaf, |start| Ipv6Addr::from_bits(start).into()))?;
        Ok(builder.finish())
    }

    fn push<K: Key>(
        &mut self,
        builder: &mut Builder<K>,
        leaf: Leaf<K>,
        address_of: impl Fn(K) -> IpAddr,
    ) -> Result<(), CompileError> {
        let id = match leaf.pointer {
            None => 0,
            Some(pointer) => match self.known.get(&pointer) {
                Some(&id) => id,
                None => {
                    let address = address_of(leaf.start);
                    let place = self.decode(address).map_err(|reason| CompileError::Record {
                        network: format!("{address}/{}", leaf.prefix_len),
                        reason,
                    })?;
                    let id = self.places.id_of(Sourced::new(place, self.source));
                    self.known.insert(pointer, id);
                    id
                }
            },
        };
        builder.push(leaf.start, id);
        Ok(())
    }

    fn decode(&mut self, address: IpAddr) -> Result<Place, String> {
        let found = self.reader.lookup(address).map_err(|error| error.to_string())?;
        if self.known.is_empty() {
            let fields: Option<Fields<'_>> = found.decode().unwrap_or_default();
            self.fields = fields.unwrap_or_default().names();
        }
        let record: Option<Record<'_>> = found.decode().map_err(|error| error.to_string())?;
        record.unwrap_or_default().place().map_err(|error| error.to_string())
    }
}
