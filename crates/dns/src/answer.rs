//! From octets to octets: the one way that every query is answered.

use std::time::Duration;

use hickory_proto::rr::rdata::{CNAME, HINFO, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::asked;
use crate::cookie::Checked;
use crate::edns::Edns;
use crate::facts::{Facts, QueryType};
use crate::limits::CNAME_DEPTH;
use crate::message::{Query, Rcode, Received, receive};
use crate::name::QueryName;
use crate::names::Looked;
use crate::opt::Extras;
use crate::peer::{Moment, Peer, Transport};
use crate::plain::plain;
use crate::rate::{Kind, Limited};
use crate::reply::{CLASS_IN, Ending, NOT_AUTHORITATIVE, Section, Writer, header_only};
use crate::transfer::{self, Asked, TYPE_AXFR, TYPE_IXFR};
use crate::tsig::Signing;
use crate::view::View;
use crate::zone::{Apex, Found, RrSet};

//----------- answer ---------------------------------------------------------

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is sent: it was no query.
    None,
    /// Nothing is sent: there were too many replies to the client's network.
    Dropped,
    /// Nothing is in `out`: the client may have the whole zone that it asks for, message after message.
    Transfer(QueryType),
    /// The octets in `out` are sent.
    Sent {
        /// The response code in them.
        rcode: Rcode,
        /// Whether TC is set.
        truncated: bool,
        /// Whether it is what is sent in place of one reply too many.
        slipped: bool,
        /// Whether residency kept addresses from the client.
        denied: Option<Denied>,
        /// Whether it is this client's alone, so that nobody may hand it to another: it was steered, or has a
        /// cookie or a signature in it.
        tailored: bool,
        /// What is counted of the query beside.
        facts: Facts,
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
/// Total: every input gives a result. The same view, packet, peer and moment give the same octets; over UDP
/// there may be a limit of replies, which counts.
pub fn answer(view: &View, packet: &[u8], peer: Peer, moment: Moment, out: &mut Vec<u8>) -> Reply {
    let mut asked = asked::Asked::nothing();
    let is_plain = asked.read(packet).is_some();
    answer_asked(view, is_plain.then_some(&mut asked), packet, peer, moment, out)
}

/// The same for a packet that was read, where it is plain.
pub(crate) fn answer_asked(
    view: &View,
    asked: Option<&mut asked::Asked>,
    packet: &[u8],
    peer: Peer,
    moment: Moment,
    out: &mut Vec<u8>,
) -> Reply {
    match asked.map_or(Err(None), |asked| plain(view, asked, packet, peer, moment, out)) {
        Ok(reply) => reply,
        Err(known) => general(view, packet, peer, moment, known, out),
    }
}

/// As [`answer`], without the short way that most queries go. Only for tests that hold the one to the other.
#[doc(hidden)]
pub fn answer_generally(view: &View, packet: &[u8], peer: Peer, moment: Moment, out: &mut Vec<u8>) -> Reply {
    general(view, packet, peer, moment, None, out)
}

/// Answers whatever comes. `known`: what the limit of replies has said of this one, if it was asked.
fn general(
    view: &View,
    packet: &[u8],
    peer: Peer,
    moment: Moment,
    known: Option<Limited>,
    out: &mut Vec<u8>,
) -> Reply {
    match receive(packet) {
        Received::Ignore => {
            out.clear();
            Reply::None
        }
        Received::HeaderOnly(header, rcode) => {
            let limited = limited(view, peer, moment, None, || Kind::Error);
            header_only(header, rcode, out);
            sent_unless(limited, rcode, Facts::default())
        }
        Received::CookieOnly(header, edns) => {
            let extras = extras(view, Some(&edns), peer, moment);
            let writer = Writer::bare(header, Some(edns), peer.transport == Transport::Udp, extras, out);
            writer.finish(Rcode::NoError, &Ending::default());
            let limited = limited(view, peer, moment, extras.checked, || Kind::Error);
            let facts = Facts::new(QueryType::default(), Some(&edns), extras.checked, 0);
            sent_unless(limited, Rcode::NoError, facts)
        }
        Received::Query(query, signature) => {
            let keys = &view.ground().manners().keys;
            let signing = signature.as_ref().map(|signature| signature.check(keys, packet, moment.unix_s));
            reply_to(view, packet, *query, signing, (peer, moment, known), out)
        }
    }
}

/// Answers a question; `signing` is what became of its signature.
fn reply_to(
    view: &View,
    packet: &[u8],
    mut query: Query,
    signing: Option<Result<Signing<'_>, ()>>,
    (peer, moment, known): (Peer, Moment, Option<Limited>),
    out: &mut Vec<u8>,
) -> Reply {
    match &signing {
        Some(Err(())) => query.fault = Some(Rcode::FormErr),
        // RFC 8945 §5.2: nothing of a message counts that is not from whom it says.
        Some(Ok(signing)) if signing.wrong.is_some() => query.fault = Some(Rcode::NotAuth),
        _ => {}
    }
    meet(view, query.edns.as_mut(), peer);
    let mut extras = extras(view, query.edns.as_ref(), peer, moment);
    extras.signing = signing.and_then(Result::ok);
    let asked = match query.question_type {
        TYPE_AXFR | TYPE_IXFR if query.fault.is_none() && query.class == CLASS_IN => {
            Some(transfer::asked(view, &query, packet, peer, extras.signing.as_ref()))
        }
        _ => None,
    };
    if let Some(Asked::Granted) = asked {
        return Reply::Transfer(QueryType::of(query.question_type));
    }
    let limited = known.unwrap_or_else(|| limited(view, peer, moment, extras.checked, || kind(view, &query)));
    // What is not sent is not written either: a flood is to cost little.
    if limited == Limited::Dropped {
        out.clear();
        return Reply::Dropped;
    }
    let writer = Writer::new(&query, peer.transport == Transport::Udp, extras, out);
    // What is wrong with a query is said in no more octets than that it is to come again.
    if limited == Limited::Slips && query.fault.is_none() {
        return slip(writer, extras, query.question_type);
    }
    let mut answering = Answering { view, query: &query, peer, moment, writer };
    let (rcode, ending) = match asked {
        Some(asked) => answering.transfer(&asked),
        None => answering.all(),
    };
    let facts = answering.writer.facts(query.question_type, rcode, &ending);
    let truncated = answering.writer.finish(rcode, &ending);
    let tailored = ending.tailored || extras.checked.is_some() || extras.signing.is_some();
    let slipped = limited == Limited::Slips;
    Reply::Sent { rcode, truncated, slipped, denied: ending.denied, tailored, facts }
}

/// Whether the word of its sender counts for what an OPT record says of a subnet; where it does not, that is made to
/// count for nothing.
pub(crate) fn meet(view: &View, edns: Option<&mut Edns>, peer: Peer) -> bool {
    let Some(subnet) = edns.and_then(|edns| edns.subnet.as_mut()) else { return true };
    let believes = view.ground().manners().believes(peer.address);
    if !believes {
        *subnet = subnet.disbelieved();
    }
    believes
}

/// Whether there are too many replies to a client. Over anything but UDP, and with a cookie of ours, it has
/// shown that it asks itself.
#[inline]
pub(crate) fn limited<'q>(
    view: &View,
    peer: Peer,
    moment: Moment,
    cookie: Option<Checked>,
    kind: impl FnOnce() -> Kind<'q>,
) -> Limited {
    let asks_itself = peer.transport != Transport::Udp || cookie.is_some_and(|cookie| cookie.valid);
    match view.ground().manners().limiter() {
        Some(limiter) if !asks_itself => limiter.take(peer.address, kind(), moment.uptime_us, moment.random),
        _ => Limited::No,
    }
}

fn kind<'q>(view: &View, query: &'q Query) -> Kind<'q> {
    let is_error = query.fault.is_some() || query.class != CLASS_IN;
    let name = view.zones().encloser(&query.name).filter(|_| !is_error);
    name.map_or(Kind::Error, Kind::About)
}

