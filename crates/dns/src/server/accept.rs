//! Accepting connections: a place in the table for each, then whatever it carries.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use nix::libc;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::framed::Framed;
use super::table::Place;
use super::{Ends, Passed, Service, Shared, http, proxy, tls};
use crate::counters::add;
use crate::limits::{FAILURE_PAUSE, HANDSHAKE, SHED_PAUSE};
use crate::peer::{Peer, Transport};

/// Starts accepting on every listener.
pub(super) fn start(listeners: Vec<(Service, TcpListener)>, shared: &Shared, seed: u64) -> io::Result<()> {
    let mut seeds = fastrand::Rng::with_seed(seed);
    for (service, listener) in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let tls = |protocols| tls::config(&shared.live, protocols).map(|config| Arc::new(config).into());
        let carries = match service {
            Service::Dot => Carries::Tls(tls(&tls::DOT)?),
            Service::Doh => Carries::Https(tls(&tls::DOH)?),
            // What QUIC carries has no listener of TCP.
            Service::Plain | Service::Doh3 | Service::Doq => Carries::Messages,
        };
        tokio::spawn(accept(listener, carries, shared.clone(), seeds.fork()));
    }
    Ok(())
}

/// What connections to a listener carry.
#[derive(Clone)]
enum Carries {
    Messages,
    Tls(TlsAcceptor),
    Https(TlsAcceptor),
}

async fn accept(
    listener: tokio::net::TcpListener,
    carries: Carries,
    shared: Shared,
    mut seeds: fastrand::Rng,
) {
    let mut over = pin!(shared.phases.over());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut over => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let ends = Ends { client_port: Some(from.port()), server: stream.local_addr().ok() };
                let (carries, shared) = (carries.clone(), Shared { ends, ..shared.clone() });
                Connection { stream, from, carries, random: seeds.fork(), shared }.start();
            }
            // No error of accept ends the listener: the client is gone, or descriptors are short.
            Err(error) => {
                add(&shared.counters.accept_failed);
                let short = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
                // Who waits behind as many as there are descriptors is not to wait as often as long.
                let made_room = short && shared.table.shed_for_descriptors();
                sleep(if made_room { SHED_PAUSE } else { FAILURE_PAUSE }).await;
            }
        }
    }
}

//----------- Connection -----------------------------------------------------

/// An accepted connection.
struct Connection {
    stream: TcpStream,
    from: SocketAddr,
    carries: Carries,
    random: fastrand::Rng,
    shared: Shared,
}

impl Connection {
    /// Serves it in a task of its own, until it ends or its place is wanted.
    fn start(self) {
        let counters = &self.shared.counters;
        add(match self.carries {
            Carries::Messages => &counters.tcp_accepted,
            Carries::Tls(_) => &counters.tls_accepted,
            Carries::Https(_) => &counters.https_accepted,
        });
        let from = self.from.ip();
        let proxied = self.shared.live.load().ground().manners().is_proxy(from);
        let client = (!proxied).then_some(from);
        let place = Arc::new(self.shared.table.take(client, &self.shared.streams()));
        tokio::spawn(async move {
            let serve = async {
                if proxied { self.behind_proxy(&place).await } else { self.serve(from, &place).await }
            };
            tokio::select! {
                biased;
                () = place.shed() => {}
                () = serve => {}
            }
        });
    }

    /// Serves whom the load balancer names, if it does.
    async fn behind_proxy(mut self, place: &Arc<Place>) {
        match timeout(HANDSHAKE, proxy::of_stream(&mut self.stream)).await {
            Ok(Ok(client)) => {
                let client = client.unwrap_or(self.from.ip());
                self.shared.ends.client_port = None;
                place.belongs_to(client, &self.shared.streams());
                self.serve(client, place).await;
            }
            Ok(Err(_)) | Err(_) => add(&self.shared.counters.proxy_malformed),
        }
    }

    async fn serve(self, address: IpAddr, place: &Arc<Place>) {
        let Self { stream, from: _, carries, random, shared } = self;
        // Replies are written whole: there is nothing to wait for. It fails only on what is gone.
        let _gone = stream.set_nodelay(true);
        match carries {
            Carries::Messages => {
                let peer = Peer { address, transport: Transport::Tcp };
                plain(Framed::new(stream, peer, shared, random), place).await;
            }
            Carries::Tls(acceptor) => {
                let peer = Peer { address, transport: Transport::Tls };
                if let Some(stream) = handshake(&acceptor, stream, &shared).await {
                    Framed::new(stream, peer, shared, random).serve(place).await;
                }
            }
            Carries::Https(acceptor) => {
                let peer = Peer { address, transport: Transport::Https };
                if let Some(stream) = handshake(&acceptor, stream, &shared).await {
                    http::serve(stream, peer, shared, random, place).await;
                }
            }
        }
    }
}

/// Serves a plain connection until it ends; when the server leaves, it goes on elsewhere.
async fn plain(framed: Framed<TcpStream>, place: &Place) {
    if let Some(left) = framed.serve_until_left(place).await {
        left.pass().await;
    }
}

/// Serves a connection on that another server has begun.
pub(super) fn resume(passed: Passed, shared: &Shared, random: fastrand::Rng) {
    let Passed { stream, client, input, skipped, age, idle } = passed;
    let resumed = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
    let Ok(stream) = resumed else { return };
    let port = stream.peer_addr().ok().filter(|from| from.ip() == client).map(|from| from.port());
    let ends = Ends { client_port: port, server: stream.local_addr().ok() };
    let shared = Shared { ends, ..shared.clone() };
    let place = Arc::new(shared.table.take(Some(client), &shared.streams()));
    let peer = Peer { address: client, transport: Transport::Tcp };
    let framed = Framed::new(stream, peer, shared, random).with(&input, skipped, age, idle);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = place.shed() => {}
            () = plain(framed, &place) => {}
        }
    });
}

/// A handshake of TLS, if there is one in time.
async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    shared: &Shared,
) -> Option<TlsStream<TcpStream>> {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) => {
            add(&shared.counters.handshake_failed);
            None
        }
        Err(_) => {
            add(&shared.counters.handshake_timed_out);
            None
        }
    }
}
