//! A queried name, ready for look-ups.

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use meridian_model::DomainName;

use crate::compile::CompileError;

/// A name is at most 255 octets on the wire (RFC 1035 §2.3.4).
const NAME_OCTETS: usize = 255;
/// Octets that are put in lower case at once.
const WORD: usize = size_of::<u64>();
/// So it has at most 127 labels beside the root.
const LABELS: usize = 127;

/// A name in wire form and lower case, with the place of each label: every ancestor is a slice.
#[derive(Clone)]
pub(crate) struct QueryName {
    /// Whole words; what is behind the name means nothing.
    octets: [u8; NAME_OCTETS.next_multiple_of(WORD)],
    length: usize,
    starts: [u8; LABELS],
    labels: usize,
}

impl QueryName {
    /// No name yet: what [`QueryName::fill`] fills. It is large, and so is not moved about.
    pub(crate) fn empty() -> Self {
        Self { octets: [0; NAME_OCTETS.next_multiple_of(WORD)], length: 1, starts: [0; LABELS], labels: 0 }
    }

    /// Reads a name from the start of `from`, in place of what was there; returns the number of octets read.
    ///
    /// `None` for what no question may hold: a compression pointer (nothing stands before it), a
    /// label type 01 or 10 (RFC 6891 §5), a name over 255 octets, an end too early.
    pub(crate) fn fill(&mut self, from: &[u8]) -> Option<usize> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let label = usize::from(*from.get(at)?);
            if label > 63 || at + 1 + label > NAME_OCTETS {
                return None;
            }
            if label == 0 {
                break;
            }
            *self.starts.get_mut(labels)? = u8::try_from(at).ok()?;
            labels += 1;
            at += 1 + label;
        }
        let length = at + 1;
        let words = length.next_multiple_of(WORD);
        // The length octets are at most 63 and so never taken for letters.
        match (self.octets.get_mut(..words)?, from.get(..words)) {
            (own, Some(from)) => {
                let (own, _) = own.as_chunks_mut::<WORD>();
                for (own, from) in own.iter_mut().zip(from.as_chunks::<WORD>().0) {
                    *own = lower_case(*from);
                }
            }
            (own, None) => {
                let own = own.get_mut(..length)?;
                own.copy_from_slice(from.get(..length)?);
                own.make_ascii_lowercase();
            }
        }
        (self.length, self.labels) = (length, labels);
        Some(length)
    }

    /// As [`QueryName::fill`], for a name of its own.
    pub(crate) fn read(from: &[u8]) -> Option<(Self, usize)> {
        let mut name = Self::empty();
        let read = name.fill(from)?;
        Some((name, read))
    }

    /// The look-up form of a name from our own records.
    pub(crate) fn from_name(name: &Name) -> Option<Self> {
        let mut wire = Vec::with_capacity(NAME_OCTETS);
        for label in name.iter() {
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        Self::read(&wire).map(|(name, _)| name)
    }

    /// As the message library has it.
    pub(crate) fn to_name(&self) -> Option<Name> {
        Name::read(&mut BinDecoder::new(self.ancestor(0))).ok()
    }

    /// How many labels there are beside the root.
    pub(crate) fn label_count(&self) -> usize {
        self.labels
    }

    /// The ancestor that lacks the first `skip` labels, in wire form with its root; 0: the name.
    pub(crate) fn ancestor(&self, skip: usize) -> &[u8] {
        let start = if skip < self.labels { usize::from(self.starts[skip]) } else { self.length - 1 };
        &self.octets[start..self.length]
    }
}

/// ASCII letters to lower case, eight at once: each octet's own seven bits are compared by a carry into its eighth.
fn lower_case(octets: [u8; WORD]) -> [u8; WORD] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(octets);
    let low = word & (0x7f * EACH);
    let from_a = low + (0x80 - u64::from(b'A')) * EACH;
    let beyond_z = low + (0x80 - u64::from(b'Z') - 1) * EACH;
    let is_upper = from_a & !beyond_z & !word & (0x80 * EACH);
    (word | is_upper >> 2).to_ne_bytes()
}

/// A name of the catalog as the message library has it.
pub(crate) fn to_name(name: &DomainName) -> Result<Name, CompileError> {
    Name::read(&mut BinDecoder::new(&name.to_wire()))
        .map_err(|error| CompileError::Name { name: name.clone(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_slices() {
        let (name, read) = QueryName::read(b"\x01A\x02bC\x00rest").unwrap();
        assert_eq!(read, 6);
        assert_eq!(name.label_count(), 2);
        assert_eq!(name.ancestor(0), b"\x01a\x02bc\x00");
        assert_eq!(name.ancestor(1), b"\x02bc\x00");
        assert_eq!(name.ancestor(2), b"\x00");
        assert_eq!(DomainName::parse("a.bc").unwrap().to_wire().as_ref(), name.ancestor(0));
    }

    #[test]
    fn letters_alone_are_put_in_lower_case() {
        for octet in 0..=u8::MAX {
            let octets = [octet, b'A', 0xff, octet, b'Z', 0, 0x80 | b'A', octet];
            assert_eq!(lower_case(octets).to_vec(), octets.to_ascii_lowercase());
        }
        for behind in ["", "\x01\x00\x01", "\x00\x01\x00\x01 and more"] {
            let packet = [b"\x03WwW\x07eXaMpLe\x00", behind.as_bytes()].concat();
            assert_eq!(QueryName::read(&packet).unwrap().0.ancestor(0), b"\x03www\x07example\x00");
        }
    }

    #[test]
    fn what_no_question_may_hold() {
        assert!(QueryName::read(b"\xc0\x0c").is_none());
        assert!(QueryName::read(b"\x41a\x00").is_none());
        assert!(QueryName::read(b"\x80\x00").is_none());
        assert!(QueryName::read(b"\x03ab").is_none());
        assert!(QueryName::read(b"").is_none());
        let longest: Vec<u8> = [b"\x01a".repeat(127), vec![0]].concat();
        assert_eq!(QueryName::read(&longest).unwrap().0.label_count(), 127);
        let too_long: Vec<u8> = [b"\x01a".repeat(128), vec![0]].concat();
        assert!(QueryName::read(&too_long).is_none());
    }
}
