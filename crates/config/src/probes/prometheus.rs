//! What a probe asks Prometheus, and within which bounds the value must be.

use std::path::{Path, PathBuf};

use meridian_model::{Bounds, Check, Finite, PrometheusCheck, Tls};

use super::checks::parse_host;
use super::{expect, tls};
use crate::findings::Spotted;
use crate::forms;
use crate::kinds::{At, Number, Parsed, Section};
use crate::limits;
use crate::reader::Table;

const URL: Parsed<ServerUrl> = Parsed {
    what: "the URL of a Prometheus server, such as \"http://prometheus.example:9090\"",
    pattern: forms::URL,
    parse: parse_url,
};
const QUERY: Parsed<Box<str>> = Parsed { what: "a query in PromQL", pattern: forms::ANY, parse: parse_query };

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
    let (wanted, preferred) = expect??;
    let (url, query, tls) = (url?.text, query?, tls?);
    Some(Check::Prometheus(Box::new(PrometheusCheck { url, query, headers, tls, wanted, preferred })))
}

/// The bounds of success and failure, and of success and degraded; at least one must be there.
fn read_bounds(table: &mut Table<'_>) -> Option<(Bounds, Bounds)> {
    let min = table.optional("min", &At(Number));
    let max = table.optional("max", &At(Number));
    let below = table.optional("degraded_below", &At(Number));
    let above = table.optional("degraded_above", &At(Number));
    let keys = ["min", "max", "degraded_below", "degraded_above"];
    if !table.any_of(&keys, "a number, or max, degraded_below or degraded_above in its place") {
        return None;
    }
    // From the least to the largest.
    let mut before: Option<(&str, Finite)> = None;
    for (key, bound) in [("min", &min), ("degraded_below", &below), ("degraded_above", &above), ("max", &max)]
    {
        let Some(Spotted { value, spot }) = bound else { continue };
        if let Some((other, least)) = before.filter(|(_, least)| value.get() < least.get()) {
            table.findings.mistake(spot, format_args!("at least the {other} of {least}"), value);
        }
        before = Some((key, *value));
    }
    let value = |bound: Option<Spotted<Finite>>| bound.map(|bound| bound.value);
    let wanted = Bounds { min: value(min), max: value(max) };
    Some((wanted, Bounds { min: value(below), max: value(above) }))
}

/// The URL of a server of HTTP: a scheme, a host, perhaps a port and a path.
///
/// # Errors
/// What it must not be.
pub(crate) fn server_url(text: &str) -> Result<Box<str>, String> {
    if text.split('/').nth(2).is_some_and(|host| host.contains('@')) {
        return Err("with a user".into());
    }
    parse_url(text).map(|url| url.text)
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
