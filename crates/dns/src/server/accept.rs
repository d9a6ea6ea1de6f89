//! Accepting connections: a place in the table for each, then whatever it carries.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::libc;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::Shared;
use super::framed::Framed;
use super::table::Place;
use crate::answer::{Peer, Transport};
use crate::counters::add;
use crate::limits::FAILURE_PAUSE;

/// Starts accepting on every listener.
pub(super) fn start(listeners: Vec<TcpListener>, shared: &Shared, seed: u64) -> io::Result<()> {
    let mut seeds = fastrand::Rng::with_seed(seed);
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(accept(listener, shared.clone(), seeds.fork()));
    }
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, mut shared: Shared, mut seeds: fastrand::Rng) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let connection = Connection { stream, from, random: seeds.fork(), shared: shared.clone() };
                connection.start();
            }
            // No error of accept ends the listener: the client is gone, or descriptors are short.
            Err(error) => {
                add(&shared.counters.accept_failed);
                if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                    shared.table.shed_for_descriptors();
                }
                sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

//----------- Connection -----------------------------------------------------

/// An accepted connection.
struct Connection {
    stream: TcpStream,
    from: SocketAddr,
    random: fastrand::Rng,
    shared: Shared,
}

impl Connection {
    /// Serves it in a task of its own, until it ends or its place is wanted.
    fn start(self) {
        add(&self.shared.counters.tcp_accepted);
        let place = self.shared.table.take(self.from.ip(), &self.shared.streams());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = place.shed() => {}
                () = self.serve(&place) => {}
            }
        });
    }

    async fn serve(self, place: &Place) {
        let Self { stream, from, random, shared } = self;
        // Replies are written whole: there is nothing to wait for. It fails only on what is gone.
        let _gone = stream.set_nodelay(true);
        let peer = Peer { address: from.ip(), transport: Transport::Tcp };
        Framed::new(stream, peer, shared, random).serve(place).await;
    }
}
