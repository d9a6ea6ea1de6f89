//! Queries that are taken down: a sample of them, with their replies, for who writes query logs, dnstap or traces.
//!
//! A worker decides by a number that it has anyway, copies the octets into memory that was made before, and puts it
//! into a queue of its own. What finds no memory is dropped and counted; a worker waits for nobody, and wakes nobody.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crossbeam_queue::ArrayQueue;

use meridian_model::Share;

use super::Wall;
use crate::answer::Reply;
use crate::counters::{Counters, add};
use crate::limits::{TAKEN_OCTETS, TAKEN_WAITING};
use crate::peer::{Moment, Peer};
use crate::view::View;

//----------- Taken ----------------------------------------------------------

/// A query with its reply.
pub struct Taken {
    /// Where it is among all, evenly: who wants a share wants those that [`Share::takes`]. So of two samples the larger
    /// has all that the smaller has.
    pub draw: u64,
    /// What it was answered from; `None` in one that waits to be used again.
    pub view: Option<Arc<View>>,
    /// Who asked.
    pub peer: Peer,
    /// The ends of what carried it.
    pub ends: Ends,
    /// What entered its answer.
    pub moment: Moment,
    /// When it had come, to about the time that a batch takes.
    pub received: SystemTime,
    /// When its reply was ready.
    pub replied: SystemTime,
    /// What became of it.
    pub reply: Reply,
    /// Its octets.
    pub query: Vec<u8>,
    /// Those of the reply, if one was sent.
    pub answer: Vec<u8>,
}

/// The ends of what carries a message, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// The client's port; `None` behind a load balancer.
    pub client_port: Option<u16>,
    /// Where it asked.
    pub server: Option<SocketAddr>,
}

impl Taken {
    fn nothing() -> Self {
        let address = std::net::Ipv4Addr::UNSPECIFIED.into();
        Self {
            draw: 0,
            view: None,
            peer: Peer { address, transport: crate::peer::Transport::Udp },
            ends: Ends::default(),
            moment: Moment::default(),
            received: SystemTime::UNIX_EPOCH,
            replied: SystemTime::UNIX_EPOCH,
            reply: Reply::None,
            query: Vec::with_capacity(TAKEN_OCTETS),
            answer: Vec::with_capacity(TAKEN_OCTETS),
        }
    }

    /// Ready to be used again.
    fn cleared(mut self: Box<Self>) -> Box<Self> {
        self.view = None;
        for octets in [&mut self.query, &mut self.answer] {
            octets.clear();
            octets.shrink_to(TAKEN_OCTETS);
        }
        self
    }
}

//----------- Taps -----------------------------------------------------------

/// All taps of a server.
pub struct Taps {
    /// Draws below it are taken; 0: none.
    below: Arc<AtomicU64>,
    /// One of each worker of UDP, and one of all connections.
    all: Mutex<Vec<Arc<Tap>>>,
}

/// Where one worker puts what it takes.
pub(super) struct Tap {
    below: Arc<AtomicU64>,
    counters: Arc<Counters>,
    /// Memory for what is taken.
    spare: ArrayQueue<Box<Taken>>,
    /// What was taken.
    full: ArrayQueue<Box<Taken>>,
}

impl Taps {
    pub(super) fn new() -> Self {
        Self { below: Arc::default(), all: Mutex::default() }
    }

    /// One more.
    pub(super) fn tap(&self, counters: Arc<Counters>) -> Arc<Tap> {
        let (spare, full) = (ArrayQueue::new(TAKEN_WAITING), ArrayQueue::new(TAKEN_WAITING));
        let tap = Arc::new(Tap { below: self.below.clone(), counters, spare, full });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if self.below.load(Ordering::Relaxed) > 0 {
            tap.make_room();
        }
        all.push(tap.clone());
        tap
    }

    /// Takes this share of all queries from now on; of none, no memory is kept for any.
    pub fn take(&self, share: Share) {
        let below = below(share);
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.below.swap(below, Ordering::Relaxed);
        match (before, below) {
            (_, 0) => all.iter().for_each(|tap| tap.empty()),
            (0, _) => all.iter().for_each(|tap| tap.make_room()),
            _ => {}
        }
    }

    /// Hands over what was taken; says how many. To be called again and again, by one thread: nobody wakes it, as that
    /// would cost a worker a system call.
    pub fn drain(&self, mut each: impl FnMut(&Taken)) -> usize {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut count = 0;
        for tap in all {
            // No more than there is room for: the others have their turn.
            for _ in 0..TAKEN_WAITING {
                let Some(taken) = tap.full.pop() else { break };
                each(&taken);
                count += 1;
                if self.below.load(Ordering::Relaxed) > 0 {
                    let _full = tap.spare.push(taken.cleared());
                }
            }
        }
        count
    }
}

