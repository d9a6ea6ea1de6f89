//! Requests to a server on this machine, over the socket in its folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use meridian_admin::{SOCKET, wire};
use meridian_config::DATA_DIR_DEFAULT;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A server that takes longer is as good as none.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Far more than the status of a hundred thousand addresses.
const ANSWER_OCTETS_MAX: usize = 256 << 20;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Which server of this machine.
#[derive(Clone, Debug, Args)]
pub(crate) struct Server {
    /// The server's data_dir, where its socket is.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR_DEFAULT)]
    data_dir: PathBuf,
}

impl Server {
    /// The one that keeps its data there.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// The JSON that the server answers with.
    ///
    /// # Errors
    /// When there is no server, no answer in time, or a refusal, in the server's words.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        self.ask_within(ANSWER_WAIT_MAX, method, path, body).await
    }

    /// The same where the answer may take longer, or shorter.
    ///
    /// # Errors
    /// As [`Server::ask`]; a refusal is [`Refused`].
    pub(crate) async fn ask_within(
        &self,
        wait: Duration,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Bytes> {
        self.exchange(wait, JSON, method, path, body).await
    }

    /// What the server prints for people.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let octets = self.exchange(ANSWER_WAIT_MAX, TEXT, Method::GET, path, Vec::new()).await?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    async fn exchange(
        &self,
        wait: Duration,
        accept: &str,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Bytes> {
        let socket = self.data_dir.join(SOCKET);
        let answer = timeout(wait, exchange(&socket, accept, method, path, body)).await;
        answer.map_err(|_| anyhow!("{}: no answer in {wait:?}", socket.display()))?
    }
}

/// The server says no.
#[derive(Debug, Error)]
#[error("{why}")]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    why: String,
}

async fn exchange(
    socket: &Path,
    accept: &str,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<Bytes> {
    let stream = UnixStream::connect(socket).await.with_context(|| {
        format!("{}: no server there; is it running, and is --data-dir its data_dir?", socket.display())
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "meridian")
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, accept)
        .body(Full::new(Bytes::from(body)))?;
    // With its end the sender is gone, and so ends the connection.
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX).collect().await;
        let body = body.map_err(|error| anyhow!(error))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<wire::Refusal>(&body) {
            Ok(refusal) => Err(Refused { status, why: refusal.error }.into()),
            Err(_) => bail!("{}: {status}", socket.display()),
        }
    };
    let (answer, _ended) = tokio::join!(exchange, connection);
    answer
}

/// A runtime for a few requests.
///
/// # Errors
/// When the system has none.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}
