//! Plain connections that go from one server to the next.

use std::net::{IpAddr, TcpStream};
use std::time::Duration;

/// A connection of DNS over TCP in between two replies.
#[derive(Debug)]
pub struct Passed {
    /// The connection; whatever its client has sent that is in none of the fields below is still in it.
    pub stream: TcpStream,
    /// Who asks: as the load balancer says, if there is one.
    pub client: IpAddr,
    /// What has been read of it and is no whole query yet.
    pub input: Vec<u8>,
    /// Octets still to come that belong to a query too long to be kept.
    pub skipped: usize,
    /// How long ago it was opened.
    pub age: Duration,
    /// How long ago its last query came.
    pub idle: Duration,
}
