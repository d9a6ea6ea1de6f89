//! What became of what others were to be told, for Prometheus.

use std::fmt;
use std::sync::Arc;

use meridian_telemetry::Counters;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// The counters of dnstap and traces.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Arc<Counters>);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for (name, help, count) in self.0.named() {
            let help = help.trim_end_matches('.');
            let name = format!("telemetry_{name}");
            let descriptor = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(descriptor)?;
        }
        Ok(())
    }
}
