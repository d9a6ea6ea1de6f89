//! Messages of dnstap (<https://dnstap.info>, `dnstap.proto`), as far as an authoritative server has something to say.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;

/// The content type of their frame streams.
pub const CONTENT_TYPE: &str = "protobuf:dnstap.Dnstap";

/// `dnstap.Dnstap.Type.MESSAGE`
const MESSAGE: i32 = 1;

/// One query or response.
#[derive(Clone, Copy, Debug)]
pub struct Told<'t> {
    /// Who tells it, and which version of what that is.
    pub identity: &'t str,
    /// The version.
    pub version: &'t str,
    /// Which of the two.
    pub what: What<'t>,
    /// What carried it.
    pub protocol: Protocol,
    /// Who asked: address, and port where it is known.
    pub client: (IpAddr, Option<u16>),
    /// Where, if that is known.
    pub server: Option<(IpAddr, u16)>,
    /// When the query came.
    pub received: SystemTime,
}

/// The message itself, in wire form.
#[derive(Clone, Copy, Debug)]
pub enum What<'t> {
    /// `AUTH_QUERY`
    Query(&'t [u8]),
    /// `AUTH_RESPONSE`, and when it was ready.
    Response(&'t [u8], SystemTime),
}

/// `dnstap.SocketProtocol`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// DNS over UDP.
    Udp = 1,
    /// DNS over TCP.
    Tcp = 2,
    /// DNS over TLS.
    Dot = 3,
    /// DNS over HTTPS.
    Doh = 4,
    /// DNS over QUIC.
    Doq = 7,
}

impl Told<'_> {
    /// Its octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let (sec, nsec) = time(self.received);
        let mut message = Message {
            socket_family: Some(if self.client.0.is_ipv4() { 1 } else { 2 }),
            socket_protocol: Some(self.protocol as i32),
            query_address: Some(octets(self.client.0)),
            query_port: self.client.1.map(u32::from),
            response_address: self.server.map(|(ip, _)| octets(ip)),
            response_port: self.server.map(|(_, port)| port.into()),
            query_time_sec: Some(sec),
            query_time_nsec: Some(nsec),
            ..Message::default()
        };
        match self.what {
            What::Query(query) => {
                message.kind = 1;
                message.query_message = Some(query.to_vec());
            }
            What::Response(response, at) => {
                let (sec, nsec) = time(at);
                message.kind = 2;
                (message.response_time_sec, message.response_time_nsec) = (Some(sec), Some(nsec));
                message.response_message = Some(response.to_vec());
            }
        }
        let told = Dnstap {
            identity: Some(self.identity.as_bytes().to_vec()),
            version: Some(self.version.as_bytes().to_vec()),
            message: Some(message),
            kind: MESSAGE,
        };
        told.encode_to_vec()
    }
}

/// Seconds and nanoseconds since 1970.
fn time(at: SystemTime) -> (u64, u32) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}

//----------- Messages -------------------------------------------------------

#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(int32, optional, tag = "2")]
    socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}
