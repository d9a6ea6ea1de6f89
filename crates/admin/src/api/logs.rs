//! What is logged, seen and changed while the server runs.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Body;
use super::{Refused, Sources};
use crate::access::Whom;
use crate::limits::FILTER_CHARS_MAX;
use crate::wire::{Log, Refusal};
use crate::{Change, Levels};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(show, set))
}

/// What is logged.
#[utoipa::path(get, path = "/v1/log", tag = "process",
    responses((status = 200, body = Log), (status = 404, body = Refusal)))]
async fn show(State(sources): State<Sources>) -> Result<Json<Log>, Refused> {
    Ok(Json(Log { level: levels(&sources)?.filter() }))
}

/// Changes what is logged, until the process ends.
#[utoipa::path(put, path = "/v1/log", tag = "process", request_body = Log,
    responses((status = 200, body = Log), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal)))]
async fn set(
    State(sources): State<Sources>,
    Extension(Whom(caller)): Extension<Whom>,
    Body(Log { level }): Body<Log>,
) -> Result<Json<Log>, Refused> {
    let levels = levels(&sources)?;
    let before = levels.filter();
    let set = match level.chars().count() {
        0..=FILTER_CHARS_MAX => levels.set(&level),
        chars => Err(format!("expected at most {FILTER_CHARS_MAX} characters, found {chars}")),
    };
    set.map_err(|error| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, format!("level: {error}")))?;
    let after = levels.filter();
    if after != before {
        let (before, after) = (before.into(), after.clone().into());
        sources.ledger.record(Change { caller, action: "log", before, after, ..Change::default() });
    }
    Ok(Json(Log { level: after }))
}

fn levels(sources: &Sources) -> Result<&dyn Levels, Refused> {
    let no_log = || Refused::new(StatusCode::NOT_FOUND, "this process has no log");
    sources.levels.as_deref().ok_or_else(no_log)
}
