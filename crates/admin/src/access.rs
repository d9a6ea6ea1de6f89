//! Who may do what over a network.
//!
//! With tokens, whoever shows one may do what it is good for. Without, the API is on loopback alone and open to who may
//! connect; but not to the pages of strangers in a browser there, which any name may lead to loopback.
//!
//! A token is shown as `Bearer` or, for browsers, as the password of `Basic`: they ask for it and then show it with every
//! request to this server, also with those that pages of others make. So what changes something must come from our own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
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

/// What a browser says of the page that a request is from (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who asks; beside every request that came over a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name of the token, where there is one.
    pub(crate) name: Option<Box<str>>,
    pub(crate) role: Role,
}

/// A token as it is shown.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    text: String,
    /// Whether a browser may show it without being asked to.
    by_itself: bool,
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
    let shown = shown(request.headers());
    let caller = match &tokens {
        Some(tokens) => shown.as_ref().and_then(|shown| known(tokens, &shown.text)).ok_or_else(unauthorized),
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
    let by_itself = tokens.is_none() || shown.is_some_and(|shown| shown.by_itself);
    if needed == Role::Operator && by_itself && !is_of_own_page(request.headers()) {
        let why = "expected no request of another site's page";
        return Refused::new(StatusCode::FORBIDDEN, why).into_response();
    }
    request.extensions_mut().insert(caller.clone());
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

/// Asks for a token: browsers by what they know, which is `Basic`.
fn unauthorized() -> Response {
    let expected =
        "expected a token: Authorization: Bearer TOKEN, or as the password of Basic, with any user";
    let mut response = Refused::new(StatusCode::UNAUTHORIZED, expected).into_response();
    for challenge in ["Bearer", "Basic realm=\"Meridian: any user, a token as password\", charset=\"UTF-8\""]
    {
        response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// The token that is shown (RFC 6750 §2.1, RFC 7617 §2).
fn shown(headers: &HeaderMap) -> Option<Shown> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Shown { text: token.to_owned(), by_itself: false });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(token.as_bytes()).ok()?).ok()?;
    let (_any_user, password) = pair.split_once(':')?;
    Some(Shown { text: password.to_owned(), by_itself: true })
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

/// Whether it is from no page, or from one of this server. Browsers say so since 2023; older ones name at least the page's
/// origin with what changes something.
fn is_of_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(SEC_FETCH_SITE), text(ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let of_origin = origin.split_once("://").map(|(_, authority)| authority);
            of_origin.is_some() && of_origin == text(HOST)
        }
        (None, None) => true,
    }
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

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_as_a_password() {
        let of = |text: &str| {
            let shown = shown(&headers(&[(AUTHORIZATION, text)]))?;
            Some((shown.text, shown.by_itself))
        };
        let basic = |pair: &str| of(&format!("Basic {}", BASE64.encode(pair.as_bytes())));
        assert_eq!(of("Bearer done"), Some(("done".to_owned(), false)));
        assert_eq!(of("bEARER  done "), Some(("done".to_owned(), false)));
        assert_eq!(basic("ann:done"), Some(("done".to_owned(), true)));
        // A password may hold colons, and a user may be nobody.
        assert_eq!(basic(":do:ne"), Some(("do:ne".to_owned(), true)));
        for wrong in ["done", "Digest done", "Basic done", "Basic ?", "Basic ZG9uZQ==", "Basic //8=", "Basic"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pages_of_others_change_nothing() {
        const HERE: &str = "gslb.example:8053";
        let of = |site: Option<&str>, origin: Option<&str>| {
            let given = [(SEC_FETCH_SITE, site), (ORIGIN, origin), (HOST, Some(HERE))];
            let given: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            is_of_own_page(&headers(&given))
        };
        assert!(of(None, None), "no browser");
        for site in ["same-origin", "none"] {
            assert!(of(Some(site), None), "{site}");
        }
        // Another port of this host is another page.
        for site in ["same-site", "cross-site", ""] {
            assert!(!of(Some(site), Some("https://gslb.example:8053")), "{site}");
        }
        assert!(of(None, Some("https://gslb.example:8053")));
        for origin in ["https://gslb.example", "https://evil.example", "null", ""] {
            assert!(!of(None, Some(origin)), "{origin}");
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