/// A reply that has nothing to truncate: it goes, or does not.
fn sent_unless(limited: Limited, rcode: Rcode, facts: Facts) -> Reply {
    match limited {
        Limited::Dropped => Reply::Dropped,
        _ => Reply::Sent {
            rcode,
            truncated: false,
            slipped: limited == Limited::Slips,
            denied: None,
            tailored: true,
            facts,
        },
    }
}

/// In place of one reply too many: a cookie for who may use one (RFC 7873 §5.2.3), else TC.
fn slip(mut writer: Writer<'_>, extras: Extras<'_>, question_type: u16) -> Reply {
    let rcode = extras.slipped();
    if rcode == Rcode::NoError {
        writer.truncate();
    }
    let facts = writer.facts(question_type, rcode, &Ending::default());
    let truncated = writer.finish(rcode, &Ending::default());
    Reply::Sent { rcode, truncated, slipped: true, denied: None, tailored: true, facts }
}

/// What goes into the reply's OPT record beside what an answer says: what the query's asks for, of what there is.
pub(crate) fn extras<'v>(view: &'v View, edns: Option<&Edns>, peer: Peer, moment: Moment) -> Extras<'v> {
    let Some(edns) = edns.filter(|edns| edns.wants_extras()) else { return Extras::default() };
    let manners = view.ground().manners();
    let checked = edns.cookie.as_ref().zip(manners.cookies.as_ref());
    let checked = checked.map(|(cookie, secrets)| secrets.check(cookie, peer.address, moment.unix_s));
    let is_stream = matches!(peer.transport, Transport::Tcp | Transport::Tls);
    Extras {
        checked,
        nsid: manners.nsid.as_deref().filter(|_| edns.nsid),
        keepalive: (edns.keepalive && is_stream).then(|| tenths(manners.streams.idle)),
        padded: edns.padding && peer.transport.is_encrypted(),
        signing: None,
    }
}

