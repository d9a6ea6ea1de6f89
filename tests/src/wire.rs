//! DNS messages taken apart octet by octet: a second opinion beside the message library.

use anyhow::{Result, ensure};

use crate::walk::{EdnsOption, Walked, WalkedRecord, options, walk};

/// A message as its octets say.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// The message ID.
    pub id: u16,
    /// All bits of the header's second word.
    pub flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub counts: [u16; 4],
    /// The octets of the first question.
    pub question: Vec<u8>,
    /// The records of all sections, the OPT record too.
    pub records: Vec<WireRecord>,
}

/// One resource record.
#[derive(Clone, Debug)]
pub struct WireRecord {
    /// 1 for Answer, 2 for Authority, 3 for Additional.
    pub section: usize,
    /// The owner, in lower case with dots, absolute.
    pub owner: String,
    /// TYPE.
    pub record_type: u16,
    /// CLASS; the payload size in an OPT record.
    pub class: u16,
    /// TTL; extended rcode, version and flags in an OPT record.
    pub ttl: u32,
    /// RDATA.
    pub data: Vec<u8>,
}

impl Wire {
    /// Reads a message to its last octet.
    ///
    /// # Errors
    /// When it ends early, has octets after its last record, or a name that does not end.
    pub fn read(octets: &[u8]) -> Result<Self> {
        let Walked { id, flags, counts, question, records, left } = walk(octets)?;
        ensure!(left == 0, "{left} octets after the last record");
        let question = question.map_or_else(Vec::new, |(_, range, ..)| octets[range].to_vec());
        let record = |(section, of): (usize, WalkedRecord)| WireRecord {
            section,
            owner: text(&of.owner),
            record_type: of.record_type,
            class: of.class,
            ttl: of.ttl,
            data: octets[of.data].to_vec(),
        };
        let sections = records.into_iter().zip(1..);
        let records = sections.flat_map(|(all, section)| all.into_iter().map(move |of| (section, of)));
        Ok(Self { id, flags, counts, question, records: records.map(record).collect() })
    }

    /// The response code with its upper bits from the OPT record.
    #[must_use]
    pub fn rcode(&self) -> u16 {
        let upper = self.opts().next().map_or(0, |opt| opt.ttl >> 24);
        u16::try_from(upper << 4).unwrap_or(u16::MAX) | self.flags & 0xf
    }

    /// The OPCODE.
    #[must_use]
    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }

    /// AA.
    #[must_use]
    pub fn authoritative(&self) -> bool {
        self.flags & 0x0400 != 0
    }

    /// TC.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// The OPT records.
    pub fn opts(&self) -> impl Iterator<Item = &WireRecord> {
        self.records.iter().filter(|record| record.record_type == 41)
    }

    /// The options of the first OPT record: code and data.
    ///
    /// # Panics
    /// When they are no options.
    #[must_use]
    pub fn options(&self) -> Vec<EdnsOption> {
        let data = self.opts().next().map_or(&[][..], |opt| &opt.data);
        options(data).expect("options that end with their record")
    }

    /// The data of one option.
    #[must_use]
    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        self.options().into_iter().find(|(found, _)| *found == code).map(|(_, data)| data)
    }

    /// The records of a section.
    pub fn section(&self, section: usize) -> impl Iterator<Item = &WireRecord> {
        self.records.iter().filter(move |record| record.section == section)
    }
}

/// A name as text, in lower case, absolute.
fn text(mut wire: &[u8]) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = wire.split_first().filter(|(length, _)| **length > 0) {
        let (label, rest) = rest.split_at(usize::from(*length));
        text.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
        text.push('.');
        wire = rest;
    }
    if text.is_empty() { ".".to_owned() } else { text }
}
