//! `[server.identity]`, `[server.cookies]`, `[server.client_subnet]`, `[server.rate_limit]`,
//! `[server.tcp]` and `[server.proxy]`: how queries are met, whatever they ask for.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::csv::DataFile;
use crate::findings::{Findings, Spotted};
use crate::geoip::ANY_PREFIX;
use crate::issue::quote;
use crate::kinds::{At, FilePath, Flag, List, Octets, Section, Whole};
use crate::limits;
use crate::reader::Table;
use crate::settings::{Cookies, Identity, Manners, RateLimit};
use crate::streams::{self, StreamsSpec};

/// A network that sends one resolver's queries, as other servers have it.
const IPV4_PREFIX_DEFAULT: u8 = 24;
/// What one site has (RFC 6177 §2).
const IPV6_PREFIX_DEFAULT: u8 = 56;
/// Every other reply over the limit is a truncated one: a resolver that is spoofed comes back over TCP.
const SLIP_DEFAULT: u32 = 2;

const NSID: Octets = Octets { what: "a text", most: limits::NSID_OCTETS };
/// One character string of a TXT record (RFC 1035 §3.3).
const SAYS: Octets = Octets { what: "a text", most: 255 };
const RATE: Whole<u32> = Whole { min: 1, max: limits::RATE_MAX, unit: "replies a second" };

/// All of it as written.
#[derive(Default)]
pub(crate) struct MannersSpec {
    identity: Identity,
    cookies: CookiesSpec,
    trusted: Option<Vec<Spotted<IpNet>>>,
    rate_limit: Option<RateLimitSpec>,
    streams: StreamsSpec,
    proxies: Vec<Spotted<IpNet>>,
}

struct CookiesSpec {
    enabled: bool,
    secret_file: Option<Spotted<PathBuf>>,
}

impl Default for CookiesSpec {
    fn default() -> Self {
        Self { enabled: true, secret_file: None }
    }
}

struct RateLimitSpec {
    limit: RateLimit,
    /// Those that may not be above `per_client`.
    parts: Vec<Spotted<u32>>,
    exempt: Vec<Spotted<IpNet>>,
}

/// Reads the tables below `[server]`.
pub(crate) fn read(server: &mut Table<'_>, file: &Path) -> MannersSpec {
    let identity = |table: &mut Table<'_>| Identity {
        nsid: table.optional("nsid", &NSID),
        version: table.optional("version", &SAYS),
        id: table.optional("id", &SAYS),
    };
    let secret_file = At(FilePath { file, what: "the path of a file" });
    let cookies = |table: &mut Table<'_>| CookiesSpec {
        enabled: table.or("enabled", true, &Flag),
        secret_file: table.optional("secret_file", &secret_file),
    };
    let trusted = List { of: At(ANY_PREFIX), what: "prefixes", min: 0, max: limits::SERVER_PREFIXES };
    let client_subnet = |table: &mut Table<'_>| table.optional("trusted", &trusted);
    let networks = List { of: At(ANY_PREFIX), what: "prefixes", min: 1, max: limits::SERVER_PREFIXES };
    let proxies = |table: &mut Table<'_>| table.required("networks", &networks);
    MannersSpec {
        identity: server.or(
            "identity",
            Identity::default(),
            &Section { header: "[server.identity]", read: identity },
        ),
        cookies: server.or(
            "cookies",
            CookiesSpec::default(),
            &Section { header: "[server.cookies]", read: cookies },
        ),
        trusted: server
            .optional("client_subnet", &Section { header: "[server.client_subnet]", read: client_subnet })
            .flatten(),
        rate_limit: server
            .optional("rate_limit", &Section { header: "[server.rate_limit]", read: read_rate_limit })
            .flatten(),
        streams: streams::read(server),
        proxies: server
            .optional("proxy", &Section { header: "[server.proxy]", read: proxies })
            .flatten()
            .unwrap_or_default(),
    }
}

