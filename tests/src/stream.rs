//! Connections of a client that says exactly what it is told to, over whatever stream.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Only a broken build waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

/// Connects from a given address: each of loopback's is another client.
///
/// # Errors
/// Without a connection.
pub fn connect_from(from: IpAddr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&server.into(), DEADLINE)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// A message behind its length.
///
/// # Panics
/// When it is longer than a length can say.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("at most 65,535 octets");
    [&length.to_be_bytes()[..], message].concat()
}

/// Reads one message behind its length.
///
/// # Errors
/// When the stream ends before it does.
pub fn read_framed(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Sends a query and reads one message.
///
/// # Errors
/// When the stream ends before it does.
pub fn exchange(stream: &mut (impl Read + Write), query: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&framed(query))?;
    stream.flush()?;
    read_framed(stream)
}

/// Waits until the other end has closed: an end or a reset.
///
/// # Panics
/// When more octets come, or it does not close.
pub fn wait_for_end(stream: &mut TcpStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("more octets and no end"),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no end within {DEADLINE:?}"),
        Err(_) => {}
    }
}
