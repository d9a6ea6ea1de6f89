//! What runs: its version, configuration, view and data, and how old they are.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::page::{ALONE, Histogram, Page};
use crate::vitals::{Data, Known, TOOK_BOUNDS_S};
use crate::{Configuration, Reloads};

/// The values of one moment.
#[derive(Debug)]
pub(super) struct State {
    pub(super) configuration: Configuration,
    pub(super) known: Known,
}

impl State {
    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.info("build", "The version of the program", &version)?;
        self.write_configuration(page)?;
        self.write_views(page)?;
        self.write_data(page)
    }

    fn write_configuration(&self, page: &mut Page<'_>) -> fmt::Result {
        let of = &self.configuration;
        let help = "The configuration that was accepted last, by the SHA-256 of its file";
        page.info("configuration", help, &[("sha256", of.digest())])?;
        let help = "When the configuration was accepted";
        let accepted = [(ALONE, since_1970(of.accepted().wall))];
        page.gauges("configuration_accepted_timestamp_seconds", help, accepted)?;
        let help = "When its databases, tables and zone files were read last";
        let accepted = [(ALONE, since_1970(of.data_accepted().wall))];
        page.gauges("data_accepted_timestamp_seconds", help, accepted)?;
        let help = "Whether the last reload was accepted; what was before it answers on if not";
        let accepted = f64::from(u8::from(of.refused().is_none()));
        page.gauges("reload_last_accepted", help, [(ALONE, accepted)])?;
        let Reloads { accepted, refused } = of.reloads();
        let reloads = [("accepted", accepted), ("refused", refused)];
        let reloads = reloads.map(|(result, count)| ([("result", result)], count));
        page.counters("reloads", "Reloads, by what came of them", reloads)
    }

    fn write_views(&self, page: &mut Page<'_>) -> fmt::Result {
        let Known { published, took, catalogs, catalog_at, .. } = &self.known;
        let generation = published.map(|published| (ALONE, published.generation as f64));
        page.gauges("view_generation", "The number of the view that answers", generation)?;
        let at = published.map(|published| (ALONE, since_1970(published.at)));
        page.gauges("view_published_timestamp_seconds", "When it came into force", at)?;
        let bounds = TOOK_BOUNDS_S.into_iter().chain([f64::INFINITY]);
        let took = Histogram { buckets: bounds.zip(took.buckets).collect(), sum: took.sum.as_secs_f64() };
        let help = "How long views took to be made, from verdicts or a catalog to answers";
        page.histograms("view_publish_duration_seconds", help, [(ALONE, took)])?;
        let help = "How many catalogs have come into force";
        page.gauges("catalog_generation", help, [(ALONE, *catalogs as f64)])?;
        let at = catalog_at.map(|at| (ALONE, since_1970(at)));
        page.gauges("catalog_published_timestamp_seconds", "When the last one came into force", at)
    }

    fn write_data(&self, page: &mut Page<'_>) -> fmt::Result {
        let Data { databases, server_certificate_s, admin_certificate_s } = &self.known.data;
        let help = "When a database of places was built, by itself";
        let built =
            databases.iter().map(|of| ([("database", &*of.name), ("type", &*of.kind)], of.built_s as f64));
        page.gauges("geoip_database_build_timestamp_seconds", help, built)?;
        let certificates = [("server", server_certificate_s), ("admin", admin_certificate_s)];
        let expiry = certificates
            .into_iter()
            .filter_map(|(of, at)| Some(([("certificate", of)], at.as_ref().map(|at| *at as f64)?)));
        page.gauges("certificate_expiry_timestamp_seconds", "When a certificate expires", expiry)
    }
}

fn since_1970(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