fn read_rate_limit(table: &mut Table<'_>) -> Option<RateLimitSpec> {
    let exempt = List { of: At(ANY_PREFIX), what: "prefixes", min: 0, max: limits::SERVER_PREFIXES };
    let per_client = table.required("per_client", &RATE);
    let per_name = table.optional("per_name", &At(RATE));
    let errors = table.optional("errors", &At(RATE));
    let slip = table.or("slip", SLIP_DEFAULT, &Whole { min: 0, max: limits::SLIP_MAX, unit: "" });
    let ipv4_prefix = table.or("ipv4_prefix", IPV4_PREFIX_DEFAULT, &Whole { min: 8, max: 32, unit: "bits" });
    let ipv6_prefix =
        table.or("ipv6_prefix", IPV6_PREFIX_DEFAULT, &Whole { min: 16, max: 128, unit: "bits" });
    let exempt = table.or("exempt", Vec::new(), &exempt);
    let per_client = per_client?;
    let limit = RateLimit {
        per_client,
        per_name: per_name.as_ref().map_or(per_client, |rate| rate.value),
        errors: errors.as_ref().map_or(per_client, |rate| rate.value),
        slip,
        ipv4_prefix,
        ipv6_prefix,
        exempt: Vec::new(),
    };
    let parts = per_name.into_iter().chain(errors).collect();
    Some(RateLimitSpec { limit, parts, exempt })
}

impl MannersSpec {
    /// The files that it names.
    pub(crate) fn data_files(&self) -> Option<PathBuf> {
        self.cookies.secret_file.as_ref().map(|named| named.value.clone())
    }

    /// Reads the secrets, and checks that no prefix stands twice.
    pub(crate) fn build(self, findings: &Findings<'_>) -> Manners {
        let Self { identity, cookies, trusted, rate_limit, streams, proxies } = self;
        let cookies = match (cookies.enabled, cookies.secret_file) {
            (true, None) => Cookies::Own,
            (true, Some(named)) => Cookies::Shared(secrets(&named, findings)),
            (false, named) => {
                if let Some(named) = named {
                    findings.warn(&named.spot, "no effect: cookies are not enabled");
                }
                Cookies::Off
            }
        };
        Manners {
            identity,
            cookies,
            subnets_of: trusted.map(|trusted| findings.once(trusted, "prefix")),
            rate_limit: rate_limit.map(|spec| spec.build(findings)),
            streams: streams.build(findings),
            proxies: findings.once(proxies, "prefix"),
        }
    }
}

impl RateLimitSpec {
    fn build(self, findings: &Findings<'_>) -> RateLimit {
        let Self { limit, parts, exempt } = self;
        for part in parts.iter().filter(|part| part.value > limit.per_client) {
            let expected = format_args!("at most {}, as `per_client`", limit.per_client);
            findings.mistake(&part.spot, expected, part.value);
        }
        RateLimit { exempt: findings.once(exempt, "prefix"), ..limit }
    }
}

/// Reads a file of secrets, one a line; never says what stands there.
fn secrets(named: &Spotted<PathBuf>, findings: &Findings<'_>) -> Vec<[u8; 16]> {
    let Some(data) = DataFile::read(named, "a file of secrets that can be read", findings) else {
        return Vec::new();
    };
    let mut all: Vec<[u8; 16]> = Vec::new();
    for line in data.lines() {
        let text = line.start();
        let secret = data_encoding::HEXLOWER_PERMISSIVE.decode(text.text.trim().as_bytes()).ok();
        match secret.and_then(|octets| <[u8; 16]>::try_from(octets).ok()) {
            None => data.mistake(text, "secret", "32 hexadecimal digits", "something else"),
            Some(secret) if all.contains(&secret) => {
                data.mistake(text, "secret", "each secret once", "one that stands above");
            }
            Some(_) if all.len() == limits::COOKIE_SECRETS => {
                let expected = format_args!("at most {} secrets", limits::COOKIE_SECRETS);
                data.mistake(text, "secret", expected, "one more");
                break;
            }
            Some(secret) => all.push(secret),
        }
    }
    if all.is_empty() {
        let found = format_args!("none that can be used in {}", quote(&named.value.display().to_string()));
        findings.mistake(&named.spot, "a file with a secret of 32 hexadecimal digits a line", found);
    }
    all
}
