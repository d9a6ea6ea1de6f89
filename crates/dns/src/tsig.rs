//! Signed messages (TSIG, RFC 8945): who holds a secret shows it, and is shown it.

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use meridian_model::DomainName;
use ring::hmac;

use crate::name::QueryName;
use crate::secret::differs;

/// The record's type (RFC 8945 §4.1).
pub(crate) const TYPE_TSIG: u16 = 250;
/// Its class (RFC 8945 §4.2).
pub(crate) const CLASS_ANY: u16 = 255;
/// How far clocks may differ, in seconds (RFC 8945 §10).
const FUDGE_S: u16 = 300;
/// What the record has beside the names, the MAC and other data: type, class, TTL, length; time, fudge,
/// the MAC's length, original ID, error, the other data's length.
const FIXED_SIZE: usize = 10 + 6 + 2 + 2 + 2 + 2 + 2;

/// What stands behind the MAC without other data: original ID, error, a length.
const AFTER_MAC_SIZE: usize = 6;

/// How messages are signed (RFC 8945 §6). HMAC-SHA1 and HMAC-MD5 are not for use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// hmac-sha256.
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

impl TsigAlgorithm {
    /// Its name in messages.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"\x0bhmac-sha256\x00",
            Self::Sha384 => b"\x0bhmac-sha384\x00",
            Self::Sha512 => b"\x0bhmac-sha512\x00",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// A secret that two servers share, by its name.
#[derive(Debug)]
pub struct TsigKey {
    /// In wire form, lower case.
    name: Box<[u8]>,
    algorithm: TsigAlgorithm,
    /// Does not show the secret.
    key: hmac::Key,
}

impl TsigKey {
    /// A key from its secret's octets.
    #[must_use]
    pub fn new(name: &DomainName, algorithm: TsigAlgorithm, secret: &[u8]) -> Self {
        Self { name: name.to_wire(), algorithm, key: hmac::Key::new(algorithm.hmac(), secret) }
    }

    pub(crate) fn is_named(&self, name: &DomainName) -> bool {
        *self.name == *name.to_wire()
    }

    /// Signs a question of ours (RFC 8945 §5.1), which must be whole but for that.
    pub(crate) fn sign_question(&self, message: &mut Vec<u8>, now_s: u64) {
        let algorithm = self.algorithm.name();
        let mac = self.mac(&[message, &variables(&self.name, algorithm, now_s, FUDGE_S, [0; 2], &[])]);
        let id = message.first_chunk().copied().unwrap_or_default();
        let record = record(&self.name, algorithm, now_s, mac.as_ref(), id, [0; 2], &[]);
        if let Some([high, low]) = message.get_mut(10..12) {
            [*high, *low] = u16::from_be_bytes([*high, *low]).wrapping_add(1).to_be_bytes();
            message.extend_from_slice(&record);
        }
    }

    /// The MAC of a message that ends with this key's record.
    pub(crate) fn mac_at_end<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        let end = message.len().saturating_sub(AFTER_MAC_SIZE);
        message.get(end.saturating_sub(self.mac_size())..end).unwrap_or_default()
    }

    fn mac(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }

    fn mac_size(&self) -> usize {
        self.algorithm.hmac().digest_algorithm().output_len()
    }
}

//----------- Signature ------------------------------------------------------

/// What is wrong with a signature (RFC 8945 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The MAC is another.
    Mac = 16,
    /// No key of this name and algorithm.
    Key = 17,
    /// Made too long ago, or too far ahead.
    Time = 18,
    /// The MAC is cut off, which we do not take.
    Truncated = 22,
}

/// The TSIG record of a query.
pub(crate) struct Signature {
    /// Where the record begins in the message.
    start: usize,
    key: Box<[u8]>,
    algorithm: Box<[u8]>,
    time_s: u64,
    fudge_s: u16,
    mac: Box<[u8]>,
    original_id: [u8; 2],
    error: [u8; 2],
    other: Box<[u8]>,
}

