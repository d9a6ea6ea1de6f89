//! All of a zone at once (AXFR, RFC 5936), for those who may have it.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};
use meridian_model::{DomainName, Zone, is_newer_serial};

use crate::content::{Steered, name, steered};
use crate::limits::TRANSFER_MESSAGE;
use crate::message::{Header, Query, Rcode, Received, receive};
use crate::opt::Extras;
use crate::peer::{Moment, Peer, Transport};
use crate::reply::{Ending, ExtendedError, NOT_AUTHORITATIVE, Section, Writer};
use crate::tsig::{Signing, TsigKey};
use crate::view::View;
use crate::zone::{RrSet, ZoneTable};

/// AXFR (RFC 5936 §1).
pub(crate) const TYPE_AXFR: u16 = 252;
/// IXFR (RFC 1995).
pub(crate) const TYPE_IXFR: u16 = 251;

//----------- Transferred ----------------------------------------------------

/// What a zone that may be transferred has beside others.
pub(crate) struct Transferred {
    /// Where its serial stands in a view.
    pub(crate) slot: usize,
    zone: DomainName,
    serial: Option<u32>,
    rules: meridian_model::Transfer,
    /// The zone's names, the apex first.
    nodes: Vec<u32>,
    /// What of them is steered, and a hash of all that is not.
    pub(crate) steered: Steered,
}

impl Transferred {
    /// Notes what a zone has, from the numbers of its names; their nodes must be complete.
    pub(crate) fn new(table: &ZoneTable, nodes: Vec<u32>, slot: usize, zone: &Zone) -> Option<Self> {
        let rules = zone.transfer.clone()?;
        let steered = Steered::new(table, &nodes);
        let (zone, serial) = (zone.name.clone(), zone.soa.serial);
        Some(Self { slot, zone, serial, rules, nodes, steered })
    }

    /// As it is in a view where a hash of all in it is this.
    pub(crate) fn content(&self, digest: u64) -> Content {
        Content { zone: self.zone.clone(), digest, serial: self.serial }
    }

    pub(crate) fn rules(&self) -> &meridian_model::Transfer {
        &self.rules
    }

    /// Whether whoever asks, with what signature, may have the zone.
    pub(crate) fn may_have(&self, peer: IpAddr, signing: Option<&Signing<'_>>) -> bool {
        let allowed = self.rules.allow.as_ref();
        let allowed = allowed.is_none_or(|nets| nets.iter().any(|net| net.contains(&peer)));
        let signed =
            |name: &DomainName| signing.and_then(|signing| signing.key).is_some_and(|key| key.is_named(name));
        allowed && (self.rules.keys.is_empty() || self.rules.keys.iter().any(signed))
    }
}

/// A zone that may be transferred, as it is in one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The zone.
    pub zone: DomainName,
    /// A hash of all that a transfer would give, but for the serial: another content has another.
    pub digest: u64,
    /// The serial that the file gives it.
    pub serial: Option<u32>,
}

//----------- Transfer -------------------------------------------------------

/// A transfer under way: message after message, all from one view.
pub(crate) struct Transfer {
    view: Arc<View>,
    query: Query,
    zone: usize,
    step: Step,
    /// The records of the current name that are still to be written, the next one last.
    pending: Vec<(Name, RecordType, u32, RData)>,
    /// How the next message is signed.
    signing: Option<OwnedSigning>,
    first: bool,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Step {
    /// The SOA at the beginning.
    Begin,
    /// The names from this one on.
    Names(usize),
    /// The SOA at the end.
    End,
    Ended,
}

/// A [`Signing`] without what it borrows.
struct OwnedSigning {
    /// Among the keys of the view.
    key: usize,
    /// The MAC before this one: the question's, then that of each message.
    before: Vec<u8>,
}

impl Transfer {
    /// Begins the transfer that a packet asks for and that [`crate::answer`] has found to be allowed.
    pub(crate) fn begin(view: Arc<View>, packet: &[u8], moment: Moment) -> Option<Self> {
        let Received::Query(query, signature) = receive(packet) else { return None };
        let (zone, _) = view.zones().apex(&query.name)?;
        let keys = &view.ground().manners().keys;
        let signing = match &signature {
            None => None,
            Some(signature) => {
                let signing = signature.check(keys, packet, moment.unix_s).ok()?;
                let is_its = |key: &TsigKey| signing.key.is_some_and(|its| std::ptr::eq(its, key));
                Some(OwnedSigning { key: keys.iter().position(is_its)?, before: signing.before().to_vec() })
            }
        };
        let (step, pending, first) = (Step::Begin, Vec::new(), true);
        Some(Self { view, query: *query, zone, step, pending, signing, first })
    }

