//! What others are told of a server: dnstap messages over frame streams to a Unix socket ([`Frames`]), and spans of
//! OpenTelemetry by OTLP over HTTP ([`Tracer`]).
//!
//! Both have one shape: who has something to tell puts it into a bounded queue and goes on; a task takes it from there
//! to whoever listens. What the queue has no room for is dropped and counted, and so is what nobody takes.
//!
//! # What this crate does not do
//! It does not know what a query, a probe or a configuration is: it is given messages and spans. It samples nothing
//! and keeps nothing on a disk.
//!
//! # Invariants
//! - Telling never waits.
//! - Nothing is unlimited: see `limits`.
//! - A listener that is gone costs a line in the log when it goes and one when it comes back, not one a message.

mod counters;
pub mod dnstap;
mod exporter;
mod frames;
pub mod limits;
mod otlp;
mod post;
mod span;
mod tracer;

pub use counters::Counters;
pub use exporter::Destination;
pub use frames::Frames;
pub use post::{Endpoint, EndpointError};
pub use span::{Context, Kind, Span, Value};
pub use tracer::Tracer;
