//! The sockets and their connections.

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::middleware::from_fn_with_state;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use meridian_dns::{Counters, Live};
use meridian_health_probe::Handle as Probes;
use meridian_telemetry::Tracer;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::access::{Access, Whom, guard};
use crate::advisor::{Advice, Advisor};
use crate::api::{Sources, router};
use crate::limits::{
    CLOSING_MAX, CLOSING_WAIT_MAX, CONNECTION_LIFE_MAX, CONNECTIONS_MAX, HEAD_OCTETS_MAX, HEAD_WAIT_MAX,
    STREAMS_MAX,
};
use crate::maps::Maps;
use crate::{Book, Commands, Configuration, Events, Ledger, Levels, Vitals};

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
    handles: Handles,
}

/// The sockets of an API, for another process that serves it.
#[derive(Debug, Default)]
pub struct Handles {
    /// [`SOCKET`].
    pub unix: Option<OwnedFd>,
    /// That on a network.
    pub network: Option<OwnedFd>,
}

/// The API on a network.
#[derive(Debug)]
pub struct Network {
    /// Its socket, which listens.
    pub listener: std::net::TcpListener,
    /// Who may do what there.
    pub access: watch::Receiver<Access>,
}

/// What the API is about.
#[derive(Debug)]
pub struct About {
    /// The overrides.
    pub book: Arc<Book>,
    /// The probes.
    pub probes: Arc<Probes>,
    /// What happens.
    pub events: Arc<Events>,
    /// The audit.
    pub ledger: Arc<Ledger>,
    /// What is worked out.
    pub advisor: Arc<dyn Advisor>,
    /// What the server counts.
    pub queries: Arc<Counters>,
    /// The view that is served.
    pub live: Arc<Live>,
    /// Its sockets of UDP, by inode.
    pub udp_sockets: Arc<[u64]>,
    /// What the process tells of itself.
    pub vitals: Arc<Vitals>,
    /// The wall clock.
    pub wall: fn() -> SystemTime,
    /// The process.
    pub commands: Commands,
    /// What it runs.
    pub configuration: watch::Receiver<Configuration>,
    /// What it logs.
    pub levels: Option<Arc<dyn Levels>>,
    /// Who is told of requests.
    pub tracer: Tracer,
}

impl Admin {
    /// Listens at [`SOCKET`] in the folder of the book, for the server's own user. A socket that is there is of
    /// a server that ended without notice, as the book holds the lock; but if a server hands its own on, that is
    /// `inherited`. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// Of the system, when the socket cannot be made.
    pub fn start(about: About, inherited: Option<OwnedFd>, network: Option<Network>) -> io::Result<Self> {
        let About {
            book,
            probes,
            events,
            ledger,
            advisor,
            queries,
            live,
            udp_sockets,
            vitals,
            wall,
            commands,
            configuration,
            levels,
            tracer,
        } = about;
        let socket = book.folder().join(SOCKET);
        let listener = match inherited {
            Some(inherited) => std::os::unix::net::UnixListener::from(inherited),
            None => listen(&socket)?,
        };
        listener.set_nonblocking(true)?;
        let copy = listener.try_clone()?.into();
        let listener = Listener::Unix(UnixListener::from_std(listener)?);
        let (open, closed) = watch::channel(());
        let mut tasks = JoinSet::new();
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        let router = router(Sources {
            book: Arc::clone(&book),
            probes,
            queries,
            udp_sockets,
            vitals,
            commands,
            configuration,
            events,
            ledger,
            turn: Arc::default(),
            advice: Advice::new(advisor),
            maps: Arc::new(Maps::new(live)),
            streams,
            closed: closed.clone(),
            levels,
            tracer,
            wall,
        });
        let mut handles = Handles { unix: Some(copy), network: None };
        if let Some(Network { listener, access }) = network {
            listener.set_nonblocking(true)?;
            handles.network = Some(listener.try_clone()?.into());
            let router = router.clone().layer(from_fn_with_state(access.clone(), guard));
            let listener = Listener::Network { listener: TcpListener::from_std(listener)?, access };
            tasks.spawn(accept(listener, router, closed.clone()));
        }
        tasks.spawn(async move {
            tokio::select! {
                () = accept(listener, router, closed) => {}
                () = book.run() => {}
            }
        });
        Ok(Self { tasks, open, socket, handles })
    }

