//! Explain, prove and diff: what is worked out from the view in force.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::extract::{Body, Query};
use super::{Refused, Sources};
use crate::limits::CONFIGURATION_OCTETS_MAX;
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new()
        .routes(routes!(explain))
        .routes(routes!(prove))
        .routes(routes!(diff).layer(DefaultBodyLimit::max(CONFIGURATION_OCTETS_MAX)))
}

/// Why a client gets the answer that it gets now, stage by stage.
///
/// With `Accept: text/plain` as `meridian explain` prints it.
#[utoipa::path(get, path = "/v1/explain", tag = "answers", params(wire::ExplainQuery),
    responses(
        (status = 200, content((wire::Explanation = "application/json"), (String = "text/plain"))),
        (status = 400, body = Refusal), (status = 422, body = Refusal), (status = 503, body = Refusal)))]
async fn explain(
    State(sources): State<Sources>,
    headers: HeaderMap,
    Query(asked): Query<wire::ExplainQuery>,
) -> Result<Response, Refused> {
    let explained = sources.advice.ask(move |advisor| advisor.explain(&asked)).await.ok_or_else(failed)?;
    let explained = explained.map_err(|why| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why))?;
    let wants_text = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    Ok(match wants_text {
        true => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], explained.text).into_response(),
        false => Json(explained.explanation).into_response(),
    })
}

/// Whether residency holds: which clusters could ever answer which clients, whatever is healthy.
#[utoipa::path(get, path = "/v1/prove", tag = "answers",
    responses((status = 200, body = wire::Proof), (status = 503, body = Refusal)))]
async fn prove(State(sources): State<Sources>) -> Result<Json<wire::Proof>, Refused> {
    sources.advice.ask(|advisor| advisor.prove()).await.map(Json).ok_or_else(failed)
}

/// What share of clients another configuration would move to another cluster, with everything healthy.
#[utoipa::path(post, path = "/v1/diff", tag = "answers", request_body = wire::Proposed,
    responses((status = 200, body = wire::Diff), (status = 400, body = Refusal), (status = 413, body = Refusal),
        (status = 415, body = Refusal), (status = 422, body = Refusal), (status = 503, body = Refusal)))]
async fn diff(
    State(sources): State<Sources>,
    Body(proposed): Body<wire::Proposed>,
) -> Result<Json<wire::Diff>, Refused> {
    let diff = sources.advice.ask(move |advisor| advisor.diff(&proposed.text)).await.ok_or_else(failed)?;
    diff.map(Json).map_err(|why| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

/// The work was not done; the log says why.
pub(super) fn failed() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "this could not be worked out; the log says why")
}
