//! Messages behind two octets of length (RFC 1035 §4.2.2), over TCP and TLS.
//!
//! Many queries may come in one segment, or one octet by octet. They are answered in place and in their order,
//! which RFC 7766 §7 allows: no answer waits for anything, so none could overtake another. Replies go out in
//! batches, and no more is read until they are out: a client that does not read holds up itself alone.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use super::table::Place;
use super::{Passed, Shared};
use crate::answer::Reply;
use crate::counters::add;
use crate::limits::{CLOSING, LEAVING_IDLE, QUERY_SIZE, REPLY_BATCH, REPLY_READ};
use crate::peer::{Moment, Peer};
use crate::transfer::Transfer;

/// The octets of a length.
const PREFIX: usize = 2;

/// One connection.
pub(super) struct Framed<S> {
    stream: S,
    peer: Peer,
    shared: Shared,
    random: fastrand::Rng,
    /// What has come and is no whole query yet; `filled` octets of it.
    input: Box<[u8]>,
    filled: usize,
    /// Octets that still belong to a query too long to be kept.
    skipped: usize,
    reply: Vec<u8>,
    /// Replies behind their lengths.
    output: Vec<u8>,
    /// The zone that goes out behind these.
    transfer: Option<Transfer>,
    opened: Instant,
    /// When the last query came.
    idle_since: Instant,
}

/// Why a connection ends.
enum Ended {
    /// The client has said that it is done, or the server is.
    Done,
    /// No query came for too long.
    Idle,
    /// It is as old as connections get.
    Aged,
    /// The client does not read.
    Unread,
    /// The client is gone.
    Gone,
    /// As many zones are going out as may.
    Busy,
    /// Another server takes it on.
    Left(mpsc::Sender<Passed>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    pub(super) fn new(stream: S, peer: Peer, shared: Shared, random: fastrand::Rng) -> Self {
        let input = vec![0; PREFIX + QUERY_SIZE].into_boxed_slice();
        let now = Instant::now();
        Self {
            stream,
            peer,
            shared,
            random,
            input,
            filled: 0,
            skipped: 0,
            reply: Vec::new(),
            output: Vec::new(),
            transfer: None,
            opened: now,
            idle_since: now,
        }
    }

    /// Answers until the connection ends.
    pub(super) async fn serve(mut self, place: &Place) {
        let ended = self.queries(place, false).await;
        self.end(ended).await;
    }

    async fn end(mut self, ended: Ended) {
        let counters = &self.shared.counters;
        match ended {
            Ended::Done => {}
            Ended::Idle => add(&counters.connection_idle),
            Ended::Aged => add(&counters.connection_aged),
            Ended::Unread => add(&counters.connection_unread),
            Ended::Busy => add(&counters.transfers_over_total),
            Ended::Gone | Ended::Left(_) => return,
        }
        // The other end learns that this is the end, and not that something broke.
        let _at_most = timeout(CLOSING, self.stream.shutdown()).await;
    }

    /// `can_leave`: whether another server can take it on. If not, it is served on while it is in use.
    async fn queries(&mut self, place: &Place, can_leave: bool) -> Ended {
        let mut over = pin!(self.shared.phases.over());
        let mut leaving = false;
        loop {
            if let Some(successor) = self.shared.phases.successor() {
                if can_leave {
                    return Ended::Left(successor);
                }
                leaving = true;
            }
            let bounds = self.shared.streams();
            let aged = self.opened + bounds.lifetime;
            if Instant::now() >= aged {
                return Ended::Aged;
            }
            // Half a query is not one: what comes of it puts nothing off.
            let idle = self.idle_since + if leaving { bounds.idle.min(LEAVING_IDLE) } else { bounds.idle };
            let read = tokio::select! {
                biased;
                read = timeout_at(idle.min(aged), self.read()) => read,
                () = &mut over, if !leaving => match self.shared.phases.is_leaving() {
                    true => continue,
                    false => return Ended::Done,
                },
            };
            match read {
                Ok(Ok(0)) => return Ended::Done,
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ended::Gone,
                Err(_) if aged < idle => return Ended::Aged,
                Err(_) => return Ended::Idle,
            }
            while self.answer() {
                self.idle_since = Instant::now();
                if let Err(ended) = self.send(place).await {
                    return ended;
                }
                if let Some(transfer) = self.transfer.take()
                    && let Err(ended) = self.transfer(transfer, place).await
                {
                    return ended;
                }
                // A client that asks without a pause has its turn after all others.
                yield_now().await;
            }
        }
    }

    /// Reads what there is, up to what there is room for; 0: the client sends no more.
    async fn read(&mut self) -> io::Result<usize> {
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        let read = self.stream.read(room).await?;
        self.filled += read;
        Ok(read)
    }

    /// Sends the replies. As a rule the kernel takes them at once; else the client has some time to read.
    async fn send(&mut self, place: &Place) -> Result<(), Ended> {
        place.replied();
        let mut written = pin!(self.write());
        if let Poll::Ready(written) = poll_fn(|context| Poll::Ready(written.as_mut().poll(context))).await {
            return written.map_err(|_| Ended::Gone);
        }
        place.replying();
        let written = timeout(REPLY_READ, written).await.map_err(|_| Ended::Unread)?;
        place.replied();
        written.map_err(|_| Ended::Gone)
    }

    /// Sends a whole zone. The client must read each message in time, as it must any.
    async fn transfer(&mut self, mut transfer: Transfer, place: &Place) -> Result<(), Ended> {
        let _place = self.shared.transfers.clone().try_acquire_owned().map_err(|_| Ended::Busy)?;
        let moment = self.shared.moment(&mut self.random);
        while transfer.next(moment.unix_s, &mut self.reply) {
            self.frame();
            self.send(place).await?;
            yield_now().await;
        }
        Ok(())
    }

    async fn write(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output).await?;
        self.stream.flush().await?;
        self.output.clear();
        // Thousands that idle should not each keep what one large reply took.
        self.output.shrink_to(REPLY_BATCH / 8);
        self.reply.shrink_to(REPLY_BATCH / 8);
        Ok(())
    }

