//! Clusters to probe: HTTP servers on loopback addresses that can be killed and mended.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A loopback network of a test's own, and the port that all its clusters listen on.
pub struct Site {
    network: [u8; 3],
    /// The port of every cluster.
    pub port: u16,
}

impl Site {
    /// Takes a network that no other test of this machine uses: tests of one process count on, and
    /// processes differ by their id. The port is below those that the kernel gives to connections, one of which
    /// could have it when a cluster comes back.
    ///
    /// # Panics
    /// When a process has more tests than there are networks.
    #[must_use]
    pub fn new() -> Self {
        const PORTS: std::ops::Range<u32> = 20_000..32_000;
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let of_process = u8::try_from(process % 200).expect("below 200") + 50;
        let number_of_all = process.wrapping_mul(7).wrapping_add(u32::from(number));
        let port = PORTS.start + number_of_all % (PORTS.end - PORTS.start);
        Self { network: [127, of_process, number], port: u16::try_from(port).expect("a port") }
    }

    /// An address of the network, by its last octet.
    #[must_use]
    pub fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, host)
    }

    /// Starts a cluster on an address of the network.
    ///
    /// # Panics
    /// When the port is taken there.
    #[must_use]
    pub fn cluster(&self, host: u8) -> Cluster {
        self.cluster_on(host, self.port)
    }

    /// As [`Site::cluster`], on another port.
    ///
    /// # Panics
    /// When the port is taken there.
    #[must_use]
    pub fn cluster_on(&self, host: u8, port: u16) -> Cluster {
        let mut cluster = Cluster { address: (self.address(host), port).into(), running: None };
        cluster.mend();
        cluster
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// One HTTP server: 200 to every request while it lives, connections refused while it is killed.
pub struct Cluster {
    address: SocketAddr,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Cluster {
    /// The address that is handed out.
    #[must_use]
    pub fn ip(&self) -> String {
        self.address.ip().to_string()
    }

    /// Closes the listener; returns when connections are refused.
    pub fn kill(&mut self) {
        let Some((stop, thread)) = self.running.take() else {
            return;
        };
        stop.store(true, Ordering::Relaxed);
        // One last connection wakes the thread, which then drops its listener.
        let _refused = std::net::TcpStream::connect(self.address);
        thread.join().expect("the cluster's thread ends");
    }

    /// Listens again; returns when connections are accepted.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn mend(&mut self) {
        if self.running.is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).expect("the cluster's port is free");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || serve(&listener, &stop)
        });
        self.running = Some((stop, thread));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(stream) = stream {
            // A probe that breaks off is its own affair.
            let _broken_off = respond(stream);
        }
    }
}

fn respond(mut stream: std::net::TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
