//! What the server of DNS counts.

use std::fmt;

use meridian_dns::{Answers, AnswersOf, Counters, Latency, Named, QueryCounts, Transport};

use super::page::{ALONE, Histogram, Page};

/// The values of one moment.
#[derive(Debug)]
pub(super) struct Seen {
    counts: QueryCounts,
    latency: Vec<(Transport, Latency)>,
    answers: Answers,
    others: Vec<Named>,
    udp_drops: Option<u64>,
}

impl Seen {
    pub(super) fn new(counters: &Counters, udp_drops: Option<u64>) -> Self {
        Self {
            counts: counters.queries(),
            latency: counters.latency(),
            answers: counters.answers(),
            others: counters.totals().named(),
            udp_drops,
        }
    }

    /// How many gateways with a cluster have no series of their own.
    pub(super) fn beyond(&self) -> usize {
        self.answers.beyond
    }

    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let QueryCounts { replies, nodata, subnets, cookies, selections } = &self.counts;
        let replies = replies.iter().map(|((transport, asked, rcode), count)| {
            let labels =
                [("transport", transport.as_str()), ("type", asked.as_str()), ("rcode", rcode.as_str())];
            (labels, *count)
        });
        page.counters("dns_queries", "Queries that got a reply", replies)?;
        let help = "Replies that say that a name has nothing of the type";
        page.counters("dns_nodata", help, [(ALONE, *nodata)])?;
        let help = "Queries with a client subnet (ECS), by what became of it";
        let of = subnets.iter().map(|(of, count)| ([("result", of.as_str())], *count));
        page.counters("dns_client_subnets", help, of)?;
        let help = "Queries with a cookie, by what it was worth";
        let of = cookies.iter().map(|(of, count)| ([("result", of.as_str())], *count));
        page.counters("dns_cookies", help, of)?;
        let help = "Answers for steered names, by the grounds on which endpoints were selected or none was";
        let of = selections.iter().map(|(of, count)| ([("basis", of.as_str())], *count));
        page.counters("dns_selections", help, of)?;
        let help = "Answers of gateways with an address or alias, by the cluster that the first leads to";
        let of = self.answers.series.iter().map(|(of, count)| (labels(of), *count));
        page.counters("dns_answers", help, of)?;
        let help = "How long queries took: each as long as the batch that it came in, from its reception to its sending";
        let of = self.latency.iter().map(|(transport, latency)| {
            let histogram = Histogram { buckets: latency.buckets().collect(), sum: latency.sum_s() };
            ([("transport", transport.as_str())], histogram)
        });
        page.histograms("dns_query_duration_seconds", help, of)?;
        for family in self.others.chunk_by(|one, other| one.family == other.family) {
            let Some(Named { family: name, help, .. }) = family.first() else { continue };
            let all = family.iter().map(|of| (Vec::from_iter(of.label), of.value));
            page.counters(&format!("dns_{name}"), help, all)?;
        }
        let help = "Datagrams that the kernel dropped before they were read, for want of room";
        page.counters("dns_udp_kernel_drops", help, self.udp_drops.map(|count| (ALONE, count)))
    }
}

fn labels(of: &AnswersOf) -> Vec<(&'static str, &str)> {
    let AnswersOf { gateway, cluster, country } = of;
    let all = [("gateway", gateway), ("cluster", cluster), ("country", country)];
    all.into_iter().filter_map(|(key, value)| Some((key, &**value.as_ref()?))).collect()
}
