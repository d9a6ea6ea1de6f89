//! How a server meets queries, whatever they ask for.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cookie::CookieSecrets;
use crate::rate::{Limiter, RateLimit};
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

    /// Whether a resolver's word for where its client is counts.
    pub(crate) fn believes(&self, resolver: IpAddr) -> bool {
        self.subnets_of.as_ref().is_none_or(|trusted| trusted.iter().any(|net| net.contains(&resolver)))
    }
}
