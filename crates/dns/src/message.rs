//! Step 2 of a query: from octets to a [`Query`], or to an early reply.

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::edns::Edns;
use crate::name::QueryName;
use crate::tsig::{CLASS_ANY, Signature, TYPE_TSIG};

/// A message begins with twelve octets of header (RFC 1035 §4.1.1).
pub(crate) const HEADER_SIZE: usize = 12;
/// The OPT pseudo-RR's type (RFC 6891 §6.1.1).
pub(crate) const TYPE_OPT: u16 = 41;

//----------- Received -------------------------------------------------------

/// What a packet turned out to be.
pub(crate) enum Received {
    /// No reply: too short for a header, or itself a reply (RFC 1035 §4.1.1).
    Ignore,
    /// A reply of nothing but a header: what follows the query's own cannot be trusted.
    HeaderOnly(Header, Rcode),
    /// No question, but a cookie option (RFC 7873 §5.4).
    CookieOnly(Header, Edns),
    /// A question, to be answered, or refused with its fault; and its signature, not checked yet.
    Query(Box<Query>, Option<Box<Signature>>),
}

/// What a reply copies from the header of a query.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
}

/// A well-formed question with its EDNS.
pub(crate) struct Query {
    pub(crate) header: Header,
    /// The name for look-ups.
    pub(crate) name: QueryName,
    /// The name as it was written, for the reply.
    pub(crate) name_as_asked: Name,
    pub(crate) question_type: u16,
    pub(crate) class: u16,
    /// Present when the query had an OPT record.
    pub(crate) edns: Option<Edns>,
    /// Why it is not answered, when something beside the question is wrong.
    pub(crate) fault: Option<Rcode>,
}

/// The response codes we give (RFC 1035 §4.1.1, RFC 6891 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// An answer, perhaps empty.
    NoError = 0,
    /// The query is not understood.
    FormErr = 1,
    /// Answering failed.
    ServFail = 2,
    /// No such name.
    NxDomain = 3,
    /// The kind of query is not served.
    NotImp = 4,
    /// Not for us.
    Refused = 5,
    /// A DNAME would make the name too long (RFC 6672 §2.2).
    YxDomain = 6,
    /// The signature is wrong (RFC 8945 §5.2), or the zone to be transferred is not ours (RFC 5936 §2.2.1).
    NotAuth = 9,
    /// An EDNS version we do not speak.
    BadVers = 16,
    /// A cookie is wanted: the one in the reply (RFC 7873 §5.2.3).
    BadCookie = 23,
}

impl Rcode {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::NotAuth,
        Self::BadVers,
        Self::BadCookie,
    ];

    /// Where it stands in [`Rcode::ALL`].
    #[inline]
    pub(crate) fn index(self) -> usize {
        match self {
            Self::NotAuth => 7,
            Self::BadVers => 8,
            Self::BadCookie => 9,
            low => low as usize,
        }
    }

    /// Its mnemonic, as dig writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
            Self::BadCookie => "BADCOOKIE",
        }
    }
}

//----------- receive --------------------------------------------------------

/// Reads a packet. Total: every input gives a result, in time linear in its length.
pub(crate) fn receive(packet: &[u8]) -> Received {
    let Some((head, body)) = packet.split_first_chunk::<HEADER_SIZE>() else {
        return Received::Ignore;
    };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    if head[2] & 0x80 != 0 {
        return Received::Ignore;
    }
    let header = Header { id: word(0), opcode: (head[2] >> 3) & 0xf, recursion_desired: head[2] & 1 != 0 };
    if header.opcode != 0 {
        return Received::HeaderOnly(header, Rcode::NotImp);
    }
    // RFC 9619: a QUERY has exactly one question. Without one it may still ask for a cookie (RFC 7873 §5.4).
    if word(4) != 1 {
        let mut tail = Tail::default();
        let skipped = usize::from(word(6)) + usize::from(word(8));
        let readable = word(4) == 0 && tail.read(packet, body, skipped, word(10)).is_ok();
        return match tail {
            Tail { edns: Some((edns, None)), signature: None } if readable && edns.cookie.is_some() => {
                Received::CookieOnly(header, edns)
            }
            _ => Received::HeaderOnly(header, Rcode::FormErr),
        };
    }
    let mut name = QueryName::empty();
    let asked = Question::read(body, &mut name)
        .and_then(|(asked, records)| Some((asked.name_as_asked()?, asked, records)));
    let Some((name_as_asked, Question { question_type, class, .. }, records)) = asked else {
        return Received::HeaderOnly(header, Rcode::FormErr);
    };
    let mut tail = Tail::default();
    let readable = tail.read(packet, records, usize::from(word(6)) + usize::from(word(8)), word(10)).is_ok();
    // RFC 6891 §7: FORMERR without an OPT record would say that we know none. A signature of a broken message
    // is none.
    let Tail { edns, signature } = tail;
    let signature = signature.filter(|_| readable);
    let fault = if readable { edns.and_then(|(_, fault)| fault) } else { Some(Rcode::FormErr) };
    let edns = edns.map(|(edns, _)| edns);
    let query = Query { header, name, name_as_asked, question_type, class, edns, fault };
    Received::Query(Box::new(query), signature.map(Box::new))
}

