//! HTTP/2 and HTTP/1.1 over TLS, for DoH: hyper speaks it, the bounds are ours.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::doh::{Asked, Doh};
use super::table::Place;
use crate::counters::add;
use crate::limits::{
    CLOSING, HTTP_BUFFER, HTTP_HEADERS, HTTP_RESETS, HTTP_STREAM_WINDOW, HTTP_STREAMS, QUERY_SIZE,
};
use crate::peer::Peer;

/// Serves one connection until it ends.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    peer: Peer,
    shared: Shared,
    random: fastrand::Rng,
    place: &Arc<Place>,
) {
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let place = Arc::clone(place);
    let doh =
        Arc::new(Doh { shared: shared.clone(), peer, place: place.clone(), random: Mutex::new(random) });
    let service = service_fn(move |request| {
        let doh = Arc::clone(&doh);
        async move { Ok::<_, Infallible>(respond(&doh, request).await.map(Full::new)) }
    });
    let stream = TokioIo::new(stream);
    if two {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(HTTP_STREAMS)
            .max_header_list_size(HTTP_BUFFER)
            .max_pending_accept_reset_streams(HTTP_RESETS)
            .max_local_error_reset_streams(HTTP_RESETS)
            .max_send_buf_size(HTTP_BUFFER as usize)
            .initial_stream_window_size(HTTP_STREAM_WINDOW)
            .initial_connection_window_size(HTTP_STREAM_WINDOW * HTTP_STREAMS);
        let connection = http.serve_connection(stream, service);
        bounded(connection, |connection| connection.graceful_shutdown(), &shared, &place).await;
    } else {
        let mut http = http1::Builder::new();
        // The header must be there as soon as a query.
        http.timer(TokioTimer::new())
            .header_read_timeout(shared.streams().idle)
            .max_headers(HTTP_HEADERS)
            .max_buf_size(HTTP_BUFFER as usize);
        let connection = http.serve_connection(stream, service);
        bounded(connection, |connection| connection.graceful_shutdown(), &shared, &place).await;
    }
}

/// Runs a connection until it ends, idles, is too old, or the server stops; then it is told to end.
async fn bounded<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    shared: &Shared,
    place: &Place,
) {
    let mut connection = pin!(connection);
    let opened = Instant::now();
    let mut over = pin!(shared.phases.over());
    loop {
        let bounds = shared.streams();
        let aged = opened + bounds.lifetime;
        let idle = place.idle_since() + bounds.idle;
        let now = Instant::now();
        if now >= aged {
            add(&shared.counters.connection_aged);
            break;
        }
        if now >= idle {
            add(&shared.counters.connection_idle);
            break;
        }
        tokio::select! {
            biased;
            // Whatever broke, broke this connection alone.
            _ended = connection.as_mut() => return,
            () = sleep_until(idle.min(aged)) => {}
            () = &mut over => break,
        }
    }
    end(connection.as_mut());
    let _at_most = timeout(CLOSING, connection).await;
}

async fn respond(doh: &Doh, request: Request<Incoming>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    match doh.asked(&head.method, &head.uri, &head.headers) {
        Ok(Asked::Query(query)) => doh.answer(&query),
        Ok(Asked::Body) => match Limited::new(body, QUERY_SIZE).collect().await {
            Ok(body) => doh.answer(&body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                doh.refuse(StatusCode::PAYLOAD_TOO_LARGE)
            }
            // The client is gone, and hears nothing of it.
            Err(_) => doh.refuse(StatusCode::BAD_REQUEST),
        },
        Err(status) => doh.refuse(status),
    }
}
