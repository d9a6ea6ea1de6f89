//! Queries at a steady rate, of which each must be answered: what is lost is known by its ID.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

use crate::now;
use crate::stream::exchange;

/// Sources of the queries over UDP: the kernel spreads them over the sockets of a server.
const SOCKETS: usize = 8;
/// How long the last replies are waited for.
const LAST: Duration = Duration::from_secs(3);
/// Between two turns of who sends: a thousandth of the rate at a time.
const TURN: Duration = Duration::from_millis(1);
/// Octets of replies that wait for us: none is to be lost on our side.
const BUFFER: usize = 8 << 20;
/// How long a reply over TCP may take.
const REPLY: Duration = Duration::from_secs(5);

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counts>>,
}

#[derive(Default)]
struct Counts {
    asked: u64,
    lost: u64,
    wrong: u64,
    taken_us: Vec<u32>,
}

/// What became of a load.
#[derive(Debug)]
pub struct Answered {
    /// Queries.
    pub asked: u64,
    /// Those without a reply; over TCP also those whose connection broke.
    pub lost: u64,
    /// Replies without an answer.
    pub wrong: u64,
    /// How long one in two took at most.
    pub p50: Duration,
    /// And all but one in a hundred.
    pub p99: Duration,
    /// And all.
    pub longest: Duration,
}

impl Load {
    /// Asks over UDP, at a rate of queries a second, one question after the other.
    ///
    /// # Panics
    /// Without sockets.
    #[must_use]
    pub fn udp(server: SocketAddr, rate: u32, questions: Vec<Vec<u8>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sources: Arc<Vec<Source>> = Arc::new((0..SOCKETS).map(|_| Source::new(server)).collect());
        let (began, sent) = (now(), Arc::new(AtomicBool::new(false)));
        let sender = spawn({
            let (stop, sources, sent) = (stop.clone(), sources.clone(), sent.clone());
            move || {
                let counts = send(&sources, rate, &questions, began, &stop);
                sent.store(true, Ordering::Release);
                counts
            }
        });
        let receiver = spawn(move || receive(&sources, began, &sent));
        Self { stop, threads: vec![sender, receiver] }
    }

    /// Asks over connections that stay open, each with its share of the rate: a query when the one before is
    /// answered.
    #[must_use]
    pub fn tcp(server: SocketAddr, connections: u32, rate: u32, question: &[u8]) -> Self {
        let every = Duration::from_secs(1) * connections / rate;
        Self::over_tcp(server, connections, every, question, true)
    }

    /// Asks over a connection for each query, at a rate.
    #[must_use]
    pub fn connecting(server: SocketAddr, rate: u32, question: &[u8]) -> Self {
        Self::over_tcp(server, 1, Duration::from_secs(1) / rate, question, false)
    }

    fn over_tcp(server: SocketAddr, threads: u32, every: Duration, question: &[u8], keeps: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, question) = (stop.clone(), question.to_vec());
            spawn(move || ask(server, every, &question, keeps, &stop))
        };
        Self { threads: (0..threads).map(client).collect(), stop }
    }

    /// Ends it; says what became of it.
    ///
    /// # Panics
    /// When one of its threads did.
    #[must_use]
    pub fn stop(self) -> Answered {
        self.stop.store(true, Ordering::Release);
        let mut all = Counts::default();
        for thread in self.threads {
            let counts = thread.join().expect("a thread of the load");
            all.asked += counts.asked;
            all.lost += counts.lost;
            all.wrong += counts.wrong;
            all.taken_us.extend(counts.taken_us);
        }
        all.taken_us.sort_unstable();
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let index = (all.taken_us.len().saturating_sub(1) as f64 * share) as usize;
            Duration::from_micros(all.taken_us.get(index).copied().unwrap_or(0).into())
        };
        let (p50, p99, longest) = (at(0.5), at(0.99), at(1.0));
        Answered { asked: all.asked, lost: all.lost, wrong: all.wrong, p50, p99, longest }
    }
}

//----------- UDP ------------------------------------------------------------

