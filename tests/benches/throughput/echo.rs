//! The ceiling of this kernel's path on one core: receives a batch, adds a record of 16 octets to each, sends it.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

const BATCH: usize = 64;
const OCTETS: usize = 1008;
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1];

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr) -> ! {
    let socket = UdpSocket::bind(address).expect("the address is free");
    let _not_root = setsockopt(&socket, sockopt::RcvBufForce, &(4 << 20));
    let mut buffers = vec![[0_u8; OCTETS]; BATCH];
    let mut received = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut came: Vec<(Option<SockaddrIn>, usize)> = Vec::with_capacity(BATCH);
    loop {
        let mut parts: Vec<[IoSliceMut<'_>; 1]> =
            buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let descriptor = socket.as_raw_fd();
        let messages = recvmmsg(descriptor, &mut received, parts.iter_mut(), MsgFlags::MSG_WAITFORONE, None);
        came.clear();
        came.extend(messages.into_iter().flatten().map(|message| (message.address, message.bytes)));
        for ((_, length), buffer) in came.iter_mut().zip(&mut buffers) {
            buffer[2] |= 0x84;
            buffer[7] = 1;
            if let Some(behind) = buffer.get_mut(*length..*length + RECORD.len()) {
                behind.copy_from_slice(&RECORD);
                *length += RECORD.len();
            }
        }
        let to: Vec<Option<SockaddrIn>> = came.iter().map(|(from, _)| *from).collect();
        let replies = came.iter().zip(&buffers);
        let parts: Vec<[IoSlice<'_>; 1]> =
            replies.map(|((_, length), buffer)| [IoSlice::new(&buffer[..*length])]).collect();
        let mut at = 0;
        while at < parts.len() {
            let some = sendmmsg(descriptor, &mut sent, parts[at..].iter(), &to[at..], [], MsgFlags::empty());
            at += some.map_or(1, Iterator::count).max(1);
        }
    }
}
