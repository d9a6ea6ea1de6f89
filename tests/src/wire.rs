//! DNS messages taken apart octet by octet: a second opinion beside the message library.

use anyhow::{Context, Result, ensure};

/// A message as its octets say.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// The message ID.
    pub id: u16,
    /// All bits of the header's second word.
    pub flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub counts: [u16; 4],
    /// The octets of the question section.
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
        let mut at = 0;
        let mut header = [0; 6];
        for word in &mut header {
            *word = word16(octets, &mut at)?;
        }
        let [id, flags, counts @ ..] = header;
        let mut message = Self { id, flags, counts, ..Self::default() };
        for _ in 0..counts[0] {
            name(octets, &mut at)?;
            take(octets, &mut at, 4)?;
        }
        message.question = octets[12..at].to_vec();
        for (section, &count) in counts.iter().enumerate().skip(1) {
            for _ in 0..count {
                let owner = name(octets, &mut at)?;
                let (record_type, class) = (word16(octets, &mut at)?, word16(octets, &mut at)?);
                let ttl = u32::from(word16(octets, &mut at)?) << 16 | u32::from(word16(octets, &mut at)?);
                let length = word16(octets, &mut at)?;
                let data = take(octets, &mut at, usize::from(length))?.to_vec();
                message.records.push(WireRecord { section, owner, record_type, class, ttl, data });
            }
        }
        ensure!(at == octets.len(), "{} octets after the last record", octets.len() - at);
        Ok(message)
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
    pub fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let mut options = Vec::new();
        let data = self.opts().next().map_or(&[][..], |opt| &opt.data);
        let mut at = 0;
        while at < data.len() {
            let code = word16(data, &mut at).expect("an option's code");
            let length = word16(data, &mut at).expect("an option's length");
            let value = take(data, &mut at, usize::from(length)).expect("an option's data");
            options.push((code, value.to_vec()));
        }
        options
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

fn take<'o>(octets: &'o [u8], at: &mut usize, count: usize) -> Result<&'o [u8]> {
    let taken = octets.get(*at..*at + count).with_context(|| format!("ends at {}", octets.len()))?;
    *at += count;
    Ok(taken)
}

fn word16(octets: &[u8], at: &mut usize) -> Result<u16> {
    let taken = take(octets, at, 2)?;
    Ok(u16::from_be_bytes([taken[0], taken[1]]))
}

/// Reads a name, following pointers that lead backwards (RFC 1035 §4.1.4).
fn name(octets: &[u8], at: &mut usize) -> Result<String> {
    let (mut text, mut from, mut jumped) = (String::new(), *at, false);
    loop {
        let length = usize::from(take(octets, &mut from, 1)?[0]);
        match length {
            0 => break,
            1..=63 => {
                for octet in take(octets, &mut from, length)? {
                    text.push(char::from(octet.to_ascii_lowercase()));
                }
                text.push('.');
            }
            0xc0.. => {
                let to = (length & 0x3f) << 8 | usize::from(take(octets, &mut from, 1)?[0]);
                if !jumped {
                    *at = from;
                }
                ensure!(to < from - 2, "a pointer at {} leads to {to}", from - 2);
                (from, jumped) = (to, true);
            }
            _ => anyhow::bail!("a label of type {length:#x}"),
        }
        ensure!(text.len() < 256, "a name without an end");
    }
    if !jumped {
        *at = from;
    }
    Ok(if text.is_empty() { ".".to_owned() } else { text })
}
