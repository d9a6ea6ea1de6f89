//! Streams of HTTP/3 with a bound on what is received: h3 keeps a frame until it is whole, however long its head
//! says that it is.

use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{
    self, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming, StreamId,
    WriteBuf,
};

use crate::limits::{HTTP3_CONTROL, HTTP3_REQUEST};

/// A stream, and how many octets it may still bring.
pub(super) struct Metered<S> {
    stream: S,
    left: usize,
}

impl<S: RecvStream> RecvStream for Metered<S> {
    type Buf = S::Buf;

    fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Self::Buf>, StreamErrorIncoming>> {
        let polled = self.stream.poll_data(context);
        if let Poll::Ready(Ok(Some(data))) = &polled {
            let Some(left) = self.left.checked_sub(data.remaining()) else {
                let error_code = Code::H3_EXCESSIVE_LOAD.value();
                self.stream.stop_sending(error_code);
                return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
            };
            self.left = left;
        }
        polled
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.stream.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.stream.recv_id()
    }
}

impl<S: SendStream<Bytes>> SendStream<Bytes> for Metered<S> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}

type Bidi = h3_quinn::BidiStream<Bytes>;

/// A connection whose streams are metered; also what opens streams of our own on it.
pub(super) struct MeteredConnection<C = h3_quinn::Connection>(C);

impl MeteredConnection {
    pub(super) fn new(connection: quinn::Connection) -> Self {
        Self(h3_quinn::Connection::new(connection))
    }
}

impl quic::Connection<Bytes> for MeteredConnection {
    type RecvStream = Metered<h3_quinn::RecvStream>;
    type OpenStreams = MeteredConnection<h3_quinn::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let polled = quic::Connection::<Bytes>::poll_accept_recv(&mut self.0, context);
        polled.map_ok(|stream| Metered { stream, left: HTTP3_CONTROL })
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let polled = quic::Connection::<Bytes>::poll_accept_bidi(&mut self.0, context);
        polled.map_ok(|stream| Metered { stream, left: HTTP3_REQUEST })
    }

    fn opener(&self) -> Self::OpenStreams {
        MeteredConnection(quic::Connection::<Bytes>::opener(&self.0))
    }
}

impl<C> OpenStreams<Bytes> for MeteredConnection<C>
where
    C: OpenStreams<Bytes, BidiStream = Bidi, SendStream = h3_quinn::SendStream<Bytes>>,
{
    type BidiStream = Metered<Bidi>;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.0.poll_open_bidi(context).map_ok(|stream| Metered { stream, left: HTTP3_REQUEST })
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.0.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.0.close(code, reason);
    }
}