impl Signature {
    /// Reads the record that begins at `start` of a packet from there and from its RDATA. Its owner may be
    /// compressed, as some clients do.
    ///
    /// # Errors
    /// `()` for what is no TSIG record: FORMERR (RFC 8945 §5.2).
    pub(crate) fn read(packet: &[u8], start: usize, data: &[u8]) -> Result<Self, ()> {
        let at = u16::try_from(start).map_err(|_| ())?;
        let owner = Name::read(&mut BinDecoder::new(packet).clone(at)).map_err(|_| ())?;
        let key = QueryName::from_name(&owner).ok_or(())?;
        let (algorithm, read) = QueryName::read(data).ok_or(())?;
        let (&[t0, t1, t2, t3, t4, t5, f0, f1, m0, m1], rest) =
            data.get(read..).and_then(<[u8]>::split_first_chunk).ok_or(())?;
        let sized = |from: &'_ [u8], size| -> Result<(Box<[u8]>, usize), ()> {
            let size = usize::from(u16::from_be_bytes(size));
            Ok((from.get(..size).ok_or(())?.into(), size))
        };
        let (mac, read) = sized(rest, [m0, m1])?;
        let (&[i0, i1, e0, e1, o0, o1], rest) = rest[read..].split_first_chunk().ok_or(())?;
        let (other, read) = sized(rest, [o0, o1])?;
        if read != rest.len() {
            return Err(());
        }
        Ok(Self {
            start,
            key: key.ancestor(0).into(),
            algorithm: algorithm.ancestor(0).into(),
            time_s: u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]),
            fudge_s: u16::from_be_bytes([f0, f1]),
            mac,
            original_id: [i0, i1],
            error: [e0, e1],
            other,
        })
    }

    /// Checks it, in the order of RFC 8945 §5.2: key, MAC, time, length.
    ///
    /// # Errors
    /// `()` where the MAC has a length that none can have (§5.2.2.1): FORMERR.
    pub(crate) fn check<'s>(
        &'s self,
        keys: &'s [TsigKey],
        packet: &[u8],
        now_s: u64,
    ) -> Result<Signing<'s>, ()> {
        let ours = |key: &&TsigKey| key.name == self.key && key.algorithm.name() == &*self.algorithm;
        let Some(key) = keys.iter().find(ours) else {
            return Ok(self.answered(Some(Wrong::Key), None, now_s));
        };
        let size = key.mac_size();
        if self.mac.len() > size || self.mac.len() < (size / 2).max(10) {
            return Err(());
        }
        let (Some(&[count_high, count_low]), Some(before)) = (packet.get(10..12), packet.get(12..self.start))
        else {
            return Err(());
        };
        let count = u16::from_be_bytes([count_high, count_low]).wrapping_sub(1).to_be_bytes();
        let variables =
            variables(&self.key, &self.algorithm, self.time_s, self.fudge_s, self.error, &self.other);
        let flags = packet.get(2..10).ok_or(())?;
        let mac = key.mac(&[&self.original_id, flags, &count, before, &variables]);
        if differs(&self.mac, mac.as_ref()) {
            return Ok(self.answered(Some(Wrong::Mac), None, now_s));
        }
        if now_s.abs_diff(self.time_s) > u64::from(self.fudge_s) {
            return Ok(self.answered(Some(Wrong::Time), Some(key), now_s));
        }
        if self.mac.len() < size {
            return Ok(self.answered(Some(Wrong::Truncated), Some(key), now_s));
        }
        Ok(self.answered(None, Some(key), now_s))
    }

    /// What the reply is signed with, and what it says is wrong.
    fn answered<'s>(&'s self, wrong: Option<Wrong>, key: Option<&'s TsigKey>, now_s: u64) -> Signing<'s> {
        Signing {
            key,
            key_name: &self.key,
            algorithm: &self.algorithm,
            request_mac: &self.mac,
            request_time_s: self.time_s,
            now_s,
            wrong,
            follows: false,
        }
    }
}

//----------- Signing --------------------------------------------------------

