//! Floods, and the honest clients beside them.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use meridian_tests::stream::{connect_from, exchange};
use meridian_tests::{Ask, Meridian, Wire, exchange_tcp, exchange_udp, now};

use crate::good;

/// How long each flood lasts.
pub(crate) const TIME: Duration = Duration::from_secs(4);
/// How long a resolver waits for an answer before it asks again, and how often it asks.
const PATIENCE: Duration = Duration::from_millis(800);
const TRIES: usize = 3;
/// Between two questions of an honest client: at most 40 a second, less than any limit here.
const PAUSE: Duration = Duration::from_millis(25);
/// How many clients ask over UDP at once.
const CLIENTS: u8 = 8;

//----------- Flood ----------------------------------------------------------

/// Sends as fast as it can, in a thread of its own, until it is dropped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
}

impl Flood {
    /// Of whatever `send` sends; it says whether it did.
    pub(crate) fn of(mut send: impl FnMut(&mut fastrand::Rng) -> bool + Send + 'static) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), sent.clone());
        let sender = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(1);
            while !stopped.load(Ordering::Relaxed) {
                if send(&mut random) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, sent, sender: Some(sender) }
    }

    /// Of datagrams from the sockets of an address, that never read: the kernel hands each socket's to one worker.
    pub(crate) fn udp(
        from: &str,
        sockets: usize,
        to: SocketAddr,
        mut query: impl FnMut(&mut fastrand::Rng) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let open = || {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket.connect(to).unwrap();
            // Replies that nobody reads are dropped by the kernel.
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets: Vec<UdpSocket> = (0..sockets).map(|_| open()).collect();
        let mut at = 0;
        Self::of(move |random| {
            at = (at + 1) % sockets.len();
            sockets[at].send(&query(random)).is_ok()
        })
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // What went wrong in it is on the standard error.
            let _ended = sender.join();
        }
    }
}

//----------- Honest ---------------------------------------------------------

/// What clients got that ask one after the other.
pub(crate) struct Honest {
    pub(crate) answered: usize,
    pub(crate) asked: usize,
    /// All but one in a hundred took at most so long.
    pub(crate) within: Duration,
}

impl fmt::Display for Honest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} (99 % within {:.1?})", self.answered, self.asked, self.within)
    }
}

impl Honest {
    fn count(time: Duration, mut ask: impl FnMut() -> bool) -> Vec<(bool, Duration)> {
        let until = now() + time;
        let mut all = Vec::new();
        while now() < until {
            let began = now();
            let answered = ask();
            all.push((answered, began.elapsed()));
            std::thread::sleep(PAUSE);
        }
        all
    }

    fn of(all: &[(bool, Duration)]) -> Self {
        let mut times: Vec<Duration> = all.iter().map(|(_, time)| *time).collect();
        times.sort();
        let within = times[(times.len() * 99 / 100).min(times.len() - 1)];
        Self { answered: all.iter().filter(|(answered, _)| *answered).count(), asked: all.len(), within }
    }

    /// One client over UDP, who asks again as resolvers do, from another port each time (RFC 5452 §9.2).
    pub(crate) fn over_udp(server: SocketAddr, from: IpAddr, time: Duration, ask: &Ask) -> Self {
        Self::of(&Self::client(server, from, time, ask))
    }

    fn client(server: SocketAddr, from: IpAddr, time: Duration, ask: &Ask) -> Vec<(bool, Duration)> {
        let query = ask.octets();
        let mut reply = [0; 2048];
        Self::count(time, || {
            (0..TRIES).any(|_| {
                let socket = UdpSocket::bind((from, 0)).unwrap();
                socket.connect(server).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                socket.send(&query).unwrap();
                let length = socket.recv(&mut reply);
                length.is_ok_and(|length| !Wire::read(&reply[..length]).unwrap().truncated())
            })
        })
    }

    /// Several clients over UDP at once, each from a network of its own: who waits for lost answers asks little, and it
    /// is the share that counts.
    pub(crate) fn many_over_udp(server: SocketAddr, time: Duration, ask: &Ask) -> Self {
        let client = |number| {
            let ask = ask.clone();
            std::thread::spawn(move || {
                Self::client(server, IpAddr::from([127, 0, 80 + number, 1]), time, &ask)
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let all: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        Self::of(&all)
    }

    /// Over TCP, over a connection each, for as long as over UDP.
    pub(crate) fn over_tcp(server: SocketAddr, from: IpAddr, time: Duration, ask: &Ask) -> Self {
        let query = ask.octets();
        let patience = PATIENCE * u32::try_from(TRIES).unwrap();
        let all = Self::count(time, || {
            let began = now();
            let answered = connect_from(from, server).and_then(|mut stream| exchange(&mut stream, &query));
            match answered {
                Ok(_) => began.elapsed() < patience,
                // It is the server's doing, and not a mistake of this test.
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::AddrNotAvailable, "{error}");
                    false
                }
            }
        });
        Self::of(&all)
    }

    /// Nine in ten are answered.
    pub(crate) fn is_served(&self) -> bool {
        self.asked > 0 && 10 * self.answered >= 9 * self.asked
    }
}

//----------- Both -----------------------------------------------------------

/// Honest clients over UDP and TCP beside floods, and the server's memory: prints what came of it. Nine in ten are
/// answered while it lasts, all afterwards, and the server's memory grows by at most `grows_kib`.
pub(crate) fn withstands(
    meridian: &Meridian,
    what: &str,
    grows_kib: u64,
    floods: impl FnOnce(SocketAddr) -> Vec<Flood>,
) {
    let server = meridian.address();
    // What is used for the first time is there before it is measured.
    for _ in 0..20 {
        exchange_udp(server, None, &good().octets()).unwrap();
        exchange_tcp(server, &good().octets()).unwrap();
    }
    meridian.forget_peak();
    let (before, _) = meridian.memory_kib();
    let (began, busy) = (now(), meridian.processor_time());
    let floods = floods(server);
    let tcp =
        std::thread::spawn(move || Honest::over_tcp(server, IpAddr::from([127, 0, 68, 1]), TIME, &good()));
    let udp = Honest::many_over_udp(server, TIME, &good());
    let tcp = tcp.join().unwrap();
    let sent: u64 = floods.iter().map(Flood::sent).sum();
    let (took, busy) = (began.elapsed(), meridian.processor_time() - busy);
    drop(floods);
    let later = Honest::many_over_udp(server, Duration::from_secs(1), &good());
    let (after, peak) = meridian.memory_kib();
    println!(
        "{what}: {:.0} a second, the server had {:.1} cores; honest over UDP {udp}, over TCP {tcp}, afterwards {later}; memory {} MiB before, {} at most, {} after",
        sent as f64 / took.as_secs_f64(),
        busy.as_secs_f64() / took.as_secs_f64(),
        before >> 10,
        peak >> 10,
        after >> 10,
    );
    assert!(udp.is_served() && tcp.is_served(), "{what}");
    assert_eq!(later.answered, later.asked, "{what}: afterwards");
    assert!(peak.saturating_sub(before) <= grows_kib, "{what}: {before} KiB before, {peak} KiB at most");
}
