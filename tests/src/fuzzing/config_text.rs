//! A configuration in, a catalog or issues out; and what is made of a catalog.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use hickory_proto::rr::RecordType;
use meridian_config::{Issue, Matter, parse};
use meridian_dns::{Ground, Manners, Moment, Peer, Transport, View, answer};
use meridian_geoip::Locality;
use meridian_model::{DomainName, Hostname, Verdicts};

use super::database::small_database;
use crate::binary::scratch;
use crate::walk::walk;

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
    parse_in(text, Path::new(FILE), Path::new(FILE), text.as_bytes())
}

/// The configuration of a zone whose file is another text.
const ZONE: &str = "version = 1\n[[zones]]\nname = \"z.example\"\nfile = \"fuzz.zone\"\n";

/// Reads octets as a zone file, as [`config_text`] does a configuration.
///
/// # Errors
/// As [`config_text`].
pub fn zone_file(octets: &[u8]) -> Result<()> {
    thread_local! {
        /// Zone files are files, also those of a fuzzer; a thread has one that it writes again and again.
        static FOLDER: PathBuf = scratch();
    }
    let folder = FOLDER.with(PathBuf::clone);
    let file = folder.join("fuzz.zone");
    std::fs::write(&file, octets).context("the zone file is not written")?;
    parse_in(ZONE, &folder.join(FILE), &file, octets)
}

/// Loads a configuration as the file of that name; issues of `file` are held to its `octets`.
fn parse_in(text: &str, named: &Path, file: &Path, octets: &[u8]) -> Result<()> {
    let loaded = match parse(text, named) {
        Ok(loaded) => loaded,
        Err(issues) => {
            ensure!(issues.iter().count() <= issues.len(), "more issues than there are");
            return issues.iter().try_for_each(|issue| of_the_text(file, octets, issue));
        }
    };
    loaded.warnings.iter().try_for_each(|issue| of_the_text(file, octets, issue))?;
    let catalog = Arc::new(loaded.catalog);
    let ground = Ground::new(catalog, locality().clone(), Arc::new(Manners::default()), None);
    let view = View::new(Arc::new(ground.context("the server does not take it")?), Verdicts::default(), None);
    asked(&view)
}

/// Holds an issue to the text of its file: a line and column of it, and words that stay on one line.
fn of_the_text(file: &Path, octets: &[u8], issue: &Issue) -> Result<()> {
    let shown = issue.to_string();
    ensure!(!shown.chars().any(char::is_control), "not to be printed: {shown:?}");
    // Those of other files are about another text.
    if issue.file != file {
        return Ok(());
    }
    // What cannot be read as text has no place in it.
    let Some(position) = issue.position else {
        ensure!(matches!(issue.matter, Matter::Unreadable(_)), "without a place: {shown}");
        return Ok(());
    };
    let line = position.line.checked_sub(1).context("line 0")?;
    let line = octets.split(|octet| *octet == b'\n').nth(line);
    let line = line.with_context(|| format!("behind the text: {shown}"))?;
    // One behind the last character is where something is missing.
    let most = String::from_utf8_lossy(line).chars().count() + 1;
    ensure!((1..=most).contains(&position.column), "behind its line: {shown}");
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

/// A plain query, also for a label that hosts could not have, such as one that begins with a hyphen.
fn question(name: &DomainName, record_type: RecordType) -> Vec<u8> {
    let mut packet = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(name.to_wire());
    packet.extend(u16::from(record_type).to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// Asks for what the catalog of a view has, over UDP.
fn asked(view: &View) -> Result<()> {
    let catalog = view.ground().catalog();
    let hostnames = catalog.gateways().iter().flat_map(|gateway| &gateway.hostnames);
    let steered = hostnames.filter_map(|hostname| match hostname {
        Hostname::Exact(name) => Some(name.clone()),
        Hostname::Wildcard(suffix) => DomainName::parse(&format!("x.{suffix}")).ok(),
    });
    let records = catalog.zones().iter().flat_map(|zone| zone.records.iter().map(|set| set.owner.clone()));
    let apexes = catalog.zones().iter().map(|zone| zone.name.clone());
    let mut out = Vec::new();
    let peer = Peer { address: [10, 1, 0, 53].into(), transport: Transport::Udp };
    for name in apexes.chain(steered.take(NAMES)).take(2 * NAMES).chain(records.take(NAMES)) {
        for record_type in [RecordType::A, RecordType::HTTPS, RecordType::TXT] {
            let packet = question(&name, record_type);
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
