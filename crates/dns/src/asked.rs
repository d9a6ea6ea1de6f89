//! The reading of a plain query: what most of them are.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;
use meridian_geoip::ClassMap;

use crate::edns::Edns;
use crate::message::{HEADER_SIZE, Header, TYPE_OPT};
use crate::name::QueryName;
use crate::names::Looked;
use crate::reply::CLASS_IN;
use crate::transfer::{TYPE_AXFR, TYPE_IXFR};

/// A plain query: a question with no more than an OPT record behind it. Large: it is filled where it is, and not moved.
pub(crate) struct Asked {
    pub(crate) header: Header,
    pub(crate) name: QueryName,
    pub(crate) question_type: RecordType,
    /// How many octets of the packet the header and the question take.
    pub(crate) question_end: usize,
    pub(crate) edns: Option<Edns>,
    /// What a look at the table of names has shown.
    pub(crate) looked: Looked,
    /// Where the client is that it speaks for, if somebody has looked.
    pub(crate) spot: Spot,
}

impl Asked {
    /// Nothing yet.
    pub(crate) fn nothing() -> Self {
        Self {
            header: Header { id: 0, opcode: 0, recursion_desired: false },
            name: QueryName::empty(),
            question_type: RecordType::ZERO,
            question_end: 0,
            edns: None,
            looked: Looked::NOT,
            spot: Spot::default(),
        }
    }

    /// Reads a packet, in place of what was there; `None` for any that is no plain query: then what is there is of no
    /// use.
    pub(crate) fn read(&mut self, packet: &[u8]) -> Option<()> {
        let (head, body) = packet.split_first_chunk::<HEADER_SIZE>()?;
        // A query (RFC 1035 §4.1.1), of one question, with one more record at most.
        let [id_high, id_low, flags, _, 0, 1, 0, 0, 0, 0, 0, additional @ 0..=1] = *head else { return None };
        if flags & 0xf8 != 0 {
            return None;
        }
        let name_end = self.name.fill(body)?;
        let (&[t0, t1, c0, c1], records) = body.get(name_end..)?.split_first_chunk::<4>()?;
        let (question_type, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        let is_transfer = matches!(question_type, TYPE_AXFR | TYPE_IXFR);
        // The root cannot be pointed to.
        if is_transfer || class != CLASS_IN || self.name.label_count() == 0 {
            return None;
        }
        self.edns = None;
        if additional == 1 {
            // RFC 6891 §6.1.2. Anything else is not plain.
            let (&[0, t0, t1, s0, s1, _, version, flags, _, l0, l1], data) =
                records.split_first_chunk::<11>()?
            else {
                return None;
            };
            let is_all = usize::from(u16::from_be_bytes([l0, l1])) == data.len();
            if u16::from_be_bytes([t0, t1]) != TYPE_OPT || version != 0 || !is_all {
                return None;
            }
            let edns = self.edns.insert(Edns::bare(u16::from_be_bytes([s0, s1]), flags));
            edns.read_options(data).ok()?;
        }
        self.header = Header {
            id: u16::from_be_bytes([id_high, id_low]),
            opcode: 0,
            recursion_desired: flags & 1 != 0,
        };
        self.question_end = packet.len() - records.len();
        self.question_type = RecordType::from(question_type);
        (self.looked, self.spot) = (Looked::NOT, Spot::default());
        Some(())
    }
}

/// What a map says of the client's address; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot {
    /// Where the map lies, in the view that the query is answered from: nowhere at 0.
    map: usize,
    class: u32,
    scope: u8,
}

impl Spot {
    /// Looks for the client on a map.
    pub(crate) fn look(&mut self, map: &ClassMap, address: IpAddr) {
        (self.class, self.scope) = map.lookup(address);
        self.map = std::ptr::from_ref(map).addr();
    }

    /// What a map says of an address: what is known of it, where that is from the same map.
    pub(crate) fn lookup(self, map: &ClassMap, address: IpAddr) -> (u32, u8) {
        if self.map == std::ptr::from_ref(map).addr() {
            return (self.class, self.scope);
        }
        map.lookup(address)
    }
}
