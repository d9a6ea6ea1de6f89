//! What a probe asks Prometheus, and within which bounds the value must be.

use std::path::{Path, PathBuf};

use meridian_model::{Check, Finite, PrometheusCheck, Tls};

use super::checks::parse_host;
use super::{expect, tls};
use crate::kinds::{At, Number, Parsed, Section};
use crate::limits;
use crate::reader::Table;

const URL: Parsed<ServerUrl> = Parsed {
    what: "the URL of a Prometheus server, such as \"http://prometheus.example:9090\"",
    parse: parse_url,
};
const QUERY: Parsed<Box<str>> = Parsed { what: "a query in PromQL", parse: parse_query };

struct ServerUrl {
    text: Box<str>,
    over_tls: bool,
}

/// Reads the keys of a `prometheus` probe.
pub(super) fn read(table: &mut Table<'_>, file: &Path, data_files: &mut Vec<PathBuf>) -> Option<Check> {
    let url = table.required("url", &URL);
    let query = table.required("query", &QUERY);
    let headers = table.or("headers", Vec::new(), &expect::Headers);
    let tls = if url.as_ref().is_some_and(|url| !url.over_tls) {
        tls::refuse(table);
        Some(Tls::default())
    } else {
        tls::read(table, file, data_files).map(|spec| spec.tls)
    };
    let expect = table.required("expect", &Section { header: "[probes.expect]", read: read_bounds });
    let (min, max) = expect??;
    let (url, query, tls) = (url?.text, query?, tls?);
    Some(Check::Prometheus(Box::new(PrometheusCheck { url, query, headers, tls, min, max })))
}

type Bounds = (Option<Finite>, Option<Finite>);

/// Both ends included; at least one must be there.
fn read_bounds(table: &mut Table<'_>) -> Option<Bounds> {
    let min = table.optional("min", &Number);
    let max = table.optional("max", &At(Number));
    if !table.has("min") && !table.has("max") {
        table.missing("min", "a number, or max in its place");
        return None;
    }
    if let (Some(min), Some(max)) = (min, &max)
        && max.value.get() < min.get()
    {
        table.findings.mistake(&max.spot, format_args!("at least the min of {min}"), max.value);
    }
    Some((min, max.map(|max| max.value)))
}

/// A scheme, a host, perhaps a port and a path (RFC 3986 §3); no user, query or fragment.
fn parse_url(text: &str) -> Result<ServerUrl, String> {
    if text.len() > limits::PROBE_TEXT_OCTETS {
        return Err(format!("longer than {} octets", limits::PROBE_TEXT_OCTETS));
    }
    let (over_tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err("begin with http:// or https://".into()),
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if host.contains('@') {
        return Err("write a user into headers, as Authorization".into());
    }
    parse_host(host)?;
    match path.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#')) {
        None => Ok(ServerUrl { text: text.into(), over_tls }),
        Some(character) => Err(format!("the character {character:?} cannot be in its path")),
    }
}

fn parse_query(text: &str) -> Result<Box<str>, String> {
    if text.trim().is_empty() {
        return Err(String::new());
    }
    if text.len() > limits::PROMQL_OCTETS {
        return Err(format!("longer than {} octets", limits::PROMQL_OCTETS));
    }
    let is_wrong = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.chars().any(is_wrong) { Err("with a control character".into()) } else { Ok(text.into()) }
}
