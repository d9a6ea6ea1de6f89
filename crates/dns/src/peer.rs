//! Who asks, how, and when.

use std::net::IpAddr;

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other end's address: a resolver as a rule.
    pub address: IpAddr,
    /// What carries the message, which decides the size limit.
    pub transport: Transport,
}

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Replies of at most 1232 octets; where the sender really is is not known.
    Udp,
    /// Replies of at most 65,535 octets, as over all that follow.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484), whatever carries HTTP.
    Https,
    /// DNS over dedicated QUIC connections (RFC 9250).
    Quic,
}

impl Transport {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// Its name, as metrics have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    /// Whether nobody on the way reads the message, so that its length is worth hiding (RFC 7830 §4).
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// What of a moment enters an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Decides between candidates that the policy holds for equal.
    pub random: u64,
    /// Seconds since 1970, for the age of cookies and signatures.
    pub unix_s: u64,
    /// Microseconds of a clock that never goes back, for the rate of replies.
    pub uptime_us: u64,
}
