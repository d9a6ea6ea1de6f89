//! PROXY protocol, version 2: who a client is that came through a load balancer.
//!
//! Believed, and then required, of listed networks alone: whoever else sends such a header sends a query that
//! cannot be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::PROXY_HEADER;

/// What every header begins with (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of what follows.
const FIXED: usize = 16;

/// A header that does not say what it should, or none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Who the client is: `None` where the balancer speaks for itself, as when it checks our health.
pub(super) type Client = Option<IpAddr>;

/// Reads the header in front of a datagram; returns what is behind it.
pub(super) fn of_datagram(datagram: &[u8]) -> Result<(Client, &[u8]), Malformed> {
    let (fixed, rest) = datagram.split_first_chunk::<FIXED>().ok_or(Malformed)?;
    let (named, query) = rest.split_at_checked(length(fixed)?).ok_or(Malformed)?;
    Ok((client(fixed, named)?, query))
}

/// Reads the header in front of a stream, and not an octet more.
pub(super) async fn of_stream(stream: &mut (impl AsyncRead + Unpin)) -> Result<Client, Malformed> {
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await.map_err(|_| Malformed)?;
    let mut named = vec![0; length(&fixed)?];
    stream.read_exact(&mut named).await.map_err(|_| Malformed)?;
    client(&fixed, &named)
}

/// How many octets follow.
fn length(fixed: &[u8; FIXED]) -> Result<usize, Malformed> {
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let right = fixed.starts_with(&SIGNATURE) && length <= PROXY_HEADER - FIXED;
    if right { Ok(length) } else { Err(Malformed) }
}

/// The client that a header names: its source address. What follows the addresses (TLVs) says nothing to us.
fn client(fixed: &[u8; FIXED], named: &[u8]) -> Result<Client, Malformed> {
    match (fixed[12], fixed[13] >> 4, fixed[13] & 0xf) {
        // LOCAL: whatever it names does not count.
        (0x20, ..) => Ok(None),
        // PROXY, of a family that the balancer does not know: as though it spoke for itself.
        (0x21, 0, _) => Ok(None),
        // IPv4, streams or datagrams: both addresses, both ports.
        (0x21, 1, 1 | 2) => {
            let (source, _) = named.get(..12).and_then(<[u8]>::split_first_chunk::<4>).ok_or(Malformed)?;
            Ok(Some(Ipv4Addr::from(*source).into()))
        }
        (0x21, 2, 1 | 2) => {
            let (source, _) = named.get(..36).and_then(<[u8]>::split_first_chunk::<16>).ok_or(Malformed)?;
            Ok(Some(IpAddr::V6(Ipv6Addr::from(*source)).to_canonical()))
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, named: &[u8]) -> Vec<u8> {
        let length = u16::try_from(named.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, named].concat()
    }

    #[test]
    fn headers() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 53];
        let v6: Vec<u8> = [&[0x20, 1, 0xd, 0xb8][..], &[0; 12], &[0; 20]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 9], &[0; 20]].concat();
        let with_tlv = [&v4[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (octets, wanted) in [
            (header(0x21, 0x11, &v4), Some("192.0.2.7")),
            (header(0x21, 0x12, &with_tlv), Some("192.0.2.7")),
            (header(0x21, 0x22, &v6), Some("2001:db8::")),
            (header(0x21, 0x21, &mapped), Some("192.0.2.9")),
            (header(0x20, 0x11, &v4), None),
            (header(0x20, 0, &[]), None),
            (header(0x21, 0, &[1, 2, 3]), None),
        ] {
            let datagram = [&octets[..], b"query"].concat();
            let wanted = wanted.map(|text| text.parse().unwrap());
            assert_eq!(of_datagram(&datagram), Ok((wanted, &b"query"[..])), "{octets:?}");
        }
        let mut other = header(0x21, 0x11, &v4);
        other[0] = 0;
        for octets in [
            other,
            Vec::new(),
            SIGNATURE.to_vec(),
            header(0x21, 0x11, &v4)[..27].to_vec(),
            header(0x21, 0x11, &v4[..11]),
            header(0x21, 0x21, &v6[..35]),
            // Version 1, an unknown command, a Unix socket, a protocol that is none.
            header(0x11, 0x11, &v4),
            header(0x22, 0x11, &v4),
            header(0x21, 0x31, &[0; 216]),
            header(0x21, 0x13, &v4),
            header(0x21, 0x11, &[0; PROXY_HEADER]),
        ] {
            assert_eq!(of_datagram(&octets), Err(Malformed), "{octets:?}");
        }
    }

    #[tokio::test]
    async fn nothing_behind_a_header_is_read() {
        let octets = [header(0x21, 0x11, &[7; 12]), b"query".to_vec()].concat();
        let mut stream = &octets[..];
        assert_eq!(of_stream(&mut stream).await, Ok(Some([7, 7, 7, 7].into())));
        assert_eq!(stream, b"query");
        assert_eq!(of_stream(&mut &octets[..20]).await, Err(Malformed));
    }
}
