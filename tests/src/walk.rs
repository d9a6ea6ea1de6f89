//! A reader of messages that shares no code with the server's, nor with the library it writes them by.
//!
//! It is strict: what it reads is a message as RFC 1035 §4.1 and RFC 6891 §6.1 have it.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

/// A message, taken apart; the octets stay where they were.
#[derive(Debug)]
pub(crate) struct Walked {
    /// As it came.
    pub(crate) id: u16,
    /// The second word of the header.
    pub(crate) flags: u16,
    /// Questions, answers, authorities, additionals.
    pub(crate) counts: [u16; 4],
    /// The first question: its name, where it stands, its type and class.
    pub(crate) question: Option<(Vec<u8>, Range<usize>, u16, u16)>,
    /// The records of the three sections.
    pub(crate) records: [Vec<WalkedRecord>; 3],
    /// Octets behind the last record.
    pub(crate) left: usize,
}

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WalkedRecord {
    /// Its owner without compression, with its root label, case kept.
    pub(crate) owner: Vec<u8>,
    /// Where it begins and ends.
    pub(crate) range: Range<usize>,
    /// The type's number.
    pub(crate) record_type: u16,
    /// The class's, or what OPT has there.
    pub(crate) class: u16,
    /// The TTL, or what OPT has there.
    pub(crate) ttl: u32,
    /// Where its data are.
    pub(crate) data: Range<usize>,
}

/// An OPT record.
#[derive(Debug)]
pub(crate) struct Opt {
    /// The payload size.
    pub(crate) size: u16,
    /// The upper eight bits of the rcode.
    pub(crate) extended_rcode: u8,
    /// The version.
    pub(crate) version: u8,
    /// DO is the first of them.
    pub(crate) flags: u16,
    /// The options in their order; `None` when they end too late.
    pub(crate) options: Option<Vec<EdnsOption>>,
}

/// The code of an option and its data.
pub(crate) type EdnsOption = (u16, Vec<u8>);

const OPT: u16 = 41;

/// Takes a message apart.
///
/// # Errors
/// Where it ends too early, or has a name that is none: a label of another kind, more than 255 octets, a pointer
/// that leads forward.
pub(crate) fn walk(message: &[u8]) -> Result<Walked> {
    let word = |at: usize| -> Result<u16> {
        let octets = message.get(at..at + 2).context("it ends within a number")?;
        Ok(u16::from_be_bytes([octets[0], octets[1]]))
    };
    let counts = [word(4)?, word(6)?, word(8)?, word(10)?];
    let mut at = 12;
    let mut question = None;
    for _ in 0..counts[0] {
        let start = at;
        let (name, after) = name(message, at)?;
        at = after + 4;
        let read = (name, start..at, word(after)?, word(after + 2)?);
        question.get_or_insert(read);
    }
    let mut records = [const { Vec::new() }; 3];
    for (section, count) in records.iter_mut().zip(&counts[1..]) {
        for _ in 0..*count {
            let start = at;
            let (owner, after) = name(message, at)?;
            let ttl = u32::from(word(after + 4)?) << 16 | u32::from(word(after + 6)?);
            let data = after + 10..after + 10 + usize::from(word(after + 8)?);
            ensure!(data.end <= message.len(), "the data of a record end behind the message");
            at = data.end;
            let (record_type, class) = (word(after)?, word(after + 2)?);
            section.push(WalkedRecord { owner, range: start..at, record_type, class, ttl, data });
        }
    }
    Ok(Walked { id: word(0)?, flags: word(2)?, counts, question, records, left: message.len() - at })
}

/// A name from `at` on, and where what follows it begins.
fn name(message: &[u8], mut at: usize) -> Result<(Vec<u8>, usize)> {
    let (mut name, mut after) = (Vec::new(), None);
    let mut before = at;
    loop {
        let length = *message.get(at).context("it ends within a name")?;
        match length {
            0 => {
                name.push(0);
                ensure!(name.len() <= 255, "a name of {} octets", name.len());
                return Ok((name, after.unwrap_or(at + 1)));
            }
            1..=63 => {
                let end = at + 1 + usize::from(length);
                name.extend(message.get(at..end).context("it ends within a label")?);
                ensure!(name.len() < 255, "a name of more than 255 octets");
                at = end;
            }
            0xc0.. => {
                let low = *message.get(at + 1).context("it ends within a pointer")?;
                let to = usize::from(length & 0x3f) << 8 | usize::from(low);
                after.get_or_insert(at + 2);
                // Each leads further to the front, so there is an end.
                ensure!(to < before, "a pointer from {at} to {to}");
                (before, at) = (to, to);
            }
            _ => bail!("a label of type {length:#x}"),
        }
    }
}

impl Walked {
    /// A bit or a field of the flags, by its place from the right and its width (RFC 1035 §4.1.1).
    pub(crate) fn field(&self, shift: u32, bits: u32) -> u16 {
        self.flags >> shift & ((1 << bits) - 1)
    }

    /// The OPT records of the additional section.
    pub(crate) fn opts(&self, message: &[u8]) -> Vec<Opt> {
        let all = self.records[2].iter().filter(|record| record.record_type == OPT);
        all.map(|record| {
            let [extended_rcode, version, high, low] = record.ttl.to_be_bytes();
            let flags = u16::from_be_bytes([high, low]);
            let options = options(&message[record.data.clone()]);
            Opt { size: record.class, extended_rcode, version, flags, options }
        })
        .collect()
    }

    /// The rcode, with its upper bits from the OPT record.
    pub(crate) fn rcode(&self, message: &[u8]) -> u16 {
        let upper = self.opts(message).first().map_or(0, |opt| u16::from(opt.extended_rcode));
        upper << 4 | self.field(0, 4)
    }
}

/// The options of an OPT record's data; `None` when they end too late.
pub(crate) fn options(mut data: &[u8]) -> Option<Vec<EdnsOption>> {
    let mut options = Vec::new();
    while !data.is_empty() {
        let (&[c0, c1, l0, l1], after) = data.split_first_chunk::<4>()?;
        let (value, rest) = after.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        options.push((u16::from_be_bytes([c0, c1]), value.to_vec()));
        data = rest;
    }
    Some(options)
}
