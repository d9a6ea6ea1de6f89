//! `[[probes]]`: what is checked, and how often.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use meridian_model::{Check, Hostname, Probe, ProbeId};

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Choice, Parsed, Sections, Span, Whole};
use crate::limits;
use crate::names::{NAME, Names};
use crate::reader::{Many, Table};

const HTTP_PORT_DEFAULT: u16 = 80;
const PATH_DEFAULT: &str = "/";
/// Every ten seconds, as Route 53's fast checks: a failure is seen within half a minute.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// One lost packet is no outage.
const FALL_DEFAULT: u32 = 3;
/// One answer from a server that is starting is no recovery.
const RISE_DEFAULT: u32 = 2;
/// While a change is this young, answers carry the short TTL: it may be taken back.
const HOLD_DOWN_DEFAULT: Duration = Duration::from_secs(30);
/// The timeout is the interval divided by this: a check is over well before the next begins.
const TIMEOUT_DIVISOR: u32 = 2;

const PORT: Whole<u16> = Whole { min: 1, max: u16::MAX, unit: "" };
const IN_A_ROW: Whole<u32> = Whole { min: 1, max: limits::IN_A_ROW, unit: "checks" };

const PATH: Parsed<Box<str>> = Parsed { what: "a path that begins with \"/\"", parse: parse_path };
const HOST: Parsed<Box<str>> =
    Parsed { what: "a host for the Host header, such as \"shop.example\"", parse: parse_host };

//----------- ProbeSpec ------------------------------------------------------

/// A probe as written.
pub(crate) struct ProbeSpec {
    name: Option<Spotted<Box<str>>>,
    check: Option<Check>,
    port: Option<u16>,
    interval: Duration,
    timeout: Option<Spotted<Duration>>,
    fall: u32,
    rise: u32,
    hold_down: Duration,
}

#[derive(Clone, Copy)]
enum Type {
    Http,
    Tcp,
}

/// Reads `[[probes]]`.
pub(crate) fn read(root: &mut Table<'_>) -> Many<ProbeSpec> {
    let probes = Sections { header: "[[probes]]", min: 0, max: limits::PROBES, read: read_probe };
    root.many("probes", &probes)
}

fn read_probe(table: &mut Table<'_>) -> ProbeSpec {
    let name = table.required("name", &At(NAME));
    let (check, port) = read_check(table);
    let interval = Span { min: limits::INTERVAL_MIN, max: limits::INTERVAL_MAX };
    let timeout = Span { min: limits::TIMEOUT_MIN, max: limits::INTERVAL_MAX };
    let hold_down = Span { min: Duration::ZERO, max: limits::HOLD_DOWN_MAX };
    ProbeSpec {
        name,
        check,
        port,
        interval: table.or("interval", INTERVAL_DEFAULT, &interval),
        timeout: table.optional("timeout", &At(timeout)),
        fall: table.or("fall", FALL_DEFAULT, &IN_A_ROW),
        rise: table.or("rise", RISE_DEFAULT, &IN_A_ROW),
        hold_down: table.or("hold_down", HOLD_DOWN_DEFAULT, &hold_down),
    }
}

/// The keys that depend on the type.
fn read_check(table: &mut Table<'_>) -> (Option<Check>, Option<u16>) {
    match table.required("type", &Choice(&[("http", Type::Http), ("tcp", Type::Tcp)])) {
        Some(Type::Tcp) => {
            let port = table.required("port", &PORT);
            table.refused("path", "no path: a probe of type \"tcp\" only connects");
            table.refused("host", "no host: a probe of type \"tcp\" only connects");
            (Some(Check::Tcp), port)
        }
        // Of an unknown type nothing more is known than that these keys exist.
        other => {
            let port = table.or("port", HTTP_PORT_DEFAULT, &PORT);
            let path = table.or("path", PATH_DEFAULT.into(), &PATH);
            let host = table.optional("host", &HOST);
            (other.map(|_| Check::Http { path, host }), Some(port))
        }
    }
}

fn parse_path(text: &str) -> Result<Box<str>, String> {
    if !text.starts_with('/') {
        return Err(String::new());
    }
    if text.len() > limits::PROBE_TEXT_OCTETS {
        return Err(format!("longer than {} octets", limits::PROBE_TEXT_OCTETS));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        None => Ok(text.into()),
        Some(character) => Err(format!("the character {character:?} must be percent-encoded")),
    }
}

/// A host with or without a port (RFC 9110 §7.2).
fn parse_host(text: &str) -> Result<Box<str>, String> {
    if text.contains('/') {
        return Err("write the host alone".into());
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("write [{text}]"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("no port number behind the colon".into());
    }
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok() || matches!(Hostname::parse(host), Ok(Hostname::Exact(_))),
    };
    if known { Ok(text.into()) } else { Err(String::new()) }
}

//----------- Probes ---------------------------------------------------------

/// All probes, to be found by name.
pub(crate) struct Probes {
    /// `None` where an issue says why.
    pub(crate) probes: Option<Vec<Probe>>,
    pub(crate) names: Names,
}

impl Probes {
    /// Builds the probes and checks that their names differ.
    pub(crate) fn build(specs: Many<ProbeSpec>, findings: &Findings<'_>) -> Self {
        let Many { list, whole } = specs;
        let names = list.iter().map(|spec| spec.name.clone()).collect();
        let names = Names::new("probe", names, whole, findings);
        let probes: Vec<Option<Probe>> = list.into_iter().map(|spec| build_probe(spec, findings)).collect();
        Self { probes: probes.into_iter().collect(), names }
    }

    /// The probe that a gateway names; reports a name that no probe has.
    pub(crate) fn find(&mut self, name: &Spotted<Box<str>>, findings: &Findings<'_>) -> Option<ProbeId> {
        self.names.find(name, findings).map(ProbeId::from_index)
    }
}

fn build_probe(spec: ProbeSpec, findings: &Findings<'_>) -> Option<Probe> {
    let ProbeSpec { name, check, port, interval, timeout, fall, rise, hold_down } = spec;
    if let Some(timeout) = timeout.as_ref().filter(|timeout| timeout.value > interval) {
        let most = humantime::format_duration(interval);
        let found = humantime::format_duration(timeout.value);
        findings.mistake(&timeout.spot, format_args!("at most the interval of {most}"), found);
    }
    let timeout = timeout.map_or(interval / TIMEOUT_DIVISOR, |timeout| timeout.value);
    Some(Probe { name: name?.value, check: check?, port: port?, interval, timeout, fall, rise, hold_down })
}
