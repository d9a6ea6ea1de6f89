//! The task that takes spans to their collector.

use std::sync::Arc;

use hyper::StatusCode;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::counters::add;
use crate::limits::{BACK_OFF, BACK_OFF_MAX, EXPORT_WAIT, SPANS_GATHER, SPANS_TOGETHER};
use crate::otlp::{ExportResponse, request};
use crate::{Counters, Endpoint, Span};

/// Where spans go, and whose they are.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The collector.
    pub endpoint: Endpoint,
    /// The name of the service.
    pub service: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Which of all that run it.
    pub instance: Box<str>,
    /// Whether what waits is all there will be.
    pub is_last: bool,
}

pub(crate) struct Exporter {
    spans: mpsc::Receiver<Span>,
    destinations: watch::Receiver<Option<Destination>>,
    counters: Arc<Counters>,
    /// That it is not taken has been said.
    said: bool,
}

/// What became of a request.
enum Sent {
    Taken,
    /// Now; it may be later.
    NotNow(String),
    Refused(String),
}

impl Exporter {
    pub(crate) fn new(
        spans: mpsc::Receiver<Span>,
        destinations: watch::Receiver<Option<Destination>>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { spans, destinations, counters, said: false }
    }

    /// Until the tracer is closed.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(SPANS_TOGETHER);
        loop {
            self.gather(&mut batch).await;
            let destination = self.destinations.borrow_and_update().clone();
            match destination {
                Some(destination) if !batch.is_empty() => self.deliver(&destination, &batch).await,
                Some(destination) if destination.is_last => return,
                _ if self.is_over() => return,
                // Of before it was turned off.
                _ => add(&self.counters.spans_dropped, batch.len()),
            }
            batch.clear();
        }
    }

    fn is_over(&self) -> bool {
        self.spans.is_closed() || self.destinations.has_changed().is_err()
    }

    /// Waits for a span, and a moment for others; or for a change of where they go.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        let is_last = self.destinations.borrow().as_ref().is_some_and(|destination| destination.is_last);
        if is_last {
            while batch.len() < SPANS_TOGETHER
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            return;
        }
        tokio::select! {
            _ = self.spans.recv_many(batch, SPANS_TOGETHER) => {}
            _ = self.destinations.changed() => return,
        }
        let until = Instant::now() + SPANS_GATHER;
        while batch.len() < SPANS_TOGETHER {
            let more = SPANS_TOGETHER - batch.len();
            tokio::select! {
                more = timeout_at(until, self.spans.recv_many(batch, more)) => {
                    if more.is_err() || more == Ok(0) {
                        return;
                    }
                }
                _ = self.destinations.changed() => return,
            }
        }
    }

    /// Until it is taken, refused, or to go elsewhere. Meanwhile others wait, and find no room in the end.
    async fn deliver(&mut self, destination: &Destination, batch: &[Span]) {
        let Destination { endpoint, service, version, instance, is_last } = destination;
        let body = request(service, version, instance, batch).encode_to_vec();
        let mut back_off = BACK_OFF;
        loop {
            let why = match post(endpoint, body.clone()).await {
                Sent::Taken => {
                    add(&self.counters.spans_sent, batch.len());
                    if std::mem::take(&mut self.said) {
                        tracing::info!("traces: the collector takes them again");
                    }
                    return;
                }
                Sent::Refused(why) => {
                    add(&self.counters.span_requests_failed, 1);
                    add(&self.counters.spans_dropped, batch.len());
                    return self.say(&why);
                }
                Sent::NotNow(why) => why,
            };
            add(&self.counters.span_requests_failed, 1);
            self.say(&why);
            let elsewhere = tokio::select! {
                () = sleep(back_off), if !is_last => false,
                _ = self.destinations.changed(), if !is_last => true,
                else => true,
            };
            if elsewhere {
                add(&self.counters.spans_dropped, batch.len());
                return;
            }
            back_off = (2 * back_off).min(BACK_OFF_MAX);
        }
    }

    /// Says why, once until it is taken again.
    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!("traces: the collector does not take them: {why}");
        }
    }
}

async fn post(endpoint: &Endpoint, body: Vec<u8>) -> Sent {
    let Ok(posted) = timeout(EXPORT_WAIT, endpoint.post(body)).await else {
        return Sent::NotNow(format!("no answer in {EXPORT_WAIT:?}"));
    };
    match posted {
        Err(error) => Sent::NotNow(error),
        Ok((status, octets)) if status.is_success() => match ExportResponse::decode(octets).ok() {
            Some(ExportResponse { partial_success: Some(partial) }) if partial.rejected_spans > 0 => {
                Sent::Refused(format!("{} spans: {}", partial.rejected_spans, partial.error_message))
            }
            _ => Sent::Taken,
        },
        // OTLP/HTTP, "Failures": these may be tried again.
        Ok((
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT),
            _,
        )) => Sent::NotNow(status.to_string()),
        Ok((status, _)) => Sent::Refused(status.to_string()),
    }
}
