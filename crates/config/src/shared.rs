//! What gateways refer to together: collected while they are built, put in order in the end.

use std::path::PathBuf;

use meridian_model::{Gateway, Jurisdiction, LatencyTable, Prefix};

use crate::findings::Findings;
use crate::jurisdictions::Jurisdictions;
use crate::latency::Tables;
use crate::prefixes::Prefixes;

/// Jurisdictions, prefixes and latency tables so far.
pub(crate) struct Shared {
    pub(crate) jurisdictions: Jurisdictions,
    pub(crate) prefixes: Prefixes,
    pub(crate) tables: Tables,
}

/// What the catalog keeps of it.
pub(crate) struct Collected {
    pub(crate) jurisdictions: Vec<Jurisdiction>,
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) latency_tables: Vec<LatencyTable>,
    pub(crate) data_files: Vec<PathBuf>,
}

impl Shared {
    /// Nothing but the jurisdictions of the file.
    pub(crate) fn new(jurisdictions: Jurisdictions) -> Self {
        Self { jurisdictions, prefixes: Prefixes::default(), tables: Tables::default() }
    }

    /// Puts the prefixes in order, in the gateways too.
    pub(crate) fn finish(self, gateways: Option<&mut Vec<Gateway>>, findings: &Findings<'_>) -> Collected {
        let Self { jurisdictions, prefixes, tables } = self;
        let (prefixes, places) = prefixes.finish();
        for gateway in gateways.into_iter().flatten() {
            places.settle_policy(&mut gateway.policy);
        }
        let (mut latency_tables, data_files) = tables.finish();
        for row in latency_tables.iter_mut().flat_map(|table| &mut table.rows) {
            places.settle(&mut row.clients);
        }
        Collected { jurisdictions: jurisdictions.finish(findings), prefixes, latency_tables, data_files }
    }
}