/// A question as it stands in a packet.
pub(crate) struct Question<'p> {
    /// The name as it was written, in wire form.
    pub(crate) written: &'p [u8],
    pub(crate) question_type: u16,
    pub(crate) class: u16,
}

impl<'p> Question<'p> {
    /// Reads one from the front of `body`, its name into `name`; returns it with what stands behind.
    pub(crate) fn read(body: &'p [u8], name: &mut QueryName) -> Option<(Self, &'p [u8])> {
        let read = name.fill(body)?;
        let (written, rest) = body.split_at_checked(read)?;
        let (&[t0, t1, c0, c1], rest) = rest.split_first_chunk::<4>()?;
        let (question_type, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        Some((Self { written, question_type, class }, rest))
    }

    fn name_as_asked(&self) -> Option<Name> {
        Name::read(&mut BinDecoder::new(self.written)).ok()
    }
}

/// What stands behind the question.
#[derive(Default)]
pub(crate) struct Tail {
    /// The OPT record, and what one that can be told is answered with where it is wrong.
    pub(crate) edns: Option<(Edns, Option<Rcode>)>,
    /// The TSIG record.
    pub(crate) signature: Option<Signature>,
}

impl Tail {
    /// Reads the `records` at the end of a packet: `skipped` ones, and those of Additional.
    ///
    /// # Errors
    /// `()` where one is broken, or more than it may be; what stands before it is there.
    pub(crate) fn read(
        &mut self,
        packet: &[u8],
        mut records: &[u8],
        skipped: usize,
        additional: u16,
    ) -> Result<(), ()> {
        for index in 0..skipped + usize::from(additional) {
            // RFC 8945 §5.1: a signature is the last record.
            if self.signature.is_some() {
                return Err(());
            }
            let start = packet.len() - records.len();
            let (root, after_name) = skip_name(records)?;
            let (fixed, after) = after_name.split_first_chunk::<10>().ok_or(())?;
            let [t0, t1, c0, c1, _extended_rcode, version, flags, _, l0, l1] = *fixed;
            let (class, length) = (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([l0, l1]));
            let (data, rest) = after.split_at_checked(usize::from(length)).ok_or(())?;
            records = rest;
            match u16::from_be_bytes([t0, t1]) {
                _ if index < skipped => {}
                // RFC 6891 §6.1.1 and §6.1.2: one OPT, its owner the root.
                TYPE_OPT if self.edns.is_some() || !root => return Err(()),
                TYPE_OPT => self.edns = Some(Edns::read(class, version, flags, data)),
                // RFC 8945 §4.2: of class ANY, with TTL 0.
                TYPE_TSIG if class != CLASS_ANY || fixed[4..8] != [0; 4] => return Err(()),
                TYPE_TSIG => self.signature = Some(Signature::read(packet, start, data)?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Passes an owner name, which may end in a pointer; says whether it was the root.
fn skip_name(mut from: &[u8]) -> Result<(bool, &[u8]), ()> {
    let mut root = true;
    loop {
        let (&length, after) = from.split_first().ok_or(())?;
        match length {
            0 => return Ok((root, after)),
            1..=63 => from = after.get(usize::from(length)..).ok_or(())?,
            0xc0.. => return Ok((false, after.get(1..).ok_or(())?)),
            _ => return Err(()),
        }
        root = false;
    }
}

/// The least TTL in the answer and authority sections of a reply; `None` where both are empty.
pub(crate) fn least_ttl(reply: &[u8]) -> Option<u32> {
    let (head, body) = reply.split_first_chunk::<HEADER_SIZE>()?;
    let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let mut rest = body;
    for _ in 0..count(4) {
        rest = skip_name(rest).ok()?.1.get(4..)?;
    }
    let mut least = None;
    for _ in 0..usize::from(count(6)) + usize::from(count(8)) {
        let (fixed, after) = skip_name(rest).ok()?.1.split_first_chunk::<10>()?;
        let [_, _, _, _, t0, t1, t2, t3, l0, l1] = *fixed;
        let ttl = u32::from_be_bytes([t0, t1, t2, t3]);
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        rest = after.get(usize::from(u16::from_be_bytes([l0, l1]))..)?;
    }
    least
}

/// Whether a query has the keepalive option (RFC 7828), which has no place in some transports.
pub(crate) fn asks_for_keepalive(packet: &[u8]) -> bool {
    match receive(packet) {
        Received::Query(query, _) => query.edns.is_some_and(|edns| edns.keepalive),
        Received::CookieOnly(_, edns) => edns.keepalive,
        Received::Ignore | Received::HeaderOnly(..) => false,
    }
}
