//! TCP (RFC 7766): two octets of length before every message.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dashmap::DashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Shared;
use crate::answer::{Moment, Peer, Reply, Transport};
use crate::counters::add;
use crate::limits::{
    FAILURE_PAUSE, TCP_CONNECTIONS, TCP_CONNECTIONS_PER_CLIENT, TCP_IDLE, TCP_LIFETIME, TCP_WRITE,
};
use crate::transfer::Transfer;
use crate::view::View;

/// Starts accepting on every listener.
pub(super) fn start(listeners: Vec<TcpListener>, shared: Shared, seed: u64) -> io::Result<()> {
    let places = Places { total: Arc::new(Semaphore::new(TCP_CONNECTIONS)), by_client: Arc::default() };
    let mut seeds = fastrand::Rng::with_seed(seed);
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(accept(listener, places.clone(), shared.clone(), seeds.fork()));
    }
    Ok(())
}

async fn accept(
    listener: tokio::net::TcpListener,
    places: Places,
    mut shared: Shared,
    mut seeds: fastrand::Rng,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        // No error of accept ends the listener: the client is gone, or descriptors are short.
        let Ok((stream, from)) = accepted else {
            add(&shared.counters.accept_failed);
            sleep(FAILURE_PAUSE).await;
            continue;
        };
        add(&shared.counters.tcp_accepted);
        match places.take(from.ip(), &shared) {
            None => drop(stream),
            Some(place) => {
                let connection = Connection {
                    stream,
                    peer: Peer { address: from.ip(), transport: Transport::Tcp },
                    random: seeds.fork(),
                    shared: shared.clone(),
                    _place: place,
                };
                tokio::spawn(connection.serve());
            }
        }
    }
}

//----------- Places ---------------------------------------------------------

/// The room for connections, in all and for each client.
#[derive(Clone)]
struct Places {
    total: Arc<Semaphore>,
    by_client: Arc<DashMap<IpAddr, usize>>,
}

/// One connection's room; given back when dropped.
struct Place {
    client: IpAddr,
    by_client: Arc<DashMap<IpAddr, usize>>,
    _total: OwnedSemaphorePermit,
}

impl Places {
    /// Room for one more connection of a client, if there is any; else it is counted.
    fn take(&self, client: IpAddr, shared: &Shared) -> Option<Place> {
        let refuse = |counter: &AtomicU64| {
            add(counter);
            None
        };
        let Ok(total) = self.total.clone().try_acquire_owned() else {
            return refuse(&shared.counters.tcp_over_total);
        };
        let mut count = self.by_client.entry(client).or_insert(0);
        if *count >= TCP_CONNECTIONS_PER_CLIENT {
            return refuse(&shared.counters.tcp_over_client);
        }
        *count += 1;
        Some(Place { client, by_client: self.by_client.clone(), _total: total })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut count) = self.by_client.get_mut(&self.client) {
            *count -= 1;
        }
        self.by_client.remove_if(&self.client, |_, count| *count == 0);
    }
}

//----------- Connection -----------------------------------------------------

/// One client's connection; its queries are answered in order.
struct Connection {
    stream: TcpStream,
    peer: Peer,
    random: fastrand::Rng,
    shared: Shared,
    _place: Place,
}

impl Connection {
    async fn serve(mut self) {
        let counters = self.shared.counters.clone();
        match timeout(TCP_LIFETIME, self.queries()).await {
            // Ended by the client, by us, or by the network.
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() != io::ErrorKind::TimedOut => {}
            Ok(Err(_)) | Err(_) => add(&counters.tcp_timed_out),
        }
    }

    async fn queries(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut query = Vec::new();
        // The reply stands behind two octets for its length, so that both go out in one segment.
        let (mut reply, mut framed) = (Vec::new(), Vec::new());
        while self.read(&mut query).await? {
            add(&self.shared.counters.tcp_received);
            let view = self.shared.live.load();
            let moment = self.shared.moment(&mut self.random);
            let sent = self.shared.answer(&view, &query, self.peer, moment, &mut reply);
            match sent {
                Reply::Sent { .. } => {}
                Reply::Transfer => {
                    self.transfer(view, &query, moment).await?;
                    continue;
                }
                Reply::None | Reply::Dropped => continue,
            }
            drop(view);
            frame(&reply, &mut framed);
            timeout(TCP_WRITE, self.stream.write_all(&framed)).await??;
        }
        Ok(())
    }

    /// Sends a whole zone. The client must read each message in time, as it must any.
    async fn transfer(&mut self, view: Arc<View>, query: &[u8], moment: Moment) -> io::Result<()> {
        let Ok(_place) = self.shared.transfers.clone().try_acquire_owned() else {
            add(&self.shared.counters.transfers_over_total);
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        let Some(mut transfer) = Transfer::begin(view, query, moment) else { return Ok(()) };
        let (mut message, mut framed) = (Vec::new(), Vec::new());
        while transfer.next(moment.unix_s, &mut message) {
            frame(&message, &mut framed);
            timeout(TCP_WRITE, self.stream.write_all(&framed)).await??;
        }
        Ok(())
    }

    /// Reads one query; `false` at the end of the stream, and when the server stops between queries.
    async fn read(&mut self, query: &mut Vec<u8>) -> io::Result<bool> {
        let mut length = [0; 2];
        let first = tokio::select! {
            biased;
            read = timeout(TCP_IDLE, self.stream.read(&mut length[..1])) => read??,
            () = self.shared.stopped() => 0,
        };
        if first == 0 {
            return Ok(false);
        }
        let whole = async {
            self.stream.read_exact(&mut length[1..]).await?;
            query.resize(usize::from(u16::from_be_bytes(length)), 0);
            self.stream.read_exact(query).await
        };
        timeout(TCP_IDLE, whole).await??;
        Ok(true)
    }
}

/// Puts a message behind two octets for its length, so that both go out in one segment.
fn frame(message: &[u8], framed: &mut Vec<u8>) {
    framed.clear();
    // The writer bounds messages to 65,535 octets.
    framed.extend_from_slice(&u16::try_from(message.len()).unwrap_or(0).to_be_bytes());
    framed.extend_from_slice(message);
}
