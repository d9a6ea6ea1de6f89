//! One question to a name server.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, Restrict};
use meridian_model::{DnsCheck, DnsTransport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{failure, random};
use crate::Finding;
use crate::limits::DNS_DATAGRAM_OCTETS_MAX;

/// A [`DnsCheck`] made ready.
#[derive(Debug)]
pub(super) struct Dns {
    question: Query,
    transport: DnsTransport,
    rcodes: Vec<u16>,
    answer: Vec<RData>,
    authoritative: Option<bool>,
}

impl Dns {
    pub(super) fn new(check: &DnsCheck) -> Result<Self, String> {
        let name = Name::read(&mut BinDecoder::new(&check.question.to_wire()))
            .map_err(|error| format!("the question {}: {error}", check.question))?;
        let record_type = RecordType::from(check.record_type);
        Ok(Self {
            question: Query::query(name, record_type),
            transport: check.transport,
            rcodes: check.rcodes.clone(),
            answer: check.answer.iter().map(|wire| data(record_type, wire)).collect::<Result<_, _>>()?,
            authoritative: check.authoritative,
        })
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        match self.ask(at).await {
            Ok(reply) => self.judge(&reply),
            Err(found) => found,
        }
    }
}

/// Data as it would be read out of a message, so that the two compare as their type says.
fn data(record_type: RecordType, wire: &[u8]) -> Result<RData, String> {
    let wrong = |error: &dyn Display| format!("wanted data of {}: {error}", type_name(record_type));
    let length = u16::try_from(wire.len()).map_err(|error| wrong(&error))?;
    RData::read(&mut BinDecoder::new(wire), record_type, Restrict::new(length)).map_err(|error| wrong(&error))
}

//----------- Asking ---------------------------------------------------------

impl Dns {
    async fn ask(&self, at: SocketAddr) -> Result<Message, Finding> {
        if self.transport == DnsTransport::Udp {
            if let Some(reply) = self.over_udp(at).await.map_err(|error| failure(&error))? {
                return Ok(reply);
            }
            return self.over_tcp(at).await.map_err(|error| match failure(&error) {
                Finding::Failed(why) => Finding::Failed(format!("truncated; TCP: {why}")),
                ours => ours,
            });
        }
        self.over_tcp(at).await.map_err(|error| failure(&error))
    }

    /// By a socket of its own, and so from a port that the kernel picks at random. What is not the answer
    /// to this question may be a stranger's: it is passed over until the time is over. `None`: truncated.
    async fn over_udp(&self, at: SocketAddr) -> io::Result<Option<Message>> {
        let any: IpAddr =
            if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(at).await?;
        let (id, query) = self.query()?;
        socket.send(&query).await?;
        let mut octets = [0; DNS_DATAGRAM_OCTETS_MAX];
        loop {
            let read = socket.recv(&mut octets).await?;
            let octets = octets.get(..read).unwrap_or_default();
            if is_truncated(id, octets) {
                return Ok(None);
            }
            if let Some(reply) = self.reply(id, octets)? {
                return Ok(Some(reply));
            }
        }
    }

    async fn over_tcp(&self, at: SocketAddr) -> io::Result<Message> {
        let mut stream = TcpStream::connect(at).await?;
        let (id, query) = self.query()?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        // In one write: a server may take the length alone for the end (RFC 7766 §8).
        stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).await?;
        let closed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("connection closed before an answer"),
            _ => error,
        };
        loop {
            let length = stream.read_u16().await.map_err(closed)?;
            let mut octets = vec![0; usize::from(length)];
            stream.read_exact(&mut octets).await.map_err(closed)?;
            if let Some(reply) = self.reply(id, &octets)? {
                return Ok(reply);
            }
        }
    }

    /// Without EDNS, which every server understands; with RD, as clients ask.
    fn query(&self) -> io::Result<(u16, Vec<u8>)> {
        let id = u16::from_be_bytes(random()?);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.question.clone());
        Ok((id, message.to_vec().map_err(io::Error::other)?))
    }

    /// The answer to our question; `None` for anything else.
    fn reply(&self, id: u16, octets: &[u8]) -> io::Result<Option<Message>> {
        if octets.first_chunk().map(|id| u16::from_be_bytes(*id)) != Some(id) {
            return Ok(None);
        }
        let message = Message::from_vec(octets)
            .map_err(|error| io::Error::other(format!("an answer that cannot be read: {error}")))?;
        let metadata = &message.metadata;
        let is_ours = match &message.queries[..] {
            [question] => *question == self.question,
            // A server that does not understand a message need not repeat its question.
            [] => u16::from(metadata.response_code) != 0,
            _ => false,
        };
        let is_reply = metadata.message_type == MessageType::Response && metadata.op_code == OpCode::Query;
        Ok((is_ours && is_reply).then_some(message))
    }
}

