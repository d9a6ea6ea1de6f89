//! A request over HTTP/1.1 or HTTP/2, over TLS or not.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, InvalidHeaderValue, LOCATION, USER_AGENT};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use meridian_model::{HttpCheck, HttpVersion};
use tokio::time::{Instant, timeout};

use self::connection::Connection;
use self::kept::Kept;
use super::connect::Connector;
use super::failure;
use super::sent::{Sent, field, field_name};
use super::text::{Matcher, shown};
use crate::Finding;
use crate::limits::{INTERVAL_MAX, KEPT_REST_OCTETS_MAX, KEPT_REST_WAIT_MAX};

pub(super) mod connection;
mod kept;

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
    /// Connections between checks, if they are kept.
    kept: Option<Kept>,
    /// The probe's.
    timeout: Duration,
}

/// Where to go instead.
enum Next {
    Done(Finding),
    Path(String),
}

impl Http {
    /// `timeout`: how long a check may take; who runs it sees to that.
    pub(super) fn new(check: &HttpCheck, timeout: Duration) -> Result<Self, String> {
        let protocols: &[&[u8]] = match check.version {
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("meridian-probe"));
        for (name, value) in &check.headers {
            let (name, value) = field(name, value)?;
            headers.insert(name, value);
        }
        if let Some(host) = &check.host {
            HeaderValue::from_str(host).map_err(|_| format!("the host {host:?}"))?;
        }
        let fields = check.response_headers.iter();
        let fields = fields.map(|(name, value)| Ok((field_name(name)?, Matcher::optional(value.as_ref())?)));
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
            kept: check.keep_alive.then(Kept::default),
            timeout,
        })
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        let deadline = Instant::now() + self.timeout.min(INTERVAL_MAX);
        let host = self.host(at);
        let mut path = String::from(&*self.path);
        for redirects_left in (0..=self.redirects).rev() {
            match self.exchange(at, &host, &path, redirects_left, deadline).await {
                Ok(Next::Path(next)) => path = next,
                Ok(Next::Done(found)) => return found,
                Err(error) => return failure(&*error),
            }
        }
        Finding::Failed(format!("more than {} redirects", self.redirects))
    }

    /// One request and its response.
    async fn exchange(
        &self,
        at: SocketAddr,
        host: &str,
        path: &str,
        left: u8,
        deadline: Instant,
    ) -> Result<Next, Failure> {
        let (mut connection, response) = self.ask(at, host, path).await?;
        let ends_soon =
            connection.certificate_end.and_then(|end| end.finding(self.connector.certificate_days));
        let (head, mut body) = response.into_parts();
        let next = connection.during(self.judge(&head, &mut body, host, left)).await?;
        if let Some(kept) = &self.kept
            && is_left(&mut connection, body, deadline).await
        {
            kept.put(at, connection);
        }
        Ok(match (next, ends_soon) {
            (Next::Done(Finding::Good), Some(ends_soon)) => Next::Done(ends_soon),
            (next, _) => next,
        })
    }

    /// Asks over the connection that was kept, or over a new one.
    async fn ask(
        &self,
        at: SocketAddr,
        host: &str,
        path: &str,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        if let Some(mut connection) = self.kept.as_ref().and_then(|kept| kept.take(at)) {
            match connection.send(self.request(host, path)?).await {
                Ok(response) => return Ok((connection, response)),
                // The server has closed it meanwhile, as it may: that says nothing of it.
                Err(_) if !connection.has_answered() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut connection = Connection::open(&self.connector, self.version, at).await?;
        let response = connection.send(self.request(host, path)?).await?;
        Ok((connection, response))
    }

    fn request(&self, host: &str, path: &str) -> Result<Request<Empty<Bytes>>, Failure> {
        let request = Request::builder().method(self.method.clone());
        let request = match self.version {
            HttpVersion::Http1 => request.uri(path),
            HttpVersion::Http2 => request.uri(format!("{}://{host}{path}", self.scheme)),
        };
        let mut request = request.body(Empty::new())?;
        *request.headers_mut() = self.header_fields(host)?;
        Ok(request)
    }

    /// Over HTTP/2 the host is none of them, but the authority of the URI.
    fn header_fields(&self, host: &str) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut fields = self.headers.clone();
        if self.version == HttpVersion::Http1 {
            fields.insert(HOST, HeaderValue::from_str(host)?);
            if self.kept.is_none() {
                fields.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        Ok(fields)
    }

    pub(super) fn sent(&self, at: SocketAddr) -> Sent {
        let host = self.host(at);
        // Without a host that can be one there is no request.
        let fields = self.header_fields(&host).unwrap_or_default();
        let authority = (self.version == HttpVersion::Http2).then_some(host);
        Sent::new(self.connector.server_name(at), authority, &fields)
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
    async fn judge(&self, head: &Parts, body: &mut Incoming, host: &str, left: u8) -> Result<Next, Failure> {
        let status = head.status;
        if left > 0
            && status.is_redirection()
            && let Some(location) = head.headers.get(LOCATION)
        {
            return Ok(self.redirect(location, host, status.as_u16()));
        }
        let code = status.as_u16();
        if !self.status.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
            return Ok(failed(format!("{code}, wanted {}", ranges(&self.status))));
        }
        for (name, wanted) in &self.fields {
            let values: Vec<&[u8]> = head.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
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
        let body = self.read(body).await?;
        if wanted.is_in(&body) {
            return Ok(Next::Done(Finding::Good));
        }
        let cut =
            if body.len() == self.max_body { format!(" in {} octets", body.len()) } else { String::new() };
        Ok(failed(format!("{code}, body {}{cut}, {}", shown(&body), wanted.wanted())))
    }

    /// The first `max_body` octets of a body.
    async fn read(&self, body: &mut Incoming) -> Result<Vec<u8>, Failure> {
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

//----------- Keeping --------------------------------------------------------

/// Reads the rest of a response, so that another can follow it over the same connection. A server that is
/// slow with that loses the connection, not the probe: what was found stands.
async fn is_left(connection: &mut Connection, mut body: Incoming, deadline: Instant) -> bool {
    let wait = (deadline.saturating_duration_since(Instant::now()) / 2).min(KEPT_REST_WAIT_MAX);
    let rest = async {
        let mut octets = 0;
        while let Some(frame) = body.frame().await {
            octets += frame.map_or(KEPT_REST_OCTETS_MAX, |frame| frame.data_ref().map_or(0, Bytes::len));
            if octets >= KEPT_REST_OCTETS_MAX {
                return false;
            }
        }
        true
    };
    let all = async { connection.during(rest).await && connection.is_reusable().await };
    timeout(wait, all).await.unwrap_or(false)
}
