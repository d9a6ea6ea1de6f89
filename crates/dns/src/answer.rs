//! From octets to octets: the one way that every query is answered.

use std::net::IpAddr;

use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{Name, RData, RecordType};

use crate::limits::CNAME_DEPTH;
use crate::message::{Query, Rcode, Received, receive};
use crate::name::QueryName;
use crate::reply::{CLASS_IN, Ending, ExtendedError, Section, Writer, header_only};
use crate::view::View;
use crate::zone::{Apex, Found, RrSet};

//----------- answer ---------------------------------------------------------

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
    /// Seconds since 1970, for the age of cookies; they wrap in 2106 (RFC 9018 §4.3).
    pub unix_s: u32,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is sent.
    None,
    /// The octets in `out` are sent.
    Sent {
        /// The response code in them.
        rcode: Rcode,
        /// Whether TC is set.
        truncated: bool,
        /// Whether residency kept addresses from the client.
        denied: Option<Denied>,
    },
}

/// How residency left a client without an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No cluster may serve it (Extended DNS Error 18).
    Prohibited,
    /// Some may and cannot; others could (Extended DNS Error 17).
    Filtered,
}

/// Answers one packet from one view, into `out`, which is emptied first.
///
/// Total: every input gives a result. The same view, packet, peer and moment give the same octets.
pub fn answer(view: &View, packet: &[u8], peer: Peer, moment: Moment, out: &mut Vec<u8>) -> Reply {
    match receive(packet) {
        Received::Ignore => {
            out.clear();
            Reply::None
        }
        Received::HeaderOnly(header, rcode) => {
            header_only(header, rcode, out);
            Reply::Sent { rcode, truncated: false, denied: None }
        }
        Received::Query(query) => {
            let writer = Writer::new(&query, peer.transport == Transport::Udp, out);
            let mut answering = Answering { view, query: &query, peer, moment, writer };
            let (rcode, ending) = answering.all();
            let truncated = answering.writer.finish(rcode, &ending);
            Reply::Sent { rcode, truncated, denied: ending.denied }
        }
    }
}

//----------- Answering ------------------------------------------------------

/// AXFR and IXFR (RFC 5936, RFC 1995).
const TRANSFERS: [u16; 2] = [251, 252];
/// How long the answer to a question for all types may be kept, in seconds (RFC 8482 §4.2).
const ANY_TTL: u32 = 3600;

/// RFC 8914 §4.21.
const NOT_AUTHORITATIVE: ExtendedError = ExtendedError { code: 20, text: "" };

/// One answer under way.
pub(crate) struct Answering<'a> {
    pub(crate) view: &'a View,
    pub(crate) query: &'a Query,
    pub(crate) peer: Peer,
    pub(crate) moment: Moment,
    pub(crate) writer: Writer<'a>,
}

pub(crate) type Ended = (Rcode, Ending);

impl<'a> Answering<'a> {
    fn all(&mut self) -> Ended {
        if let Some(fault) = self.query.fault {
            return (fault, Ending::default());
        }
        if TRANSFERS.contains(&self.query.question_type) {
            // RFC 5936 §4.2: AXFR over UDP is not defined.
            let udp = self.peer.transport == Transport::Udp && self.query.question_type == TRANSFERS[1];
            return (if udp { Rcode::FormErr } else { Rcode::Refused }, Ending::default());
        }
        if self.query.class != CLASS_IN {
            return (Rcode::Refused, Ending::default());
        }
        self.chain()
    }

    /// Follows aliases from the asked name to the end of the chain (RFC 1034 §4.3.2).
    fn chain(&mut self) -> Ended {
        let question_type = RecordType::from(self.query.question_type);
        let mut name = self.query.name.clone();
        let mut owner = self.query.name_as_asked.clone();
        let mut passed: Vec<Name> = Vec::new();
        while passed.len() <= CNAME_DEPTH && !passed.contains(&owner) {
            let found = self.view.zones().find(&name, question_type);
            let Found::Alias { set } = found else {
                return self.last(found, &owner, passed.len());
            };
            if !self.answer(&owner, set) {
                break;
            }
            let Some(RData::CNAME(target)) = set.data.first() else {
                break;
            };
            let Some(next) = QueryName::from_name(&target.0) else {
                break;
            };
            name = next;
            passed.push(std::mem::replace(&mut owner, target.0.clone()));
        }
        // Too long a chain, a loop, or no room: what is there is true, and there once.
        (Rcode::NoError, authoritative())
    }

