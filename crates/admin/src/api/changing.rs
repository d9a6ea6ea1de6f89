//! What all changes have in common: who makes them, of which state, and whether clients are left with nothing.

use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Refused, Sources};
use crate::limits::{BY_CHARS_MAX, REASON_CHARS_MAX};
use crate::sha256;
use crate::wire::{Consequences, Percent};

/// The state that changes are made of, as an entity tag (RFC 9110 §8.8.3): the generation, which counts all changes of what is
/// configured and said since the start, and a part of the hash of both, which no other process has under the same number.
pub(super) fn tag(sources: &Sources) -> String {
    let configuration = sources.configuration.borrow().clone();
    let generation = configuration.reloads().accepted + sources.book.generation();
    let mut text = configuration.digest().to_owned();
    for kept in sources.book.all() {
        text.push_str(&crate::book::json(&kept).to_string());
    }
    format!("\"{generation}-{}\"", &sha256(&text)[..12])
}

/// An answer with the tag of the state that it shows.
pub(super) fn tagged(sources: &Sources, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag(sources)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// # Errors
/// When the state is another than who asks believes it to be (RFC 9110 §13.1.1).
pub(super) fn check_state(sources: &Sources, headers: &HeaderMap) -> Result<(), Refused> {
    let mut wanted = headers.get_all(IF_MATCH).iter().peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let now = tag(sources);
    let mut tags = wanted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if tags.any(|tag| tag.trim() == "*" || tag.trim() == now) {
        return Ok(());
    }
    let why = format!("If-Match: the state is {now} by now; read it again before you change it");
    Err(Refused::new(StatusCode::PRECONDITION_FAILED, why))
}

/// Why a change is refused without `force`.
pub(super) fn objection(consequences: &Consequences) -> Option<String> {
    let Consequences { gateways_left, not_compared, moves, .. } = consequences;
    if *gateways_left > 0 {
        let left = moves.iter().filter(|moves| !moves.left_countries.is_empty());
        let of: Vec<String> = left
            .take(3)
            .map(|moves| {
                let more = if moves.gateways_count > 1 {
                    format!(" and {} more", moves.gateways_count - 1)
                } else {
                    String::new()
                };
                let gateway = moves.gateways.first().map_or("", String::as_str);
                let is_all = |percent: Option<f64>| percent.is_none_or(|percent| percent > 99.999);
                match moves.left_percent {
                    Percent::OfSpace { ipv4, ipv6 } if is_all(ipv4) && is_all(ipv6) => {
                        format!("{gateway}{more}, for all clients")
                    }
                    _ => format!("{gateway}{more}, for clients in {}", moves.left_countries.join(" ")),
                }
            })
            .collect();
        return Some(format!(
            "this leaves nothing that serves of {gateways_left} gateway{}: {}; it is done all the same with force",
            if *gateways_left == 1 { "" } else { "s" },
            of.join("; ")
        ));
    }
    (*not_compared > 0).then(|| {
        format!(
            "what this does to {not_compared} gateways could not be worked out in time; it is done all the same with force"
        )
    })
}

/// Who says that it is them, and why, where that is said: one line each.
///
/// # Errors
/// What is wrong, with its key.
pub(super) fn said(by: Option<&str>, reason: Option<&str>) -> Result<(String, String), Refused> {
    let of = |key: &str, said: Option<&str>, max: usize| match said {
        Some(said) => super::say::text(key, said, max).map(String::from),
        None => Ok(String::new()),
    };
    let both = of("by", by, BY_CHARS_MAX)
        .and_then(|by| of("reason", reason, REASON_CHARS_MAX).map(|reason| (by, reason)));
    both.map_err(|why| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}
