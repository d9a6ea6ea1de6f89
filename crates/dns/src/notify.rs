//! Tells other servers that a zone has changed (NOTIFY, RFC 1996).
//!
//! Each is told the serial of the view that is live, at the start and at every change, until it answers or has
//! been told [`NOTIFY_TRIES`] times. While it is being told, a further change waits, and the newest counts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::limits::{NOTIFY_AT_ONCE, NOTIFY_TRIES, NOTIFY_WAIT};
use crate::name::QueryName;
use crate::server::Wall;
use crate::tsig::TsigKey;
use crate::view::{Live, View};

/// Tells servers of changes, for as long as views are published.
pub struct Notifier {
    live: Arc<Live>,
    wall: Wall,
    random: fastrand::Rng,
    /// What each server was told last, or is being told.
    told: HashMap<Whom, u32>,
    /// Those that are to be told, in their order.
    waiting: VecDeque<Whom>,
    /// Those that wait or are being told.
    busy: HashSet<Whom>,
}

/// A server, and the zone that it is told of.
type Whom = (Name, SocketAddr);

/// One message to be sent.
struct Notice {
    whom: Whom,
    octets: Vec<u8>,
    id: u16,
}

impl Notifier {
    /// For the views of `live`; `seed` begins the message IDs.
    #[must_use]
    pub fn new(live: Arc<Live>, wall: Wall, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let (told, waiting, busy) = (HashMap::new(), VecDeque::new(), HashSet::new());
        Self { live, wall, random, told, waiting, busy }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut generations: watch::Receiver<u64> = self.live.generations();
        let mut tasks: JoinSet<(Whom, io::Result<ResponseCode>)> = JoinSet::new();
        self.look();
        loop {
            while tasks.len() < NOTIFY_AT_ONCE
                && let Some(whom) = self.waiting.pop_front()
            {
                match self.notice(&whom) {
                    Some(notice) => {
                        tasks.spawn(async move {
                            let outcome = tell(&notice).await;
                            (notice.whom, outcome)
                        });
                    }
                    // It is no longer to be told.
                    None => {
                        self.busy.remove(&whom);
                    }
                }
            }
            tokio::select! {
                changed = generations.changed() => match changed {
                    Ok(()) => self.look(),
                    Err(_) => return,
                },
                Some(ended) = tasks.join_next() => if let Ok((whom, outcome)) = ended {
                    self.ended(whom, outcome);
                },
            }
        }
    }

    /// Puts down who does not know the serial of the view that is live.
    fn look(&mut self) {
        let view = self.live.load();
        for apex in &view.zones().zones {
            let Some(zone) = &apex.transferred else { continue };
            for server in &zone.rules().notify {
                let whom = (apex.name.clone(), *server);
                if self.told.get(&whom).copied() != view.serial(apex) && self.busy.insert(whom.clone()) {
                    self.waiting.push_back(whom);
                }
            }
        }
    }

    fn ended(&mut self, whom: Whom, outcome: io::Result<ResponseCode>) {
        let (zone, server) = &whom;
        match outcome {
            Ok(ResponseCode::NoError) => tracing::debug!(%zone, %server, "told of a change"),
            Ok(code) => tracing::warn!(%zone, %server, %code, "the server does not take what it is told"),
            Err(error) => tracing::warn!(%zone, %server, %error, "the server was not told of a change"),
        }
        // What changed meanwhile, if anything, is next.
        self.waiting.push_back(whom);
    }

    /// What a server is to be told now; `None` where it knows, or nobody wants it told any more.
    fn notice(&mut self, whom: &Whom) -> Option<Notice> {
        let (name, server) = whom;
        let view = self.live.load();
        let (_, apex) = view.zones().apex(&QueryName::from_name(name)?)?;
        // A zone that is gone may have one above it.
        let rules = apex.transferred.as_ref().filter(|_| apex.name == *name)?.rules();
        let serial = view.serial(apex)?;
        if !rules.notify.contains(server) || self.told.get(whom) == Some(&serial) {
            return None;
        }
        let now_s = (self.wall)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = self.random.u16(..);
        let key = rules.keys.first().and_then(|name| key(&view, name));
        let octets = message(name, view.soa(apex).data.first(), id, key, now_s)?;
        self.told.insert(whom.clone(), serial);
        Some(Notice { whom: whom.clone(), octets, id })
    }
}

fn key<'v>(view: &'v View, name: &meridian_model::DomainName) -> Option<&'v TsigKey> {
    view.ground().manners().keys.iter().find(|key| key.is_named(name))
}

/// RFC 1996 §3.7: a question for the SOA, with AA, and the new SOA as a hint.
fn message(zone: &Name, soa: Option<&RData>, id: u16, key: Option<&TsigKey>, now_s: u64) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    if let Some(soa) = soa {
        message.add_answer(Record::from_rdata(zone.clone(), 0, soa.clone()));
    }
    let mut octets = message.to_vec().ok()?;
    if let Some(key) = key {
        key.sign_question(&mut octets, now_s);
    }
    Some(octets)
}

/// Sends until there is a response.
async fn tell(notice: &Notice) -> io::Result<ResponseCode> {
    let (_, server) = notice.whom;
    let from: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(server).await?;
    let mut wait = NOTIFY_WAIT;
    for _ in 0..NOTIFY_TRIES {
        socket.send(&notice.octets).await?;
        if let Ok(response) = timeout(wait, response(&socket, notice.id)).await {
            return response;
        }
        wait *= 2;
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The response to a message of ours; what is none is passed over.
async fn response(socket: &UdpSocket, id: u16) -> io::Result<ResponseCode> {
    let mut octets = [0; 512];
    loop {
        let length = match socket.recv(&mut octets).await {
            Ok(length) => length,
            // Nobody listens there yet: it may when it is told again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let header = octets.get(..length).and_then(|octets| Header::from_bytes(octets).ok());
        if let Some(header) = header
            && (header.id, header.op_code) == (id, OpCode::Notify)
            && header.message_type == MessageType::Response
        {
            return Ok(header.response_code);
        }
    }
}
