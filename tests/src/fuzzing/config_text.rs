//! A configuration in, a catalog or issues out; and what is made of a catalog.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use hickory_proto::rr::RecordType;
use meridian_config::{Issue, parse};
use meridian_dns::{Ground, Manners, Moment, Peer, Transport, View, answer};
use meridian_geoip::Locality;
use meridian_model::{Hostname, Verdicts};

use super::database::small_database;
use super::walk::walk;
use crate::Ask;
use crate::binary::scratch;

/// Names of a configuration that are asked for.
const NAMES: usize = 16;
/// As the loader names the text.
const FILE: &str = "fuzz.toml";

/// Reads a text as a configuration. Of what the loader takes a view is made, and some of its names are asked for.
///
/// # Errors
/// An issue without its place in the text, or that would not be one line of a terminal; a catalog that the loader
/// takes and the server does not; no answer at a name of it.
pub fn config_text(text: &str) -> Result<()> {
    let loaded = match parse(text, Path::new(FILE)) {
        Ok(loaded) => loaded,
        Err(issues) => {
            ensure!(issues.iter().count() <= issues.len(), "more issues than there are");
            return issues.iter().try_for_each(|issue| of_the_text(text, issue));
        }
    };
    loaded.warnings.iter().try_for_each(|issue| of_the_text(text, issue))?;
    let catalog = Arc::new(loaded.catalog);
    let ground = Ground::new(catalog, locality().clone(), Arc::new(Manners::default()), None);
    let view = View::new(Arc::new(ground.context("the server does not take it")?), Verdicts::default(), None);
    asked(&view)
}

/// Holds an issue to the text: a line and column of it, and words that stay on one line.
fn of_the_text(text: &str, issue: &Issue) -> Result<()> {
    let shown = issue.to_string();
    ensure!(!shown.chars().any(char::is_control), "not to be printed: {shown:?}");
    // Those of data files are about another text.
    if issue.file != Path::new(FILE) {
        return Ok(());
    }
    let position = issue.position.with_context(|| format!("without a place: {shown}"))?;
    let line = position.line.checked_sub(1).context("line 0")?;
    let line = text.split('\n').nth(line).with_context(|| format!("behind the text: {shown}"))?;
    let column = position.column;
    // One behind the last character is where something is missing.
    ensure!((1..=line.chars().count() + 1).contains(&column), "behind its line: {shown}");
    Ok(())
}

/// Of a small database: to load the embedded one would be most of the work of a text.
fn locality() -> &'static Arc<Locality> {
    static LOCALITY: OnceLock<Arc<Locality>> = OnceLock::new();
    LOCALITY.get_or_init(|| {
        let folder = scratch();
        let file = folder.join("small.mmdb");
        std::fs::write(&file, small_database()).expect("it is written");
        let locality = Locality::load(&[file], &[]).expect("a database");
        let _kept = std::fs::remove_dir_all(folder);
        Arc::new(locality)
    })
}

/// Asks for what the catalog of a view has, over UDP.
fn asked(view: &View) -> Result<()> {
    let catalog = view.ground().catalog();
    let hostnames = catalog.gateways().iter().flat_map(|gateway| &gateway.hostnames);
    let steered = hostnames.filter_map(|hostname| match hostname {
        Hostname::Exact(name) => Some(name.clone()),
        Hostname::Wildcard(suffix) => suffix.prepend("x").ok(),
    });
    let records = catalog.zones().iter().flat_map(|zone| zone.records.iter().map(|set| set.owner.clone()));
    let apexes = catalog.zones().iter().map(|zone| zone.name.clone());
    let mut out = Vec::new();
    let peer = Peer { address: [10, 1, 0, 53].into(), transport: Transport::Udp };
    for name in apexes.chain(steered.take(NAMES)).take(2 * NAMES).chain(records.take(NAMES)) {
        for record_type in [RecordType::A, RecordType::HTTPS, RecordType::TXT] {
            let packet = Ask::new(&name.to_string(), record_type).octets();
            answer(view, &packet, peer, Moment::default(), &mut out);
            let walked = walk(&out).with_context(|| format!("the answer for {name}"))?;
            ensure!(walked.left == 0, "octets behind the answer for {name}");
            // Every zone of the catalog is ours.
            let rcode = walked.rcode(&out);
            ensure!(rcode == 0 || rcode == 3, "rcode {rcode} for {name}");
        }
    }
    Ok(())
}
