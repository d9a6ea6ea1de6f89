//! The static part of a delegated zone.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::DomainName;

/// A zone that is served: its apex, and what in it is not steered.
///
/// The SOA and the apex NS records stand in their own fields, not among `records`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The apex.
    pub name: DomainName,
    /// The SOA record.
    pub soa: Soa,
    /// The zone's name servers, at least one: the apex NS records.
    pub nameservers: Vec<DomainName>,
    /// The TTL in seconds of the apex NS records.
    pub nameservers_ttl: u32,
    /// All other records, one entry an RRset: no two entries share owner and type.
    pub records: Vec<RecordSet>,
    /// Who may have all of it; `None`: nobody.
    pub transfer: Option<Transfer>,
}

/// Who may have all of a zone's content, and who is told of its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// From which addresses (RFC 5936 §5); `None`: from any.
    pub allow: Option<Vec<IpNet>>,
    /// The names of the keys, one of which must have signed the question (RFC 8945); empty: none needs to.
    pub keys: Vec<DomainName>,
    /// Servers that are told (RFC 1996).
    pub notify: Vec<SocketAddr>,
}

/// The SOA record of a zone (RFC 1035 §3.3.13). All times are in seconds.
///
/// Names are in uncompressed wire form and lower case: a mailbox may have a dot in its first label,
/// which no [`DomainName`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// How long the record may be kept.
    pub ttl: u32,
    /// MNAME: the server that the zone's data come from.
    pub server: Box<[u8]>,
    /// RNAME: the mailbox of who is responsible, as a domain name.
    pub hostmaster: Box<[u8]>,
    /// SERIAL; `None`: made from the zone's content, so that all servers of one configuration agree.
    pub serial: Option<u32>,
    /// REFRESH, at most 2³¹ − 1 as the two that follow.
    pub refresh: u32,
    /// RETRY.
    pub retry: u32,
    /// EXPIRE.
    pub expire: u32,
    /// MINIMUM: how long a negative answer may be kept (RFC 2308 §4).
    pub negative_ttl: u32,
}

/// Whether a serial is newer than another (RFC 1982 §3.2).
#[must_use]
pub fn is_newer_serial(one: u32, other: u32) -> bool {
    (1..1 << 31).contains(&one.wrapping_sub(other))
}

/// The records of one owner and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// The absolute owner name, within the zone; may begin with `*` (RFC 4592).
    pub owner: DomainName,
    /// The RR type's number.
    pub record_type: u16,
    /// Seconds; the same for the whole set (RFC 2181 §5.2).
    pub ttl: u32,
    /// The RDATA of each record in uncompressed wire form (RFC 3597 §4); no two alike, at least one.
    pub data: Vec<Box<[u8]>>,
}
