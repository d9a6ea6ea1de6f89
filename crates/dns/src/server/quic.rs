//! QUIC connections, for DoQ and for HTTP/3: quinn speaks it, the bounds are ours.

use std::io;
use std::net::UdpSocket;
use std::pin::pin;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::table::Place;
use super::{Ends, Service, Shared, doh3, doq, tls};
use crate::counters::add;
use crate::limits::{
    CLOSING, HANDSHAKE, QUIC_HANDSHAKES, QUIC_SEND_WINDOW, QUIC_STREAM_WINDOW, QUIC_STREAMS,
    QUIC_UNI_STREAMS, QUIC_WINDOW,
};
use crate::peer::{Peer, Transport};

/// Names of protocols for the handshake (RFC 9250 §4.1.1, RFC 9114 §3.1).
const DOQ: [&[u8]; 1] = [b"doq"];
const H3: [&[u8]; 1] = [b"h3"];

/// Starts accepting on every socket. What is given as `alive` is dropped when none is read any more.
pub(super) fn start(
    sockets: Vec<(Service, UdpSocket)>,
    shared: &Shared,
    alive: &mpsc::Sender<()>,
    seed: u64,
) -> io::Result<()> {
    let mut seeds = fastrand::Rng::with_seed(seed);
    for (service, socket) in sockets {
        let config = Some(config(service, shared)?);
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), config, socket, runtime)?;
        let ends = Ends { client_port: None, server: endpoint.local_addr().ok() };
        let (shared, seeds, alive) = (Shared { ends, ..shared.clone() }, seeds.fork(), alive.clone());
        tokio::spawn(async move {
            accept(endpoint, service, shared, seeds).await;
            drop(alive);
        });
    }
    Ok(())
}

fn config(service: Service, shared: &Shared) -> io::Result<ServerConfig> {
    let protocols = if service == Service::Doq { &DOQ } else { &H3 };
    let tls = tls::config(&shared.live, protocols)?;
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = TransportConfig::default();
    // HTTP/3 has streams of its own beside the requests (RFC 9114 §6.2); DoQ has none (RFC 9250 §4.2).
    let uni = if service == Service::Doq { 0 } else { QUIC_UNI_STREAMS };
    transport
        .max_concurrent_bidi_streams(QUIC_STREAMS.into())
        .max_concurrent_uni_streams(uni.into())
        .stream_receive_window(QUIC_STREAM_WINDOW.into())
        .receive_window(QUIC_WINDOW.into())
        .send_window(QUIC_SEND_WINDOW)
        .datagram_receive_buffer_size(None);
    config.transport_config(Arc::new(transport));
    // Whose a connection is stays so: that is what its answers and its place go by.
    config.migration(false);
    Ok(config)
}

async fn accept(endpoint: Endpoint, service: Service, shared: Shared, mut seeds: fastrand::Rng) {
    let handshakes = Arc::new(Semaphore::new(QUIC_HANDSHAKES));
    let mut over = pin!(shared.phases.over());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut over => break,
            accepted = endpoint.accept() => accepted,
        };
        // None: the endpoint is closed.
        let Some(incoming) = accepted else { return };
        let permit = Arc::clone(&handshakes).try_acquire_owned().ok();
        if permit.is_none() && !incoming.remote_address_validated() {
            // The address may be anybody's: the client is to show that it is there (RFC 9000 §8.1.2).
            add(&shared.counters.quic_retried);
            let _not_possible = incoming.retry();
            continue;
        }
        let (shared, random) = (shared.clone(), seeds.fork());
        connections.spawn(async move { connect(incoming, permit, service, shared, random).await });
    }
    // Each ends by itself when its replies have arrived.
    let ends = async { while connections.join_next().await.is_some() {} };
    let _at_most = timeout(CLOSING, ends).await;
    endpoint.close(VarInt::from_u32(0), &[]);
    endpoint.wait_idle().await;
}

/// Serves one connection until it ends, or its place is wanted.
async fn connect(
    incoming: Incoming,
    permit: Option<OwnedSemaphorePermit>,
    service: Service,
    mut shared: Shared,
    random: fastrand::Rng,
) {
    let (validated, from) = (incoming.remote_address_validated(), incoming.remote_address());
    let address = from.ip();
    shared.ends.client_port = Some(from.port());
    let take = || Arc::new(shared.table.take(Some(address), &shared.streams()));
    // Until the client has shown that it is there, it takes no place from anybody.
    let early = validated.then(take);
    let handshake = async { incoming.accept()?.await };
    let connection = match timeout(HANDSHAKE, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(_)) => return add(&shared.counters.handshake_failed),
        Err(_) => return add(&shared.counters.handshake_timed_out),
    };
    drop(permit);
    let place = early.unwrap_or_else(take);
    if let (Some(ip), Some(server)) = (connection.local_ip(), &mut shared.ends.server) {
        server.set_ip(ip);
    }
    let transport = if service == Service::Doq { Transport::Quic } else { Transport::Https };
    let peer = Peer { address, transport };
    add(if service == Service::Doq {
        &shared.counters.quic_accepted
    } else {
        &shared.counters.https_accepted
    });
    let serve = async {
        match service {
            Service::Doh3 => doh3::serve(connection.clone(), peer, shared, random, &place).await,
            _ => doq::serve(connection.clone(), peer, shared, random, &place).await,
        }
    };
    tokio::select! {
        biased;
        () = place.shed() => connection.close(VarInt::from_u32(0), &[]),
        () = serve => {}
    }
}

//----------- Clock ----------------------------------------------------------

/// When a connection is to end, whatever its client does.
pub(super) struct Clock {
    opened: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { opened: Instant::now() }
    }

    /// Waits until the connection has idled for too long or is too old, and counts which; or until the server
    /// stops.
    pub(super) async fn end(&self, shared: &Shared, place: &Place) {
        let mut over = pin!(shared.phases.over());
        loop {
            let bounds = shared.streams();
            let (aged, idle) = (self.opened + bounds.lifetime, place.idle_since() + bounds.idle);
            let now = Instant::now();
            if now >= aged {
                return add(&shared.counters.connection_aged);
            }
            if now >= idle {
                return add(&shared.counters.connection_idle);
            }
            tokio::select! {
                () = tokio::time::sleep_until(idle.min(aged)) => {}
                () = &mut over => return,
            }
        }
    }
}

/// Closes a connection with an error code of what it carries.
pub(super) fn close(connection: &Connection, code: u32) {
    connection.close(VarInt::from_u32(code), &[]);
}
