//! `[[zones.records]]` as written, before its owner and data are known to fit.

use schemars::{Schema, json_schema};

use super::types::{RecordType, type_names};
use super::{Data, TTL};
use crate::findings::{Spot, Spotted};
use crate::forms;
use crate::kinds::{At, List, Text};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};

/// The longest owner in text: 253 characters and a final dot.
const OWNER: Text = Text {
    what: "a name: relative, \"@\", or absolute with a final dot",
    characters: 254,
    pattern: Text::FREE,
};

/// An entry as written.
pub(crate) struct RecordSpec {
    pub(crate) spot: Spot,
    pub(crate) name: Option<Spotted<Box<str>>>,
    pub(crate) record_type: Option<Spotted<RecordType>>,
    pub(crate) ttl: Option<Spotted<u32>>,
    pub(crate) data: Vec<Spotted<Box<str>>>,
}

/// Reads one entry.
pub(crate) fn read(table: &mut Table<'_>) -> RecordSpec {
    let data = List { of: Data, what: "records", min: 1, max: limits::RECORD_SET_RECORDS };
    RecordSpec {
        spot: table.spot.clone(),
        name: table.required("name", &At(OWNER)),
        record_type: table.required("type", &At(Type)),
        ttl: table.optional("ttl", &At(TTL)),
        data: table.required("data", &data).unwrap_or_default(),
    }
}

/// A record type that a file may hold.
struct Type;

impl Kind for Type {
    type Value = RecordType;

    fn expected(&self) -> String {
        let mut names = type_names();
        names.push("TYPE with a number");
        format!("a record type ({})", names.join(", "))
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<RecordType> {
        let toml::de::DeValue::String(text) = cursor.value else { return cursor.wrong(self.expected()) };
        match RecordType::parse(text) {
            Ok(record_type) => Some(record_type),
            Err(reason) if reason.is_empty() => cursor.wrong(self.expected()),
            Err(reason) => cursor.wrong_because("a record type that a zone here may hold", reason),
        }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "pattern": forms::RECORD_TYPE, "description": self.expected() })
    }
}
