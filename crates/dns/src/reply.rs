//! Step 6 of a query: a reply's octets.

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::answer::Denied;
use crate::denial::Denial;
use crate::edns::Edns;
use crate::facts::{Chosen, Facts, QueryType};
use crate::limits::{UDP_PAYLOAD_SIZE, UDP_PAYLOAD_SIZE_MIN};
use crate::message::{HEADER_SIZE, Header, Query, Rcode};
use crate::opt::{self, Extras, Space};
use crate::tsig::Signing;
use crate::zone::RrSet;

/// Class IN.
pub(crate) const CLASS_IN: u16 = 1;

//----------- Section --------------------------------------------------------

/// The sections after the question, in their order in a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// An Extended DNS Error (RFC 8914): why an answer is what it is, beside the rcode.
#[derive(Clone, Copy)]
pub(crate) struct ExtendedError {
    pub(crate) code: u16,
    pub(crate) text: &'static str,
}

/// RFC 8914 §4.21.
pub(crate) const NOT_AUTHORITATIVE: ExtendedError = ExtendedError { code: 20, text: "" };

/// What ends a reply.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) authoritative: bool,
    pub(crate) scope: u8,
    pub(crate) error: Option<ExtendedError>,
    pub(crate) denied: Option<Denied>,
    /// Whether another client might get another answer.
    pub(crate) tailored: bool,
    /// What was selected, for who counts.
    pub(crate) chosen: Option<Chosen>,
}

impl Ending {
    /// What is counted of a query with this ending. `is_empty`: it has no answer, and not for want of room.
    #[inline]
    pub(crate) fn facts(
        &self,
        asked: QueryType,
        rcode: Rcode,
        is_empty: bool,
        edns: Option<&Edns>,
        extras: &Extras<'_>,
    ) -> Facts {
        let is_nodata = is_empty && rcode == Rcode::NoError && self.authoritative;
        Facts { is_nodata, chosen: self.chosen, ..Facts::new(asked, edns, extras.checked, self.scope) }
    }
}

//----------- Writer ---------------------------------------------------------

/// Writes one reply, never over its size limit and never half an RRset.
pub(crate) struct Writer<'o> {
    encoder: BinEncoder<'o>,
    header: Header,
    edns: Option<Edns>,
    extras: Extras<'o>,
    class: u16,
    limit: u16,
    /// What of that there is for records.
    room: u16,
    questions: u16,
    counts: [u16; 3],
    truncated: bool,
}

impl<'o> Writer<'o> {
    /// Begins a reply to a question; `udp` says which size limit holds.
    pub(crate) fn new(query: &Query, udp: bool, extras: Extras<'o>, out: &'o mut Vec<u8>) -> Self {
        let mut writer = Self::bare(query.header, query.edns, udp, extras, out);
        writer.class = query.class;
        let written = query.name_as_asked.emit(&mut writer.encoder).and_then(|()| {
            writer.encoder.emit_u16(query.question_type)?;
            writer.encoder.emit_u16(query.class)
        });
        // A header and a question always fit: 12 + 255 + 4 octets.
        match written {
            Ok(()) => writer.questions = 1,
            Err(_) => writer.rewind(HEADER_SIZE),
        }
        writer
    }

    /// Begins a reply without a question.
    pub(crate) fn bare(
        header: Header,
        edns: Option<Edns>,
        udp: bool,
        extras: Extras<'o>,
        out: &'o mut Vec<u8>,
    ) -> Self {
        out.clear();
        let limit = size_limit(edns.as_ref(), udp);
        // The space of the OPT record and of the signature is kept free until the end.
        let room = limit.saturating_sub(opt::size(edns.as_ref(), &extras) + extras.signing_size());
        let mut writer = Self {
            encoder: BinEncoder::new(out),
            header,
            edns,
            extras,
            class: CLASS_IN,
            limit,
            room,
            questions: 0,
            counts: [0; 3],
            truncated: false,
        };
        writer.encoder.set_max_size(room.saturating_add(WRITTEN_OUT));
        // Overwritten at the end; it always fits.
        let _zeros = writer.encoder.emit_vec(&[0; HEADER_SIZE]);
        writer
    }

    /// Adds an RRset whole, or not at all; says whether it is in. Sections come in order.
    pub(crate) fn set(&mut self, section: Section, owner: &Name, set: &RrSet) -> bool {
        self.records(section, owner, set.record_type, set.ttl, set.data.iter())
    }