/// How the reply to a signed query is signed.
#[derive(Clone, Copy)]
pub(crate) struct Signing<'k> {
    /// `None`: it says what is wrong, unsigned (RFC 8945 §5.2.1, §5.2.2).
    pub(crate) key: Option<&'k TsigKey>,
    key_name: &'k [u8],
    algorithm: &'k [u8],
    request_mac: &'k [u8],
    request_time_s: u64,
    now_s: u64,
    pub(crate) wrong: Option<Wrong>,
    /// Whether it follows another message of the same reply (RFC 8945 §5.3.1).
    follows: bool,
}

impl<'k> Signing<'k> {
    /// Signs one of several messages; `before` is the question's MAC, then that of the message before.
    pub(crate) fn of_transfer(key: &'k TsigKey, before: &'k [u8], first: bool, now_s: u64) -> Self {
        Self {
            key: Some(key),
            key_name: &key.name,
            algorithm: key.algorithm.name(),
            request_mac: before,
            request_time_s: now_s,
            now_s,
            wrong: None,
            follows: !first,
        }
    }

    /// The MAC that this one follows.
    pub(crate) fn before(&self) -> &'k [u8] {
        self.request_mac
    }

    /// The octets of the record.
    pub(crate) fn size(&self) -> usize {
        let mac = self.key.map_or(0, TsigKey::mac_size);
        self.key_name.len() + FIXED_SIZE + self.algorithm.len() + mac + self.other().len()
    }

    /// RFC 8945 §5.2.3: a client whose clock is wrong is told the time.
    fn other(&self) -> Vec<u8> {
        match self.wrong {
            Some(Wrong::Time) => self.now_s.to_be_bytes()[2..].to_vec(),
            _ => Vec::new(),
        }
    }

    /// The record for a reply that is whole but for it.
    pub(crate) fn record(&self, message: &[u8]) -> Vec<u8> {
        let error = self.wrong.map_or(0, |wrong| wrong as u16).to_be_bytes();
        let time_s = if self.wrong == Some(Wrong::Time) { self.request_time_s } else { self.now_s };
        let other = self.other();
        let variables = match self.follows {
            true => timers(time_s, FUDGE_S).to_vec(),
            false => variables(self.key_name, self.algorithm, time_s, FUDGE_S, error, &other),
        };
        let request_size = u16::try_from(self.request_mac.len()).unwrap_or(0).to_be_bytes();
        let mac = self.key.map(|key| key.mac(&[&request_size, self.request_mac, message, &variables]));
        let mac = mac.as_ref().map_or(&[][..], AsRef::as_ref);
        let id = message.first_chunk().copied().unwrap_or_default();
        record(self.key_name, self.algorithm, time_s, mac, id, error, &other)
    }
}

/// What is signed beside the message (RFC 8945 §4.3.3).
fn variables(
    key: &[u8],
    algorithm: &[u8],
    time_s: u64,
    fudge_s: u16,
    error: [u8; 2],
    other: &[u8],
) -> Vec<u8> {
    let mut variables = key.to_vec();
    variables.extend_from_slice(&CLASS_ANY.to_be_bytes());
    variables.extend_from_slice(&[0; 4]);
    variables.extend_from_slice(algorithm);
    variables.extend_from_slice(&timers(time_s, fudge_s));
    variables.extend_from_slice(&error);
    variables.extend_from_slice(&u16::try_from(other.len()).unwrap_or(u16::MAX).to_be_bytes());
    variables.extend_from_slice(other);
    variables
}

/// Six octets of time, two of fudge.
fn timers(time_s: u64, fudge_s: u16) -> [u8; 8] {
    let [_, _, t0, t1, t2, t3, t4, t5] = time_s.to_be_bytes();
    let [f0, f1] = fudge_s.to_be_bytes();
    [t0, t1, t2, t3, t4, t5, f0, f1]
}

