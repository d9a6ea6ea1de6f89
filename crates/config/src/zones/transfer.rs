//! `[zones.transfer]`: who may have all of a zone, and who is told of its changes.

use std::net::SocketAddr;

use ipnet::IpNet;
use meridian_model::{DomainName, Transfer};
use schemars::Schema;

use crate::findings::{Findings, Spot, Spotted};
use crate::forms;
use crate::geoip::ANY_PREFIX;
use crate::keys::Keys;
use crate::kinds::{At, List, Parsed, Section};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};
use crate::resolver::parse_server;
use crate::schema;
use crate::zones::DOMAIN_NAME;

const SECONDARY: Parsed<SocketAddr> = Parsed {
    what: "the address of a server, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"",
    pattern: forms::SERVER,
    parse: parse_server,
};

/// The table as written.
pub(crate) struct TransferSpec {
    spot: Spot,
    allow: Option<Vec<Spotted<IpNet>>>,
    keys: Vec<Spotted<DomainName>>,
    notify: Vec<Spotted<SocketAddr>>,
}

/// The table, with its place.
pub(crate) struct TransferTable;

impl Kind for TransferTable {
    type Value = TransferSpec;

    fn expected(&self) -> String {
        "a table [zones.transfer]".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<TransferSpec> {
        let spot = cursor.spot.clone();
        Section { header: "[zones.transfer]", read: |table: &mut Table<'_>| read(table, &spot) }.read(cursor)
    }

    fn schema(&self) -> Schema {
        schema::of_table(&|table: &mut Table<'_>| read(table, &table.spot.clone()))
    }
}

fn read(table: &mut Table<'_>, spot: &Spot) -> TransferSpec {
    let allow = List { of: At(ANY_PREFIX), what: "prefixes", min: 1, max: limits::TRANSFER_LIST };
    let keys = List { of: At(DOMAIN_NAME), what: "names of keys", min: 1, max: limits::KEYS };
    let notify = List { of: At(SECONDARY), what: "addresses", min: 0, max: limits::TRANSFER_LIST };
    TransferSpec {
        spot: spot.clone(),
        allow: table.optional("allow", &allow),
        keys: table.or("keys", Vec::new(), &keys),
        notify: table.or("notify", Vec::new(), &notify),
    }
}

impl TransferSpec {
    /// Builds the table. Whoever may have the zone must be said somehow: by address, by key, or by both.
    pub(crate) fn build(self, keys: &Keys, has_data_dir: bool, findings: &Findings<'_>) -> Transfer {
        let Self { spot, allow, keys: names, notify } = self;
        if allow.is_none() && names.is_empty() {
            findings.mistake(&spot, "allow, keys or both: who may have the zone", "neither");
        }
        if !has_data_dir {
            let expected = "data_dir under [server], which keeps the serial: it must never go back";
            findings.mistake(&spot, expected, "none");
        }
        names.iter().for_each(|name| keys.check(name, findings));
        Transfer {
            allow: allow.map(|allow| findings.once(allow, "prefix")),
            keys: findings.once(names, "key"),
            notify: findings.once(notify, "server"),
        }
    }
}
