//! One ICMP echo (RFC 792, RFC 4443 §4) over a socket that needs no privilege where the kernel lets it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;

use super::{failure, random};
use crate::Finding;

/// What is said where neither kind of socket can be had, with what may be changed.
const FORBIDDEN: &str = "ICMP is forbidden here: net.ipv4.ping_group_range has no group of this process, and it \
                         has no CAP_NET_RAW";

/// Type, code, checksum, identifier, sequence number.
const HEADER_OCTETS: usize = 8;
/// Enough that no stranger guesses it.
const TOKEN_OCTETS: usize = 16;
/// A longer reply is not ours.
const REPLY_OCTETS_MAX: usize = 256;

/// What the two families call an echo, and what its reply.
struct Family {
    request: u8,
    reply: u8,
    /// Whether a raw socket hands out the IP header with each packet.
    has_ip_header: bool,
}

const V4: Family = Family { request: 8, reply: 0, has_ip_header: true };
const V6: Family = Family { request: 128, reply: 129, has_ip_header: false };

impl Family {
    fn of(address: IpAddr) -> &'static Self {
        if address.is_ipv4() { &V4 } else { &V6 }
    }
}

//----------- Sockets --------------------------------------------------------

/// A socket for echoes. A datagram socket (Linux' "ping socket") needs no privilege but the sysctl; a raw
/// one needs the capability and nothing else.
fn open(is_v4: bool) -> io::Result<(Socket, Type)> {
    let (domain, protocol) =
        if is_v4 { (Domain::IPV4, Protocol::ICMPV4) } else { (Domain::IPV6, Protocol::ICMPV6) };
    let error = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => return Ok((socket, Type::DGRAM)),
        Err(error) => error,
    };
    match Socket::new(domain, Type::RAW, Some(protocol)) {
        Ok(socket) if is_forbidden(&error) => Ok((socket, Type::RAW)),
        _ => Err(error),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Whether this process may send echoes.
///
/// # Errors
/// What the kernel would have to allow.
pub(super) fn permitted() -> Result<(), String> {
    for is_v4 in [true, false] {
        // A family that this machine does not have is for the checks to say.
        if let Err(error) = open(is_v4)
            && is_forbidden(&error)
        {
            return Err(FORBIDDEN.to_owned());
        }
    }
    Ok(())
}

//----------- Checking -------------------------------------------------------

/// Sends one echo and waits for its reply. What the prober itself may not do says nothing of the address.
pub(super) async fn check(address: IpAddr) -> Finding {
    let (socket, kind) = match open(address.is_ipv4()) {
        Ok(opened) => opened,
        Err(error) if is_forbidden(&error) => return Finding::NoData(FORBIDDEN.to_owned()),
        Err(error) => return failure(&error),
    };
    match exchange(socket, kind, address).await {
        Ok(()) => Finding::Good,
        // Where there are no connections the kernel's name for it would mislead.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Finding::Failed("port unreachable, wanted an echo reply".to_owned())
        }
        Err(error) => failure(&error),
    }
}

async fn exchange(socket: Socket, kind: Type, address: IpAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Connected, it hears what routers say of the address, and nobody else's replies.
    socket.connect(&SockAddr::from(SocketAddr::new(address, 0)))?;
    // Tokio knows no ICMP; that it sends and receives is all that it has to know of this socket.
    let socket = UdpSocket::from_std(socket.into())?;
    let echo = Echo::new()?;
    let family = Family::of(address);
    socket.send(&echo.request(family)).await?;
    let mut octets = [0; REPLY_OCTETS_MAX];
    loop {
        let read = socket.recv(&mut octets).await?;
        let packet = octets.get(..read).unwrap_or_default();
        let packet =
            if kind == Type::RAW && family.has_ip_header { behind_ip_header(packet) } else { packet };
        if echo.is_answered_by(packet, family) {
            return Ok(());
        }
    }
}

/// What is in an IPv4 packet (RFC 791 §3.1).
fn behind_ip_header(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |octet| octet & 0x0f);
    packet.get(usize::from(words) * 4..).unwrap_or_default()
}

//----------- Echo -----------------------------------------------------------

/// What tells our request from every other.
struct Echo {
    identifier: [u8; 2],
    sequence: [u8; 2],
    token: [u8; TOKEN_OCTETS],
}

impl Echo {
    fn new() -> io::Result<Self> {
        Ok(Self { identifier: random()?, sequence: random()?, token: random()? })
    }

    /// Datagram sockets put in an identifier and checksum of their own, and the kernel every checksum of
    /// ICMPv6; a raw socket sends what is here.
    fn request(&self, family: &Family) -> [u8; HEADER_OCTETS + TOKEN_OCTETS] {
        let mut message = [0; HEADER_OCTETS + TOKEN_OCTETS];
        message[0] = family.request;
        message[4..6].copy_from_slice(&self.identifier);
        message[6..8].copy_from_slice(&self.sequence);
        message[HEADER_OCTETS..].copy_from_slice(&self.token);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    /// The identifier is not compared: a datagram socket's is the kernel's.
    fn is_answered_by(&self, message: &[u8], family: &Family) -> bool {
        let Some((header, token)) = message.split_first_chunk::<HEADER_OCTETS>() else { return false };
        let [kind, code, _, _, _, _, sequence @ ..] = header;
        *kind == family.reply && *code == 0 && *sequence == self.sequence && token == self.token
    }
}

/// The internet checksum (RFC 1071) of a message whose own is zero.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> Echo {
        Echo { identifier: [1, 2], sequence: [3, 4], token: [7; TOKEN_OCTETS] }
    }

    fn reply(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut reply = echo().request(&V4).to_vec();
        reply[0] = V4.reply;
        change(&mut reply);
        reply
    }

    #[test]
    fn only_the_reply_to_this_request_counts() {
        assert!(echo().is_answered_by(&reply(|_| {}), &V4));
        // A datagram socket has an identifier of its own.
        assert!(echo().is_answered_by(&reply(|reply| reply[4] = 99), &V4));
        for other in [
            reply(|reply| reply[0] = V4.request),
            reply(|reply| reply[0] = V6.reply),
            reply(|reply| reply[1] = 1),
            reply(|reply| reply[7] ^= 1),
            reply(|reply| reply[HEADER_OCTETS] ^= 1),
            reply(|reply| reply.truncate(HEADER_OCTETS)),
            reply(|reply| reply.push(0)),
            Vec::new(),
        ] {
            assert!(!echo().is_answered_by(&other, &V4), "{other:?}");
        }
    }

    /// A message with its own checksum sums up to zero (RFC 1071 §1).
    #[test]
    fn the_checksum_is_right() {
        for family in [&V4, &V6] {
            assert_eq!(checksum(&echo().request(family)), 0);
        }
        // RFC 1071 §3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn what_is_behind_an_ip_header() {
        let mut packet = vec![0x46; 1];
        packet.resize(24, 0);
        packet.push(9);
        assert_eq!(behind_ip_header(&packet), [9]);
        assert_eq!(behind_ip_header(&[0x4f, 0]), [0; 0]);
        assert_eq!(behind_ip_header(&[]), [0; 0]);
    }
}
