//! DNS over HTTPS (RFC 8484): from a request to a query, and from a reply to a response. What carries HTTP is
//! `http`'s business.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};

use super::Shared;
use super::table::Place;
use crate::answer::Reply;
use crate::counters::add;
use crate::limits::QUERY_SIZE;
use crate::message::least_ttl;
use crate::peer::Peer;

/// RFC 8484 §6.
const MESSAGE: &str = "application/dns-message";

/// What the requests of one connection share.
pub(super) struct Doh {
    pub(super) shared: Shared,
    pub(super) peer: Peer,
    pub(super) place: Arc<Place>,
    pub(super) random: Mutex<fastrand::Rng>,
}

/// Where a request has its query.
pub(super) enum Asked {
    /// In its URI.
    Query(Vec<u8>),
    /// In its body, of at most [`QUERY_SIZE`] octets.
    Body,
}

impl Doh {
    /// Reads all of a request but its body; else the status of the response.
    pub(super) fn asked(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Asked, StatusCode> {
        let view = self.shared.live.load();
        if uri.path() != &*view.ground().manners().doh_path {
            return Err(StatusCode::NOT_FOUND);
        }
        match *method {
            Method::GET => {
                let pairs = uri.query().unwrap_or("").split('&');
                let dns = pairs.filter_map(|pair| pair.strip_prefix("dns=")).next();
                let dns = dns.ok_or(StatusCode::BAD_REQUEST)?;
                if dns.len() > QUERY_SIZE.div_ceil(3) * 4 {
                    return Err(StatusCode::URI_TOO_LONG);
                }
                let query = BASE64URL_NOPAD.decode(dns.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
                Ok(Asked::Query(query))
            }
            Method::POST => {
                let of = headers.get(CONTENT_TYPE).and_then(|of| of.to_str().ok()).unwrap_or("");
                // It has no parameters (RFC 8484 §6); one that is sent all the same changes nothing.
                let of = of.split(';').next().unwrap_or("").trim();
                let right = of.eq_ignore_ascii_case(MESSAGE);
                if right { Ok(Asked::Body) } else { Err(StatusCode::UNSUPPORTED_MEDIA_TYPE) }
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Answers a query. HTTP says 200 whatever DNS says (RFC 8484 §4.2.1).
    pub(super) fn answer(&self, query: &[u8]) -> Response<Bytes> {
        let mut out = Vec::new();
        let view = self.shared.live.load();
        let moment = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.moment(&mut random)
        };
        let reply = self.shared.answer(&view, query, self.peer, moment, &mut out);
        self.shared.took(self.peer.transport, moment, 1);
        let Reply::Sent { tailored, .. } = reply else {
            // To no query there is no reply, but to every request a response.
            return self.refuse(StatusCode::BAD_REQUEST);
        };
        self.place.replied();
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
        headers.insert(CACHE_CONTROL, freshness(tailored, &out));
        *response.body_mut() = out.into();
        response
    }

    /// A response without a reply.
    pub(super) fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        add(&self.shared.counters.http_refused);
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}

/// How long a cache of HTTP may keep a reply: as long as its shortest record (RFC 8484 §5.1). What is this
/// client's alone is kept by none, as the URI does not say who asks.
fn freshness(tailored: bool, reply: &[u8]) -> HeaderValue {
    if tailored {
        return HeaderValue::from_static("max-age=0, private");
    }
    let seconds = least_ttl(reply).unwrap_or(0);
    // Digits are always a value.
    HeaderValue::try_from(format!("max-age={seconds}")).unwrap_or(HeaderValue::from_static("max-age=0"))
}
