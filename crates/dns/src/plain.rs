//! The short way through a query: what most of them are, answered without the message library.
//!
//! A question with no more than an OPT record behind it, for a name that is steered to addresses, has static records
//! without names in them, or is not there. Steps 3 to 5 are those of every query; what is done here once more is the
//! reading of the question and the writing of the answer, to the same octets (a fuzz target and the replay files hold
//! them to it). Whatever is not plain is left to the general way, with nothing done but what the limit of replies has
//! counted.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_model::{GatewayId, Https};
use meridian_steering::{Family, Given};

use crate::answer::{Reply, extras, limited, meet};
use crate::asked::{Asked, Spot};
use crate::facts::{Facts, QueryType};
use crate::message::{HEADER_SIZE, Rcode};
use crate::opt::{self, Extras, Space};
use crate::peer::{Moment, Peer, Transport};
use crate::rate::{Kind, Limited};
use crate::reply::{CLASS_IN, Ending, NOT_AUTHORITATIVE, header_octets, size_limit};
use crate::select::{Asker, select};
use crate::steered::{Both, SERVICE_MODE, chosen, disclosed_scope};
use crate::view::View;
use crate::zone::{Apex, Found};

//----------- plain ----------------------------------------------------------

/// Answers a plain query, where its answer is plain too.
///
/// # Errors
/// Where that is not; with what the limit of replies said, if it was asked.
pub(crate) fn plain(
    view: &View,
    asked: &mut Asked,
    packet: &[u8],
    peer: Peer,
    moment: Moment,
    out: &mut Vec<u8>,
) -> Result<Reply, Option<Limited>> {
    let found = view.zones().find(&asked.name, asked.looked, asked.question_type);
    let Some(begin) = packet.get(..asked.question_end).filter(|_| is_plain(&found)) else {
        return Err(None);
    };
    let believes = meet(view, asked.edns.as_mut(), peer);
    if !believes {
        // It was looked for whom nobody speaks for.
        asked.spot = Spot::default();
    }
    let extras = extras(view, asked.edns.as_ref(), peer, moment);
    let kind = || view.zones().encloser(&asked.name).map_or(Kind::Error, Kind::About);
    match limited(view, peer, moment, extras.checked, kind) {
        Limited::Dropped => {
            out.clear();
            Ok(Reply::Dropped)
        }
        limited => {
            out.clear();
            out.extend_from_slice(begin);
            let mut answering = Answering { view, asked, peer, moment, out };
            let slips = limited == Limited::Slips;
            let reply = if slips { answering.slip(&extras) } else { answering.all(&found, &extras) };
            reply.ok_or(Some(limited))
        }
    }
}

fn is_plain(found: &Found<'_>) -> bool {
    match found {
        Found::NotOurs | Found::NoName { .. } | Found::NoData { .. } | Found::Steered { .. } => true,
        Found::Static { set, .. } => set.encoded.is_some(),
        _ => false,
    }
}

//----------- Answering ------------------------------------------------------

struct Answering<'a> {
    view: &'a View,
    asked: &'a Asked,
    peer: Peer,
    moment: Moment,
    out: &'a mut Vec<u8>,
}

/// What the sections have, and how it ends.
struct Written {
    rcode: Rcode,
    answers: u16,
    authorities: u16,
    ending: Ending,
}

