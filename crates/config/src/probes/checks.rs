//! What a probe does: the keys that depend on its type.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use meridian_model::{
    Check, ExecCheck, FileCheck, GrpcCheck, Hostname, HttpCheck, HttpVersion, TcpCheck, TextMatch,
};
use serde_json::json;

use super::combined::{self, AtLeast, CombinedSpec};
use super::expect::{self, ExpectSpec};
use super::tls::{self, TlsSpec};
use super::{dns, prometheus};
use crate::findings::Spotted;
use crate::forms;
use crate::issue::any_of;
use crate::kinds::{At, Choice, FilePath, Flag, List, Octets, Parsed, Section, Text, Whole};
use crate::limits;
use crate::reader::Table;
use crate::schema::{Case, Given};

const HTTP_PORT_DEFAULT: u16 = 80;
const HTTPS_PORT_DEFAULT: u16 = 443;
const DNS_PORT_DEFAULT: u16 = 53;
const METHOD_DEFAULT: &str = "GET";
const PATH_DEFAULT: &str = "/";
/// A redirect is an answer; whether it is the wanted one is for `expect.status` to say.
const REDIRECTS_DEFAULT: u8 = 0;
/// A health page is short.
pub(super) const MAX_BODY_DEFAULT: u32 = 64 * 1024;
/// The server as a whole (gRPC's health protocol).
const SERVICE_DEFAULT: &str = "";

const PORT: Whole<u16> = Whole { min: 1, max: u16::MAX, unit: "" };
const METHOD: Parsed<Box<str>> = Parsed {
    what: "an HTTP method in capitals, such as \"GET\"",
    pattern: forms::METHOD,
    parse: parse_method,
};
const PATH: Parsed<Box<str>> =
    Parsed { what: "a path that begins with \"/\"", pattern: forms::PATH, parse: parse_path };
const HOST: Parsed<Box<str>> = Parsed {
    what: "a host for the Host header, such as \"shop.example\"",
    pattern: forms::HOST,
    parse: parse_host,
};
const SERVICE: Parsed<Box<str>> = Parsed {
    what: "the name of a gRPC service, such as \"shop.v1.Shop\"",
    pattern: forms::ANY,
    parse: parse_service,
};
const REDIRECTS: Whole<u8> = Whole { min: 0, max: limits::REDIRECTS, unit: "redirects" };
const MAX_BODY: Whole<u32> = Whole { min: 1, max: limits::MAX_BODY, unit: "octets" };

//----------- Type -----------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Http,
    Https,
    Http2,
    Tcp,
    Tls,
    File,
    Exec,
    Grpc,
    Icmp,
    Dns,
    Prometheus,
    All,
    Any,
    AtLeast,
}

const TYPES: &[(&str, Type)] = &[
    ("http", Type::Http),
    ("https", Type::Https),
    ("http2", Type::Http2),
    ("tcp", Type::Tcp),
    ("tls", Type::Tls),
    ("file", Type::File),
    ("exec", Type::Exec),
    ("grpc", Type::Grpc),
    ("icmp", Type::Icmp),
    ("dns", Type::Dns),
    ("prometheus", Type::Prometheus),
    ("all", Type::All),
    ("any", Type::Any),
    ("at_least", Type::AtLeast),
];

/// The keys that not every type has, with those that have it.
const KEYS: &[(&str, &[Type])] = {
    use Type::{All, Any, AtLeast as Count, Dns, Exec, File, Grpc, Http, Http2, Https, Prometheus, Tcp, Tls};
    const WEB: &[Type] = &[Http, Https, Http2];
    const OVER_TLS: &[Type] = &[Https, Http2, Tls, Grpc, Prometheus];
    &[
        ("port", &[Http, Https, Http2, Tcp, Tls, Exec, Grpc, Dns, Prometheus]),
        ("method", WEB),
        ("path", WEB),
        ("host", &[Http, Https, Http2, Grpc]),
        ("headers", &[Http, Https, Http2, Prometheus]),
        ("redirects", WEB),
        ("keep_alive", WEB),
        ("max_body", &[Http, Https, Http2, Tcp]),
        ("tls", &[Http2, Grpc]),
        ("sni", &[Https, Http2, Tls, Grpc]),
        ("insecure", OVER_TLS),
        ("ca_file", OVER_TLS),
        ("cert_file", OVER_TLS),
        ("key_file", OVER_TLS),
        ("send", &[Tcp]),
        ("expect", &[Http, Https, Http2, Tcp, Tls, Grpc, Dns, Prometheus]),
        ("file", &[File]),
        ("command", &[Exec]),
        ("probes", &[All, Any, Count]),
        ("count", &[Count]),
        ("service", &[Grpc]),
        ("question", &[Dns]),
        ("record", &[Dns]),
        ("transport", &[Dns]),
        ("url", &[Prometheus]),
        ("query", &[Prometheus]),
    ]
};

