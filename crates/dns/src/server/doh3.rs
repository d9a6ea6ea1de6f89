//! DNS over HTTPS by HTTP/3: the same requests and responses as by HTTP/2, over QUIC.

use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use h3::server::{RequestResolver, RequestStream};
use hyper::{Response, StatusCode};
use quinn::Connection;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use super::doh::{Asked, Doh};
use super::metered::{Metered, MeteredConnection};
use super::quic::{Clock, close};
use super::table::Place;
use crate::counters::add;
use crate::limits::{HTTP_BUFFER, QUERY_SIZE, REPLY_READ};
use crate::peer::Peer;

/// Error codes of RFC 9114 §8.1.
const NO_ERROR: u32 = 0x100;

/// Answers until the connection ends.
pub(super) async fn serve(
    connection: Connection,
    peer: Peer,
    shared: Shared,
    random: fastrand::Rng,
    place: &Arc<Place>,
) {
    let clock = Clock::start();
    let doh = Doh { shared: shared.clone(), peer, place: Arc::clone(place), random: Mutex::new(random) };
    let doh = Arc::new(doh);
    let mut end = std::pin::pin!(clock.end(&shared, place));
    let requests = async {
        let over = MeteredConnection::new(connection.clone());
        let mut http = h3::server::builder()
            .max_field_section_size(u64::from(HTTP_BUFFER))
            .send_grease(false)
            .build::<_, Bytes>(over)
            .await
            .ok()?;
        // As many as QUIC lets the client have streams.
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = requests.join_next() => {}
                accepted = http.accept() => {
                    // An error, or the end: the client asks no more.
                    let resolver = accepted.ok()??;
                    requests.spawn(request(resolver, Arc::clone(&doh)));
                }
            }
        }
    };
    tokio::select! {
        biased;
        _ended = async { let _: Option<()> = requests.await; } => {}
        () = &mut end => close(&connection, NO_ERROR),
    }
}

type Resolver = RequestResolver<MeteredConnection, Bytes>;
type Stream = RequestStream<Metered<h3_quinn::BidiStream<Bytes>>, Bytes>;

/// One request. What breaks it breaks it alone.
async fn request(resolver: Resolver, doh: Arc<Doh>) {
    let Ok((request, mut stream)) = resolver.resolve_request().await else { return };
    let response = match doh.asked(request.method(), request.uri(), request.headers()) {
        Ok(Asked::Query(query)) => doh.answer(&query),
        Ok(Asked::Body) => match body(&mut stream).await {
            Ok(query) => doh.answer(&query),
            Err(status) => doh.refuse(status),
        },
        Err(status) => doh.refuse(status),
    };
    if timeout(REPLY_READ, respond(&mut stream, response)).await.is_err() {
        add(&doh.shared.counters.connection_unread);
    }
}

/// The body, if it is no longer than a query.
async fn body(stream: &mut Stream) -> Result<Vec<u8>, StatusCode> {
    let mut body = Vec::new();
    loop {
        match stream.recv_data().await {
            Ok(Some(mut data)) => {
                if body.len() + data.remaining() > QUERY_SIZE {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            Ok(None) => return Ok(body),
            // The client is gone, or has sent more than it may.
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        }
    }
}

async fn respond(stream: &mut Stream, response: Response<Bytes>) -> Result<(), h3::error::StreamError> {
    let (head, body) = response.into_parts();
    stream.send_response(Response::from_parts(head, ())).await?;
    stream.send_data(body).await?;
    stream.finish().await
}
