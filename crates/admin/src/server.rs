//! The socket and its connections.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meridian_dns::Counters;
use meridian_health_probe::Handle as Probes;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api::{Sources, router};
use crate::limits::{CLOSING_MAX, CONNECTION_LIFE_MAX, CONNECTIONS_MAX, HEAD_WAIT_MAX};
use crate::{Book, Commands, Configuration};

/// The name of the socket in the server's folder.
pub const SOCKET: &str = "meridian.sock";

/// Between two attempts to accept when the system is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The API while it runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Admin {
    tasks: JoinSet<()>,
    /// Dropped, it ends the connections.
    open: watch::Sender<()>,
    socket: PathBuf,
    /// For who takes over.
    listener: OwnedFd,
}

/// What the API is about.
#[derive(Debug)]
pub struct About {
    /// The overrides.
    pub book: Arc<Book>,
    /// The probes.
    pub probes: Arc<Probes>,
    /// What the server counts.
    pub queries: Arc<Counters>,
    /// The wall clock.
    pub wall: fn() -> SystemTime,
    /// The process.
    pub commands: Commands,
    /// What it runs.
    pub configuration: watch::Receiver<Configuration>,
}

impl Admin {
    /// Listens at [`SOCKET`] in the folder of the book, for the server's own user. A socket that is there is of
    /// a server that ended without notice, as the book holds the lock; but if a server hands its own on, that is
    /// `inherited`. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// Of the system, when the socket cannot be made.
    pub fn start(about: About, inherited: Option<OwnedFd>) -> io::Result<Self> {
        let About { book, probes, queries, wall, commands, configuration } = about;
        let socket = book.folder().join(SOCKET);
        let listener = match inherited {
            Some(inherited) => std::os::unix::net::UnixListener::from(inherited),
            None => listen(&socket)?,
        };
        listener.set_nonblocking(true)?;
        let copy = listener.try_clone()?.into();
        let listener = UnixListener::from_std(listener)?;
        let (open, closed) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let sources = Sources { book: Arc::clone(&book), probes, queries, wall, commands, configuration };
            async move {
                tokio::select! {
                    () = accept(listener, sources, closed) => {}
                    () = book.run() => {}
                }
            }
        });
        Ok(Self { tasks, open, socket, listener: copy })
    }

    /// Its socket, for a process that takes over.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.listener.try_clone()
    }

    /// Ends all connections, and returns when nothing holds the book and the probes any more.
    pub async fn stop(self) {
        let socket = self.socket.clone();
        self.leave().await;
        // One that is gone already is not missed.
        let _gone = fs::remove_file(&socket);
    }

    /// The same, but another process listens on the socket and goes on.
    pub async fn leave(mut self) {
        drop(self.open);
        while self.tasks.join_next().await.is_some() {}
    }
}

fn listen(socket: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The folder is closed to others, so nobody is before the mode.
    let listener = std::os::unix::net::UnixListener::bind(socket)?;
    fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Until `closed`; then all connections end.
async fn accept(listener: UnixListener, sources: Sources, closed: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = router(sources);
    let mut connections = JoinSet::new();
    let mut end = pin!(ended(closed.clone()));
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        let next = tokio::select! {
            next = next => next,
            () = &mut end => break,
        };
        match next {
            Ok((stream, place)) => {
                let (router, closed) = (router.clone(), closed.clone());
                connections.spawn(async move {
                    serve(stream, router, closed).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the API cannot accept: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let ends = async { while connections.join_next().await.is_some() {} };
    let _at_most = timeout(CLOSING_MAX, ends).await;
    connections.shutdown().await;
}

/// Waits for the end of the API.
async fn ended(mut closed: watch::Receiver<()>) {
    while closed.changed().await.is_ok() {}
}

async fn serve(stream: UnixStream, router: axum::Router, closed: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let served = async {
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = ended(closed) => {}
        }
        // A request that is under way has its answer.
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    match timeout(CONNECTION_LIFE_MAX, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a connection to the API: {error}"),
        Err(_) => tracing::debug!("a connection to the API was too slow"),
    }
}