/// What is checked, as written.
pub(super) struct CheckSpec {
    /// `None` where an issue says why.
    pub(super) check: Option<Check>,
    pub(super) port: Option<u16>,
    /// What it is made of, if that is other probes; their names are resolved when all are known.
    pub(super) combined: Option<Option<CombinedSpec>>,
    /// Where a command stands, which has to be allowed.
    pub(super) exec: Option<Spotted<()>>,
    /// The files that were read.
    pub(super) data_files: Vec<PathBuf>,
}

/// Reads `type` and the keys that depend on it.
pub(super) fn read(table: &mut Table<'_>, file: &Path) -> CheckSpec {
    table.cases(cases);
    let Some(kind) = table.required("type", &Choice(TYPES)) else {
        // Of an unknown type nothing more is known than that these keys exist.
        KEYS.iter().for_each(|(key, _)| table.known(key));
        return CheckSpec { check: None, port: None, combined: None, exec: None, data_files: Vec::new() };
    };
    let foreign = KEYS.iter().filter(|(key, types)| !types.contains(&kind) && table.has(key));
    for key in foreign.map(|(key, _)| key).collect::<Vec<_>>() {
        let word = TYPES.iter().find(|(_, of)| *of == kind).map_or("", |(word, _)| word);
        table.refused(key, &format!("no {key}: a probe of type {word:?} has none"));
    }
    Reading { table, file, kind, data_files: Vec::new() }.check()
}

/// Everything that decides about the keys of a probe.
fn cases() -> Vec<Case> {
    let of = |word: &str| Given::Is("type", json!(word));
    let types = TYPES.iter().map(|(word, _)| vec![of(word)]);
    let in_clear = ["http2", "grpc"].map(|word| vec![of(word), Given::Is("tls", json!(false))]);
    types.chain(in_clear).collect()
}

//----------- Reading --------------------------------------------------------

struct Reading<'t, 'a> {
    table: &'t mut Table<'a>,
    file: &'t Path,
    kind: Type,
    data_files: Vec<PathBuf>,
}

impl Reading<'_, '_> {
    fn check(mut self) -> CheckSpec {
        let (mut exec, mut combined) = (None, None);
        let (check, port) = match self.kind {
            Type::Http | Type::Https | Type::Http2 => self.http(),
            Type::Tcp => (self.tcp(), self.table.required("port", &PORT)),
            Type::Tls => (self.tls(), Some(self.table.or("port", HTTPS_PORT_DEFAULT, &PORT))),
            Type::File => (self.state_file(), Some(0)),
            Type::All | Type::Any | Type::AtLeast => {
                let at_least = match self.kind {
                    Type::All => AtLeast::All,
                    Type::Any => AtLeast::Any,
                    _ => AtLeast::Count(None),
                };
                combined = Some(combined::read(self.table, at_least));
                (None, Some(0))
            }
            Type::Exec => {
                let command = self.command();
                exec = command.as_ref().map(|command| Spotted { value: (), spot: command.spot.clone() });
                let check = command.map(|command| Check::Exec(ExecCheck { command: command.value }));
                (check, Some(self.table.or("port", 0, &PORT)))
            }
            Type::Grpc => self.grpc(),
            Type::Icmp => (Some(Check::Icmp), Some(0)),
            Type::Dns => (dns::read(self.table), Some(self.table.or("port", DNS_PORT_DEFAULT, &PORT))),
            Type::Prometheus => {
                let check = prometheus::read(self.table, self.file, &mut self.data_files);
                (check, Some(self.table.or("port", 0, &PORT)))
            }
        };
        CheckSpec { check, port, combined, exec, data_files: self.data_files }
    }

    fn http(&mut self) -> (Option<Check>, Option<u16>) {
        let over_tls = match self.kind {
            Type::Http => false,
            Type::Http2 => self.table.or("tls", true, &Flag),
            _ => true,
        };
        let tls = if over_tls {
            Some(tls::read(self.table, self.file, &mut self.data_files))
        } else if self.kind == Type::Http {
            // Said already: the type has none of them.
            None
        } else {
            tls::refuse(self.table);
            None
        };
        let version = if self.kind == Type::Http2 { HttpVersion::Http2 } else { HttpVersion::Http1 };
        let port = if over_tls { HTTPS_PORT_DEFAULT } else { HTTP_PORT_DEFAULT };
        let port = self.table.or("port", port, &PORT);
        let method = self.table.or("method", METHOD_DEFAULT.into(), &METHOD);
        let path = self.table.or("path", PATH_DEFAULT.into(), &PATH);
        self.table.default("method", || Some(json!(METHOD_DEFAULT)));
        self.table.default("path", || Some(json!(PATH_DEFAULT)));
        let host = self.table.optional("host", &HOST);
        let redirects = self.table.or("redirects", REDIRECTS_DEFAULT, &REDIRECTS);
        let keep_alive = self.table.or("keep_alive", false, &Flag);
        let max_body = self.table.or("max_body", MAX_BODY_DEFAULT, &MAX_BODY);
        let headers = self.table.or("headers", Vec::new(), &expect::Headers);
        let ExpectSpec { status, body, headers: response_headers, certificate_days } =
            expect::read(self.table, expect::OfHttp { over_tls });
        // The name that is asked for is, unless another is given, the one that is in the request.
        let name = host.as_deref().and_then(name_of);
        let tls = tls.map(|tls| build_tls(tls, name, certificate_days));
        let tls = match tls {
            None => None,
            Some(Some(tls)) => Some(tls),
            // An issue says which file could not be read.
            Some(None) => return (None, Some(port)),
        };
        let check = HttpCheck {
            version,
            tls,
            keep_alive,
            method,
            path,
            host,
            headers,
            redirects,
            max_body,
            status,
            body,
            response_headers,
        };
        (Some(Check::Http(Box::new(check))), Some(port))
    }

