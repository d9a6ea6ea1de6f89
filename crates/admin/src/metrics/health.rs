//! What the probes count, and what is held of every address.

use std::collections::BTreeMap;
use std::fmt;

use meridian_health_probe::{Counters, Counts, EndpointStatus, LATENCY_BOUNDS, ProbeTally, Report};
use meridian_model::Verdict;

use super::page::{ALONE, Histogram, Page};
use crate::limits::{ADDRESS_SERIES, PROBE_SERIES};

/// The values of one moment.
#[derive(Debug)]
pub(super) struct Health {
    by_probe: Vec<ProbeTally>,
    counts: Counts,
    endpoints: Vec<Labelled>,
    /// By cluster and effective verdict: how many addresses.
    clusters: BTreeMap<String, [u64; 4]>,
    /// Target, state, addresses.
    overrides: Vec<(String, &'static str, usize)>,
    isolated: bool,
    pub(super) probes_beyond: usize,
    pub(super) addresses_beyond: usize,
}

/// The verdicts on one address.
#[derive(Debug)]
struct Labelled {
    gateway: String,
    cluster: String,
    address: String,
    observed: Verdict,
    effective: Verdict,
}

impl Health {
    pub(super) fn new(report: &Report, counters: &Counters) -> Self {
        let mut by_probe = counters.by_probe();
        let probes_beyond = by_probe.len().saturating_sub(PROBE_SERIES);
        by_probe.truncate(PROBE_SERIES);
        let mut clusters: BTreeMap<String, [u64; 4]> = BTreeMap::new();
        for cluster in report.catalog.clusters() {
            clusters.insert(cluster.name.to_string(), [0; 4]);
        }
        for of in &report.endpoints {
            let endpoint = report.catalog.gateway(of.gateway).endpoints.get(of.endpoint);
            let name = endpoint.map(|endpoint| &*report.catalog.cluster(endpoint.cluster).name);
            if let Some(counts) = name.and_then(|name| clusters.get_mut(name)) {
                counts[number(of.effective)] += 1;
            }
        }
        let overrides = report.overrides.iter();
        Self {
            by_probe,
            counts: counters.read(),
            endpoints: report.endpoints.iter().take(ADDRESS_SERIES).map(|of| labelled(report, of)).collect(),
            clusters,
            overrides: overrides
                .map(|of| (of.said.target.to_string(), of.said.forced.as_str(), of.addresses))
                .collect(),
            isolated: report.isolated_for.is_some(),
            probes_beyond,
            addresses_beyond: report.endpoints.len().saturating_sub(ADDRESS_SERIES),
        }
    }

    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        self.write_probes(page)?;
        let help = "What is held of an address: 3 healthy, 2 degraded, 1 unhealthy, 0 unknown; of kind observed or effective";
        let verdicts = self.endpoints.iter().flat_map(|of| {
            [("observed", of.observed), ("effective", of.effective)].map(|(kind, verdict)| {
                let labels = [
                    ("gateway", &*of.gateway),
                    ("cluster", &*of.cluster),
                    ("address", &*of.address),
                    ("kind", kind),
                ];
                (labels, number(verdict) as f64)
            })
        });
        page.gauges("verdict", help, verdicts)?;
        let help = "How many addresses of a cluster there are, by what counts of each: the effective verdict";
        let addresses = self.clusters.iter().flat_map(|(cluster, counts)| {
            VERDICTS.map(|verdict| {
                let labels = [("cluster", &**cluster), ("verdict", verdict.as_str())];
                (labels, counts[number(verdict)] as f64)
            })
        });
        page.gauges("addresses", help, addresses)?;
        let transitions = VERDICTS.map(|to| ([("to", to.as_str())], self.counts.transitions_to(to)));
        page.counters(
            "transitions",
            "Changes of what counts, by the verdict after it; first verdicts too",
            transitions,
        )?;
        let help = "For how many addresses an override in force decides";
        let overrides = self.overrides.iter().map(|(target, state, addresses)| {
            ([("target", &**target), ("state", *state)], *addresses as f64)
        });
        page.gauges("override_addresses", help, overrides)?;
        page.gauges("overrides", "Overrides in force", [(ALONE, self.overrides.len() as f64)])?;
        let help = "Whether the server suspects that it is itself cut off, and keeps its verdicts";
        page.gauges("isolated", help, [(ALONE, f64::from(u8::from(self.isolated)))])
    }

    fn write_probes(&self, page: &mut Page<'_>) -> fmt::Result {
        let outcomes = self.by_probe.iter().flat_map(|of| {
            [("good", of.good), ("degraded", of.degraded), ("failed", of.failed), ("no_data", of.no_data)]
                .map(|(outcome, count)| ([("probe", &*of.probe), ("outcome", outcome)], count))
        });
        page.counters(
            "probe_outcomes",
            "Probes, by what they found: no_data says neither one nor the other",
            outcomes,
        )?;
        let durations = self.by_probe.iter().map(|of| {
            let bounds = LATENCY_BOUNDS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
            let buckets = bounds.zip(of.latency).collect();
            ([("probe", &*of.probe)], Histogram { buckets, sum: of.latency_sum.as_secs_f64() })
        });
        page.histograms("probe_duration_seconds", "How long probes took", durations)?;
        let Counts { late, crowded, skipped, held, isolations, .. } = self.counts;
        for (name, help, count) in [
            ("probes_late", "Probes that waited because as many as can be were under way", late),
            ("probes_crowded", "Probes that waited because of others to the same address", crowded),
            ("probes_skipped", "Beats without a probe because the one before took too long", skipped),
            ("recoveries_held", "Recoveries that were put off because the address comes and goes", held),
            ("isolations", "Times that the server suspected that it is itself cut off", isolations),
        ] {
            page.counters(name, help, [(ALONE, count)])?;
        }
        Ok(())
    }
}

fn labelled(report: &Report, of: &EndpointStatus) -> Labelled {
    let gateway = report.catalog.gateway(of.gateway);
    let endpoint = gateway.endpoints.get(of.endpoint);
    let cluster = endpoint.map(|endpoint| report.catalog.cluster(endpoint.cluster).name.to_string());
    let name = || endpoint.and_then(|endpoint| endpoint.name.as_ref()).map(|of| of.name.to_string());
    Labelled {
        gateway: gateway.name.to_string(),
        cluster: cluster.unwrap_or_default(),
        address: of.address.map(|address| address.to_string()).or_else(name).unwrap_or_default(),
        observed: of.observed,
        effective: of.effective,
    }
}

const VERDICTS: [Verdict; 4] = [Verdict::Unknown, Verdict::Unhealthy, Verdict::Degraded, Verdict::Healthy];

/// The better, the greater, so that `min` and thresholds mean something.
fn number(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Unknown => 0,
        Verdict::Unhealthy => 1,
        Verdict::Degraded => 2,
        Verdict::Healthy => 3,
    }
}
