//! The answer itself: the octets that a client would get, read back.

use std::net::IpAddr;

use anyhow::Context;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use meridian_dns::{Asked, Moment, Peer, Reply, Transport, View, answer};

/// What the client gets.
pub(crate) struct Answered {
    /// Its mnemonic.
    pub(crate) rcode: &'static str,
    /// The answer section in presentation format.
    pub(crate) records: Vec<String>,
    /// The Extended DNS Error's code and text (RFC 8914).
    pub(crate) error: Option<(u16, String)>,
    /// The scope that goes to the resolver; `None` where no subnet was disclosed.
    pub(crate) scope: Option<u8>,
}

impl Answered {
    /// Asks as the client's resolver would.
    pub(crate) fn ask(view: &View, asked: &Asked) -> anyhow::Result<Self> {
        let name = Name::read(&mut BinDecoder::new(&asked.name.to_wire())).context("not a name")?;
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name, RecordType::from(asked.question_type)));
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        if asked.resolver.is_some() {
            let bits = if asked.client.is_ipv4() { 32 } else { 128 };
            edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(asked.client, bits, 0)));
        }
        message.set_edns(edns);
        let query = message.to_vec().context("the question")?;
        let address: IpAddr = asked.resolver.unwrap_or(asked.client);
        let mut out = Vec::new();
        let moment = Moment { random: asked.random, ..Moment::default() };
        let peer = Peer { address, transport: Transport::Tcp };
        let Reply::Sent { rcode, .. } = answer(view, &query, peer, moment, &mut out) else {
            anyhow::bail!("no reply");
        };
        let reply = Message::from_vec(&out).context("the reply")?;
        let options = reply.edns.as_ref().map(Edns::options);
        let scope = options.and_then(|options| match options.get(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
            _ => None,
        });
        let error = options.and_then(|options| match options.get(EdnsCode::Unknown(15)) {
            Some(EdnsOption::Unknown(_, data)) => extended_error(data),
            _ => None,
        });
        Ok(Self {
            rcode: rcode.as_str(),
            records: reply.answers.iter().map(ToString::to_string).collect(),
            error,
            scope,
        })
    }
}

fn extended_error(data: &[u8]) -> Option<(u16, String)> {
    let (code, text) = data.split_first_chunk()?;
    Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
}
