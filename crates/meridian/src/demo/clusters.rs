//! Three small HTTP servers that play clusters.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once on one cluster.
const CONNECTIONS: usize = 64;

/// What the demo calls its clusters, in the order of their keys.
const CLUSTERS: [(&str, &str, Ipv4Addr); 3] = [
    ("eu-west", "Dublin", Ipv4Addr::new(127, 0, 10, 1)),
    ("us-east", "Virginia", Ipv4Addr::new(127, 0, 20, 1)),
    ("ap-northeast", "Tokyo", Ipv4Addr::new(127, 0, 30, 1)),
];

/// The three of them.
pub(super) struct Clusters {
    all: Vec<Cluster>,
    port: u16,
}

/// One of them.
pub(super) struct Cluster {
    pub(super) name: &'static str,
    pub(super) town: &'static str,
    pub(super) address: Ipv4Addr,
    broken: Arc<AtomicBool>,
}

impl Clusters {
    /// Starts all three on one port; with port 0, on whichever the first is given.
    pub(super) async fn start(port: u16) -> anyhow::Result<Self> {
        let mut clusters = Self { all: Vec::new(), port };
        for (name, town, address) in CLUSTERS {
            let at = SocketAddr::from((address, clusters.port));
            let listener = TcpListener::bind(at).await.with_context(|| {
                format!("cannot play a cluster on TCP {at}; choose another with --http-port")
            })?;
            clusters.port = listener.local_addr()?.port();
            let broken = Arc::new(AtomicBool::new(false));
            tokio::spawn(serve(listener, town, broken.clone()));
            clusters.all.push(Cluster { name, town, address, broken });
        }
        Ok(clusters)
    }

    /// The port of all three.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// All three, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Cluster> {
        self.all.iter()
    }

    /// Breaks a cluster that works and mends a broken one; returns it and whether it is broken now.
    pub(super) fn toggle(&self, index: usize) -> Option<(&Cluster, bool)> {
        let cluster = self.all.get(index)?;
        Some((cluster, !cluster.broken.fetch_xor(true, Ordering::Relaxed)))
    }
}

async fn serve(listener: TcpListener, town: &'static str, broken: Arc<AtomicBool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let broken = broken.clone();
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let broken = broken.load(Ordering::Relaxed);
                async move { Ok::<_, Infallible>(respond(town, broken)) }
            });
            // A client that breaks off, or sends no HTTP, ends its own connection and nothing else.
            let _ended = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
    }
}

fn respond(town: &str, broken: bool) -> Response<Full<Bytes>> {
    let text = if broken { format!("{town} is out of order\n") } else { format!("Hello from {town}\n") };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    if broken {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
