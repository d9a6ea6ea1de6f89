//! The last outcomes of an address's probes.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use meridian_health_probe::{Past, PastOutcomes};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Path;
use super::{Refused, Sources, stopping};
use crate::status::{ms, to_the_microsecond};
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(history))
}

/// The last outcomes of every probe of an address: two minutes of them at one a second.
#[utoipa::path(get, path = "/v1/endpoints/{gateway}/{cluster}/{address}/history", tag = "health",
    params(("gateway" = String, Path), ("cluster" = String, Path), ("address" = String, Path)),
    responses((status = 200, body = wire::History), (status = 400, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn history(
    State(sources): State<Sources>,
    Path((gateway, cluster, address)): Path<(String, String, String)>,
) -> Result<Json<wire::History>, Refused> {
    let Ok(parsed) = address.parse::<IpAddr>() else {
        let error = format!("address: expected an IP address, found {address:?}");
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    };
    let found = sources.probes.history(&gateway, &cluster, parsed).await.ok_or_else(stopping)?;
    let Some(probes) = found else {
        let error = format!("no endpoint {:?}", format!("{gateway}/{cluster}/{address}"));
        return Err(Refused::new(StatusCode::NOT_FOUND, error));
    };
    let probes = probes.iter().map(probe).collect();
    Ok(Json(wire::History { gateway, cluster, address: parsed, probes }))
}

fn probe(of: &PastOutcomes) -> wire::ProbeHistory {
    let outcome = |past: &Past| wire::PastOutcome {
        result: past.result.as_str().to_owned(),
        latency_ms: to_the_microsecond(past.latency),
        ago_ms: ms(past.ago),
    };
    wire::ProbeHistory {
        name: of.probe.to_string(),
        at: of.at.to_string(),
        timeout_ms: ms(of.timeout),
        outcomes: of.outcomes.iter().map(outcome).collect(),
    }
}
