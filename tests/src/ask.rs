//! A DNS client that says exactly what it is told to.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::serialize::binary::BinEncodable as _;

use crate::stream::exchange;
use crate::wire::Wire;

/// Far over any answer; only a broken build waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

//----------- Ask ------------------------------------------------------------

/// A query to be made.
#[derive(Clone, Debug)]
pub struct Ask {
    /// As it is written into the question, case kept.
    pub name: String,
    /// The type's number.
    pub question_type: u16,
    /// The class's number.
    pub class: u16,
    /// The message ID.
    pub id: u16,
    /// RD.
    pub recursion_desired: bool,
    /// The OPCODE.
    pub opcode: u8,
    /// With EDNS: payload size, version, DO.
    pub edns: Option<(u16, u8, bool)>,
    /// The client subnet, which implies EDNS: address and SOURCE PREFIX-LENGTH.
    pub subnet: Option<(IpAddr, u8)>,
    /// Further options, which imply EDNS: code and data.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Ask {
    /// A plain query of class IN.
    #[must_use]
    pub fn new(name: &str, question_type: RecordType) -> Self {
        Self {
            name: name.to_owned(),
            question_type: question_type.into(),
            class: 1,
            id: 0x4d52,
            recursion_desired: false,
            opcode: 0,
            edns: None,
            subnet: None,
            options: Vec::new(),
        }
    }

    /// With one more option: its code and data.
    #[must_use]
    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.push((code, data.to_vec()));
        self
    }

    /// With a client subnet.
    #[must_use]
    pub fn subnet(mut self, address: &str, source: u8) -> Self {
        self.subnet = Some((address.parse().expect("an address"), source));
        self
    }

    /// With EDNS and this payload size.
    #[must_use]
    pub fn edns(mut self, size: u16) -> Self {
        self.edns = Some((size, 0, false));
        self
    }

    /// The query's octets.
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let with_opt = self.edns.is_some() || self.subnet.is_some() || !self.options.is_empty();
        let mut out = Vec::new();
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[self.opcode << 3 | u8::from(self.recursion_desired), 0]);
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)]);
        out.extend_from_slice(&wire_name(&self.name));
        out.extend_from_slice(&self.question_type.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        if with_opt {
            let (size, version, dnssec_ok) = self.edns.unwrap_or((1232, 0, false));
            let mut options =
                self.subnet.map_or_else(Vec::new, |(address, source)| subnet_option(address, source));
            for (code, data) in &self.options {
                options.extend_from_slice(&code.to_be_bytes());
                options.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
                options.extend_from_slice(data);
            }
            out.extend_from_slice(&[0, 0, 41]);
            out.extend_from_slice(&size.to_be_bytes());
            out.extend_from_slice(&[0, version, if dnssec_ok { 0x80 } else { 0 }, 0]);
            out.extend_from_slice(&u16::try_from(options.len()).expect("short").to_be_bytes());
            out.extend_from_slice(&options);
        }
        out
    }
}

