//! How a server meets queries, whatever they ask for.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::certificate::Certificate;
use crate::cookie::CookieSecrets;
use crate::rate::{Limiter, RateLimit};
use crate::series::AnswerLabels;
use crate::tsig::TsigKey;

/// What enters a server's answers and is no zone: what it says of itself, its secrets, whom it trusts, and how
/// much it sends. The default says nothing, has no cookies, trusts everybody, and has no limit.
#[derive(Debug, Default)]
pub struct Manners {
    /// What NSID says of this server (RFC 5001), to who asks; `None`: nothing.
    pub nsid: Option<Box<[u8]>>,
    /// What `version.bind` and `version.server` say, at most 255 octets; `None`: REFUSED.
    pub version: Option<Box<[u8]>>,
    /// What `id.server` and `hostname.bind` say (RFC 4892), at most 255 octets; `None`: REFUSED.
    pub id: Option<Box<[u8]>>,
    /// What cookies are made with; `None`: the option is one that we do not know.
    pub cookies: Option<CookieSecrets>,
    /// Whose client subnets are believed (RFC 7871 §11.1); `None`: everybody's.
    pub subnets_of: Option<Vec<IpNet>>,
    /// The secrets that messages are signed with (RFC 8945), none twice.
    pub keys: Vec<TsigKey>,
    /// The load balancers that say who a client is (PROXY protocol), and have to.
    pub proxies: Vec<IpNet>,
    /// The bounds of connections.
    pub streams: Streams,
    /// What the encrypted transports show; `None`: no handshake succeeds.
    pub certificate: Option<Certificate>,
    /// The path of DoH's URI.
    pub doh_path: Box<str>,
    /// What answers are counted by; by nothing: they are not counted.
    pub answers_by: AnswerLabels,
    limiter: Option<Limiter>,
}

impl Manners {
    /// With a limit of replies over UDP.
    #[must_use]
    pub fn limited(self, limit: RateLimit) -> Self {
        Self { limiter: Some(Limiter::new(limit)), ..self }
    }

    /// The limit of replies over UDP, if there is one.
    #[must_use]
    pub fn rate_limit(&self) -> Option<&RateLimit> {
        self.limiter.as_ref().map(Limiter::limit)
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_ref()
    }

    /// Whether an address is a load balancer's that says who its clients are.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(&address))
    }

    /// Whether a resolver's word for where its client is counts.
    pub(crate) fn believes(&self, resolver: IpAddr) -> bool {
        self.subnets_of.as_ref().is_none_or(|trusted| trusted.iter().any(|net| net.contains(&resolver)))
    }
}

/// The bounds of connections, on all transports together.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// How many at once; then the longest idle makes room.
    pub connections: usize,
    /// How many of one client at once: an IPv4 address or an IPv6 /64; then its longest idle makes room.
    pub per_client: usize,
    /// How long one lasts after its last query.
    pub idle: Duration,
    /// How long one lasts, however busy.
    pub lifetime: Duration,
}

impl Default for Streams {
    /// What RFC 9210 §4 begins with.
    fn default() -> Self {
        Self {
            connections: 150,
            per_client: 25,
            idle: Duration::from_secs(10),
            lifetime: Duration::from_secs(120),
        }
    }
}