    /// As [`Writer::set`], record by record.
    pub(crate) fn records<'d>(
        &mut self,
        section: Section,
        owner: &Name,
        record_type: RecordType,
        ttl: u32,
        data: impl Iterator<Item = &'d RData>,
    ) -> bool {
        let start = self.encoder.offset();
        let mut count = 0;
        for data in data {
            if self.record(owner, record_type, ttl, data).is_none() || self.is_over() {
                self.rewind(start);
                return false;
            }
            count += 1;
        }
        self.counts[section as usize] += count;
        true
    }

    /// Adds the SOA record of a negative answer to the question itself, whose name is so many octets longer than the
    /// zone's; says whether it is in.
    pub(crate) fn denial(&mut self, denial: &Denial, longer: usize, ttl: u32, serial: u32) -> bool {
        let start = self.encoder.offset();
        let mut record = Vec::new();
        denial.write(longer, ttl, serial, &mut record);
        if self.encoder.emit_vec(&record).is_err() || self.is_over() {
            self.rewind(start);
            return false;
        }
        self.counts[Section::Authority as usize] += 1;
        true
    }

    /// The octets so far.
    pub(crate) fn size(&self) -> usize {
        self.encoder.len()
    }

    /// What is counted of the query, with an ending that has not been written yet.
    pub(crate) fn facts(&self, question_type: u16, rcode: Rcode, ending: &Ending) -> Facts {
        let asked = QueryType::of(question_type);
        let is_empty = self.counts[Section::Answer as usize] == 0 && !self.truncated;
        ending.facts(asked, rcode, is_empty, self.edns.as_ref(), &self.extras)
    }

    /// Whether there is anything behind the question.
    pub(crate) fn has_records(&self) -> bool {
        self.counts != [0; 3]
    }

    /// Marks the reply as truncated: the client asks again over TCP (RFC 2181 §9).
    pub(crate) fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Ends the reply with its OPT record and header; says whether it was truncated.
    pub(crate) fn finish(mut self, rcode: Rcode, ending: &Ending) -> bool {
        self.encoder.set_max_size(self.limit.saturating_sub(self.extras.signing_size()));
        if let Some(edns) = &self.edns {
            let mut record = Vec::new();
            let behind = self.extras.signing_size();
            let space = Space { before: self.encoder.len(), behind, limit: self.limit };
            opt::write(edns, &self.extras, rcode, ending, space, &mut record);
            // The space was kept free, so this cannot fail; without it the reply would still be sound.
            if self.encoder.emit_vec(&record).is_ok() {
                self.counts[Section::Additional as usize] += 1;
            }
        }
        let [answers, authorities, additionals] = self.counts;
        let counts = [self.questions, answers, authorities, additionals];
        let head = header_octets(self.header, rcode, ending.authoritative, self.truncated, counts);
        self.encoder.set_offset(0);
        // In place of the zeros that the reply began with.
        let _overwritten = self.encoder.emit_vec(&head);
        if let Some(signing) = self.extras.signing {
            self.sign(&signing, additionals);
        }
        self.truncated
    }

    /// Adds the TSIG record, which is made of all that stands before it (RFC 8945 §5.3).
    fn sign(&mut self, signing: &Signing<'_>, additionals: u16) {
        let end = self.encoder.len();
        let record = signing.record(self.encoder.slice_of(0, end));
        self.encoder.set_max_size(self.limit);
        self.encoder.set_offset(end);
        // The space was kept free.
        if self.encoder.emit_vec(&record).is_ok() {
            self.encoder.set_offset(HEADER_SIZE - 2);
            let _overwritten = self.encoder.emit_u16(additionals + 1);
        }
    }

    fn record(&mut self, owner: &Name, record_type: RecordType, ttl: u32, data: &RData) -> Option<()> {
        let encoder = &mut self.encoder;
        owner.emit(encoder).ok()?;
        encoder.emit_u16(record_type.into()).ok()?;
        encoder.emit_u16(self.class).ok()?;
        encoder.emit_u32(ttl).ok()?;
        let length = encoder.place::<u16>().ok()?;
        data.emit(encoder).ok()?;
        let written = u16::try_from(encoder.len_since_place(&length)).ok()?;
        length.replace(encoder, written).ok()
    }

    /// Whether more is written than there is room for.
    fn is_over(&self) -> bool {
        self.encoder.len() > usize::from(self.room)
    }

    fn rewind(&mut self, to: usize) {
        self.encoder.set_offset(to);
        self.encoder.trim();
    }
}

/// The library writes a name out, at most 255 octets, before it puts a pointer in place of what stands already.
const WRITTEN_OUT: u16 = 255;

/// How many octets a reply may have.
pub(crate) fn size_limit(edns: Option<&Edns>, udp: bool) -> u16 {
    match edns {
        _ if !udp => u16::MAX,
        None => UDP_PAYLOAD_SIZE_MIN,
        Some(edns) => edns.payload_size.clamp(UDP_PAYLOAD_SIZE_MIN, UDP_PAYLOAD_SIZE),
    }
}

/// Makes a reply of a header alone.
pub(crate) fn header_only(header: Header, rcode: Rcode, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&header_octets(header, rcode, false, false, [0; 4]));
}

/// RFC 1035 §4.1.1: ID, opcode and RD as they came; RA, Z, AD and CD are 0.
pub(crate) fn header_octets(
    header: Header,
    rcode: Rcode,
    authoritative: bool,
    truncated: bool,
    counts: [u16; 4],
) -> [u8; HEADER_SIZE] {
    let mut head = [0; HEADER_SIZE];
    head[..2].copy_from_slice(&header.id.to_be_bytes());
    head[2] = 0x80
        | header.opcode << 3
        | u8::from(authoritative) << 2
        | u8::from(truncated) << 1
        | u8::from(header.recursion_desired);
    head[3] = rcode as u8 & 0xf;
    for (at, count) in counts.into_iter().enumerate() {
        head[4 + 2 * at..6 + 2 * at].copy_from_slice(&count.to_be_bytes());
    }
    head
}
