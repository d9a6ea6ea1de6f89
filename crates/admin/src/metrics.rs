//! What Prometheus reads (OpenMetrics text).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use meridian_dns::Totals;
use meridian_health_probe::{Counters, EndpointStatus, LATENCY_BOUNDS, ProbeTally, Report};
use meridian_model::Verdict;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::{Configuration, Reloads};

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// # Errors
/// Of the encoder, which has none on a `String`.
pub(crate) fn render(
    report: &Report,
    counters: &Counters,
    queries: &Totals,
    configuration: &Configuration,
) -> Result<String, fmt::Error> {
    let counts = counters.read();
    let scrape = Scrape {
        by_probe: counters.by_probe(),
        endpoints: report.endpoints.iter().map(|endpoint| verdict(report, endpoint)).collect(),
        overrides: report
            .overrides
            .iter()
            .map(|of| {
                let state = of.said.forced.as_str().to_owned();
                (of.said.target.to_string(), state, i64::try_from(of.addresses).unwrap_or(i64::MAX))
            })
            .collect(),
        totals: [
            ("transition", "Changes of verdict, the first verdicts included", counts.transitions),
            ("probe_late", "Probes that waited because as many as can be were under way", counts.late),
            ("probe_crowded", "Probes that waited because of others to the same address", counts.crowded),
            ("probe_skipped", "Beats without a probe because the one before took too long", counts.skipped),
            ("recovery_held", "Recoveries that were put off because the address comes and goes", counts.held),
            ("isolation", "Times that the server suspected that it is itself cut off", counts.isolations),
        ],
        isolated: i64::from(report.isolated_for.is_some()),
        queries: queries.named(),
        configuration: configuration.clone(),
    };
    let mut registry = Registry::with_prefix("meridian");
    registry.register_collector(Box::new(scrape));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

/// The values of one moment.
#[derive(Debug)]
struct Scrape {
    by_probe: Vec<ProbeTally>,
    endpoints: Vec<Labelled>,
    /// Target, state, addresses.
    overrides: Vec<(String, String, i64)>,
    totals: [(&'static str, &'static str, u64); 6],
    isolated: i64,
    /// What the server counts: name, help, value.
    queries: Vec<(&'static str, &'static str, u64)>,
    configuration: Configuration,
}

/// The verdicts on one address.
#[derive(Debug)]
struct Labelled {
    gateway: String,
    cluster: String,
    address: String,
    observed: i64,
    effective: i64,
}

fn verdict(report: &Report, of: &EndpointStatus) -> Labelled {
    let gateway = report.catalog.gateway(of.gateway);
    let endpoint = gateway.endpoints.get(of.endpoint);
    let cluster = endpoint.map(|endpoint| report.catalog.cluster(endpoint.cluster).name.to_string());
    let name = || endpoint.and_then(|endpoint| endpoint.name.as_ref()).map(|of| of.name.to_string());
    Labelled {
        gateway: gateway.name.to_string(),
        cluster: cluster.unwrap_or_default(),
        address: of.address.map(|address| address.to_string()).or_else(name).unwrap_or_default(),
        observed: number(of.observed),
        effective: number(of.effective),
    }
}

/// The better, the greater, so that `min` and thresholds mean something.
fn number(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Unknown => 0,
        Verdict::Unhealthy => 1,
        Verdict::Degraded => 2,
        Verdict::Healthy => 3,
    }
}

const VERDICT_HELP: &str = "What is held of an address: 3 healthy, 2 degraded, 1 unhealthy, 0 unknown; of kind observed or effective";

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        type Count = fn(&ProbeTally) -> u64;
        let counts: [(&str, &str, Count); 3] = [
            ("probe_success", "Probes that found an address serving, degraded too", |of| {
                of.good + of.degraded
            }),
            ("probe_failure", "Probes that found an address not serving", |of| of.failed),
            ("probe_no_data", "Probes that found nothing that says one or the other", |of| of.no_data),
        ];
        for (name, help, count) in counts {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for of in &self.by_probe {
                ConstCounter::new(count(of)).encode(family.encode_family(&[("probe", &*of.probe)])?)?;
            }
        }
        let help = "How long probes took, in seconds";
        let mut family =
            encoder.encode_descriptor("probe_duration_seconds", help, None, MetricType::Histogram)?;
        for of in &self.by_probe {
            let bounds = LATENCY_BOUNDS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(of.latency).collect();
            let count = of.latency.iter().sum();
            let labels = [("probe", &*of.probe)];
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<[(&str, &str); 0]>(of.latency_sum.as_secs_f64(), count, &buckets, None)?;
        }
        let mut family = encoder.encode_descriptor("verdict", VERDICT_HELP, None, MetricType::Gauge)?;
        for of in &self.endpoints {
            for (kind, value) in [("observed", of.observed), ("effective", of.effective)] {
                let labels = [
                    ("gateway", &*of.gateway),
                    ("cluster", &*of.cluster),
                    ("address", &*of.address),
                    ("kind", kind),
                ];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "For how many addresses an override in force decides";
        let mut family = encoder.encode_descriptor("override", help, None, MetricType::Gauge)?;
        for (target, state, addresses) in &self.overrides {
            let labels = [("target", &**target), ("state", &**state)];
            ConstGauge::new(*addresses).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, total) in self.totals {
            let total = ConstCounter::new(total);
            total.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, total) in &self.queries {
            let total = ConstCounter::new(*total);
            // The format puts that ending behind every counter.
            let name = format!("dns_{}", name.trim_end_matches("_total"));
            total.encode(encoder.encode_descriptor(&name, help, None, MetricType::Counter)?)?;
        }
        configuration(&self.configuration, &mut encoder)?;
        let help = "Whether the server suspects that it is itself cut off, and keeps its verdicts";
        ConstGauge::new(self.isolated).encode(encoder.encode_descriptor(
            "isolated",
            help,
            None,
            MetricType::Gauge,
        )?)
    }
}

fn configuration(of: &Configuration, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "The configuration that was accepted last, by the SHA-256 of its file";
    let mut info = encoder.encode_descriptor("configuration", help, None, MetricType::Info)?;
    info.encode_info(&[("sha256", of.digest())])?;
    let since = |wall: SystemTime| wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for (name, help, at) in [
        ("configuration_accepted_timestamp_seconds", "When it was accepted", of.accepted()),
        (
            "data_accepted_timestamp_seconds",
            "When its databases, tables and zone files were read last",
            of.data_accepted(),
        ),
    ] {
        let gauge = ConstGauge::new(since(at.wall));
        gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    let help = "Whether the last reload was accepted; what was before it answers on if not";
    let accepted = ConstGauge::new(i64::from(of.refused().is_none()));
    accepted.encode(encoder.encode_descriptor("reload_last_accepted", help, None, MetricType::Gauge)?)?;
    let mut family =
        encoder.encode_descriptor("reload", "Reloads, by what came of them", None, MetricType::Counter)?;
    let Reloads { accepted, refused } = of.reloads();
    for (result, count) in [("accepted", accepted), ("refused", refused)] {
        ConstCounter::new(count).encode(family.encode_family(&[("result", result)])?)?;
    }
    Ok(())
}
