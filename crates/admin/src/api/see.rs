//! Status, overrides, configuration, metrics, and whether it is alive and ready.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changing::tagged;
use super::{Refused, Sources, report, stopping};
use crate::wire::{self, Refusal};
use crate::{metrics, status};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(configuration))
        .routes(routes!(scrape))
        .routes(routes!(alive))
        .routes(routes!(ready))
}

/// Whether the process is alive; needs no token.
#[utoipa::path(get, path = "/livez", tag = "process", responses((status = 200, content_type = "text/plain", body = String)))]
async fn alive() -> &'static str {
    "ok\n"
}

/// Everything at once: what it runs, overrides, gateways, and every address.
#[utoipa::path(get, path = "/v1/status", tag = "health",
    responses((status = 200, body = wire::Status), (status = 503, body = Refusal)))]
async fn show(State(sources): State<Sources>) -> Response {
    match report(&sources).await {
        Ok(report) => {
            let configuration = status::configuration(&sources.configuration.borrow());
            let wall = (sources.wall)();
            Json(status::status(&report, &sources.book.all(), configuration, wall)).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

/// Metrics: OpenMetrics for who accepts it, else the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "process",
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, body = Refusal)))]
async fn scrape(State(sources): State<Sources>, headers: HeaderMap) -> Response {
    let report = match report(&sources).await {
        Ok(report) => report,
        Err(refused) => return refused.into_response(),
    };
    let configuration = sources.configuration.borrow().clone();
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = metrics::Format::wanted(accept);
    // Files are read, and of a large catalog there is much to write.
    let made = tokio::task::spawn_blocking(move || {
        let process = metrics::Process::read(&sources.udp_sockets);
        let (probes, known) = (sources.probes.counters(), sources.vitals.known());
        let (report, configuration) = (&report, &configuration);
        let (probes, queries, told) = (&*probes, &*sources.queries, sources.tracer.counters());
        metrics::render(
            metrics::Sources { report, probes, queries, told, configuration, known, process },
            format,
        )
        .map_err(|error| error.to_string())
    });
    match made.await.map_err(|error| error.to_string()).flatten() {
        Ok(text) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

/// What the server runs: its file's text, digest and age, and what was refused since.
#[utoipa::path(get, path = "/v1/configuration", tag = "configuration", responses((status = 200, body = wire::Running)))]
async fn configuration(State(sources): State<Sources>) -> Response {
    let configuration = sources.configuration.borrow().clone();
    let text = configuration.text().to_string();
    tagged(&sources, Json(wire::Running { configuration: status::configuration(&configuration), text }))
}

/// Whether it answers queries. A configuration that was refused does not count, as the one before it answers.
#[utoipa::path(get, path = "/readyz", tag = "process",
    responses((status = 200, content_type = "text/plain", body = String), (status = 503, body = Refusal)))]
async fn ready(State(sources): State<Sources>) -> Response {
    let is_watched = sources.probes.snapshots().has_changed().is_ok();
    if is_watched { "ok\n".into_response() } else { stopping().into_response() }
}
