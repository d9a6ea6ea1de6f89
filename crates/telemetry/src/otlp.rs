//! The messages of OTLP (opentelemetry-proto 1, `trace/v1` and what it needs), as far as they are filled in.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::limits::{ATTRIBUTES, TEXT_OCTETS};
use crate::{Span, Value};

/// A request with spans of a service.
pub(crate) fn request(service: &str, version: &str, instance: &str, spans: &[Span]) -> ExportRequest {
    let text = |key: &str, text: &str| attribute(key, &Value::Text(text.to_owned()));
    let resource = Resource {
        attributes: vec![
            text("service.name", service),
            text("service.version", version),
            text("service.instance.id", instance),
        ],
    };
    let scope = Scope { name: "meridian".to_owned(), version: version.to_owned() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: spans.iter().map(span).collect() }];
    ExportRequest { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
}

fn span(span: &Span) -> OtlpSpan {
    let end = nanos(span.end);
    let events = span.events.iter().take(ATTRIBUTES).map(|(name, text)| Event {
        time_unix_nano: end,
        name: cut(name),
        attributes: vec![attribute("text", &Value::Text(text.clone()))],
    });
    let links = span.links.iter().take(ATTRIBUTES);
    let left = |of: usize| u32::try_from(of.saturating_sub(ATTRIBUTES)).unwrap_or(u32::MAX);
    OtlpSpan {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.to_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: end,
        attributes: span
            .attributes
            .iter()
            .take(ATTRIBUTES)
            .map(|(key, value)| attribute(key, value))
            .collect(),
        dropped_attributes_count: left(span.attributes.len()),
        events: events.collect(),
        dropped_events_count: left(span.events.len()),
        links: links
            .map(|of| Link { trace_id: of.trace_id.to_vec(), span_id: of.span_id.to_vec() })
            .collect(),
        dropped_links_count: left(span.links.len()),
        status: span.error.as_ref().map(|error| Status { message: cut(error), code: 2 }),
    }
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    let text = |text: &str| AnyValue { value: Some(OneValue::Text(cut(text))) };
    let value = match value {
        Value::Text(of) => text(of),
        Value::Whole(number) => AnyValue { value: Some(OneValue::Whole(*number)) },
        Value::Flag(flag) => AnyValue { value: Some(OneValue::Flag(*flag)) },
        Value::Texts(texts) => {
            let values = texts.iter().take(ATTRIBUTES).map(|of| text(of)).collect();
            AnyValue { value: Some(OneValue::Array(ArrayValue { values })) }
        }
    };
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// A text up to its bound.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_OCTETS)).unwrap_or_default().to_owned()
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

//----------- Messages -------------------------------------------------------

/// `ExportTraceServiceRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

/// `ExportTraceServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(crate) rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub(crate) error_message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<OtlpSpan>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OtlpSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    dropped_attributes_count: u32,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
    #[prost(uint32, tag = "12")]
    dropped_events_count: u32,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(uint32, tag = "14")]
    dropped_links_count: u32,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    /// 2: an error.
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(oneof = "OneValue", tags = "1, 2, 3, 5")]
    value: Option<OneValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OneValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Whole(i64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
}

#[derive(Clone, PartialEq, prost::Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}
