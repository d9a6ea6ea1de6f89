//! The socket and its connections.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meridian_dns::Counters;
use meridian_health_probe::Handle as Probes;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Book;
use crate::api::{Sources, router};
use crate::limits::{CONNECTION_LIFE_MAX, CONNECTIONS_MAX, HEAD_WAIT_MAX};

/// The name of the socket in the server's folder.
pub const SOCKET: &str = "meridian.sock";

/// Between two attempts to accept when the system is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The API while it runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Admin {
    tasks: JoinSet<()>,
    /// Dropped, it ends the connections.
    open: oneshot::Sender<()>,
    socket: PathBuf,
}

impl Admin {
    /// Listens at [`SOCKET`] in the folder of the book, for the server's own user. A socket that is there is of
    /// a server that ended without notice, as the book holds the lock.
    ///
    /// `queries`: what the server counts; `wall`: the wall clock. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// Of the system, when the socket cannot be made.
    pub fn start(
        book: Arc<Book>,
        probes: Arc<Probes>,
        queries: Arc<Counters>,
        wall: fn() -> SystemTime,
    ) -> io::Result<Self> {
        let socket = book.folder().join(SOCKET);
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder is closed to others, so nobody is before the mode.
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        let (open, closed) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let book = Arc::clone(&book);
            async move {
                tokio::select! {
                    () = accept(listener, Sources { book: Arc::clone(&book), probes, queries, wall }, closed) => {}
                    () = book.run() => {}
                }
            }
        });
        Ok(Self { tasks, open, socket })
    }

    /// Ends all connections, and returns when nothing holds the book and the probes any more.
    pub async fn stop(mut self) {
        drop(self.open);
        while self.tasks.join_next().await.is_some() {}
        // One that is gone already is not missed.
        let _gone = fs::remove_file(&self.socket);
    }
}

/// Until `closed`; then all connections end.
async fn accept(listener: UnixListener, sources: Sources, mut closed: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = router(sources);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        let next = tokio::select! {
            next = next => next,
            _ = &mut closed => break,
        };
        match next {
            Ok((stream, place)) => {
                let router = router.clone();
                connections.spawn(async move {
                    serve(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the API cannot accept: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: UnixStream, router: axum::Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_LIFE_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a connection to the API: {error}"),
        Err(_) => tracing::debug!("a connection to the API was too slow"),
    }
}