struct Source {
    socket: UdpSocket,
    /// By ID: since when a reply is waited for, in microseconds after the beginning, plus one; 0: it is not.
    waiting: Vec<AtomicU64>,
}

impl Source {
    fn new(server: SocketAddr) -> Self {
        let any: SocketAddr =
            if server.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { "[::1]:0".parse().unwrap() };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.connect(server).expect("a server's address");
        socket.set_nonblocking(true).expect("a socket of ours");
        // Without root the kernel's default must do.
        let _not_root = setsockopt(&socket, RcvBufForce, &BUFFER);
        Self { socket, waiting: (0..=u16::MAX).map(|_| AtomicU64::new(0)).collect() }
    }
}

fn since_us(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).expect("a short test") + 1
}

fn send(sources: &[Source], rate: u32, questions: &[Vec<u8>], began: Instant, stop: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut query = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let due = u64::try_from(began.elapsed().as_micros() * u128::from(rate) / 1_000_000).unwrap();
        // After a pause of ours the rest is passed over: a burst of it would be another load.
        let from = counts.asked.max(due.saturating_sub(u64::from(rate) / 20));
        for number in from..due {
            let at = usize::try_from(number).expect("few");
            let source = &sources[at % sources.len()];
            let id = at / sources.len() % (1 << 16);
            query.clear();
            query.extend_from_slice(&questions[at % questions.len()]);
            query[..2].copy_from_slice(&u16::try_from(id).expect("16 bits").to_be_bytes());
            if source.waiting[id].swap(since_us(began), Ordering::AcqRel) > 0 {
                counts.lost += 1;
            }
            // What the kernel reports here is of a query before: it is missed by its ID.
            if source.socket.send(&query).is_err() {
                let _also = source.socket.send(&query);
            }
        }
        counts.asked = due;
        sleep(TURN);
    }
    counts
}

fn receive(sources: &[Source], began: Instant, sent: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut reply = [0; 2048];
    let mut ends = None;
    loop {
        if sent.load(Ordering::Acquire) {
            let waits = || sources.iter().flat_map(|source| &source.waiting);
            let left = waits().filter(|since| since.load(Ordering::Acquire) > 0).count();
            let ends = *ends.get_or_insert_with(|| now() + LAST);
            if left == 0 || now() > ends {
                counts.lost += u64::try_from(left).expect("few");
                return counts;
            }
        }
        let mut ready: Vec<PollFd<'_>> =
            sources.iter().map(|source| PollFd::new(source.socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut ready, PollTimeout::from(20_u8)).expect("poll");
        for source in sources {
            while let Ok(length) = source.socket.recv(&mut reply) {
                let id = usize::from(u16::from_be_bytes([reply[0], reply[1]]));
                let since = source.waiting[id].swap(0, Ordering::AcqRel);
                if since > 0 {
                    let taken = since_us(began).saturating_sub(since);
                    counts.taken_us.push(u32::try_from(taken).unwrap_or(u32::MAX));
                }
                counts.wrong += u64::from(!is_answer(&reply[..length]));
            }
        }
    }
}

/// NOERROR with an answer.
fn is_answer(reply: &[u8]) -> bool {
    reply.len() > 12 && reply[3] & 0xf == 0 && reply[6..8] != [0, 0]
}

//----------- TCP ------------------------------------------------------------

fn ask(server: SocketAddr, every: Duration, question: &[u8], keeps: bool, stop: &AtomicBool) -> Counts {
    let mut counts = Counts::default();
    let mut open: Option<TcpStream> = None;
    while !stop.load(Ordering::Acquire) {
        let began = now();
        counts.asked += 1;
        match exchange_over(&mut open, server, question) {
            Ok(reply) => {
                counts.wrong += u64::from(!is_answer(&reply));
                counts.taken_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(_) => {
                counts.lost += 1;
                open = None;
            }
        }
        if !keeps {
            open = None;
        }
        sleep(every.saturating_sub(began.elapsed()));
    }
    counts
}

fn exchange_over(open: &mut Option<TcpStream>, server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let stream = match open {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(REPLY))?;
            open.insert(stream)
        }
    };
    exchange(stream, question)
}