impl Answering<'_> {
    /// Behind the question. `None` where the answer is not plain after all, or does not fit.
    fn all(&mut self, found: &Found<'_>, extras: &Extras<'_>) -> Option<Reply> {
        let written = match found {
            Found::NotOurs => Written {
                rcode: Rcode::Refused,
                answers: 0,
                authorities: 0,
                ending: Ending { error: Some(NOT_AUTHORITATIVE), ..Ending::default() },
            },
            Found::NoName { zone } => self.denied(Rcode::NxDomain, zone)?,
            Found::NoData { zone } => self.denied(Rcode::NoError, zone)?,
            Found::Static { set, .. } => {
                let (answers, records) = set.encoded.as_ref()?;
                self.out.extend_from_slice(records);
                answered(*answers, Ending::default())
            }
            Found::Steered { gateway, .. } => self.steered(*gateway)?,
            _ => return None,
        };
        let tailored = written.ending.tailored || extras.checked.is_some();
        let rcode = written.rcode;
        self.finish(&written, extras, false)?;
        let facts = self.facts(&written, extras);
        Some(Reply::Sent { rcode, truncated: false, slipped: false, denied: None, tailored, facts })
    }

    /// In place of one reply too many: as the general way has it.
    fn slip(&mut self, extras: &Extras<'_>) -> Option<Reply> {
        let rcode = extras.slipped();
        let truncated = rcode == Rcode::NoError;
        let written = Written { rcode, answers: 0, authorities: 0, ending: Ending::default() };
        self.finish(&written, extras, truncated)?;
        let facts = self.facts(&written, extras);
        Some(Reply::Sent { rcode, truncated, slipped: true, denied: None, tailored: true, facts })
    }

    /// Adds the OPT record and the header; `None` where that does not fit.
    fn finish(&mut self, written: &Written, extras: &Extras<'_>, truncated: bool) -> Option<()> {
        let Asked { header, edns, .. } = self.asked;
        let limit = size_limit(edns.as_ref(), self.peer.transport == Transport::Udp);
        if self.out.len() > usize::from(limit.saturating_sub(opt::size(edns.as_ref(), extras))) {
            return None;
        }
        let Written { rcode, answers, authorities, ending } = written;
        if let Some(edns) = edns {
            let space = Space { before: self.out.len(), behind: 0, limit };
            opt::write(edns, extras, *rcode, ending, space, self.out);
        }
        let counts = [1, *answers, *authorities, u16::from(edns.is_some())];
        let head = header_octets(*header, *rcode, ending.authoritative, truncated, counts);
        self.out.get_mut(..HEADER_SIZE)?.copy_from_slice(&head);
        Some(())
    }

    #[inline]
    fn facts(&self, written: &Written, extras: &Extras<'_>) -> Facts {
        let Asked { question_type, edns, .. } = self.asked;
        let asked = QueryType::of((*question_type).into());
        let Written { rcode, answers, ending, .. } = written;
        ending.facts(asked, *rcode, *answers == 0, edns.as_ref(), extras)
    }

    /// RFC 2308 §3.
    fn denied(&mut self, rcode: Rcode, zone: &Apex) -> Option<Written> {
        let name = &self.asked.name;
        let below = name.label_count().checked_sub(zone.labels)?;
        let longer = name.ancestor(0).len() - name.ancestor(below).len();
        zone.denial.write(longer, zone.negative_ttl, self.view.serial(zone)?, self.out);
        Some(Written { rcode, answers: 0, authorities: 1, ending: answered(0, Ending::default()).ending })
    }

    fn steered(&mut self, gateway: GatewayId) -> Option<Written> {
        let edns = self.asked.edns.as_ref();
        let mut asker = Asker::new(edns, &self.peer, self.moment.random);
        asker.spot = self.asked.spot;
        let family = match self.asked.question_type {
            RecordType::A => Family::V4,
            RecordType::AAAA => Family::V6,
            RecordType::HTTPS => return self.https(gateway, asker),
            _ => return None,
        };
        let mut addresses = Given::new();
        let selected = select(self.view, gateway, family, &asker, &mut addresses)?;
        if selected.picked.cname.is_some() || addresses.is_empty() {
            return None;
        }
        for address in &addresses {
            push_address(self.out, selected.ttl, *address);
        }
        let scope = disclosed_scope(edns, selected.scope);
        let chosen = Some(chosen(self.view, gateway, &selected, asker.client));
        let ending = Ending { scope, tailored: true, chosen, ..Ending::default() };
        Some(answered(u16::try_from(addresses.len()).ok()?, ending))
    }

    /// RFC 9460 §2.2.
    fn https(&mut self, gateway: GatewayId, asker: Asker) -> Option<Written> {
        let https = self.view.ground().catalog().gateway(gateway).https.as_ref()?;
        let (mut v4, mut v6) = (Given::new(), Given::new());
        let both = Both::select(self.view, gateway, asker, &mut v4, &mut v6)?;
        if both.cname().is_some() || v4.is_empty() && v6.is_empty() {
            return None;
        }
        let parameters = parameters(https, &v4, &v6)?;
        let [high, low] = SERVICE_MODE.to_be_bytes();
        push_record(self.out, RecordType::HTTPS.into(), both.ttl(), &[&[high, low, 0], &parameters])?;
        let scope = disclosed_scope(self.asked.edns.as_ref(), both.scope());
        let chosen = Some(chosen(self.view, gateway, both.one(), asker.client));
        Some(answered(1, Ending { scope, tailored: true, chosen, ..Ending::default() }))
    }
}

