//! A TCP connection, perhaps with a short conversation.

use std::net::SocketAddr;

use meridian_model::TcpCheck;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::failure;
use super::text::{Matcher, shown};
use crate::Finding;

#[derive(Debug)]
pub(super) struct Tcp {
    send: Option<Box<[u8]>>,
    expect: Option<Matcher>,
    max_body: usize,
}

impl Tcp {
    pub(super) fn new(check: &TcpCheck) -> Result<Self, String> {
        let TcpCheck { send, expect, max_body } = check;
        let max_body = usize::try_from(*max_body).unwrap_or(usize::MAX);
        Ok(Self { send: send.clone(), expect: Matcher::optional(expect.as_ref())?, max_body })
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        let mut stream = match TcpStream::connect(at).await {
            Ok(stream) => stream,
            Err(error) => return failure(&error),
        };
        if let Some(send) = &self.send
            && let Err(error) = stream.write_all(send).await
        {
            return failure(&error);
        }
        match &self.expect {
            None => Finding::Good,
            Some(wanted) => self.read(&mut stream, wanted).await,
        }
    }

    /// Reads until the text is there; what is wanted may come long before the other side ends.
    async fn read(&self, stream: &mut TcpStream, wanted: &Matcher) -> Finding {
        let mut octets = Vec::new();
        loop {
            let mut limited = (&mut *stream).take((self.max_body - octets.len()) as u64);
            match limited.read_buf(&mut octets).await {
                Ok(_) if wanted.is_in(&octets) => return Finding::Good,
                Ok(0) => return Finding::Failed(format!("{}, {}", shown(&octets), wanted.wanted())),
                Ok(_) => {}
                Err(error) => return failure(&error),
            }
        }
    }
}
