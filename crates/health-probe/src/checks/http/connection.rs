//! A connection that carries requests one after another, over HTTP/1.1 or HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use meridian_model::HttpVersion;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;

use crate::checks::connect::{CertificateEnd, Connector, Stream, certificate_end};
use crate::limits::{RESPONSE_HEAD_OCTETS_MAX, RESPONSE_HEADERS_MAX};

//----------- Connection -----------------------------------------------------

pub(super) struct Connection {
    carrier: Carrier,
    /// Whether the carrier's driver has ended, and must not be asked again.
    is_over: bool,
    /// Whether anything came since the last request was sent.
    has_answered: Arc<AtomicBool>,
    /// Until when the server's certificate holds, where there is one.
    pub(super) certificate_end: Option<CertificateEnd>,
}

type Io = TokioIo<Heard>;

/// How requests are sent, and what drives the connection: both are ours, in the probe's own task.
enum Carrier {
    Http1(http1::SendRequest<Empty<Bytes>>, Box<http1::Connection<Io, Empty<Bytes>>>),
    Http2(http2::SendRequest<Empty<Bytes>>, Box<http2::Connection<Io, Empty<Bytes>, Tasks>>),
}

impl Connection {
    pub(super) async fn open(
        connector: &Connector,
        version: HttpVersion,
        at: SocketAddr,
    ) -> Result<Self, super::Failure> {
        let stream = connector.connect(at).await?;
        let certificate_end = certificate_end(&stream);
        let has_answered = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Heard { stream, has_answered: Arc::clone(&has_answered) });
        let carrier = match version {
            HttpVersion::Http1 => {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(RESPONSE_HEAD_OCTETS_MAX).max_headers(RESPONSE_HEADERS_MAX);
                let (sender, driver) = builder.handshake(io).await?;
                Carrier::Http1(sender, Box::new(driver))
            }
            HttpVersion::Http2 => {
                let octets = u32::try_from(RESPONSE_HEAD_OCTETS_MAX).unwrap_or(u32::MAX);
                let mut builder = http2::Builder::new(Tasks::default());
                builder.max_header_list_size(octets).initial_stream_window_size(octets);
                let (sender, driver) = builder.handshake(io).await?;
                Carrier::Http2(sender, Box::new(driver))
            }
        };
        Ok(Self { carrier, is_over: false, has_answered, certificate_end })
    }

    pub(super) async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.has_answered.store(false, Ordering::Relaxed);
        match &mut self.carrier {
            Carrier::Http1(sender, driver) => {
                drive(driver, &mut self.is_over, sender.send_request(request)).await
            }
            Carrier::Http2(sender, driver) => {
                drive(driver, &mut self.is_over, sender.send_request(request)).await
            }
        }
    }

    /// Drives the connection while something else waits for what comes over it.
    pub(super) async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        match &mut self.carrier {
            Carrier::Http1(_, driver) => drive(driver, &mut self.is_over, other).await,
            Carrier::Http2(_, driver) => drive(driver, &mut self.is_over, other).await,
        }
    }

    /// Whether anything came since the last request was sent.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Whether it takes another request, once all of the last response has been read.
    pub(super) async fn is_reusable(&mut self) -> bool {
        let ready = match &mut self.carrier {
            Carrier::Http1(sender, driver) => drive(driver, &mut self.is_over, sender.ready()).await,
            Carrier::Http2(sender, driver) => drive(driver, &mut self.is_over, sender.ready()).await,
        };
        ready.is_ok() && !self.is_over
    }
}

/// Runs an exchange together with the connection that carries it, in one task: both end with the probe.
pub(in crate::checks) async fn drive<T>(
    mut connection: impl Future + Unpin,
    is_over: &mut bool,
    exchange: impl Future<Output = T>,
) -> T {
    let mut exchange = pin!(exchange);
    if !*is_over {
        tokio::select! {
            biased;
            result = &mut exchange => return result,
            _ = &mut connection => *is_over = true,
        }
    }
    // What the connection's end left of it.
    exchange.await
}

/// Tasks that HTTP/2 needs beside the probe's own. They end when the probe drops the last of these, so
/// that a server that never lets go of a connection costs no more than the deadline.
#[derive(Clone, Default)]
pub(in crate::checks) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

//----------- Heard ----------------------------------------------------------

/// A stream that notes whether anything came.
struct Heard {
    stream: Stream,
    has_answered: Arc<AtomicBool>,
}

impl AsyncRead for Heard {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, into);
        if into.filled().len() > before {
            this.has_answered.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
