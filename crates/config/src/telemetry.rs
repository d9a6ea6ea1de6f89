//! `[query_log]`, `[dnstap]` and `[traces]`: what is told of single queries, and of what the server does.

use std::path::{Path, PathBuf};

use meridian_model::Share;

use crate::forms;
use crate::kinds::{FilePath, Flag, Parsed, Portion, Section, Text};
use crate::limits;
use crate::probes::server_url;
use crate::reader::Table;
use crate::settings::{Dnstap, Telemetry, Traces};

/// All queries: who asks for dnstap has a reader that counts on it.
const DNSTAP_SAMPLE_DEFAULT: Share = Share::ALL;
const MESSAGES_DEFAULT: bool = true;
/// Of 10,000 queries a second ten.
const TRACED_DEFAULT: f64 = 0.001;
/// As collectors show it.
const SERVICE_NAME_DEFAULT: &str = "meridian";

const SAMPLE: Portion = Portion { whole: 1.0, what: "a share of the queries" };
const ENDPOINT: Parsed<Box<str>> = Parsed {
    what: "the URL of an OTLP receiver, such as \"http://127.0.0.1:4318\"",
    pattern: forms::URL,
    parse: server_url,
};

/// Reads the three tables; a relative path begins at the folder of `file`.
pub(crate) fn read(root: &mut Table<'_>, file: &Path) -> Telemetry {
    let query_log =
        Section { header: "[query_log]", read: |table: &mut Table<'_>| table.required("sample", &SAMPLE) };
    let dnstap = Section { header: "[dnstap]", read: |table: &mut Table<'_>| read_dnstap(table, file) };
    let traces = Section { header: "[traces]", read: read_traces };
    Telemetry {
        query_log: root.optional("query_log", &query_log).flatten().unwrap_or(Share::NONE),
        dnstap: root.optional("dnstap", &dnstap).flatten(),
        traces: root.optional("traces", &traces).flatten(),
    }
}

fn read_dnstap(table: &mut Table<'_>, file: &Path) -> Option<Dnstap> {
    let socket: Option<PathBuf> = table.required("socket", &FilePath { file, what: "the path of a socket" });
    let sample = table.or("sample", DNSTAP_SAMPLE_DEFAULT, &SAMPLE);
    let queries = table.or("queries", MESSAGES_DEFAULT, &Flag);
    let responses = table.or("responses", MESSAGES_DEFAULT, &Flag);
    let name =
        Text { what: "the name of a server", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };
    let identity = table.optional("identity", &name);
    if !queries && !responses {
        table.findings.warn(&table.spot, "no effect: neither queries nor responses are told");
    }
    Some(Dnstap { socket: socket?, sample, queries, responses, identity })
}

fn read_traces(table: &mut Table<'_>) -> Option<Traces> {
    let endpoint = table.required("endpoint", &ENDPOINT);
    let default = Share::from_fraction(TRACED_DEFAULT).unwrap_or_default();
    let sample_queries = table.or("sample_queries", default, &SAMPLE);
    let name =
        Text { what: "the name of a service", characters: limits::NAME_CHARACTERS, pattern: Text::FREE };
    let service_name = table.or("service_name", SERVICE_NAME_DEFAULT.into(), &name);
    Some(Traces { endpoint: endpoint?, sample_queries, service_name })
}
