//! What Prometheus reads: OpenMetrics for who asks for it, else the text format that came before it.

mod health;
mod page;
mod process;
mod queries;
mod state;
mod told;

use std::fmt;
use std::sync::Arc;

use meridian_dns::Counters as Queries;
use meridian_health_probe::{Counters as Probes, Report};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::Configuration;
use crate::vitals::Known;
use page::Page;
pub(crate) use process::Process;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// What every tool reads.
    Text,
}

impl Format {
    /// As a request's `Accept` has it.
    pub(crate) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The type of a page.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What a page is made from.
pub(crate) struct Sources<'s> {
    pub(crate) report: &'s Report,
    pub(crate) probes: &'s Probes,
    pub(crate) queries: &'s Queries,
    pub(crate) told: Arc<meridian_telemetry::Counters>,
    pub(crate) configuration: &'s Configuration,
    pub(crate) known: Known,
    pub(crate) process: Process,
}

/// # Errors
/// Of the encoder, which has none on a `String`.
pub(crate) fn render(of: Sources<'_>, format: Format) -> Result<String, fmt::Error> {
    let Sources { report, probes, queries, told, configuration, known, process } = of;
    let mut ours = Registry::with_prefix("meridian");
    ours.register_collector(Box::new(Scrape {
        health: health::Health::new(report, probes),
        queries: queries::Seen::new(queries, process.udp_drops),
        state: state::State { configuration: configuration.clone(), known },
    }));
    ours.register_collector(Box::new(told::Told(told)));
    let mut common = Registry::default();
    common.register_collector(Box::new(process));
    let mut page = String::new();
    match format {
        Format::OpenMetrics => {
            text::encode_registry(&mut page, &ours)?;
            text::encode_registry(&mut page, &common)?;
            text::encode_eof(&mut page)?;
        }
        Format::Text => {
            prometheus_text::encode(&mut page, &ours)?;
            prometheus_text::encode(&mut page, &common)?;
        }
    }
    Ok(page)
}

/// The values of one moment.
#[derive(Debug)]
struct Scrape {
    health: health::Health,
    queries: queries::Seen,
    state: state::State,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.queries.write(&mut page)?;
        self.health.write(&mut page)?;
        self.state.write(&mut page)?;
        let beyond = [
            ("dns_answers", self.queries.beyond()),
            ("probe", self.health.probes_beyond),
            ("verdict", self.health.addresses_beyond),
        ];
        let beyond = beyond.map(|(metrics, count)| ([("metrics", metrics)], count as f64));
        page.gauges(
            "series_beyond_limit",
            "What has no series of its own, for a limit of their number",
            beyond,
        )
    }
}