/// A TSIG record in wire form (RFC 8945 §4.2).
fn record(
    key: &[u8],
    algorithm: &[u8],
    time_s: u64,
    mac: &[u8],
    id: [u8; 2],
    error: [u8; 2],
    other: &[u8],
) -> Vec<u8> {
    // Names of at most 255 octets, a MAC of at most 64, six of other data.
    let two = |size: usize| u16::try_from(size).unwrap_or(u16::MAX).to_be_bytes();
    let mut record = key.to_vec();
    record.extend_from_slice(&TYPE_TSIG.to_be_bytes());
    record.extend_from_slice(&CLASS_ANY.to_be_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(&two(algorithm.len() + FIXED_SIZE - 10 + mac.len() + other.len()));
    record.extend_from_slice(algorithm);
    record.extend_from_slice(&timers(time_s, FUDGE_S));
    record.extend_from_slice(&two(mac.len()));
    record.extend_from_slice(mac);
    record.extend_from_slice(&id);
    record.extend_from_slice(&error);
    record.extend_from_slice(&two(other.len()));
    record.extend_from_slice(other);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1 << 32 | 1000;

    fn keys() -> Vec<TsigKey> {
        let key = |name, algorithm| TsigKey::new(&DomainName::parse(name).unwrap(), algorithm, &[7; 32]);
        vec![
            key("other.example", TsigAlgorithm::Sha512),
            key("k.example", TsigAlgorithm::Sha384),
            key("k.example", TsigAlgorithm::Sha256),
        ]
    }

    /// A question that is signed with the last of the keys, and its MAC cut to some length.
    fn signed(time_s: u64, fudge_s: u16, mac_size: usize) -> (Vec<u8>, Signature) {
        let mut packet = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01".to_vec();
        let start = packet.len();
        let key = &keys()[2];
        let variables = variables(&key.name, key.algorithm.name(), time_s, fudge_s, [0; 2], &[]);
        let mac = key.mac(&[&packet, &variables]);
        packet[11] = 1;
        // Forwarded with another ID, as the record says.
        packet[0] = 0x99;
        let signature = Signature {
            start,
            key: key.name.clone(),
            algorithm: key.algorithm.name().into(),
            time_s,
            fudge_s,
            mac: mac.as_ref()[..mac_size].into(),
            original_id: [0x12, 0x34],
            error: [0; 2],
            other: Box::default(),
        };
        (packet, signature)
    }

    #[test]
    fn key_mac_time_and_length_in_this_order() {
        for (time_s, fudge_s, mac_size, wrong) in [
            (NOW, 300, 32, None),
            (NOW - 300, 300, 32, None),
            (NOW + 300, 300, 32, None),
            (NOW - 301, 300, 32, Some(Wrong::Time)),
            (NOW + 301, 300, 32, Some(Wrong::Time)),
            (NOW + 1, 0, 32, Some(Wrong::Time)),
            (NOW, 300, 16, Some(Wrong::Truncated)),
            (NOW - 301, 300, 16, Some(Wrong::Time)),
        ] {
            let (mut packet, signature) = signed(time_s, fudge_s, mac_size);
            let keys = keys();
            let signing = signature.check(&keys, &packet, NOW).unwrap();
            assert_eq!(signing.wrong, wrong, "{time_s} {fudge_s} {mac_size}");
            // All of these are proven, and so the reply is signed.
            assert!(signing.key.is_some());
            // A flipped bit anywhere, but for the ID that a forwarder may have changed.
            for at in 2..packet.len() {
                packet[at] ^= 1;
                let signing = signature.check(&keys, &packet, NOW).unwrap();
                assert_eq!((signing.wrong, signing.key.is_none()), (Some(Wrong::Mac), true), "{at}");
                packet[at] ^= 1;
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let (packet, signature) = signed(NOW - 400, 300, 32);
        let keys = keys();
        let signing = signature.check(&keys, &packet, NOW).unwrap();
        let record = signing.record(b"\xab\xcd reply");
        assert_eq!(record.len(), signing.size());
        let owner = keys[2].name.len();
        let read = Signature::read(&record, 0, &record[owner + 10..]).unwrap();
        // RFC 8945 §5.2.3: the client's time, and beside it ours.
        assert_eq!((read.time_s, read.error, read.original_id), (NOW - 400, [0, 18], [0xab, 0xcd]));
        assert_eq!(*read.other, NOW.to_be_bytes()[2..]);
        assert_eq!(read.mac.len(), 32);
    }
}
