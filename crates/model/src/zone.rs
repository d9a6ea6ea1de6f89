//! The static part of a delegated zone.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::DomainName;

/// A zone that is served: its apex, and what in it is not steered.
///
/// The SOA and the apex NS records come from the fields, not from `records`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The apex.
    pub name: DomainName,
    /// The zone's name servers, at least one; the first is the SOA's MNAME (RFC 1035 §3.3.13).
    pub nameservers: Vec<DomainName>,
    /// The SOA's RNAME: the mailbox as a domain name.
    pub hostmaster: DomainName,
    /// The TTL in seconds of the SOA and of the apex NS records.
    pub ttl: u32,
    /// For how many seconds a negative answer may be kept: the SOA's MINIMUM (RFC 2308 §4).
    pub negative_ttl: u32,
    /// The SOA's serial; `None`: made from the zone's content, so that all servers of one
    /// configuration agree.
    pub serial: Option<u32>,
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
