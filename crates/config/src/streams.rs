//! `[server.tcp]`: the bounds of connections, on all transports that have them.

use std::time::Duration;

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Section, Span, Whole};
use crate::limits;
use crate::reader::{Kind, Table};
use crate::settings::Streams;

/// Some 40 MiB of TCP, or 400 MiB where all are encrypted; RFC 9210 §4.2 asks for at least 150.
const CONNECTIONS_DEFAULT: usize = 4096;
/// A large resolver keeps a few; RFC 9210 §4.2 begins with 25, but many can share an address.
const PER_CLIENT_DEFAULT: usize = 64;
/// RFC 9210 §4.3: "on the order of 10 seconds".
const IDLE_DEFAULT: Duration = Duration::from_secs(10);
/// Resolvers that keep asking open a connection every ten minutes.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(600);

/// `[server.tcp]` as written.
#[derive(Default)]
pub(crate) struct StreamsSpec {
    connections: Option<usize>,
    per_client: Option<Spotted<usize>>,
    idle: Option<Duration>,
    lifetime: Option<Spotted<Duration>>,
}

/// Reads the table below `[server]`.
pub(crate) fn read(server: &mut Table<'_>) -> StreamsSpec {
    let connections =
        Whole { min: limits::CONNECTIONS_MIN, max: limits::CONNECTIONS_MAX, unit: "connections" };
    let per_client = Whole { min: 1, max: limits::CONNECTIONS_MAX, unit: "connections" };
    let idle = Span { min: limits::STREAM_IDLE_MIN, max: limits::STREAM_IDLE_MAX };
    let lifetime = Span { min: limits::STREAM_IDLE_MIN, max: limits::STREAM_LIFETIME_MAX };
    let (at_most, at_least) = (At(per_client), At(lifetime));
    let read = |table: &mut Table<'_>| {
        let spec = StreamsSpec {
            connections: table.optional("connections", &connections),
            per_client: table.optional("connections_per_client", &at_most),
            idle: table.optional("idle", &idle),
            lifetime: table.optional("lifetime", &at_least),
        };
        table.default("connections", || connections.written(&CONNECTIONS_DEFAULT));
        table.default("connections_per_client", || at_most.0.written(&PER_CLIENT_DEFAULT));
        table.default("idle", || idle.written(&IDLE_DEFAULT));
        table.default("lifetime", || at_least.0.written(&LIFETIME_DEFAULT));
        spec
    };
    server.or("tcp", StreamsSpec::default(), &Section { header: "[server.tcp]", read })
}

impl StreamsSpec {
    /// Checks that the parts are no larger than the wholes.
    pub(crate) fn build(self, findings: &Findings<'_>) -> Streams {
        let Self { connections, per_client, idle, lifetime } = self;
        let connections = connections.unwrap_or(CONNECTIONS_DEFAULT);
        if let Some(per_client) = per_client.as_ref().filter(|per_client| per_client.value > connections) {
            let expected = format_args!("at most {connections}, as `connections`");
            findings.mistake(&per_client.spot, expected, per_client.value);
        }
        let idle = idle.unwrap_or(IDLE_DEFAULT);
        if let Some(lifetime) = lifetime.as_ref().filter(|lifetime| lifetime.value < idle) {
            let [expected, found] = [idle, lifetime.value].map(humantime::format_duration);
            findings.mistake(&lifetime.spot, format_args!("at least {expected}, as `idle`"), found);
        }
        Streams {
            connections,
            // What is left to its default follows what is written.
            per_client: per_client.map_or(PER_CLIENT_DEFAULT.min(connections), |written| written.value),
            idle,
            lifetime: lifetime.map_or(LIFETIME_DEFAULT.max(idle), |written| written.value),
        }
    }
}
