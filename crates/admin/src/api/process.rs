//! What is asked of the process: reload, restart.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Refused, Sources, stopping};
use crate::Command;
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(reload)).routes(routes!(process)).routes(routes!(restart))
}

/// Reads the configuration again. A file with issues changes nothing.
#[utoipa::path(post, path = "/v1/reload", tag = "configuration",
    responses((status = 200, body = wire::Reloaded), (status = 422, body = Refusal), (status = 503, body = Refusal)))]
async fn reload(State(sources): State<Sources>) -> Response {
    match sources.commands.ask(Command::Reload).await {
        Some(Ok(reloaded)) => Json(reloaded).into_response(),
        Some(Err(issues)) => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, issues).into_response(),
        None => stopping().into_response(),
    }
}

/// Which process serves, and which is to take over.
#[utoipa::path(get, path = "/v1/process", tag = "process", responses((status = 200, body = wire::Process)))]
async fn process(State(sources): State<Sources>) -> Response {
    Json(this(&sources)).into_response()
}

/// Starts a process that takes over, without losing a query.
#[utoipa::path(post, path = "/v1/restart", tag = "process",
    responses((status = 202, body = wire::Process), (status = 409, body = Refusal), (status = 503, body = Refusal)))]
async fn restart(State(sources): State<Sources>) -> Response {
    match sources.commands.ask(Command::Restart).await {
        Some(Ok(pid)) => {
            let successor = Some(wire::Successor { pid, failed: None });
            (StatusCode::ACCEPTED, Json(wire::Process { successor, ..this(&sources) })).into_response()
        }
        Some(Err(why)) => Refused::new(StatusCode::CONFLICT, why).into_response(),
        None => stopping().into_response(),
    }
}

fn this(sources: &Sources) -> wire::Process {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    wire::Process { pid: std::process::id(), version, successor: sources.commands.successor() }
}
