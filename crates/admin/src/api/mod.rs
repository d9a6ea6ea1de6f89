//! Requests and answers.

mod answers;
mod audit;
mod calls;
mod changing;
mod dashboard;
mod events;
mod extract;
mod history;
mod logs;
mod map;
mod process;
mod resources;
mod say;
mod see;

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use meridian_dns::Counters;
use meridian_health_probe::{Handle as Probes, Report};
use meridian_telemetry::Tracer;
use tokio::sync::{Semaphore, watch};
use utoipa::openapi::{Info, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use self::calls::traced;
use crate::advisor::Advice;
use crate::limits::{BODY_OCTETS_MAX, PAGE_DEFAULT, PAGE_MAX};
use crate::maps::Maps;
use crate::{Book, Commands, Configuration, Events, Ledger, Levels, Vitals, wire};

/// What requests are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) book: Arc<Book>,
    pub(crate) probes: Arc<Probes>,
    pub(crate) queries: Arc<Counters>,
    /// The sockets of UDP, by inode.
    pub(crate) udp_sockets: Arc<[u64]>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) commands: Commands,
    pub(crate) configuration: watch::Receiver<Configuration>,
    pub(crate) events: Arc<Events>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) advice: Advice,
    /// Changes are made one after the other: each is judged by what the one before has left.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) maps: Arc<Maps>,
    /// A seat for each stream of events.
    pub(crate) streams: Arc<Semaphore>,
    /// Gone when the API ends.
    pub(crate) closed: watch::Receiver<()>,
    pub(crate) levels: Option<Arc<dyn Levels>>,
    pub(crate) tracer: Tracer,
    /// The wall clock.
    pub(crate) wall: fn() -> SystemTime,
}

pub(crate) fn router(sources: Sources) -> Router {
    let (router, document) = documented().split_for_parts();
    let paths: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
    let expected = format!("expected /openapi.json, {}, or / for the dashboard", paths.join(", "));
    let json = document.to_json().unwrap_or_else(|error| error.to_string());
    let json: Arc<str> = json.into();
    let wrong_method = async || Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method");
    router
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], json.to_string())))
        .fallback(async move || Refused::new(StatusCode::NOT_FOUND, expected.clone()))
        .method_not_allowed_fallback(wrong_method)
        .merge(dashboard::files())
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .layer(from_fn(dashboard::guarded))
        .layer(from_fn_with_state(sources.clone(), traced))
        .with_state(sources)
}

/// Every path that has a document.
fn documented() -> OpenApiRouter<Sources> {
    let mut info = Info::new("Meridian", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "What a server believes, why it answers as it does, and how that is changed. Off loopback every request but \
         GET /livez needs `Authorization: Bearer TOKEN`; the token of a viewer is good for GET alone."
            .to_owned(),
    );
    OpenApiRouter::with_openapi(OpenApi::new(info, utoipa::openapi::Paths::new()))
        .merge(see::routes())
        .merge(resources::routes())
        .merge(events::routes())
        .merge(answers::routes())
        .merge(audit::routes())
        .merge(map::routes())
        .merge(history::routes())
        .merge(dashboard::routes())
        .merge(say::routes())
        .merge(process::routes())
        .merge(logs::routes())
}

async fn report(sources: &Sources) -> Result<Report, Refused> {
    sources.probes.report().await.ok_or_else(stopping)
}

fn stopping() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
}

/// How many of a list are wanted.
fn limit(wanted: Option<u32>) -> Result<usize, Refused> {
    let wanted = wanted.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&wanted) {
        return Ok(wanted as usize);
    }
    Err(Refused::new(StatusCode::BAD_REQUEST, format!("limit: expected 1 to {PAGE_MAX}, found {wanted}")))
}

//----------- Refusals -------------------------------------------------------

/// An answer that is not what was asked for.
pub(crate) struct Refused {
    status: StatusCode,
    error: String,
    consequences: Option<Box<wire::Consequences>>,
}

impl Refused {
    /// `error`: what was expected and what was found.
    pub(crate) fn new(status: StatusCode, error: impl ToString) -> Self {
        Self { status, error: error.to_string(), consequences: None }
    }
}

impl Refused {
    /// Beside what would happen.
    pub(crate) fn for_what(consequences: wire::Consequences, error: String) -> Self {
        Self { status: StatusCode::CONFLICT, error, consequences: Some(Box::new(consequences)) }
    }

    pub(crate) fn why(&self) -> &str {
        &self.error
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, error, consequences } = self;
        (status, Json(wire::Refusal { error, consequences })).into_response()
    }
}
