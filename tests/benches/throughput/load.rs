//! Queries as fast as they are answered: so many are always under way.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use meridian_tests::now;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

/// Sources of queries.
const SOCKETS: usize = 8;
/// Queries of one source that wait for their reply: all of them fit into the buffer that the kernel gives a socket which
/// asks for no larger one, as gdnsd's.
const WINDOW: usize = 24;
const OCTETS: usize = 1280;
/// After so long without a reply, what is under way is lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Came {
    /// Replies a second.
    pub(crate) rate: f64,
    /// The code of the last one.
    pub(crate) rcode: u8,
    /// Whether it has an answer.
    pub(crate) answered: bool,
    pub(crate) lost: usize,
}

/// Asks the questions in turn for a time.
pub(crate) fn run(server: SocketAddr, questions: &[Vec<u8>], time: Duration) -> Came {
    let mut sources: Vec<Source> = (0..SOCKETS).map(|_| Source::new(server)).collect();
    let (began, mut next, mut replies, mut came) = (now(), 0, 0_u32, Came::default());
    while began.elapsed() < time {
        for source in &mut sources {
            next = source.send(questions, next);
            replies += source.receive(&mut came);
        }
    }
    came.rate = f64::from(replies) / began.elapsed().as_secs_f64();
    came
}

struct Source {
    socket: UdpSocket,
    under_way: usize,
    heard: std::time::Instant,
    sent: MultiHeaders<SockaddrIn>,
    received: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; OCTETS]>,
}

impl Source {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("an address");
        // Without root, the default must do.
        let _not_root = setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20));
        let headers = || MultiHeaders::preallocate(WINDOW, None);
        let buffers = vec![[0; OCTETS]; WINDOW];
        Self { socket, under_way: 0, heard: now(), sent: headers(), received: headers(), buffers }
    }

    /// Fills the window, from the question that is next; returns which is then.
    fn send(&mut self, questions: &[Vec<u8>], next: usize) -> usize {
        let room = WINDOW - self.under_way;
        if room == 0 {
            return next;
        }
        let parts: Vec<[IoSlice<'_>; 1]> =
            (0..room).map(|at| [IoSlice::new(&questions[(next + at) % questions.len()])]).collect();
        let to = [None::<SockaddrIn>; WINDOW];
        let sent = sendmmsg(
            self.socket.as_raw_fd(),
            &mut self.sent,
            parts.iter(),
            &to[..room],
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        let sent = sent.map_or(0, Iterator::count);
        self.under_way += sent;
        (next + sent) % questions.len()
    }

    fn receive(&mut self, came: &mut Came) -> u32 {
        let mut parts: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let descriptor = self.socket.as_raw_fd();
        let received =
            recvmmsg(descriptor, &mut self.received, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let count = received.map_or(0, Iterator::count);
        if count == 0 {
            if self.under_way > 0 && self.heard.elapsed() > PATIENCE {
                came.lost += std::mem::take(&mut self.under_way);
            }
            return 0;
        }
        self.heard = now();
        self.under_way = self.under_way.saturating_sub(count);
        let last = &self.buffers[count - 1];
        (came.rcode, came.answered) = (last[3] & 0xf, last[6..8] != [0, 0]);
        u32::try_from(count).expect("few")
    }
}