/// A name as RFC 1035 §5.1 writes it. The message library takes `\DDD` for an octal number.
fn wire_name(text: &str) -> Vec<u8> {
    let mut labels = vec![Vec::new()];
    let mut rest = text.strip_suffix('.').unwrap_or(text).as_bytes();
    while let [first, behind @ ..] = rest {
        let (octet, next) = match (first, behind) {
            (b'.', _) => {
                labels.push(Vec::new());
                rest = behind;
                continue;
            }
            (b'\\', [a @ b'0'..=b'9', b, c, next @ ..]) => {
                let digits = [a, b, c].map(|digit| char::from(*digit));
                (String::from_iter(digits).parse().expect("three digits to 255"), next)
            }
            (b'\\', [octet, next @ ..]) => (*octet, next),
            _ => (*first, behind),
        };
        labels.last_mut().expect("one at least").push(octet);
        rest = next;
    }
    let mut wire = Vec::new();
    for label in labels.iter().filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a label"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// RFC 7871 §6, with bits beyond `source` cleared.
fn subnet_option(address: IpAddr, source: u8) -> Vec<u8> {
    let net = ipnet::IpNet::new(address, source).expect("a prefix length of the family").trunc();
    let (family, octets) = match net.addr() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let used = usize::from(source.div_ceil(8));
    let mut option = vec![0, 8, 0, 4 + source.div_ceil(8), 0, family, source, 0];
    option.extend_from_slice(&octets[..used]);
    option
}

//----------- Asked ----------------------------------------------------------

/// A reply, decoded.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it came.
    pub octets: Vec<u8>,
    /// Decoded by the message library.
    pub message: Message,
    /// Taken apart by ourselves.
    pub wire: Wire,
    /// The client subnet in it: SOURCE and SCOPE PREFIX-LENGTH.
    pub subnet: Option<(u8, u8)>,
    /// The Extended DNS Error in it.
    pub error: Option<u16>,
}

impl Asked {
    /// Decodes a reply.
    ///
    /// # Errors
    /// When it is no message, or has octets after its last record.
    pub fn decode(octets: Vec<u8>) -> anyhow::Result<Self> {
        let message = Message::from_vec(&octets)?;
        let wire = Wire::read(&octets)?;
        let (mut subnet, mut error) = (None, None);
        if let Some(edns) = &message.edns {
            for (code, option) in edns.options().as_ref() {
                let data = option.to_bytes()?;
                match (u16::from(*code), &data[..]) {
                    (8, [_, _, source, scope, ..]) => subnet = Some((*source, *scope)),
                    (15, [high, low, ..]) => error = Some(u16::from_be_bytes([*high, *low])),
                    _ => {}
                }
            }
        }
        Ok(Self { octets, message, wire, subnet, error })
    }

    /// What an option of the OPT record holds, if there is one of that code.
    #[must_use]
    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let options = self.message.edns.as_ref()?.options().as_ref();
        options.iter().find(|(of, _)| u16::from(*of) == code).and_then(|(_, option)| option.to_bytes().ok())
    }

    /// The addresses in the answer, as text, sorted.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self
            .message
            .answers
            .iter()
            .filter_map(|record| record.data.ip_addr())
            .map(|ip| ip.to_string())
            .collect();
        addresses.sort();
        addresses
    }

    /// The TTL of the first answer.
    #[must_use]
    pub fn ttl(&self) -> Option<u32> {
        self.message.answers.first().map(|record| record.ttl)
    }
}

/// Asks over UDP.
///
/// # Errors
/// Without a reply, or with one that does not decode.
pub fn ask_udp(server: SocketAddr, ask: &Ask) -> anyhow::Result<Asked> {
    Asked::decode(exchange_udp(server, None, &ask.octets())?)
}

/// Asks over TCP.
///
/// # Errors
/// Without a reply, or with one that does not decode.
pub fn ask_tcp(server: SocketAddr, ask: &Ask) -> anyhow::Result<Asked> {
    Asked::decode(exchange_tcp(server, &ask.octets())?)
}

/// Sends octets over UDP, perhaps from a given address, and returns the reply's.
///
/// # Errors
/// Without a reply from that very server within the deadline.
pub fn exchange_udp(server: SocketAddr, from: Option<IpAddr>, query: &[u8]) -> io::Result<Vec<u8>> {
    let any = if server.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0_u16; 8]) };
    let socket = UdpSocket::bind((from.unwrap_or(any), 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    socket.send(query)?;
    let mut reply = vec![0; 65535];
    let length = socket.recv(&mut reply)?;
    reply.truncate(length);
    Ok(reply)
}

/// Sends octets over TCP and returns the reply's.
///
/// # Errors
/// Without a reply within the deadline.
pub fn exchange_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    exchange(&mut stream, query)
}
