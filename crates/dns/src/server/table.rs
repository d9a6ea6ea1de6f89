//! The table of connections: room in all and for each client, for every transport that has connections.
//!
//! When there is no room, the connection that has been idle for longest is closed, not the newcomer (RFC 9210
//! §4.1): whoever wants to keep others out must go on asking, and is then a client like them.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::counters::{Counters, add};
use crate::limits::REPLYING;
use crate::manners::Streams;

//----------- Table ----------------------------------------------------------

/// All connections of a server.
pub(super) struct Table {
    inner: Mutex<Inner>,
    counters: Arc<Counters>,
    started: Instant,
}

#[derive(Default)]
struct Inner {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// Longest idle first, as far as is known: a connection may have been active since it was listed.
    order: BTreeSet<Listed>,
    /// The same of every client.
    clients: HashMap<IpAddr, BTreeSet<Listed>>,
}

/// Since when a connection idles, in microseconds of the table's clock, and which.
type Listed = (u64, u64);

struct Entry {
    client: Option<IpAddr>,
    listed_us: u64,
    seat: Arc<Seat>,
}

/// What a connection and the table both hold.
struct Seat {
    idle_since_us: AtomicU64,
    shed: Notify,
}

impl Table {
    pub(super) fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), counters, started: Instant::now() })
    }

    /// Room for one more connection. `None`: whose it is will be known later ([`Place::belongs_to`]).
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>, bounds: &Streams) -> Place {
        let client = client.map(network);
        let now = self.now_us();
        let seat = Arc::new(Seat { idle_since_us: AtomicU64::new(now), shed: Notify::new() });
        let mut inner = self.lock();
        self.make_room(&mut inner, client, bounds);
        while inner.entries.len() >= bounds.connections.max(1) && inner.shed(None) {
            add(&self.counters.shed_total);
        }
        let id = inner.next;
        inner.next += 1;
        inner.entries.insert(id, Entry { client, listed_us: now, seat: Arc::clone(&seat) });
        inner.order.insert((now, id));
        if let Some(client) = client {
            inner.clients.entry(client).or_default().insert((now, id));
        }
        Place { id, seat, table: Arc::clone(self) }
    }

    /// Closes the connection that is idle for longest: descriptors are short. Whether there was one.
    pub(super) fn shed_for_descriptors(&self) -> bool {
        let shed = self.lock().shed(None);
        if shed {
            add(&self.counters.shed_descriptors);
        }
        shed
    }

    fn make_room(&self, inner: &mut Inner, client: Option<IpAddr>, bounds: &Streams) {
        let Some(client) = client else { return };
        while inner.clients.get(&client).is_some_and(|its| its.len() >= bounds.per_client.max(1))
            && inner.shed(Some(client))
        {
            add(&self.counters.shed_client);
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nothing that can panic runs under the lock; were it so, the table would still be whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Sheds the connection, of a client or of all, that is idle for longest; `false`: there is none.
    fn shed(&mut self, of: Option<IpAddr>) -> bool {
        loop {
            let set = match of {
                Some(client) => self.clients.get(&client),
                None => Some(&self.order),
            };
            let Some(&(listed, id)) = set.and_then(BTreeSet::first) else { return false };
            let Some(entry) = self.entries.get(&id) else { return false };
            let idle_since = entry.seat.idle_since_us.load(Ordering::Relaxed);
            if idle_since > listed {
                // Active since it was listed. Each is put back at most once for every time that it was.
                self.relist(id, idle_since);
                continue;
            }
            entry.seat.shed.notify_one();
            self.remove(id);
            return true;
        }
    }

    fn relist(&mut self, id: u64, idle_since_us: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.listed_us, idle_since_us);
        self.order.remove(&(before, id));
        self.order.insert((idle_since_us, id));
        if let Some(its) = entry.client.and_then(|client| self.clients.get_mut(&client)) {
            its.remove(&(before, id));
            its.insert((idle_since_us, id));
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.order.remove(&(entry.listed_us, id));
        let Some(client) = entry.client else { return };
        if let Some(its) = self.clients.get_mut(&client) {
            its.remove(&(entry.listed_us, id));
            if its.is_empty() {
                self.clients.remove(&client);
            }
        }
    }
}

/// What one client has: an IPv4 address, or the /64 of an IPv6 address, all of which one host can use.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

//----------- Place ----------------------------------------------------------

/// One connection's room; given back when dropped.
pub(super) struct Place {
    id: u64,
    seat: Arc<Seat>,
    table: Arc<Table>,
}

impl Place {
    /// Waits until the connection is to make room.
    pub(super) async fn shed(&self) {
        self.seat.shed.notified().await;
    }

    /// The client has not read its replies yet, and is given some time before its connection counts as idle.
    pub(super) fn replying(&self) {
        self.idle_from(REPLYING);
    }

    /// A query has come and is answered: the connection idles from now on.
    pub(super) fn replied(&self) {
        self.idle_from(Duration::ZERO);
    }

    /// Says whose the connection is, where that was not known.
    pub(super) fn belongs_to(&self, client: IpAddr, bounds: &Streams) {
        let client = network(client);
        let mut inner = self.table.lock();
        self.table.make_room(&mut inner, Some(client), bounds);
        // It may have been shed meanwhile.
        let Some(entry) = inner.entries.get_mut(&self.id) else { return };
        if entry.client.is_none() {
            entry.client = Some(client);
            let listed = (entry.listed_us, self.id);
            inner.clients.entry(client).or_default().insert(listed);
        }
    }

    /// When the connection began to idle.
    pub(super) fn idle_since(&self) -> Instant {
        self.table.started + Duration::from_micros(self.seat.idle_since_us.load(Ordering::Relaxed))
    }

    fn idle_from(&self, later: Duration) {
        let later = u64::try_from(later.as_micros()).unwrap_or(u64::MAX);
        self.seat.idle_since_us.store(self.table.now_us().saturating_add(later), Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Streams = Streams {
        connections: 4,
        per_client: 2,
        idle: Duration::from_secs(10),
        lifetime: Duration::from_secs(60),
    };

    fn table() -> (Arc<Table>, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        (Table::new(Arc::clone(&counters)), counters)
    }

    fn client(host: u8) -> Option<IpAddr> {
        Some([127, 0, 0, host].into())
    }

    async fn is_shed(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.shed()).await.is_ok()
    }

    async fn take(table: &Arc<Table>, host: u8) -> Place {
        tokio::time::advance(Duration::from_millis(1)).await;
        table.take(client(host), &BOUNDS)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_goes_first() {
        let (table, counters) = table();
        let places =
            [take(&table, 1).await, take(&table, 2).await, take(&table, 3).await, take(&table, 4).await];
        // The first asks, and its client reads the reply; the second asks, and its client does not.
        tokio::time::advance(Duration::from_millis(1)).await;
        places[0].replied();
        tokio::time::advance(Duration::from_millis(1)).await;
        places[1].replying();
        let _fifth = take(&table, 5).await;
        assert!(is_shed(&places[2]).await);
        let _sixth = take(&table, 6).await;
        assert!(is_shed(&places[3]).await);
        let _seventh = take(&table, 7).await;
        assert!(is_shed(&places[0]).await);
        // While idle ones exist, none with a query under way is shed.
        assert!(!is_shed(&places[1]).await);
        // A reply that its client does not read in time makes it idle.
        tokio::time::advance(2 * REPLYING).await;
        let _later = [take(&table, 8).await, take(&table, 9).await, take(&table, 10).await];
        assert!(!is_shed(&places[1]).await);
        let _last = take(&table, 11).await;
        assert!(is_shed(&places[1]).await);
        assert_eq!(counters.totals().shed_total, 7);
        assert_eq!(counters.totals().shed_client, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_makes_room_for_itself() {
        let (table, counters) = table();
        let other = take(&table, 1).await;
        let (first, second) = (take(&table, 2).await, take(&table, 2).await);
        let third = take(&table, 2).await;
        assert!(is_shed(&first).await);
        assert!(!is_shed(&second).await && !is_shed(&third).await && !is_shed(&other).await);
        assert_eq!((counters.totals().shed_client, counters.totals().shed_total), (1, 0));
        // A place that is given back is free; what was shed gives nothing back twice.
        drop((first, second));
        let fourth = take(&table, 2).await;
        assert!(!is_shed(&third).await);
        drop((third, fourth, other));
        let inner = table.lock();
        assert!(inner.entries.is_empty() && inner.order.is_empty() && inner.clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whose_it_is_may_be_known_later() {
        let (table, _) = table();
        let places: Vec<Place> = (0..3).map(|_| table.take(None, &BOUNDS)).collect();
        for place in &places {
            tokio::time::advance(Duration::from_millis(1)).await;
            place.replied();
            place.belongs_to([127, 0, 0, 9].into(), &BOUNDS);
        }
        assert!(is_shed(&places[0]).await);
        assert!(!is_shed(&places[1]).await && !is_shed(&places[2]).await);
    }

    #[test]
    fn hosts_have_a_network_of_ipv6() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
    }
}
