//! Families of metrics, one behind the other.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// For what stands alone in its family.
pub(super) const ALONE: [(&str, &str); 0] = [];

/// A page that is written.
pub(super) struct Page<'e>(pub(super) DescriptorEncoder<'e>);

/// A histogram: the upper bound and the count of each bucket, not cumulative, and the sum.
pub(super) struct Histogram {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Page<'_> {
    /// Counters by their labels. The format puts `_total` behind the name.
    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        all.into_iter()
            .try_for_each(|(labels, count)| ConstCounter::new(count).encode(family.encode_family(&labels)?))
    }

    /// The same of what is no whole number.
    pub(super) fn seconds(&mut self, name: &str, help: &str, seconds: f64) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(seconds).encode(family)
    }

    /// Gauges by their labels.
    pub(super) fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        all.into_iter().try_for_each(|(labels, value)| {
            let one = family.encode_family(&labels)?;
            match whole(value) {
                Some(value) => ConstGauge::new(value).encode(one),
                None => ConstGauge::new(value).encode(one),
            }
        })
    }

    /// Histograms by their labels.
    pub(super) fn histograms<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        all.into_iter().try_for_each(|(labels, Histogram { buckets, sum })| {
            let count = buckets.iter().map(|(_, count)| count).sum();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)
        })
    }

    /// What is so, by its labels. The format puts `_info` behind the name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }
}

/// A number without a fraction, as people write it.
#[expect(clippy::cast_possible_truncation, reason = "it is exact below 2^53")]
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < (1_u64 << 53) as f64).then_some(value as i64)
}
