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

use crate::answer::{Reply, limited, meet};
use crate::edns::Edns;
use crate::message::{HEADER_SIZE, Header, Question, Rcode, Tail};
use crate::name::QueryName;
use crate::names::Guess;
use crate::opt::{self, Extras, Space};
use crate::peer::{Moment, Peer, Transport};
use crate::rate::{Kind, Limited};
use crate::reply::{CLASS_IN, Ending, NOT_AUTHORITATIVE, header_octets, size_limit};
use crate::select::{Asker, select};
use crate::steered::{Both, SERVICE_MODE, disclosed_scope};
use crate::transfer::{TYPE_AXFR, TYPE_IXFR};
use crate::view::View;
use crate::zone::{Apex, Found};

//----------- plain ----------------------------------------------------------

/// Answers a plain query, where its answer is plain too.
///
/// # Errors
/// Where that is not; with what the limit of replies said, if it was asked.
pub(crate) fn plain(
    view: &View,
    mut asked: Asked<'_>,
    peer: Peer,
    moment: Moment,
    out: &mut Vec<u8>,
) -> Result<Reply, Option<Limited>> {
    let found = view.zones().find(asked.name, asked.guess, asked.question_type);
    if !is_plain(&found) {
        return Err(None);
    }
    let extras = meet(view, asked.edns.as_mut(), peer, moment);
    let kind = || view.zones().encloser(asked.name).map_or(Kind::Error, Kind::About);
    match limited(view, peer, moment, extras.checked, kind) {
        Limited::Dropped => {
            out.clear();
            Ok(Reply::Dropped)
        }
        limited => {
            out.clear();
            let mut answering = Answering { view, asked: &asked, peer, moment, out };
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

//----------- Asked ----------------------------------------------------------

/// A plain query.
pub(crate) struct Asked<'p> {
    header: Header,
    /// The header and the question, as they came.
    begin: &'p [u8],
    pub(crate) name: &'p QueryName,
    pub(crate) question_type: RecordType,
    pub(crate) edns: Option<Edns>,
    /// Which name of the table it most likely is.
    pub(crate) guess: Option<Guess>,
}

impl<'p> Asked<'p> {
    /// `None` for any other packet. Its name is read into `name`.
    pub(crate) fn read(packet: &'p [u8], name: &'p mut QueryName) -> Option<Self> {
        let (head, body) = packet.split_first_chunk::<HEADER_SIZE>()?;
        // A query (RFC 1035 §4.1.1), of one question, with one more record at most.
        let [id_high, id_low, flags, _, 0, 1, 0, 0, 0, 0, 0, additional @ 0..=1] = *head else { return None };
        if flags & 0xf8 != 0 {
            return None;
        }
        let (Question { question_type, class, .. }, records) = Question::read(body, name)?;
        let is_transfer = matches!(question_type, TYPE_AXFR | TYPE_IXFR);
        // The root cannot be pointed to.
        if is_transfer || class != CLASS_IN || name.label_count() == 0 {
            return None;
        }
        let mut tail = Tail::default();
        tail.read(packet, records, 0, additional.into()).ok()?;
        let edns = match tail {
            Tail { edns: None, signature: None } => None,
            Tail { edns: Some((edns, None)), signature: None } => Some(edns),
            _ => return None,
        };
        let header = Header {
            id: u16::from_be_bytes([id_high, id_low]),
            opcode: 0,
            recursion_desired: flags & 1 != 0,
        };
        let begin = packet.get(..packet.len() - records.len())?;
        let question_type = RecordType::from(question_type);
        Some(Self { header, begin, name, question_type, edns, guess: None })
    }
}

//----------- Answering ------------------------------------------------------

struct Answering<'a> {
    view: &'a View,
    asked: &'a Asked<'a>,
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
    /// `None` where the answer is not plain after all, or does not fit.
    fn all(&mut self, found: &Found<'_>, extras: &Extras<'_>) -> Option<Reply> {
        self.out.extend_from_slice(self.asked.begin);
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
        Some(Reply::Sent { rcode, truncated: false, slipped: false, denied: None, tailored })
    }

    /// In place of one reply too many: as the general way has it.
    fn slip(&mut self, extras: &Extras<'_>) -> Option<Reply> {
        self.out.extend_from_slice(self.asked.begin);
        let rcode = extras.slipped();
        let truncated = rcode == Rcode::NoError;
        let written = Written { rcode, answers: 0, authorities: 0, ending: Ending::default() };
        self.finish(&written, extras, truncated)?;
        Some(Reply::Sent { rcode, truncated, slipped: true, denied: None, tailored: true })
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

    /// RFC 2308 §3.
    fn denied(&mut self, rcode: Rcode, zone: &Apex) -> Option<Written> {
        let name = self.asked.name;
        let below = name.label_count().checked_sub(zone.labels)?;
        let longer = name.ancestor(0).len() - name.ancestor(below).len();
        zone.denial.write(longer, zone.negative_ttl, self.view.serial(zone)?, self.out);
        Some(Written { rcode, answers: 0, authorities: 1, ending: answered(0, Ending::default()).ending })
    }

    fn steered(&mut self, gateway: GatewayId) -> Option<Written> {
        let edns = self.asked.edns.as_ref();
        let asker = Asker::new(edns, self.peer, self.moment.random);
        let family = match self.asked.question_type {
            RecordType::A => Family::V4,
            RecordType::AAAA => Family::V6,
            RecordType::HTTPS => return self.https(gateway, asker),
            _ => return None,
        };
        let mut addresses = Given::new();
        let selected = select(self.view, gateway, family, asker, &mut addresses)?;
        if selected.picked.cname.is_some() || addresses.is_empty() {
            return None;
        }
        let record_type = self.asked.question_type.into();
        for address in &addresses {
            match address {
                IpAddr::V4(ip) => push_record(self.out, record_type, selected.ttl, &[&ip.octets()])?,
                IpAddr::V6(ip) => push_record(self.out, record_type, selected.ttl, &[&ip.octets()])?,
            }
        }
        let scope = disclosed_scope(edns, selected.scope);
        let ending = Ending { scope, tailored: true, ..Ending::default() };
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
        Some(answered(1, Ending { scope, tailored: true, ..Ending::default() }))
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
    let mut fixed = [0; 12];
    fixed[..2].copy_from_slice(&POINTER_TO_QUESTION.to_be_bytes());
    fixed[2..4].copy_from_slice(&record_type.to_be_bytes());
    fixed[4..6].copy_from_slice(&CLASS_IN.to_be_bytes());
    fixed[6..10].copy_from_slice(&ttl.to_be_bytes());
    fixed[10..].copy_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&fixed);
    data.iter().for_each(|part| out.extend_from_slice(part));
    Some(())
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
