//! The health service of a gRPC server: one call of `grpc.health.v1.Health/Check` over HTTP/2.
//!
//! The call is one request of one message, so it is made on a connection of our own as those of HTTP
//! probes are (gRPC over HTTP/2, `PROTOCOL-HTTP2.md` of gRPC); only the two messages are a library's.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use meridian_model::GrpcCheck;
use percent_encoding::percent_decode;
use prost::Message;

use super::connect::{Connector, expiry};
use super::failure;
use super::http::connection::{Tasks, drive};
use super::sent::Sent;
use super::text::shown;
use crate::Finding;
use crate::limits::{GRPC_MESSAGE_OCTETS_MAX, RESPONSE_HEAD_OCTETS_MAX};

type Failure = Box<dyn Error + Send + Sync>;

const METHOD_PATH: &str = "/grpc.health.v1.Health/Check";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What stands before each message: whether it is compressed, and its length.
const PREFIX_OCTETS: usize = 5;

//----------- Messages -------------------------------------------------------

/// `grpc.health.v1.HealthCheckRequest`
#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`
#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    /// A `ServingStatus`, as a number: a later protocol may know more of them.
    #[prost(int32, tag = "1")]
    status: i32,
}

const SERVING: i32 = 1;

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`
fn status_name(status: i32) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        SERVING => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("the serving status {other}"),
    }
}

//----------- Grpc -----------------------------------------------------------

/// A [`GrpcCheck`] made ready.
#[derive(Debug)]
pub(super) struct Grpc {
    connector: Connector,
    scheme: &'static str,
    host: Option<Box<str>>,
    headers: HeaderMap,
    /// The request's message with its prefix.
    call: Bytes,
}

impl Grpc {
    /// `timeout`: the probe's, which the server is told.
    pub(super) fn new(check: &GrpcCheck, timeout: Duration) -> Result<Self, String> {
        if let Some(host) = &check.host {
            HeaderValue::from_str(host).map_err(|_| format!("the host {host:?}"))?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("meridian-probe"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        // At most eight digits; nobody waits for an answer that comes later.
        let timeout_ms = timeout.as_millis().clamp(1, 99_999_999);
        let told = HeaderValue::from_str(&format!("{timeout_ms}m")).map_err(|error| error.to_string())?;
        headers.insert(GRPC_TIMEOUT, told);
        Ok(Self {
            connector: Connector::new(check.tls.as_ref(), &[b"h2"])?,
            scheme: if check.tls.is_some() { "https" } else { "http" },
            host: check.host.clone(),
            headers,
            call: framed(&HealthCheckRequest { service: check.service.to_string() })?,
        })
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        self.call(at).await.unwrap_or_else(|error| failure(&*error))
    }

    pub(super) fn sent(&self, at: SocketAddr) -> Sent {
        Sent::new(self.connector.server_name(at), Some(self.host(at)), &self.headers)
    }

    fn host(&self, at: SocketAddr) -> String {
        self.host.as_deref().map_or_else(|| at.to_string(), ToOwned::to_owned)
    }

    async fn call(&self, at: SocketAddr) -> Result<Finding, Failure> {
        let stream = self.connector.connect(at).await?;
        let ends_soon = expiry(&stream, self.connector.certificate_days);
        let (mut sender, connection) = http2::Builder::new(Tasks::default())
            .max_header_list_size(u32::try_from(RESPONSE_HEAD_OCTETS_MAX).unwrap_or(u32::MAX))
            .initial_stream_window_size(u32::try_from(RESPONSE_HEAD_OCTETS_MAX).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await?;
        let host = self.host(at);
        let uri = format!("{}://{host}{METHOD_PATH}", self.scheme);
        let mut request = Request::builder().method(Method::POST).uri(uri);
        if let Some(headers) = request.headers_mut() {
            *headers = self.headers.clone();
        }
        let request = request.body(Full::new(self.call.clone()))?;
        let found = async { judge(sender.send_request(request).await?).await };
        let found = drive(pin!(connection), &mut false, found).await;
        Ok(match (found?, ends_soon) {
            (Finding::Good, Some(ends_soon)) => ends_soon,
            (found, _) => found,
        })
    }
}

/// A message behind its prefix, not compressed.
fn framed(message: &HealthCheckRequest) -> Result<Bytes, String> {
    let octets = message.encode_to_vec();
    let length = u32::try_from(octets.len()).map_err(|error| error.to_string())?;
    let mut call = vec![0];
    call.extend(length.to_be_bytes());
    call.extend(octets);
    Ok(call.into())
}

//----------- Judging --------------------------------------------------------

async fn judge(response: Response<Incoming>) -> Result<Finding, Failure> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Ok(Finding::Failed(format!("{}, wanted 200", head.status.as_u16())));
    }
    let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/grpc") {
        let found = shown(content_type);
        return Ok(Finding::Failed(format!("content-type is {found}, wanted \"application/grpc\"")));
    }
    // An error without a message comes in the head ("Trailers-Only").
    if let Some(error) = grpc_error(&head.headers) {
        return Ok(Finding::Failed(error));
    }
    let (octets, trailers) = match read(body).await? {
        Ok(read) => read,
        Err(too_long) => return Ok(Finding::Failed(too_long)),
    };
    let status = trailers.as_ref().unwrap_or(&head.headers);
    if let Some(error) = grpc_error(status) {
        return Ok(Finding::Failed(error));
    }
    if !status.contains_key(GRPC_STATUS) {
        return Ok(Finding::Failed("no grpc-status at its end".to_owned()));
    }
    Ok(match message(&octets) {
        Ok(SERVING) => Finding::Good,
        Ok(status) => Finding::Failed(format!("{}, wanted SERVING", status_name(status))),
        Err(wrong) => Finding::Failed(wrong),
    })
}

/// One message with its prefix and the trailers behind it, or that it is too long.
type Read = Result<(Vec<u8>, Option<HeaderMap>), String>;

async fn read(mut body: Incoming) -> Result<Read, Failure> {
    let (mut octets, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if octets.len() + data.len() > PREFIX_OCTETS + GRPC_MESSAGE_OCTETS_MAX => {
                return Ok(Err(format!("a message of over {GRPC_MESSAGE_OCTETS_MAX} octets")));
            }
            Ok(data) => octets.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Ok((octets, trailers)))
}

/// `grpc-status 12 (UNIMPLEMENTED): unknown service`; `None` for 0 and where there is no status.
fn grpc_error(headers: &HeaderMap) -> Option<String> {
    let status = headers.get(GRPC_STATUS)?.as_bytes();
    if status == b"0" {
        return None;
    }
    let number = std::str::from_utf8(status).ok().and_then(|text| text.parse::<u8>().ok());
    let Some(number) = number else {
        return Some(format!("grpc-status {}, wanted a number", shown(status)));
    };
    let name = CODES.get(usize::from(number)).map_or(String::new(), |name| format!(" ({name})"));
    let message = headers.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes);
    let message = percent_decode(message).decode_utf8_lossy();
    let message: String = message.chars().filter(|c| !c.is_control()).collect();
    let colon = if message.is_empty() { "" } else { ": " };
    Some(format!("grpc-status {number}{name}{colon}{message}"))
}

/// By number (gRPC's `statuscodes.md`).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The serving status in the one message of a response.
fn message(octets: &[u8]) -> Result<i32, String> {
    let Some((&[compressed, ref length @ ..], message)) = octets.split_first_chunk::<PREFIX_OCTETS>() else {
        return Err(format!("{} octets, wanted a message", octets.len()));
    };
    if compressed != 0 {
        return Err("a compressed message, wanted one that is not".to_owned());
    }
    let length = u32::from_be_bytes(*length);
    if u32::try_from(message.len()) != Ok(length) {
        return Err(format!("a message of {length} octets in {}", message.len()));
    }
    match HealthCheckResponse::decode(message) {
        Ok(response) => Ok(response.status),
        Err(error) => Err(format!("no HealthCheckResponse: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_whole_and_nothing_else_is() {
        for (octets, wanted) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Ok(SERVING)),
            // A default is not sent: an empty message is UNKNOWN.
            (&[0, 0, 0, 0, 0], Ok(0)),
            // A field that a later protocol has is passed over.
            (&[0, 0, 0, 0, 4, 16, 9, 8, 2], Ok(2)),
            (&[], Err("0 octets, wanted a message")),
            (&[0, 0, 0, 0], Err("4 octets, wanted a message")),
            (&[1, 0, 0, 0, 2, 8, 1], Err("a compressed message, wanted one that is not")),
            (&[0, 0, 0, 0, 3, 8, 1], Err("a message of 3 octets in 2")),
            (&[0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 0], Err("a message of 2 octets in 7")),
        ] {
            assert_eq!(message(octets), wanted.map_err(ToOwned::to_owned), "{octets:?}");
        }
        let broken = message(&[0, 0, 0, 0, 2, 8, 0x80]).unwrap_err();
        assert!(broken.starts_with("no HealthCheckResponse: "), "{broken}");
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            let _either = message(&octets);
        }
    }
}