    /// Its sockets, for a process that takes over.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn handles(&self) -> io::Result<Handles> {
        let copy = |handle: &Option<OwnedFd>| handle.as_ref().map(OwnedFd::try_clone).transpose();
        Ok(Handles { unix: copy(&self.handles.unix)?, network: copy(&self.handles.network)? })
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

//----------- Connections ----------------------------------------------------

enum Listener {
    Unix(UnixListener),
    Network { listener: TcpListener, access: watch::Receiver<Access> },
}

/// A connection that may have to be encrypted first.
enum Incoming {
    Unix(UnixStream),
    Plain(TcpStream),
    Tls(TcpStream, Arc<ServerConfig>),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Incoming, Option<SocketAddr>)> {
        Ok(match self {
            Self::Unix(listener) => (Incoming::Unix(listener.accept().await?.0), None),
            Self::Network { listener, access } => {
                let (stream, from) = listener.accept().await?;
                let incoming = match access.borrow().tls.clone() {
                    Some(tls) => Incoming::Tls(stream, tls),
                    None => Incoming::Plain(stream),
                };
                (incoming, Some(from))
            }
        })
    }
}

/// The place of a connection.
struct Seat {
    connection: AbortHandle,
    state: watch::Receiver<State>,
}

/// What a connection is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has had no request yet.
    New,
    /// A request is under way.
    Busy,
    Idle,
}

/// Until `closed`; then all connections end. Of too many the one that has been idle longest, as they came, makes room; if
/// none is, the newcomer goes.
async fn accept(listener: Listener, router: Router, closed: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut seats: VecDeque<Seat> = VecDeque::new();
    let mut end = pin!(ended(closed.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        while connections.try_join_next().is_some() {}
        seats.retain(|seat| !seat.connection.is_finished());
        match accepted {
            Ok((incoming, from)) => {
                if seats.len() >= CONNECTIONS_MAX {
                    let idle = seats.iter().position(|seat| *seat.state.borrow() != State::Busy);
                    let Some(seat) = idle.and_then(|idle| seats.remove(idle)) else { continue };
                    seat.connection.abort();
                }
                let (sender, state) = watch::channel(State::New);
                let ending = Ending { closed: closed.clone(), state: state.clone() };
                let connection =
                    connections.spawn(connection(incoming, from, router.clone(), sender, ending));
                seats.push_back(Seat { connection, state });
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

/// When a connection is to end.
struct Ending {
    closed: watch::Receiver<()>,
    state: watch::Receiver<State>,
}

impl Ending {
    /// Waits until it may: who has come before the end has one answer, if it is asked for soon.
    async fn wait(mut self) {
        ended(self.closed).await;
        let _soon = timeout(CLOSING_WAIT_MAX, self.state.wait_for(|state| *state != State::New)).await;
    }
}

async fn connection(
    incoming: Incoming,
    from: Option<SocketAddr>,
    router: Router,
    state: watch::Sender<State>,
    ending: Ending,
) {
    let served = match incoming {
        Incoming::Unix(stream) => {
            let user =
                stream.peer_cred().map_or_else(|error| error.to_string(), |peer| peer.uid().to_string());
            serve(stream, router, Some(Whom(format!("user {user}"))), state, ending).await
        }
        Incoming::Plain(stream) => serve(stream, router, None, state, ending).await,
        Incoming::Tls(stream, tls) => {
            match timeout(HEAD_WAIT_MAX, TlsAcceptor::from(tls).accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, router, None, state, ending).await,
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("its handshake took too long".to_owned()),
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(?from, "a connection to the API: {error}");
    }
}

/// # Errors
/// Why it ended, for the log.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    whom: Option<Whom>,
    state: watch::Sender<State>,
    ending: Ending,
) -> Result<(), String> {
    let (router, state) = (TowerToHyperService::new(router), Arc::new(state));
    // Not a layer of the router: that would be all of its routes once more for every connection.
    let service = service_fn(move |mut request: hyper::Request<_>| {
        if let Some(whom) = &whom {
            request.extensions_mut().insert(whom.clone());
        }
        let (answer, state) = (router.call(request), Arc::clone(&state));
        async move {
            state.send_replace(State::Busy);
            let answer = answer.await;
            state.send_replace(State::Idle);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let served = async {
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = ending.wait() => {}
        }
        // A request that is under way has its answer.
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    match timeout(CONNECTION_LIFE_MAX, served).await {
        Ok(served) => served.map_err(|error| error.to_string()),
        Err(_) => Err("it was too slow".to_owned()),
    }
}
