//! DNS over dedicated QUIC connections (RFC 9250): a stream for each query.

use std::sync::Arc;

use quinn::{Connection, ReadToEndError, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::quic::{Clock, close};
use super::table::Place;
use crate::answer::Reply;
use crate::counters::add;
use crate::limits::{CLOSING, QUERY_SIZE, REPLY_READ};
use crate::message::asks_for_keepalive;
use crate::peer::Peer;

/// Error codes of RFC 9250 §4.3.
const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 2;
const EXCESSIVE_LOAD: u32 = 4;
const UNSPECIFIED_ERROR: u32 = 5;

/// What RFC 9250 §4.3.3 has the whole connection closed for.
struct Violation;

/// Answers until the connection ends.
pub(super) async fn serve(
    connection: Connection,
    peer: Peer,
    shared: Shared,
    mut random: fastrand::Rng,
    place: &Arc<Place>,
) {
    let clock = Clock::start();
    // As many as QUIC lets the client have streams.
    let mut queries: JoinSet<Result<(), Violation>> = JoinSet::new();
    let mut end = std::pin::pin!(clock.end(&shared, place));
    loop {
        tokio::select! {
            biased;
            Some(ended) = queries.join_next() => if let Ok(Err(Violation)) = ended {
                add(&shared.counters.quic_violations);
                return close(&connection, PROTOCOL_ERROR);
            },
            accepted = connection.accept_bi() => {
                // An error: the connection is gone.
                let Ok((send, receive)) = accepted else { return };
                let (shared, random, place) = (shared.clone(), random.fork(), Arc::clone(place));
                queries.spawn(query(send, receive, peer, shared, random, place));
            }
            () = &mut end => {
                // What has come is answered, and the answers arrive.
                let ends = async { while queries.join_next().await.is_some() {} };
                let _at_most = timeout(CLOSING, ends).await;
                return close(&connection, NO_ERROR);
            }
        }
    }
}

/// One stream: a query, its end, and the reply.
async fn query(
    mut send: SendStream,
    mut receive: RecvStream,
    peer: Peer,
    shared: Shared,
    mut random: fastrand::Rng,
    place: Arc<Place>,
) -> Result<(), Violation> {
    let framed = match receive.read_to_end(2 + QUERY_SIZE).await {
        Ok(framed) => framed,
        Err(ReadToEndError::TooLong) => {
            // Whoever reads no more of the stream lets it go.
            let _gone = (
                receive.stop(VarInt::from_u32(EXCESSIVE_LOAD)),
                send.reset(VarInt::from_u32(EXCESSIVE_LOAD)),
            );
            return Ok(());
        }
        // The client has given it up (RFC 9250 §4.3.1).
        Err(ReadToEndError::Read(_)) => return Ok(()),
    };
    let Some(packet) = message(&framed) else {
        // Dropped, it would end as though that were the reply.
        let _gone = send.reset(VarInt::from_u32(PROTOCOL_ERROR));
        return Err(Violation);
    };
    let mut reply = Vec::new();
    let sent = {
        let view = shared.live.load();
        let moment = shared.moment(&mut random);
        let sent = shared.answer(&view, packet, peer, moment, &mut reply);
        shared.took(peer.transport, moment, 1);
        sent
    };
    if !matches!(sent, Reply::Sent { .. }) {
        // To no query there is no reply.
        let _gone = send.reset(VarInt::from_u32(UNSPECIFIED_ERROR));
        return Ok(());
    }
    place.replied();
    // The writer bounds replies to 65,535 octets.
    let length = u16::try_from(reply.len()).unwrap_or(0).to_be_bytes();
    // As one, so that the end of the stream most likely goes out with it: a client may wait for that before it asks again.
    let framed = [&length[..], &reply].concat();
    match timeout(REPLY_READ, send.write_all(&framed)).await {
        Ok(_written_or_gone) => {
            let _gone = send.finish();
            // Until the client has it all, for what closes the connection would take back what is on its way.
            let _arrived = timeout(REPLY_READ, send.stopped()).await;
        }
        Err(_) => {
            add(&shared.counters.connection_unread);
            let _gone = send.reset(VarInt::from_u32(EXCESSIVE_LOAD));
        }
    }
    Ok(())
}

/// The one message of a stream, behind its length: with ID 0 (RFC 9250 §4.2.1) and without the keepalive option
/// (RFC 9250 §5.5.2); `None` where it is anything else.
fn message(framed: &[u8]) -> Option<&[u8]> {
    let (length, packet) = framed.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == packet.len();
    (whole && packet.starts_with(&[0, 0]) && !asks_for_keepalive(packet)).then_some(packet)
}
