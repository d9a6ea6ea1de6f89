//! A request over HTTP/1.1 or HTTP/2, over TLS or not.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::rt::Executor;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use meridian_model::{HttpCheck, HttpVersion};
use tokio::task::JoinSet;

use super::connect::{Connector, Stream, expiry};
use super::finding;
use super::text::{Matcher, shown};
use crate::Finding;
use crate::limits::{RESPONSE_HEAD_OCTETS_MAX, RESPONSE_HEADERS_MAX};

type Failure = Box<dyn Error + Send + Sync>;

//----------- Http -----------------------------------------------------------

/// An [`HttpCheck`] made ready.
#[derive(Debug)]
pub(super) struct Http {
    connector: Connector,
    version: HttpVersion,
    scheme: &'static str,
    method: Method,
    path: Box<str>,
    host: Option<Box<str>>,
    headers: HeaderMap,
    redirects: u8,
    max_body: usize,
    status: Vec<(u16, u16)>,
    body: Option<Matcher>,
    fields: Vec<(HeaderName, Option<Matcher>)>,
}

/// Where to go instead.
enum Next {
    Done(Finding),
    Path(String),
}

impl Http {
    pub(super) fn new(check: &HttpCheck) -> Result<Self, String> {
        let protocols: &[&[u8]] = match check.version {
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        let name = |name: &str| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("the header field {name:?}"))
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("meridian-probe"));
        for (field, value) in &check.headers {
            let wrong = |_| format!("the value {value:?} of the header field {field:?}");
            headers.insert(name(field)?, HeaderValue::from_str(value).map_err(wrong)?);
        }
        if let Some(host) = &check.host {
            HeaderValue::from_str(host).map_err(|_| format!("the host {host:?}"))?;
        }
        let fields = check.response_headers.iter();
        let fields = fields.map(|(field, value)| Ok((name(field)?, Matcher::optional(value.as_ref())?)));
        Ok(Self {
            connector: Connector::new(check.tls.as_ref(), protocols)?,
            version: check.version,
            scheme: if check.tls.is_some() { "https" } else { "http" },
            method: check.method.parse().map_err(|_| format!("the method {:?}", check.method))?,
            path: check.path.clone(),
            host: check.host.clone(),
            headers,
            redirects: check.redirects,
            max_body: usize::try_from(check.max_body).unwrap_or(usize::MAX),
            status: check.status.clone(),
            body: Matcher::optional(check.body.as_ref())?,
            fields: fields.collect::<Result<_, String>>()?,
        })
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        let host = self.host(at);
        let mut path = String::from(&*self.path);
        for redirects_left in (0..=self.redirects).rev() {
            match self.exchange(at, &host, &path, redirects_left).await {
                Ok(Next::Path(next)) => path = next,
                Ok(Next::Done(found)) => return found,
                Err(error) => return Finding::Failed(finding(&*error)),
            }
        }
        Finding::Failed(format!("more than {} redirects", self.redirects))
    }

    /// One request and its response, on a connection of its own.
    async fn exchange(&self, at: SocketAddr, host: &str, path: &str, left: u8) -> Result<Next, Failure> {
        let stream = self.connector.connect(at).await?;
        let ends_soon = expiry(&stream, self.connector.certificate_days);
        let judge = |response| self.judge(response, host, left);
        let next = match self.version {
            HttpVersion::Http1 => self.http1(stream, host, path, judge).await?,
            HttpVersion::Http2 => self.http2(stream, host, path, judge).await?,
        };
        Ok(match (next, ends_soon) {
            (Next::Done(Finding::Good), Some(ends_soon)) => Next::Done(ends_soon),
            (next, _) => next,
        })
    }

    async fn http1<J: Future<Output = Result<Next, Failure>>>(
        &self,
        stream: Stream,
        host: &str,
        path: &str,
        judge: impl FnOnce(Response<Incoming>) -> J,
    ) -> Result<Next, Failure> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(RESPONSE_HEAD_OCTETS_MAX)
            .max_headers(RESPONSE_HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let mut request = self.request(path)?;
        request.headers_mut().insert(HOST, HeaderValue::from_str(host)?);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        drive(connection, async { judge(sender.send_request(request).await?).await }).await
    }

    async fn http2<J: Future<Output = Result<Next, Failure>>>(
        &self,
        stream: Stream,
        host: &str,
        path: &str,
        judge: impl FnOnce(Response<Incoming>) -> J,
    ) -> Result<Next, Failure> {
        let tasks = Tasks::default();
        let (mut sender, connection) = http2::Builder::new(tasks.clone())
            .max_header_list_size(u32::try_from(RESPONSE_HEAD_OCTETS_MAX).unwrap_or(u32::MAX))
            .initial_stream_window_size(u32::try_from(RESPONSE_HEAD_OCTETS_MAX).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await?;
        let request = self.request(&format!("{}://{host}{path}", self.scheme))?;
        let next = drive(connection, async { judge(sender.send_request(request).await?).await }).await;
        drop(tasks);
        next
    }

    fn request(&self, uri: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut request = Request::builder().method(self.method.clone()).uri(uri).body(Empty::new())?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    fn host(&self, at: SocketAddr) -> String {
        let own_port = if self.scheme == "https" { 443 } else { 80 };
        match &self.host {
            Some(host) => String::from(&**host),
            None if at.port() == own_port && at.is_ipv6() => format!("[{}]", at.ip()),
            None if at.port() == own_port => at.ip().to_string(),
            None => at.to_string(),
        }
    }
}

//----------- Judging --------------------------------------------------------

impl Http {
    async fn judge(&self, response: Response<Incoming>, host: &str, left: u8) -> Result<Next, Failure> {
        let status = response.status();
        if left > 0
            && status.is_redirection()
            && let Some(location) = response.headers().get(LOCATION)
        {
            return Ok(self.redirect(location, host, status.as_u16()));
        }
        let code = status.as_u16();
        if !self.status.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
            return Ok(failed(format!("{code}, wanted {}", ranges(&self.status))));
        }
        for (name, wanted) in &self.fields {
            let values: Vec<&[u8]> =
                response.headers().get_all(name).iter().map(HeaderValue::as_bytes).collect();
            let found = match (&values[..], wanted) {
                ([], _) => format!("{code} without the header field {name}"),
                (values, Some(wanted)) if !values.iter().any(|value| wanted.is_in(value)) => {
                    format!(
                        "{code}, {name} is {}, {}",
                        shown(values.first().unwrap_or(&&b""[..])),
                        wanted.wanted()
                    )
                }
                _ => continue,
            };
            return Ok(failed(found));
        }
        let Some(wanted) = &self.body else { return Ok(Next::Done(Finding::Good)) };
        let body = self.read(response.into_body()).await?;
        if wanted.is_in(&body) {
            return Ok(Next::Done(Finding::Good));
        }
        let cut =
            if body.len() == self.max_body { format!(" in {} octets", body.len()) } else { String::new() };
        Ok(failed(format!("{code}, body {}{cut}, {}", shown(&body), wanted.wanted())))
    }

    /// The first `max_body` octets of a body.
    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Failure> {
        let mut octets = Vec::new();
        while octets.len() < self.max_body {
            let Some(frame) = body.frame().await else { break };
            if let Ok(data) = frame?.into_data() {
                let room = self.max_body - octets.len();
                octets.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
            }
        }
        Ok(octets)
    }

    /// A redirect leads to another path of the same service, or it is not followed: a probe checks the
    /// address that it was given, and nothing that the answer of a stranger names.
    fn redirect(&self, location: &HeaderValue, host: &str, code: u16) -> Next {
        let elsewhere = |shown: &str| failed(format!("{code} to {shown:?}, which is elsewhere"));
        let Ok(location) = location.to_str() else { return elsewhere("") };
        let here = format!("{}://{host}", self.scheme);
        let path = location.strip_prefix(&here).unwrap_or(location);
        if path.starts_with('/') && !path.starts_with("//") {
            Next::Path(path.split('#').next().unwrap_or(path).to_owned())
        } else {
            elsewhere(location)
        }
    }
}

fn failed(found: String) -> Next {
    Next::Done(Finding::Failed(found))
}

/// `200-299 or 404`
fn ranges(status: &[(u16, u16)]) -> String {
    let each = status.iter().map(
        |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    );
    each.collect::<Vec<_>>().join(" or ")
}

//----------- Driving --------------------------------------------------------

/// Runs an exchange together with the connection that carries it, in one task: both end with the probe.
pub(super) async fn drive<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    tokio::select! {
        biased;
        result = &mut exchange => return result,
        _ = &mut connection => {}
    }
    // What the connection's end left of it.
    exchange.await
}

/// Tasks that HTTP/2 needs beside the probe's own. They end when the probe drops the last of these, so
/// that a server that never lets go of a connection costs no more than the deadline.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}
