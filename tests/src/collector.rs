//! A collector of OpenTelemetry: takes OTLP over HTTP, and reads it with OpenTelemetry's own definitions.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::binary::{DEADLINE, now};

/// A receiver on loopback, until the test ends.
pub struct Collector {
    address: SocketAddr,
    received: Receiver<TracedSpan>,
    /// All that has come so far.
    pub spans: Vec<TracedSpan>,
}

/// A span, with its attributes by name.
#[derive(Clone, Debug)]
pub struct TracedSpan {
    /// As it came.
    pub span: Span,
    /// Its attributes as text, and those of who tells it.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (spans, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // One that breaks off has told nothing.
                let _broken_off = receive(stream, &spans);
            }
        });
        Self { address, received, spans: Vec::new() }
    }

    /// For the `endpoint` of `[traces]`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a span is there that is wanted, among those that have come already too.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&TracedSpan) -> bool) -> TracedSpan {
        if let Some(span) = self.spans.iter().find(|span| wanted(span)) {
            return span.clone();
        }
        let until = now() + DEADLINE;
        while let Ok(span) = self.received.recv_timeout(until.saturating_duration_since(now())) {
            self.spans.push(span.clone());
            if wanted(&span) {
                return span;
            }
        }
        panic!("{what}: no such span in {DEADLINE:?}; spans: {:#?}", self.spans);
    }

    /// The span that another is part of.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn parent_of(&mut self, child: &TracedSpan) -> TracedSpan {
        let (trace, parent) = (&child.span.trace_id, &child.span.parent_span_id);
        let is_it = |of: &TracedSpan| of.span.trace_id == *trace && of.span.span_id == *parent;
        self.wait_for(&format!("the parent of {}", child.span.name), is_it)
    }

    /// Waits for a span of this name that is part of another.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn child_of(&mut self, parent: &TracedSpan, name: &str) -> TracedSpan {
        let (trace, id) = (&parent.span.trace_id, &parent.span.span_id);
        let is_it = |of: &TracedSpan| {
            of.span.name == name && of.span.trace_id == *trace && of.span.parent_span_id == *id
        };
        self.wait_for(&format!("{name} in {}", parent.span.name), is_it)
    }
}

impl TracedSpan {
    /// An attribute; empty where there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// Its events: name and text.
    #[must_use]
    pub fn events(&self) -> Vec<(String, String)> {
        let text = |event: &opentelemetry_proto::tonic::trace::v1::span::Event| {
            event.attributes.iter().map(|of| written(of.value.as_ref())).collect::<String>()
        };
        self.span.events.iter().map(|event| (event.name.clone(), text(event))).collect()
    }
}

/// One request, as long as its `Content-Length` says.
fn receive(stream: TcpStream, spans: &Sender<TracedSpan>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut kind) = (String::new(), 0, String::new());
    reader.read_line(&mut line).ok()?;
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(": ") else { break };
        match &*name.to_lowercase() {
            "content-length" => length = value.parse().ok()?,
            "content-type" => kind = value.to_owned(),
            _ => {}
        }
    }
    assert_eq!(kind, "application/x-protobuf");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
    for of in request.resource_spans {
        let resource = of.resource.unwrap_or_default().attributes;
        for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let all = resource.iter().chain(&span.attributes);
            let attributes = all.map(|of| (of.key.clone(), written(of.value.as_ref()))).collect();
            // The test may have ended.
            let _gone = spans.send(TracedSpan { span, attributes });
        }
    }
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

fn written(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|of| written(Some(of))).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}
