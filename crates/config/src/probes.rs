//! `[[probes]]`: what is checked, and how often.

use std::net::{Ipv4Addr, Ipv6Addr};

use meridian_model::{Check, Hostname, Probe, ProbeId, Thresholds};

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Choice, Parsed, Sections, Whole};
use crate::limits;
use crate::names::{NAME, Names};
use crate::reader::{Many, Table};

mod thresholds;

use thresholds::{Timing, TimingSpec};

const HTTP_PORT_DEFAULT: u16 = 80;
const PATH_DEFAULT: &str = "/";
const PORT: Whole<u16> = Whole { min: 1, max: u16::MAX, unit: "" };

const PATH: Parsed<Box<str>> = Parsed { what: "a path that begins with \"/\"", parse: parse_path };
const HOST: Parsed<Box<str>> =
    Parsed { what: "a host for the Host header, such as \"shop.example\"", parse: parse_host };

//----------- ProbeSpec ------------------------------------------------------

/// A probe as written.
pub(crate) struct ProbeSpec {
    name: Option<Spotted<Box<str>>>,
    check: Option<Check>,
    port: Option<u16>,
    timing: TimingSpec,
    thresholds: Thresholds,
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
    let timing = thresholds::read_timing(table);
    ProbeSpec { name, check, port, timing, thresholds: thresholds::read(table) }
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
    let ProbeSpec { name, check, port, timing, thresholds } = spec;
    let Timing { interval, fast_interval, timeout } = timing.build(findings);
    let (name, check, port) = (name?.value, check?, port?);
    Some(Probe { name, check, port, interval, fast_interval, timeout, thresholds })
}
