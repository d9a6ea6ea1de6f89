//! `[resolver]`: who resolves the hostnames of endpoints.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::findings::{Findings, Spotted};
use crate::forms;
use crate::geoip::parse_prefix;
use crate::kinds::{At, List, Parsed, Section, Span};
use crate::limits;
use crate::reader::{Kind, Table};
use crate::settings::Resolver;

/// Long enough for a recursive lookup, short beside any `stale_for`.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// A load balancer's TTL of 0 must not become a lookup without pause.
const MIN_TTL_DEFAULT: Duration = Duration::from_secs(5);

const SERVER: Parsed<SocketAddr> = Parsed {
    what: "the address of a resolver, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"",
    pattern: forms::SERVER,
    parse: parse_server,
};

const ALLOW: Parsed<IpNet> = Parsed {
    what: "a prefix, such as \"127.0.0.0/8\" or \"fe80::/10\"",
    pattern: forms::PREFIX,
    parse: parse_prefix,
};

/// `[resolver]` as written.
#[derive(Default)]
pub(crate) struct ResolverSpec {
    servers: Vec<Spotted<SocketAddr>>,
    timeout: Option<Duration>,
    min_ttl: Option<Duration>,
    allow: Vec<Spotted<IpNet>>,
}

/// Reads `[resolver]`.
pub(crate) fn read(root: &mut Table<'_>) -> ResolverSpec {
    let servers = List { of: At(SERVER), what: "addresses", min: 0, max: limits::RESOLVERS };
    let allow = List { of: At(ALLOW), what: "prefixes", min: 0, max: limits::RESOLVER_ALLOW };
    let timeout = Span { min: limits::RESOLVER_TIMEOUT_MIN, max: limits::RESOLVER_TIMEOUT_MAX };
    let min_ttl = Span { min: limits::RESOLVER_MIN_TTL_MIN, max: limits::RESOLVER_MIN_TTL_MAX };
    let read = |table: &mut Table<'_>| {
        let spec = ResolverSpec {
            servers: table.or("servers", Vec::new(), &servers),
            timeout: table.optional("timeout", &timeout),
            min_ttl: table.optional("min_ttl", &min_ttl),
            allow: table.or("allow", Vec::new(), &allow),
        };
        table.default("timeout", || timeout.written(&TIMEOUT_DEFAULT));
        table.default("min_ttl", || min_ttl.written(&MIN_TTL_DEFAULT));
        spec
    };
    root.or("resolver", ResolverSpec::default(), &Section { header: "[resolver]", read })
}

/// An address with or without a port, that something can listen on.
pub(crate) fn parse_server(text: &str) -> Result<SocketAddr, String> {
    const PORT_DEFAULT: u16 = 53;
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT_DEFAULT));
    let server: SocketAddr = bare.or_else(|_| text.parse()).map_err(|_| String::new())?;
    let reason = match server.ip() {
        ip if ip.is_unspecified() => "the unspecified address",
        ip if ip.is_multicast() => "a multicast address",
        _ if server.port() == 0 => "port 0",
        _ => return Ok(server),
    };
    Err(reason.into())
}

/// Builds the section and checks that no server and no prefix stands twice.
pub(crate) fn build(spec: ResolverSpec, findings: &Findings<'_>) -> Resolver {
    let ResolverSpec { servers, timeout, min_ttl, allow } = spec;
    Resolver {
        servers: findings.once(servers, "resolver"),
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
        min_ttl: min_ttl.unwrap_or(MIN_TTL_DEFAULT),
        allow: findings.once(allow, "prefix"),
    }
}
