//! Lookups through recursive resolvers, by hickory-resolver.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use meridian_model::DomainName;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::{Family, Found, Lookup, NotFound};
use crate::limits::{CNAMES_MAX, LOOKUPS_UNDER_WAY_MAX, RESOLV_CONF_EVERY, RESOLVERS_MAX};

#[cfg(test)]
mod tests;

const RESOLV_CONF: &str = "/etc/resolv.conf";

//----------- HickoryLookup --------------------------------------------------

/// Asks recursive resolvers one after the other: over UDP, and over TCP after a truncated answer.
///
/// The first that has an answer counts, also where it says that there is nothing; SERVFAIL, REFUSED,
/// a referral and silence send the question to the next. There is no cache (so that TTLs are seen as
/// they come), no search list and no hosts file.
#[derive(Debug)]
pub struct HickoryLookup {
    resolvers: Resolvers,
    timeout: Duration,
}

/// The resolvers cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HickoryLookupError {
    /// More than [`RESOLVERS_MAX`].
    #[error("expected at most {RESOLVERS_MAX} resolvers, found: {found}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// No query can be sent there.
    #[error("expected the address and port of a resolver, found: {found}")]
    Address {
        /// What was given.
        found: SocketAddr,
    },
}

impl HickoryLookup {
    /// Asks these resolvers, or with none given those of `/etc/resolv.conf` (its first
    /// [`RESOLVERS_MAX`]), which is read at the first lookup and again when it has changed.
    ///
    /// Each resolver has `timeout` to answer.
    ///
    /// # Errors
    /// When there are too many, or an address that nothing can be sent to. A `/etc/resolv.conf` that
    /// cannot be used is no error here: each lookup then fails and says so.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, HickoryLookupError> {
        if servers.len() > RESOLVERS_MAX {
            return Err(HickoryLookupError::TooMany { found: servers.len() });
        }
        let is_usable = |server: &SocketAddr| {
            !server.ip().is_unspecified() && !server.ip().is_multicast() && server.port() != 0
        };
        if let Some(found) = servers.iter().find(|server| !is_usable(server)) {
            return Err(HickoryLookupError::Address { found: *found });
        }
        Ok(Self { resolvers: Resolvers { given: servers.into(), made: Mutex::new(None) }, timeout })
    }

    async fn ask(&self, resolver: &TokioResolver, name: &Name, family: Family) -> Result<Found, NotFound> {
        let record_type = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        match timeout(self.timeout, resolver.lookup(name.clone(), record_type)).await {
            Ok(Ok(lookup)) => found(name, family, lookup.answers()),
            Ok(Err(error)) => Err(not_found(&error, self.timeout)),
            Err(_elapsed) => Err(NotFound::Failed(format!("no answer within {:?}", self.timeout))),
        }
    }
}

impl Lookup for HickoryLookup {
    async fn lookup(&self, name: &DomainName, family: Family) -> Result<Found, NotFound> {
        let failed = |error: &dyn std::fmt::Display| NotFound::Failed(error.to_string());
        let resolvers = self.resolvers.get(self.timeout).map_err(|cause| failed(&cause))?;
        let name = Name::from_ascii(name.to_string()).map_err(|error| failed(&error))?;
        let mut last = NotFound::Failed("no resolver".to_owned());
        for (server, resolver) in &*resolvers {
            match self.ask(resolver, &name, family).await {
                Err(NotFound::Failed(cause)) => last = NotFound::Failed(format!("{server}: {cause}")),
                answer => return answer,
            }
        }
        Err(last)
    }
}

//----------- Resolvers ------------------------------------------------------

/// One hickory resolver a server. One for all would take the first error of any of them for the
/// answer, SERVFAIL included.
#[derive(Debug)]
struct Resolvers {
    /// Empty: those of `/etc/resolv.conf`.
    given: Box<[SocketAddr]>,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    resolvers: Arc<[(SocketAddr, TokioResolver)]>,
    /// What the file held.
    text: Vec<u8>,
    read_at: Instant,
}

impl Resolvers {
    fn get(&self, timeout: Duration) -> Result<Arc<[(SocketAddr, TokioResolver)]>, String> {
        let now = Instant::now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*made
            && (!self.given.is_empty() || now.duration_since(made.read_at) < RESOLV_CONF_EVERY)
        {
            return Ok(Arc::clone(&made.resolvers));
        }
        match self.make(timeout, now, made.take()) {
            Ok(new) => Ok(Arc::clone(&made.insert(new).resolvers)),
            Err(cause) => Err(cause),
        }
    }