impl Tap {
    fn make_room(&self) {
        while self.spare.push(Box::new(Taken::nothing())).is_ok() {}
    }

    fn empty(&self) {
        while self.spare.pop().is_some() || self.full.pop().is_some() {}
    }

    /// Which draws are taken. To be had once a batch.
    pub(super) fn below(&self) -> u64 {
        self.below.load(Ordering::Relaxed)
    }

    /// Takes one down, if there is room.
    pub(super) fn take(&self, write: impl FnOnce(&mut Taken)) {
        let Some(mut taken) = self.spare.pop() else { return add(&self.counters.taken_dropped) };
        write(&mut taken);
        match self.full.push(taken) {
            Ok(()) => add(&self.counters.taken),
            Err(_) => add(&self.counters.taken_dropped),
        }
    }
}

/// The draws that a share takes are those below this.
fn below(share: Share) -> u64 {
    let below = (u128::from(share.millionths()) << 64).div_ceil(1_000_000);
    u64::try_from(below).unwrap_or(u64::MAX)
}

/// Where a query of this moment is among all: its own random number, mixed, so that which are taken has nothing to do
/// with what they are answered (the finaliser of SplitMix64).
pub(super) fn draw(moment: Moment) -> u64 {
    let mut mixed = moment.random ^ 0x9e37_79b9_7f4a_7c15;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a transport knows of a query that is to be taken.
pub(super) struct Served<'s> {
    pub(super) view: &'s Arc<View>,
    pub(super) peer: Peer,
    pub(super) ends: Ends,
    pub(super) moment: Moment,
    pub(super) reply: Reply,
    pub(super) query: &'s [u8],
    pub(super) answer: &'s [u8],
}

impl Served<'_> {
    /// Takes it down. `uptime_us`: now, of the clock of [`Moment::uptime_us`].
    pub(super) fn take(&self, tap: &Tap, wall: Wall, uptime_us: u64) {
        tap.take(|taken| {
            let since = std::time::Duration::from_micros(uptime_us.saturating_sub(self.moment.uptime_us));
            taken.draw = draw(self.moment);
            taken.view = Some(Arc::clone(self.view));
            (taken.peer, taken.ends, taken.moment, taken.reply) =
                (self.peer, self.ends, self.moment, self.reply);
            taken.replied = wall();
            taken.received = taken.replied.checked_sub(since).unwrap_or(taken.replied);
            taken.query.extend_from_slice(self.query);
            if matches!(self.reply, Reply::Sent { .. }) {
                taken.answer.extend_from_slice(self.answer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let taps = Taps::new();
        let counters = Arc::<Counters>::default();
        let tap = taps.tap(counters.clone());
        tap.take(|_| panic!("nothing is taken"));
        taps.take(Share::ALL);
        for _ in 0..TAKEN_WAITING + 3 {
            tap.take(|taken| taken.query.push(7));
        }
        let totals = counters.totals();
        assert_eq!((totals.taken, totals.taken_dropped), (TAKEN_WAITING as u64, 4));
        let seen = taps.drain(|taken| assert_eq!(taken.query, [7]));
        assert_eq!(seen, TAKEN_WAITING);
        // Memory is used again, and is empty then.
        tap.take(|taken| assert!(taken.query.is_empty()));
        taps.take(Share::NONE);
        assert_eq!(taps.drain(|_| {}), 0);
        assert!(tap.spare.is_empty());
    }

    #[test]
    fn a_share_takes_what_is_below() {
        for share in [0.0, 0.000_001, 0.01, 0.1, 0.333_333, 0.999_999] {
            let share = Share::from_fraction(share).unwrap();
            let below = below(share);
            assert!(!share.takes(below) && (below == 0 || share.takes(below - 1)), "{share}");
        }
        assert_eq!(below(Share::ALL), u64::MAX);
    }

    #[test]
    fn a_share_of_draws_is_a_share_of_queries() {
        let mut random = fastrand::Rng::with_seed(7);
        let moments = (0..100_000).map(|_| Moment { random: random.u64(..), ..Moment::default() });
        let tenth = moments.filter(|moment| draw(*moment) < u64::MAX / 10).count();
        assert!((9_500..10_500).contains(&tenth), "{tenth}");
        // Whatever decides the answer: of those with a small number a tenth is taken as well.
        let small = (0..100_000).map(|random| Moment { random, ..Moment::default() });
        let tenth = small.filter(|moment| draw(*moment) < u64::MAX / 10).count();
        assert!((9_500..10_500).contains(&tenth), "{tenth}");
    }
}
