//! Who may do what over a network.
//!
//! With tokens, whoever shows one may do what it is good for. Without, the API is on loopback alone and open to who may
//! connect; but not to the pages of strangers in a browser there, which any name may lead to loopback.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::api::Refused;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See everything.
    Viewer,
    /// And change it.
    Operator,
}

/// A token, of which nobody knows more than its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is good for.
    pub role: Role,
    /// Whose it is.
    pub name: Box<str>,
    /// The SHA-256 of its text.
    pub sha256: [u8; 32],
}

impl Token {
    /// The hash of a token's text.
    #[must_use]
    pub fn hash(text: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        hash
    }
}

/// What is in force on a network.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who may do what. `None`: whoever may connect may do everything.
    pub tokens: Option<Arc<[Token]>>,
    /// What new connections are encrypted with; `None`: they are in the clear.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Caller {
    /// The name of the token, where there is one.
    name: Option<Box<str>>,
    role: Role,
}

/// Who makes a change, for the audit.
#[derive(Clone, Debug)]
pub(crate) struct Whom(pub(crate) String);

/// Lets a request through, or answers 401 or 403. `/livez` is for everybody: who starts a server
/// again that is stuck has no token.
pub(crate) async fn guard(
    State(access): State<watch::Receiver<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == "/livez" {
        return next.run(request).await;
    }
    let tokens = access.borrow().tokens.clone();
    let caller = match &tokens {
        Some(tokens) => shown(request.headers()).and_then(|shown| known(tokens, shown)).ok_or_else(|| {
            let mut response =
                Refused::new(StatusCode::UNAUTHORIZED, "expected a token: Authorization: Bearer TOKEN")
                    .into_response();
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }),
        None if is_from_here(request.headers()) => Ok(Caller { name: None, role: Role::Operator }),
        None => {
            let why = "expected a Host and an Origin of loopback, as there are no tokens";
            Err(Refused::new(StatusCode::FORBIDDEN, why).into_response())
        }
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let needed = if is_safe(request.method()) { Role::Viewer } else { Role::Operator };
    if caller.role < needed {
        let why = "expected a token of an operator, found one of a viewer";
        return Refused::new(StatusCode::FORBIDDEN, why).into_response();
    }
    if needed == Role::Viewer {
        return next.run(request).await;
    }
    let whom = caller.name.as_ref().map_or_else(|| "loopback".to_owned(), |name| format!("token {name}"));
    request.extensions_mut().insert(Whom(whom));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::info!(by = caller.name.as_deref(), %method, path, status, "asked over the network");
    response
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The token that is shown (RFC 6750 §2.1).
fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whose token it is. All are compared, each as a whole: how long that takes says nothing.
fn known(tokens: &[Token], shown: &str) -> Option<Caller> {
    let shown = Token::hash(shown);
    let mut caller = None;
    for Token { role, name, sha256 } in tokens {
        if bool::from(sha256.ct_eq(&shown)) {
            caller = Some(Caller { name: Some(name.clone()), role: *role });
        }
    }
    caller
}

/// Whether it is meant for loopback, and comes from no page of elsewhere.
fn is_from_here(headers: &HeaderMap) -> bool {
    let is_here = |authority: &str| {
        authority.parse::<Authority>().is_ok_and(|authority| {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    };
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let of_origin = text(ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    text(HOST).is_some_and(is_here) && of_origin.is_none_or(is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let token = |role, name: &str, text| Token { role, name: name.into(), sha256: Token::hash(text) };
        let tokens = [token(Role::Viewer, "grafana", "seen"), token(Role::Operator, "ann", "done")];
        let name = |shown| known(&tokens, shown).and_then(|caller| caller.name);
        assert_eq!(name("seen").as_deref(), Some("grafana"));
        assert_eq!(name("done").as_deref(), Some("ann"));
        for wrong in ["", "Seen", "seen ", "grafana"] {
            assert_eq!(name(wrong), None);
        }
    }

    #[test]
    fn pages_of_elsewhere_are_not_from_here() {
        let of = |host: Option<&str>, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(HOST, host), (ORIGIN, origin)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            is_from_here(&headers)
        };
        for host in ["localhost", "localhost:8053", "127.0.0.1:8053", "127.9.9.9", "[::1]:8053", "[::1]"] {
            assert!(of(Some(host), None), "{host}");
            assert!(of(Some(host), Some("http://localhost:8053")), "{host}");
            assert!(!of(Some(host), Some("https://evil.example")), "{host}");
            // Of a page in a sandbox, or a file.
            assert!(!of(Some(host), Some("null")), "{host}");
        }
        for host in
            [None, Some(""), Some("evil.example:8053"), Some("localhost.evil.example"), Some("10.0.0.1")]
        {
            assert!(!of(host, None), "{host:?}");
        }
    }
}
