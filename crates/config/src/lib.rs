//! The configuration file: TOML to a [`Catalog`] and [`Settings`], or every issue with its position.
//!
//! [`load`] reads a file and [`parse`] a text, in three steps. `syntax` makes a tree of bounded size
//! and depth. The modules named after the sections read it into specs: what the user wrote, typed,
//! with defaults, each value knowing its place. The same modules then build the catalog from the
//! specs: names become ids, and what belongs together is held against each other; zone files are read
//! then, into what their zones hold. Every step goes on after a mistake, so one run reports them all, in
//! the order of the file.
//!
//! `meridian check`, `serve` and a reload are the same call.
//!
//! # What this crate does not do
//! It opens no file but the one it is given and the data files that this one names
//! ([`Settings::data_files`]), afresh with every call: that a database
//! exists is for who opens it, through [`Issue::mistake`] at the same line. It binds no socket,
//! resolves no hostname, and keeps nothing between two calls. It writes no configuration.
//!
//! # Invariants
//! - A catalog comes only out of a file without any mistake; a warning never stops it.
//! - [`Issues`] is never empty, and its order is the file's; those of data files come behind.
//! - Every default stands once, beside the key it belongs to.
//! - Nothing is unlimited: see `limits.rs`.
//! - After a line that is no TOML only issues that line cannot have caused are reported beside it.

mod admin;
mod area;
mod clusters;
mod countries;
mod csv;
mod endpoints;
mod findings;
mod forms;
mod gateways;
mod geoip;
mod health;
mod https;
mod issue;
mod jurisdictions;
mod keys;
mod kinds;
mod latency;
mod limits;
mod manners;
mod metrics;
mod names;
mod networks_file;
mod places;
mod policy;
mod prefixes;
mod probes;
mod reader;
mod residency;
mod resolver;
mod rollout;
mod schema;
mod server;
mod settings;
mod shared;
mod sites;
mod streams;
mod syntax;
mod telemetry;
mod tls;
mod zones;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use meridian_model::{Catalog, CatalogParts, DomainName};

use crate::admin::AdminSpec;
use crate::clusters::{ClusterSpec, Clusters};
use crate::findings::{Findings, KeyPath, Source, Spot};
use crate::gateways::GatewaySpec;
use crate::geoip::GeoipSpec;
use crate::health::HealthSpec;
use crate::jurisdictions::{JurisdictionSpec, Jurisdictions};
use crate::keys::{KeySpec, Keys};
use crate::kinds::Whole;
use crate::metrics::MetricsSpec;
use crate::probes::{ProbeSpec, Probes};
use crate::reader::{Many, Table};
use crate::resolver::ResolverSpec;
use crate::server::ServerSpec;
use crate::settings::Telemetry as TelemetrySpec;
use crate::shared::{Collected, Shared};
use crate::zones::{ZoneSpec, Zones};

pub use issue::{Issue, Issues, Located, Matter, Position};
pub use schema::schema;
pub use settings::{
    Admin, AdminTls, AnswerLabel, Cookies, DATA_DIR_DEFAULT, Dnstap, Geoip, Health, Identity, Key,
    KeyAlgorithm, Manners, Metrics, RateLimit, Resolver, Role, Server, Settings, Streams, Telemetry, Tls,
    Token, Traces,
};

//----------- Loading --------------------------------------------------------

/// What a file without mistakes says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Zones, clusters, probes and gateways.
    pub catalog: Catalog,
    /// What the process needs beside it.
    pub settings: Settings,
    /// What its author may not want, in the order of the file; all [`Issue::is_warning`].
    pub warnings: Vec<Issue>,
    /// The configuration file's own text: what is read again when only a data file has changed.
    pub text: Arc<str>,
}

/// Reads a file of at most 64 MiB.
///
/// # Errors
/// Every mistake in it, or the one reason it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Issues> {
    let octets = read(path, limits::FILE_OCTETS).map_err(|reason| Issues::unreadable(path, reason))?;
    match String::from_utf8(octets) {
        Ok(text) => parse(&text, path),
        Err(error) => Err(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to()).into()),
    }
}

/// A name as RFC 1035 §5.1 writes it, absolute with or without its final dot.
///
/// # Errors
/// Says what is wrong with the name.
pub fn name(text: &str) -> Result<DomainName, String> {
    zones::absolute(text, &DomainName::root())
}

/// The octets of a file of at most so many, or why there are none.
fn read(path: &Path, most_octets: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut octets = Vec::new();
    // One more than allowed tells a file at the limit from one above it.
    file.take(most_octets + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    if octets.len() as u64 > most_octets {
        return Err(format!("larger than {} MiB", most_octets >> 20));
    }
    Ok(octets)
}

/// The octets of a data file: as those of any file, but of a file alone. To open a pipe would wait for a writer, and
/// a device may have no end.
///
/// # Errors
/// Why there are none.
pub fn read_data(path: &Path, most_octets: u64) -> Result<Vec<u8>, String> {
    let kind = std::fs::metadata(path).map_err(|error| error.to_string())?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err("a pipe, socket or device".to_owned());
    }
    read(path, most_octets)
}