    /// Writes the next message into `out`; `false` when there is none.
    pub(crate) fn next(&mut self, now_s: u64, out: &mut Vec<u8>) -> bool {
        if matches!(self.step, Step::Ended) && self.pending.is_empty() {
            return false;
        }
        let view = self.view.clone();
        let key = self.signing.as_ref().and_then(|signing| view.ground().manners().keys.get(signing.key));
        let before = self.signing.as_ref().map(|signing| signing.before.clone()).unwrap_or_default();
        let signing = key.map(|key| Signing::of_transfer(key, &before, self.first, now_s));
        let extras = Extras { signing, ..Extras::default() };
        let Header { id, opcode, recursion_desired } = self.query.header;
        let mut writer = if self.first {
            Writer::new(&self.query, false, extras, out)
        } else {
            Writer::bare(Header { id, opcode, recursion_desired }, self.query.edns, false, extras, out)
        };
        while writer.size() < TRANSFER_MESSAGE {
            let Some((owner, record_type, ttl, data)) = self.record(&view) else { break };
            let record = std::iter::once(&data);
            let written = writer.records(Section::Answer, &owner, record_type, ttl, record);
            // One that fits into no message is in no answer either.
            if !written && writer.has_records() {
                self.pending.push((owner, record_type, ttl, data));
                break;
            }
        }
        writer.finish(Rcode::NoError, &Ending { authoritative: true, ..Ending::default() });
        if let (Some(key), Some(signing)) = (key, &mut self.signing) {
            signing.before = key.mac_at_end(out).to_vec();
        }
        self.first = false;
        true
    }

    /// The next record.
    fn record(&mut self, view: &View) -> Option<(Name, RecordType, u32, RData)> {
        let table = view.zones();
        let apex = table.zones.get(self.zone)?;
        while self.pending.is_empty() {
            match self.step {
                Step::Begin | Step::End => {
                    let begins = matches!(self.step, Step::Begin);
                    self.step = if begins { Step::Names(0) } else { Step::Ended };
                    self.push(&apex.name, &view.soa(apex));
                }
                Step::Names(at) => match apex.transferred.as_ref().and_then(|zone| zone.nodes.get(at)) {
                    None => self.step = Step::End,
                    Some(&number) => {
                        self.step = Step::Names(at + 1);
                        let node = table.nodes.get(number as usize);
                        let Some((owner, node)) = name(table, number).zip(node) else { continue };
                        for set in node.sets.iter().filter(|set| set.record_type != RecordType::SOA) {
                            self.push(&owner, set);
                        }
                        for (owner, set) in steered(view, number) {
                            self.push(&owner, &set);
                        }
                    }
                },
                Step::Ended => return None,
            }
        }
        self.pending.pop()
    }

    fn push(&mut self, owner: &Name, set: &RrSet) {
        let records = set.data.iter().map(|data| (owner.clone(), set.record_type, set.ttl, data.clone()));
        self.pending.extend(records);
    }
}

//----------- Asked ----------------------------------------------------------

/// What becomes of a question for a transfer.
pub(crate) enum Asked {
    /// The zone goes out, message after message.
    Granted,
    /// The SOA record alone: there is nothing newer, or the client is to come back over TCP (RFC 1995 §2, §4).
    Soa,
    /// No transfer, and the Extended DNS Error that says why.
    Not(Rcode, Option<ExtendedError>),
}

/// RFC 8914 §4.19.
const PROHIBITED: ExtendedError = ExtendedError { code: 18, text: "" };
/// RFC 8914 §4.22.
const NOT_SUPPORTED: ExtendedError = ExtendedError { code: 21, text: "" };

/// Decides on AXFR and IXFR.
pub(crate) fn asked(
    view: &View,
    query: &Query,
    packet: &[u8],
    peer: Peer,
    signing: Option<&Signing<'_>>,
) -> Asked {
    let incremental = query.question_type == TYPE_IXFR;
    let refused = |error| Asked::Not(Rcode::Refused, Some(error));
    match peer.transport {
        // RFC 5936 §4.2: it is not defined.
        Transport::Udp if !incremental => return Asked::Not(Rcode::FormErr, None),
        // One message each.
        Transport::Https | Transport::Quic => return refused(NOT_SUPPORTED),
        Transport::Udp | Transport::Tcp | Transport::Tls => {}
    }
    let Some((_, apex)) = view.zones().apex(&query.name) else { return refused(NOT_AUTHORITATIVE) };
    let may_have = |zone: &&Transferred| zone.may_have(peer.address, signing);
    if apex.transferred.as_ref().filter(may_have).is_none() {
        return refused(PROHIBITED);
    }
    let has = if incremental { serial_of_client(packet) } else { None };
    let is_current = has.zip(view.serial(apex)).is_some_and(|(has, ours)| !is_newer_serial(ours, has));
    if is_current || peer.transport == Transport::Udp { Asked::Soa } else { Asked::Granted }
}

/// The serial in the authority section of an IXFR question (RFC 1995 §3).
fn serial_of_client(packet: &[u8]) -> Option<u32> {
    let message = Message::from_vec(packet).ok()?;
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}