fn answered(answers: u16, ending: Ending) -> Written {
    let ending = Ending { authoritative: true, ..ending };
    Written { rcode: Rcode::NoError, answers, authorities: 0, ending }
}

//----------- Records --------------------------------------------------------

/// Where a question's name begins.
const POINTER_TO_QUESTION: u16 = 0xc000 | HEADER_SIZE as u16;

/// Appends a record at the name of the question, its data in parts; `None` where they are over 65,535 octets.
pub(crate) fn push_record(out: &mut Vec<u8>, record_type: u16, ttl: u32, data: &[&[u8]]) -> Option<()> {
    let length = u16::try_from(data.iter().map(|part| part.len()).sum::<usize>()).ok()?;
    out.extend_from_slice(&fixed(record_type, ttl, length));
    data.iter().for_each(|part| out.extend_from_slice(part));
    Some(())
}

/// The same for an address.
fn push_address(out: &mut Vec<u8>, ttl: u32, address: IpAddr) {
    match address {
        IpAddr::V4(ip) => {
            let mut record = [0; FIXED + 4];
            record[..FIXED].copy_from_slice(&fixed(RecordType::A.into(), ttl, 4));
            record[FIXED..].copy_from_slice(&ip.octets());
            out.extend_from_slice(&record);
        }
        IpAddr::V6(ip) => {
            let mut record = [0; FIXED + 16];
            record[..FIXED].copy_from_slice(&fixed(RecordType::AAAA.into(), ttl, 16));
            record[FIXED..].copy_from_slice(&ip.octets());
            out.extend_from_slice(&record);
        }
    }
}

/// The octets of what stands before a record's data.
const FIXED: usize = 12;

/// The name of the question, type, class, TTL and the length of the data (RFC 1035 §4.1.3).
fn fixed(record_type: u16, ttl: u32, length: u16) -> [u8; FIXED] {
    let mut fixed = [0; FIXED];
    fixed[..2].copy_from_slice(&POINTER_TO_QUESTION.to_be_bytes());
    fixed[2..4].copy_from_slice(&record_type.to_be_bytes());
    fixed[4..6].copy_from_slice(&CLASS_IN.to_be_bytes());
    fixed[6..10].copy_from_slice(&ttl.to_be_bytes());
    fixed[10..].copy_from_slice(&length.to_be_bytes());
    fixed
}

/// The parameters of an HTTPS record, in the order of their keys.
fn parameters(https: &Https, v4: &Given, v6: &Given) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    let mut key = |number: u16, value: &mut dyn FnMut(&mut Vec<u8>)| {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        let start = out.len();
        value(&mut out);
        let length = u16::try_from(out.len() - start).ok()?;
        out.get_mut(start - 2..start)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    };
    if !https.alpn.is_empty() {
        key(1, &mut |out| {
            for id in &https.alpn {
                // `config` has them of 1 to 255 octets.
                out.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(id.as_bytes());
            }
        })?;
    }
    if let Some(port) = https.port {
        key(3, &mut |out| out.extend_from_slice(&port.to_be_bytes()))?;
    }
    if !v4.is_empty() {
        key(4, &mut |out| addresses(v4, out))?;
    }
    if let Some(ech) = &https.ech {
        key(5, &mut |out| out.extend_from_slice(ech))?;
    }
    if !v6.is_empty() {
        key(6, &mut |out| addresses(v6, out))?;
    }
    Some(out)
}

fn addresses(of: &Given, out: &mut Vec<u8>) {
    for address in of {
        match address {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
}