/// Says where a file stops being text.
fn not_utf8(path: &Path, octets: &[u8], valid_up_to: usize) -> Issue {
    let (valid, rest) = octets.split_at_checked(valid_up_to).unwrap_or_default();
    let source = Source::new(path, str::from_utf8(valid).unwrap_or(""));
    let found = rest.first().map_or_else(String::new, |octet| format!("the octet 0x{octet:02x}"));
    Issue {
        file: path.to_path_buf(),
        position: Some(source.position(valid_up_to)),
        key: "syntax".into(),
        matter: Matter::Mistake { expected: "text in UTF-8".into(), found },
    }
}

/// Reads a text as the content of `file`; relative paths in it begin at that file's folder. The data
/// files that it names are read anew.
///
/// # Errors
/// Every mistake in it and in the data files, which come behind it.
pub fn parse(text: &str, file: &Path) -> Result<Loaded, Issues> {
    let source = Source::new(file, text);
    let mut findings = Findings::new(&source);
    let mut databases = Vec::new();
    let built = syntax::parse(&source, &mut findings).and_then(|tree| {
        let root = Spot::here(0, KeyPath::default());
        let spec = Table::read(&tree, root.clone(), &findings, |root| read_root(root, file));
        databases = spec.geoip.databases(&findings);
        // What refers to other lines cannot be judged while some of them are no TOML.
        if findings.is_broken() { None } else { build(spec, &root, &findings) }
    });
    let concluded = findings.conclude(built).map_err(|issues| issues.with_databases(databases));
    let ((catalog, settings), warnings) = concluded?;
    Ok(Loaded { catalog, settings, warnings, text: text.into() })
}

//----------- Spec -----------------------------------------------------------

/// The whole file as written.
struct Spec {
    server: ServerSpec,
    admin: AdminSpec,
    geoip: GeoipSpec,
    resolver: ResolverSpec,
    health: HealthSpec,
    metrics: MetricsSpec,
    telemetry: TelemetrySpec,
    keys: Many<KeySpec>,
    zones: Many<ZoneSpec>,
    jurisdictions: Many<JurisdictionSpec>,
    clusters: Many<ClusterSpec>,
    probes: Many<ProbeSpec>,
    gateways: Vec<GatewaySpec>,
}

fn read_root(root: &mut Table<'_>, file: &Path) -> Spec {
    // Only checked: there is one version yet.
    root.required("version", &Whole { min: 1_u32, max: 1, unit: "" });
    Spec {
        server: server::read(root, file),
        admin: admin::read(root, file),
        geoip: geoip::read(root, file),
        resolver: resolver::read(root),
        health: health::read(root),
        metrics: metrics::read(root),
        telemetry: telemetry::read(root, file),
        keys: keys::read(root, file),
        zones: zones::read(root, file),
        jurisdictions: jurisdictions::read(root),
        clusters: clusters::read(root),
        probes: probes::read(root, file),
        gateways: gateways::read(root, file),
    }
}

/// Builds everything, also after a mistake; `None` where an issue says why.
fn build(spec: Spec, root: &Spot, findings: &Findings<'_>) -> Option<(Catalog, Settings)> {
    let Spec { server, admin, geoip, resolver, health, metrics, telemetry, keys, zones, .. } = spec;
    let Spec { jurisdictions, clusters, probes, gateways, .. } = spec;
    if zones.list.is_empty() && zones.whole {
        findings.warn(&root.key("zones"), "no zone is served");
    }
    let mut data_files = geoip.data_files();
    data_files.extend(server.data_files());
    data_files.extend(admin.data_files());
    let server = server::build(server, admin, findings);
    let geoip = geoip::build(geoip, findings);
    let resolver = resolver::build(resolver, findings);
    let metrics = metrics::build(metrics, findings);
    let keys = Keys::build(keys, findings);
    data_files.extend(keys.data_files.iter().cloned());
    let zones = Zones::build(zones, &keys, server.data_dir.is_some(), findings);
    data_files.extend(zones.files.iter().cloned());
    let mut shared = Shared::new(Jurisdictions::build(jurisdictions, findings));
    let mut clusters = Clusters::build(clusters, &mut shared.jurisdictions, findings);
    let mut probes = Probes::build(probes, health.health.allow_exec, findings);
    let mut gateways = gateways::build(gateways, &zones, &mut clusters, &mut probes, &mut shared, findings);
    clusters.names.warn_unused(findings);
    probes.names.warn_unused(findings);
    let clusters = clusters.finish(&shared.jurisdictions);
    let isolation = clusters.as_ref().and_then(|all| health.isolation(all.len(), findings));
    let Collected { jurisdictions, prefixes, latency_tables, data_files: tables } =
        shared.finish(gateways.as_mut(), findings);
    data_files.extend(tables);
    data_files.extend(probes.data_files);
    let parts = CatalogParts {
        clusters: clusters?,
        probes: probes.probes?,
        jurisdictions,
        latency_tables,
        prefixes,
        zones: zones.zones?,
        gateways: gateways?,
        isolation,
    };
    let (health, geoip) = (health.health, geoip?);
    let keys = keys.keys;
    let probes = probes.places;
    let settings = Settings { server, geoip, resolver, health, metrics, telemetry, keys, probes, data_files };
    Some((Catalog::new(parts), settings))
}
