//! `[zones.transfer]`: who may have all of a zone, and who is told of its changes.

use std::collections::HashSet;
use std::net::SocketAddr;

use ipnet::IpNet;
use meridian_model::{DomainName, Transfer};

use crate::findings::{Findings, Spot, Spotted};
use crate::geoip::parse_prefix;
use crate::keys::Keys;
use crate::kinds::{At, List, Parsed, Section};
use crate::limits;
use crate::reader::{Cursor, Kind, Table};
use crate::resolver::parse_server;
use crate::zones::DOMAIN_NAME;

const PREFIX: Parsed<IpNet> =
    Parsed { what: "a prefix, such as \"192.0.2.0/24\" or \"2001:db8::/32\"", parse: parse_prefix };
const SECONDARY: Parsed<SocketAddr> = Parsed {
    what: "the address of a server, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"",
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
        let allow = List { of: At(PREFIX), what: "prefixes", min: 1, max: limits::TRANSFER_LIST };
        let keys = List { of: At(DOMAIN_NAME), what: "names of keys", min: 1, max: limits::KEYS };
        let notify = List { of: At(SECONDARY), what: "addresses", min: 0, max: limits::TRANSFER_LIST };
        let spot = cursor.spot.clone();
        let read = |table: &mut Table<'_>| TransferSpec {
            spot: spot.clone(),
            allow: table.optional("allow", &allow),
            keys: table.or("keys", Vec::new(), &keys),
            notify: table.or("notify", Vec::new(), &notify),
        };
        Section { header: "[zones.transfer]", read }.read(cursor)
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
        once(allow.iter().flatten(), "prefix", findings);
        once(&names, "key", findings);
        once(&notify, "server", findings);
        Transfer {
            allow: allow.map(|allow| allow.into_iter().map(|prefix| prefix.value).collect()),
            keys: names.into_iter().map(|name| name.value).collect(),
            notify: notify.into_iter().map(|server| server.value).collect(),
        }
    }
}

/// Reports what stands in a list again.
fn once<'s, T: std::fmt::Display + Eq + std::hash::Hash + 's>(
    list: impl IntoIterator<Item = &'s Spotted<T>>,
    what: &str,
    findings: &Findings<'_>,
) {
    let mut seen = HashSet::new();
    for item in list {
        if !seen.insert(&item.value) {
            findings.mistake(
                &item.spot,
                format_args!("each {what} once"),
                format_args!("{} again", item.value),
            );
        }
    }
}
