//! The SOA record of negative answers (RFC 2308 §3), encoded once a zone.

use hickory_proto::ProtoError;
use hickory_proto::rr::{Name, RData};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};

use crate::message::HEADER_SIZE;
use crate::reply::CLASS_IN;

/// The octets of a zone's SOA record behind a question for the zone's own name. Behind any other question of the zone
/// they differ in where the pointers lead: all by as much as the question is longer.
pub(crate) struct Denial {
    record: Box<[u8]>,
    /// Where in it pointers stand: at most one in each of its three names.
    pointers: [Option<u16>; 3],
    /// Where the TTL stands.
    ttl: usize,
}

/// Behind its two names: serial, refresh, retry, expire, minimum (RFC 1035 §3.3.13).
const NUMBERS: usize = 20;

impl Denial {
    /// # Errors
    /// Of the encoder, which has none for the names of a zone.
    pub(crate) fn new(apex: &Name, soa: &RData) -> Result<Self, ProtoError> {
        let soa_type = soa.record_type().into();
        let mut message = Vec::new();
        let mut encoder = BinEncoder::new(&mut message);
        encoder.emit_vec(&[0; HEADER_SIZE])?;
        apex.emit(&mut encoder)?;
        encoder.emit_u16(soa_type)?;
        encoder.emit_u16(CLASS_IN)?;
        let start = encoder.len();
        apex.emit(&mut encoder)?;
        let ttl = encoder.len() + 4 - start;
        encoder.emit_u16(soa_type)?;
        encoder.emit_u16(CLASS_IN)?;
        encoder.emit_u32(0)?;
        let length = encoder.place::<u16>()?;
        let server = encoder.len() - start;
        soa.emit(&mut encoder)?;
        let written = encoder.len_since_place(&length);
        length.replace(&mut encoder, u16::try_from(written).unwrap_or(u16::MAX))?;
        let record = message.split_off(start).into_boxed_slice();
        let (owner, _) = name_end(&record, 0);
        let (server, hostmaster) = name_end(&record, server);
        let (hostmaster, _) = name_end(&record, hostmaster);
        Ok(Self { record, pointers: [owner, server, hostmaster], ttl })
    }

    /// Appends the record behind a question whose name is so many octets longer than the zone's.
    pub(crate) fn write(&self, longer: usize, ttl: u32, serial: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.record);
        let Some(record) = out.get_mut(start..) else { return };
        for pointer in self.pointers.into_iter().flatten() {
            let place = record.get_mut(usize::from(pointer)..).and_then(|rest| rest.first_chunk_mut::<2>());
            if let Some(place) = place {
                // Far from the two bits that make it a pointer: a question and this record are under 1,100 octets.
                let longer = u16::try_from(longer).unwrap_or(0);
                *place = u16::from_be_bytes(*place).wrapping_add(longer).to_be_bytes();
            }
        }
        let serial_at = record.len().saturating_sub(NUMBERS);
        for (at, number) in [(self.ttl, ttl), (serial_at, serial)] {
            if let Some(place) = record.get_mut(at..at + 4) {
                place.copy_from_slice(&number.to_be_bytes());
            }
        }
    }
}

/// The place of the pointer that ends a name, if one does, and where what follows begins.
fn name_end(record: &[u8], mut at: usize) -> (Option<u16>, usize) {
    loop {
        match record.get(at) {
            Some(length @ 1..=63) => at += 1 + usize::from(*length),
            Some(0xc0..) => return (u16::try_from(at).ok(), at + 2),
            _ => return (None, at + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::SOA;
    use hickory_proto::serialize::binary::BinDecodable as _;

    use super::*;

    /// Whatever the names of the record have in common with the zone's, it reads the same behind each question.
    #[test]
    fn behind_any_question() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        for apex in [".", "example.", "gslb.example."] {
            for server in [".", "ns1.gslb.example.", "ns.example.", "gslb.example.", "ns.other.test."] {
                let soa = SOA::new(name(server), name("host.master.example."), 1, 2, 3, 4, 5);
                let denial = Denial::new(&name(apex), &RData::SOA(soa.clone())).unwrap();
                for below in ["", "a.", "ns1.gslb.example.a."] {
                    let asked =
                        name(&format!("{below}{}", if apex == "." && !below.is_empty() { "" } else { apex }));
                    let mut message = vec![0, 0, 0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0];
                    let mut question = Vec::new();
                    asked.emit(&mut BinEncoder::new(&mut question)).unwrap();
                    let longer = question.len() - name(apex).to_bytes().unwrap().len();
                    message.extend(question);
                    message.extend([0, 1, 0, 1]);
                    denial.write(longer, 77, 99, &mut message);
                    let read = Message::from_bytes(&message).unwrap();
                    let [record] = &read.authorities[..] else { panic!("{read}") };
                    assert_eq!((&record.name, record.ttl), (&name(apex), 77), "{server} {below}");
                    let mut wanted = soa.clone();
                    wanted.serial = 99;
                    assert_eq!(record.data, RData::SOA(wanted), "{apex} {server} {below}");
                }
            }
        }
    }
}