    /// Answers the whole queries that have come, as many as one batch of replies takes, from one view. Says
    /// whether there is anything to send.
    fn answer(&mut self) -> bool {
        let view = self.shared.live.load();
        let moment = self.shared.moment(&mut self.random);
        let (mut read, mut answered) = (0, 0);
        while self.output.len() < REPLY_BATCH && self.transfer.is_none() {
            let skipped = self.skipped.min(self.filled - read);
            self.skipped -= skipped;
            read += skipped;
            let Some((query, rest)) = self.input.get(read..self.filled).and_then(first) else { break };
            let moment = Moment { random: self.random.u64(..), ..moment };
            let sent = self.shared.answer(&view, query, self.peer, moment, &mut self.reply);
            if matches!(sent, Reply::Transfer(_)) {
                self.transfer = Transfer::begin(Arc::clone(&view), query, moment);
            }
            read += PREFIX + query.len();
            answered += 1;
            self.skipped = rest;
            if matches!(sent, Reply::Sent { .. }) {
                self.frame();
            }
        }
        self.input.copy_within(read..self.filled, 0);
        self.filled -= read;
        self.shared.took(self.peer.transport, moment, answered);
        !self.output.is_empty() || self.transfer.is_some()
    }

    /// Puts the reply behind its length, so that both go out in one segment.
    fn frame(&mut self) {
        // The writer bounds replies to 65,535 octets.
        let length = u16::try_from(self.reply.len()).unwrap_or(0);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(&self.reply);
    }
}

//----------- Leaving --------------------------------------------------------

/// A connection in between two replies, and who takes it on.
pub(super) struct Left {
    framed: Framed<TcpStream>,
    successor: mpsc::Sender<Passed>,
}

impl Framed<TcpStream> {
    /// Answers until the connection ends, or the server leaves.
    pub(super) async fn serve_until_left(mut self, place: &Place) -> Option<Left> {
        match self.queries(place, true).await {
            Ended::Left(successor) => Some(Left { framed: self, successor }),
            ended => {
                self.end(ended).await;
                None
            }
        }
    }

    /// As another server left it.
    pub(super) fn with(mut self, input: &[u8], skipped: usize, age: Duration, idle: Duration) -> Self {
        // No more than there is room for, whoever says so.
        self.filled = input.len().min(self.input.len());
        self.input[..self.filled].copy_from_slice(&input[..self.filled]);
        self.skipped = skipped.min(usize::from(u16::MAX));
        let ago = |since: Duration| Instant::now().checked_sub(since);
        self.opened = ago(age).unwrap_or(self.opened);
        self.idle_since = ago(idle).unwrap_or(self.idle_since);
        self
    }
}

impl Left {
    /// Takes it to the other server.
    pub(super) async fn pass(self) {
        let Framed { stream, peer, shared, input, filled, skipped, opened, idle_since, .. } = self.framed;
        let passed = stream.into_std().map(|stream| Passed {
            stream,
            client: peer.address,
            input: input.get(..filled).unwrap_or_default().to_vec(),
            skipped,
            age: opened.elapsed(),
            idle: idle_since.elapsed(),
        });
        if let Ok(passed) = passed {
            // Fails when nobody takes it any more: the client asks again.
            let _gone = self.successor.send(passed).await;
        }
        // Until here this server has not ended, and who takes connections from it waits for this one.
        drop(shared);
    }
}

/// The first query of what has come, if it is whole, and how many octets of it are still to come: of one that is
/// too long only the beginning is kept, as of a datagram. It is FORMERR.
fn first(input: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = input.split_first_chunk::<PREFIX>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let kept = length.min(QUERY_SIZE);
    Some((rest.get(..kept)?, length - kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_whole_or_cut() {
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[0]), None);
        assert_eq!(first(&[0, 0]), Some((&[][..], 0)));
        assert_eq!(first(&[0, 2, 7]), None);
        assert_eq!(first(&[0, 2, 7, 8, 9]), Some((&[7, 8][..], 0)));
        let mut long = vec![0xff, 0xff];
        long.resize(PREFIX + QUERY_SIZE - 1, 1);
        assert_eq!(first(&long), None);
        long.push(1);
        assert_eq!(
            first(&long).map(|(kept, rest)| (kept.len(), rest)),
            Some((QUERY_SIZE, 65535 - QUERY_SIZE))
        );
    }
}