    fn make(&self, timeout: Duration, now: Instant, before: Option<Made>) -> Result<Made, String> {
        let (servers, text) = if self.given.is_empty() {
            // A few lines, read at most every RESOLV_CONF_EVERY.
            let text = std::fs::read(RESOLV_CONF).map_err(|error| format!("{RESOLV_CONF}: {error}"))?;
            if let Some(before) = before.filter(|before| before.text == text) {
                return Ok(Made { read_at: now, ..before });
            }
            (servers_of(&text)?, text)
        } else {
            (self.given.to_vec(), Vec::new())
        };
        let resolvers = servers.into_iter().map(|server| Ok((server, resolver(server, timeout)?)));
        let resolvers: Result<Arc<[_]>, NetError> = resolvers.collect();
        Ok(Made { resolvers: resolvers.map_err(|error| error.to_string())?, text, read_at: now })
    }
}

/// The servers that a `resolv.conf` names.
fn servers_of(text: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let (config, _) = parse_resolv_conf(text).map_err(|error| format!("{RESOLV_CONF}: {error}"))?;
    let servers = config.name_servers().iter().take(RESOLVERS_MAX);
    Ok(servers.map(|server| SocketAddr::new(server.ip, 53)).collect())
}

fn resolver(server: SocketAddr, timeout: Duration) -> Result<TokioResolver, NetError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    set(builder.options_mut(), timeout);
    builder.build()
}

fn set(options: &mut ResolverOpts, timeout: Duration) {
    options.timeout = timeout;
    // A query is sent again within its timeout; a whole second attempt would take another.
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    // Over one TCP connection at once: all lookups, each with two queries.
    options.max_active_requests = 2 * LOOKUPS_UNDER_WAY_MAX;
}

//----------- Answers --------------------------------------------------------

/// The addresses at the end of the CNAME chain from `name`, and the least TTL on the way.
fn found(name: &Name, family: Family, answers: &[Record]) -> Result<Found, NotFound> {
    let mut name = name;
    let mut ttl = u32::MAX;
    for _ in 0..=CNAMES_MAX {
        let here: Vec<&Record> = answers.iter().filter(|record| record.name == *name).collect();
        let addresses = here.iter().filter_map(|record| Some((address(&record.data, family)?, record.ttl)));
        let (addresses, ttls): (Vec<IpAddr>, Vec<u32>) = addresses.unzip();
        if let Some(least) = ttls.into_iter().min() {
            return Ok(Found { addresses, ttl: ttl.min(least) });
        }
        let cname = here.iter().find_map(|record| match &record.data {
            RData::CNAME(cname) => Some((&cname.0, record.ttl)),
            _ => None,
        });
        let Some((next, cname_ttl)) = cname else { break };
        name = next;
        ttl = ttl.min(cname_ttl);
    }
    Err(NotFound::Failed("an answer whose CNAME records lead to no address".to_owned()))
}

fn address(data: &RData, family: Family) -> Option<IpAddr> {
    match (data, family) {
        (RData::A(address), Family::V4) => Some(address.0.into()),
        (RData::AAAA(address), Family::V6) => Some(address.0.into()),
        _ => None,
    }
}

fn not_found(error: &NetError, timeout: Duration) -> NotFound {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(no_records)) => no_data(no_records),
        NetError::Dns(DnsError::ResponseCode(code)) => NotFound::Failed(match code {
            ResponseCode::ServFail => "SERVFAIL".to_owned(),
            ResponseCode::Refused => "REFUSED".to_owned(),
            other => other.to_string(),
        }),
        NetError::Timeout => NotFound::Failed(format!("no answer within {timeout:?}")),
        other => NotFound::Failed(other.to_string()),
    }
}

/// NS records without an SOA are a referral, not an answer (RFC 2308 §2.2).
fn no_data(no_records: &NoRecords) -> NotFound {
    match no_records.response_code {
        ResponseCode::NXDomain => NotFound::NoName,
        ResponseCode::NoError if no_records.ns.is_some() && no_records.soa.is_none() => {
            NotFound::Failed("a referral: the server does not resolve for us".to_owned())
        }
        ResponseCode::NoError => NotFound::NoData,
        other => NotFound::Failed(other.to_string()),
    }
}