    /// Writes what stands at the end of a chain of `depth` aliases.
    fn last(&mut self, found: Found<'_>, owner: &Name, depth: usize) -> Ended {
        match found {
            // The chain leaves our zones; the resolver goes on from there.
            Found::NotOurs if depth > 0 => (Rcode::NoError, authoritative()),
            Found::NotOurs => {
                (Rcode::Refused, Ending { error: Some(NOT_AUTHORITATIVE), ..Ending::default() })
            }
            Found::NoName { zone } => {
                self.negative(zone, owner, zone.negative_ttl);
                // RFC 6604 §3: the rcode of the last name.
                (Rcode::NxDomain, authoritative())
            }
            Found::NoData { zone } => {
                self.negative(zone, owner, zone.negative_ttl);
                (Rcode::NoError, authoritative())
            }
            Found::Static { set } => {
                if self.answer(owner, set) {
                    self.server_addresses(set, Need::Wanted);
                }
                (Rcode::NoError, authoritative())
            }
            Found::AnyType => {
                let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
                let set = RrSet { record_type: RecordType::HINFO, ttl: ANY_TTL, data: vec![data] };
                self.answer(owner, &set);
                (Rcode::NoError, authoritative())
            }
            Found::Delegated { owner_labels, set } => {
                let cut = owner.trim_to(owner_labels);
                if self.writer.set(Section::Authority, &cut, set) {
                    self.server_addresses(set, Need::Below(&cut));
                } else {
                    self.writer.truncate();
                }
                (Rcode::NoError, Ending { authoritative: depth > 0, ..Ending::default() })
            }
            Found::Steered { zone, gateway } => self.steered(zone, gateway, owner),
            Found::Site { zone, gateway, site } => self.site(zone, gateway, site, owner),
            // `chain` follows aliases.
            Found::Alias { .. } => (Rcode::ServFail, Ending::default()),
        }
    }

    /// Puts an RRset into the answer, or truncates.
    fn answer(&mut self, owner: &Name, set: &RrSet) -> bool {
        let fits = self.writer.set(Section::Answer, owner, set);
        if !fits {
            self.writer.truncate();
        }
        fits
    }

    /// RFC 2308 §3: the zone's SOA in the authority section.
    pub(crate) fn negative(&mut self, zone: &Apex, owner: &Name, ttl: u32) {
        // Taken from the name in the message where it can be, so that it compresses whatever its case.
        let apex = owner.trim_to(zone.labels);
        let soa = &zone.soa;
        let apex = if zone.name.zone_of(owner) { &apex } else { &zone.name };
        if !self.writer.records(Section::Authority, apex, soa.record_type, ttl, soa.data.iter()) {
            self.writer.truncate();
        }
    }

    /// Adds our addresses of the name servers in an NS RRset.
    fn server_addresses(&mut self, set: &RrSet, need: Need<'_>) {
        for data in &set.data {
            let RData::NS(server) = data else {
                continue;
            };
            for addresses in self.view.zones().addresses(&server.0) {
                let fits = self.writer.set(Section::Additional, &server.0, addresses);
                // RFC 9471 §3.1: a referral without all glue inside the delegated zone is truncated.
                if !fits && matches!(need, Need::Below(cut) if cut.zone_of(&server.0)) {
                    self.writer.truncate();
                }
            }
        }
    }
}

/// How much an address in the additional section matters.
#[derive(Clone, Copy)]
enum Need<'n> {
    /// Saves a query.
    Wanted,
    /// Cannot be had otherwise for a name server within this zone.
    Below(&'n Name),
}

fn authoritative() -> Ending {
    Ending { authoritative: true, ..Ending::default() }
}