//----------- Answering ------------------------------------------------------

/// How long the answer to a question for all types may be kept, in seconds (RFC 8482 §4.2).
const ANY_TTL: u32 = 3600;

/// Class CH.
const CLASS_CHAOS: u16 = 3;

/// How long a connection may idle, for a client that asks (RFC 7828 §3.1). Longer than an hour and three quarters is
/// as long as can be said.
fn tenths(time: Duration) -> u16 {
    u16::try_from(time.as_millis() / 100).unwrap_or(u16::MAX)
}

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
        if self.query.class == CLASS_CHAOS {
            return self.chaos();
        }
        if self.query.class != CLASS_IN {
            return (Rcode::Refused, Ending::default());
        }
        self.chain()
    }

    /// A transfer that does not go out as one.
    fn transfer(&mut self, asked: &Asked) -> Ended {
        match *asked {
            Asked::Not(rcode, error) => (rcode, Ending { error, ..Ending::default() }),
            Asked::Soa | Asked::Granted => {
                let Some((_, apex)) = self.view.zones().apex(&self.query.name) else {
                    return (Rcode::ServFail, Ending::default());
                };
                let soa = self.view.soa(apex);
                let owner = &self.query.name_as_asked;
                self.answer(owner, &soa);
                (Rcode::NoError, authoritative())
            }
        }
    }

    /// What the server says of itself (RFC 4892), where it says anything.
    fn chaos(&mut self) -> Ended {
        let manners = self.view.ground().manners();
        let name = self.query.name.ancestor(0);
        let says = match name {
            b"\x07version\x04bind\x00" | b"\x07version\x06server\x00" => manners.version.as_deref(),
            b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => manners.id.as_deref(),
            _ => None,
        };
        let wanted = [RecordType::TXT, RecordType::ANY].map(u16::from);
        let Some(says) = says.filter(|_| wanted.contains(&self.query.question_type)) else {
            return (Rcode::Refused, Ending::default());
        };
        let data = RData::TXT(TXT::from_bytes(vec![says]));
        let set = RrSet::new(RecordType::TXT, 0, vec![data]);
        let owner = &self.query.name_as_asked;
        self.answer(owner, &set);
        (Rcode::NoError, authoritative())
    }

    /// Follows aliases from the asked name to the end of the chain (RFC 1034 §4.3.2, RFC 6672 §3.2).
    fn chain(&mut self) -> Ended {
        let question_type = RecordType::from(self.query.question_type);
        let mut name = self.query.name.clone();
        let mut owner = self.query.name_as_asked.clone();
        let mut passed: Vec<Name> = Vec::new();
        let mut redirecting: Vec<Name> = Vec::new();
        while passed.len() <= CNAME_DEPTH && !passed.contains(&owner) {
            let found = self.view.zones().find(&name, Looked::NOT, question_type);
            let fits = match found {
                Found::Alias { set } => self.answer(&owner, set),
                Found::Redirected { owner_labels, set } => {
                    let redirector = owner.trim_to(owner_labels);
                    // One DNAME may be met more than once, and is in the answer once.
                    let fits = redirecting.contains(&redirector) || self.answer(&redirector, set);
                    redirecting.push(redirector);
                    let Some(target) = found.target(&owner) else {
                        // RFC 6672 §2.2.
                        return (Rcode::YxDomain, authoritative());
                    };
                    // RFC 6672 §3.1: with the DNAME's TTL.
                    let data = vec![RData::CNAME(CNAME(target))];
                    let alias = RrSet::new(RecordType::CNAME, set.ttl, data);
                    // A question for the alias itself has its answer.
                    fits && self.answer(&owner, &alias) && question_type != RecordType::CNAME
                }
                _ => return self.last(found, &owner, passed.len()),
            };
            let Some(target) = found.target(&owner).filter(|_| fits) else {
                break;
            };
            let Some(next) = QueryName::from_name(&target) else {
                break;
            };
            name = next;
            passed.push(std::mem::replace(&mut owner, target));
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
            Found::Static { zone, set } if set.record_type == RecordType::SOA => {
                let soa = self.view.soa(zone);
                self.answer(owner, &soa);
                (Rcode::NoError, authoritative())
            }
            Found::Static { set, .. } => {
                if self.answer(owner, set) {
                    self.server_addresses(set, Need::Wanted);
                }
                (Rcode::NoError, authoritative())
            }
            Found::AnyType => {
                let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
                let set = RrSet::new(RecordType::HINFO, ANY_TTL, vec![data]);
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
            Found::Alias { .. } | Found::Redirected { .. } => (Rcode::ServFail, Ending::default()),
        }
    }

    /// Puts an RRset into the answer, or truncates.
    pub(crate) fn answer(&mut self, owner: &Name, set: &RrSet) -> bool {
        let fits = self.writer.set(Section::Answer, owner, set);
        if !fits {
            self.writer.truncate();
        }
        fits
    }

    /// RFC 2308 §3: the zone's SOA in the authority section.
    pub(crate) fn negative(&mut self, zone: &Apex, owner: &Name, ttl: u32) {
        let name = &self.query.name;
        let asked = *owner == self.query.name_as_asked && name.label_count() >= zone.labels;
        if let Some(serial) = self.view.serial(zone).filter(|_| asked) {
            let longer = name.ancestor(0).len() - name.ancestor(name.label_count() - zone.labels).len();
            if !self.writer.denial(&zone.denial, longer, ttl, serial) {
                self.writer.truncate();
            }
            return;
        }
        // Taken from the name in the message where it can be, so that it compresses whatever its case.
        let apex = owner.trim_to(zone.labels);
        let soa = self.view.soa(zone);
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

pub(crate) fn authoritative() -> Ending {
    Ending { authoritative: true, ..Ending::default() }
}