    fn grpc(&mut self) -> (Option<Check>, Option<u16>) {
        let over_tls = self.table.or("tls", true, &Flag);
        let tls = if over_tls {
            Some(tls::read(self.table, self.file, &mut self.data_files))
        } else {
            tls::refuse(self.table);
            None
        };
        let port = if over_tls { HTTPS_PORT_DEFAULT } else { HTTP_PORT_DEFAULT };
        let port = self.table.or("port", port, &PORT);
        let host = self.table.optional("host", &HOST);
        let service = self.table.or("service", SERVICE_DEFAULT.into(), &SERVICE);
        self.table.default("service", || Some(json!(SERVICE_DEFAULT)));
        let read = |table: &mut Table<'_>| expect::certificate_days(table, over_tls);
        let days = self.table.or("expect", 0, &Section { header: "[probes.expect]", read });
        let name = host.as_deref().and_then(name_of);
        let tls = match tls.map(|tls| build_tls(tls, name, days)) {
            None => None,
            Some(Some(tls)) => Some(tls),
            // An issue says which file could not be read.
            Some(None) => return (None, Some(port)),
        };
        (Some(Check::Grpc(Box::new(GrpcCheck { tls, host, service }))), Some(port))
    }

    fn tcp(&mut self) -> Option<Check> {
        let send = Octets { what: "a text to send", most: limits::PROBE_TEXT_OCTETS };
        let send = self.table.optional("send", &send);
        let expect = Section { header: "[probes.expect]", read: |table: &mut Table<'_>| expect::text(table) };
        let expect: Option<Option<TextMatch>> = self.table.optional("expect", &expect);
        let max_body = self.table.or("max_body", MAX_BODY_DEFAULT, &MAX_BODY);
        Some(Check::Tcp(TcpCheck { send, expect: expect.flatten(), max_body }))
    }

    fn tls(&mut self) -> Option<Check> {
        let tls = tls::read(self.table, self.file, &mut self.data_files);
        let days = Section {
            header: "[probes.expect]",
            read: |table: &mut Table<'_>| expect::certificate_days(table, true),
        };
        let days = self.table.or("expect", 0, &days);
        build_tls(tls, None, days).map(Check::Tls)
    }

    fn state_file(&mut self) -> Option<Check> {
        let path = FilePath { file: self.file, what: "the path of a state file" };
        let path = self.table.required("file", &path)?;
        Some(Check::File(FileCheck { path: path.into() }))
    }

    fn command(&mut self) -> Option<Spotted<Vec<Box<str>>>> {
        let word = Text {
            what: "a program or an argument",
            characters: limits::PATH_CHARACTERS,
            pattern: Text::FREE,
        };
        let words = List { of: word, what: "words", min: 1, max: limits::COMMAND_WORDS };
        self.table.required("command", &At(words))
    }
}

/// With the name to ask for where the file gives none.
fn build_tls(
    spec: Option<TlsSpec>,
    name: Option<&str>,
    certificate_days: u32,
) -> Option<meridian_model::Tls> {
    let mut tls = spec?.tls;
    tls.sni = tls.sni.or_else(|| name.map(Into::into));
    tls.certificate_days = certificate_days;
    Some(tls)
}

//----------- Texts ----------------------------------------------------------

fn parse_method(text: &str) -> Result<Box<str>, String> {
    let known = ["GET", "HEAD", "POST", "PUT", "OPTIONS"];
    if known.contains(&text) { Ok(text.into()) } else { Err(format!("one of {}", any_of(&known))) }
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

fn parse_service(text: &str) -> Result<Box<str>, String> {
    if text.len() > limits::SERVICE_OCTETS {
        return Err(format!("longer than {} octets", limits::SERVICE_OCTETS));
    }
    if text.chars().any(char::is_control) { Err("with a control character".into()) } else { Ok(text.into()) }
}

/// A host with or without a port (RFC 9110 §7.2).
pub(super) fn parse_host(text: &str) -> Result<Box<str>, String> {
    if text.contains('/') {
        return Err("write the host alone".into());
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("write [{text}]"));
    }
    let (host, port) = split_port(text);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("no port number behind the colon".into());
    }
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok() || is_name(host),
    };
    if known { Ok(text.into()) } else { Err(String::new()) }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Whether a text is a hostname.
pub(super) fn is_name(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_err() && matches!(Hostname::parse(text), Ok(Hostname::Exact(_)))
}

/// The name in a host, if it is one.
fn name_of(host: &str) -> Option<&str> {
    let (host, _) = split_port(host);
    is_name(host).then_some(host)
}