/// Whether these octets are a reply of this id with TC. The rest of it may be cut anywhere, and is not read.
fn is_truncated(id: u16, octets: &[u8]) -> bool {
    const QR: u8 = 0x80;
    const TC: u8 = 0x02;
    let Some([high, low, flags]) = octets.first_chunk() else { return false };
    u16::from_be_bytes([*high, *low]) == id && flags & (QR | TC) == QR | TC
}

//----------- Judging --------------------------------------------------------

impl Dns {
    fn judge(&self, reply: &Message) -> Finding {
        let rcode = u16::from(reply.metadata.response_code);
        let found = rcode_name(rcode);
        if !self.rcodes.contains(&rcode) {
            let wanted: Vec<String> = self.rcodes.iter().copied().map(rcode_name).collect();
            return Finding::Failed(format!("{found}, wanted {}", wanted.join(" or ")));
        }
        match (self.authoritative, reply.metadata.authoritative) {
            (Some(true), false) => return Finding::Failed(format!("{found} without AA, wanted it")),
            (Some(false), true) => return Finding::Failed(format!("{found} with AA, wanted none")),
            _ => {}
        }
        let record_type = self.question.query_type();
        let answers = reply.answers.iter();
        let answers = answers
            .filter(|record| record.dns_class == DNSClass::IN && record.data.record_type() == record_type);
        let answers: Vec<&RData> = answers.map(|record| &record.data).collect();
        match self.answer.iter().find(|wanted| !answers.contains(wanted)) {
            None => Finding::Good,
            Some(wanted) => {
                Finding::Failed(format!("{found}, {}, wanted {wanted}", listed(record_type, &answers)))
            }
        }
    }
}

/// `192.0.2.1, 192.0.2.2` or `no A record`
fn listed(record_type: RecordType, answers: &[&RData]) -> String {
    const SHOWN: usize = 3;
    if answers.is_empty() {
        return format!("no {} record", type_name(record_type));
    }
    let shown: Vec<String> = answers.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = answers.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    // What is in a TXT record is the server's to say.
    shown.join(", ").replace(char::is_control, "?") + &more
}

/// Its mnemonic, or `TYPE` and its number (RFC 3597 §5).
pub(crate) fn type_name(record_type: RecordType) -> String {
    match record_type {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// As they are registered (RFC 6895 §2.3).
fn rcode_name(rcode: u16) -> String {
    const NAMES: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE",
    ];
    NAMES.get(usize::from(rcode)).map_or_else(|| format!("RCODE {rcode}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use meridian_model::DomainName;
    use proptest::collection::vec;
    use proptest::prelude::any;

    use super::*;

    fn dns(record_type: u16) -> Dns {
        let check = DnsCheck {
            question: DomainName::parse("shop.example").unwrap(),
            record_type,
            transport: DnsTransport::Udp,
            rcodes: vec![0],
            answer: Vec::new(),
            authoritative: None,
        };
        Dns::new(&check).unwrap()
    }

    /// A reply to the question with one record, of this type and data.
    fn with_record(record_type: u16, data: &[u8]) -> Vec<u8> {
        let (_, mut octets) = dns(record_type).query().unwrap();
        octets[..8].copy_from_slice(&[0, 7, 0x80, 0, 0, 1, 0, 1]);
        octets.extend([0xc0, 12]);
        octets.extend(record_type.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 60]);
        octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        octets.extend(data);
        octets
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in vec(any::<u8>(), 0..600)) {
            let _any = dns(1).reply(7, &[&[0, 7][..], &octets].concat());
        }

        /// Also where they are the data of a type that has a form, and are shown.
        #[test]
        fn no_data_makes_it_panic(record_type in 1_u16..300, octets in vec(any::<u8>(), 0..300)) {
            let mut dns = dns(record_type);
            if let Ok(Some(reply)) = dns.reply(7, &with_record(record_type, &octets)) {
                dns.answer = vec![RData::Update0(RecordType::from(record_type))];
                let _any = dns.judge(&reply);
            }
            let _either = data(RecordType::from(record_type), &octets);
        }
    }
}
