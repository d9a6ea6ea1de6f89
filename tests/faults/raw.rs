//! Packets with headers of our own making. Raw sockets are for root.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// What sends IPv4 packets as they are.
pub(crate) struct Forger(Socket);

impl Forger {
    pub(crate) fn new() -> Self {
        let socket =
            Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("a raw socket, as root");
        socket.set_header_included_v4(true).expect("headers of our own");
        Self(socket)
    }

    /// Sends a datagram that says it is from somebody else.
    pub(crate) fn udp(&self, from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
        self.send(*from.ip(), *to.ip(), 17, &udp(from, to, data));
    }

    /// Begins a connection (RFC 9293 §3.1).
    pub(crate) fn syn(&self, from: SocketAddrV4, to: SocketAddrV4, sequence: u32) {
        let (ports, size) = ([from.port().to_be_bytes(), to.port().to_be_bytes()].concat(), [0xff, 0xff]);
        let head = [&ports[..], &sequence.to_be_bytes(), &[0; 4], &[0x50, 2], &size, &[0; 4]].concat();
        let pseudo = [&from.ip().octets()[..], &to.ip().octets(), &[0, 6, 0, 20]].concat();
        let sum = checksum(&[pseudo, head.clone()].concat()).to_be_bytes();
        self.send(*from.ip(), *to.ip(), 6, &[&head[..16], &sum, &[0; 2]].concat());
    }

    /// Says that a datagram between the two was too large for a path of this MTU (RFC 1191 §4).
    pub(crate) fn too_large(&self, from: SocketAddrV4, to: SocketAddrV4, mtu: u16) {
        let its = udp(from, to, &[0; 1200]);
        let cited = [&header(*from.ip(), *to.ip(), 17, its.len())[..], &its[..8]].concat();
        let mut message = vec![3, 4, 0, 0, 0, 0];
        message.extend_from_slice(&mtu.to_be_bytes());
        message.extend_from_slice(&cited);
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        self.send(*to.ip(), *from.ip(), 1, &message);
    }

    fn send(&self, from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) {
        let packet = [&header(from, to, protocol, payload.len())[..], payload].concat();
        self.0.send_to(&packet, &SocketAddrV4::new(to, 0).into()).expect("sent");
    }
}

fn udp(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).expect("short");
    // Without a checksum, which IPv4 allows.
    [&from.port().to_be_bytes()[..], &to.port().to_be_bytes(), &length.to_be_bytes(), &[0, 0], data].concat()
}

fn header(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, length: usize) -> [u8; 20] {
    let length = u16::try_from(20 + length).expect("short").to_be_bytes();
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length);
    (header[8], header[9]) = (64, protocol);
    header[12..16].copy_from_slice(&from.octets());
    header[16..].copy_from_slice(&to.octets());
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// What sees all IPv4 packets of this machine as they are on the wire, fragments before they are put together.
pub(crate) struct Capture(Socket);

impl Capture {
    pub(crate) fn new() -> Self {
        // ETH_P_IP in network order.
        let ip = Protocol::from(i32::from(0x0800_u16.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(ip)).expect("a packet socket, as root");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
        Self(socket)
    }

    /// The length of the next packet of UDP from a port, and whether it is a fragment.
    pub(crate) fn next_from(&mut self, port: u16) -> (usize, bool) {
        let mut packet = vec![0; 65535];
        loop {
            let length = self.0.read(&mut packet).expect("a packet");
            let its = length > 28 && packet[9] == 17 && packet[20..22] == port.to_be_bytes();
            if its {
                // More fragments, or an offset.
                return (length, packet[6] & 0x3f != 0 || packet[7] != 0);
            }
        }
    }
}
