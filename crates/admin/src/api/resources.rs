//! Clusters, gateways, endpoints and verdicts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query};
use super::{Refused, Sources, limit, report};
use crate::resources;
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new()
        .routes(routes!(clusters))
        .routes(routes!(cluster))
        .routes(routes!(gateways))
        .routes(routes!(gateway))
        .routes(routes!(endpoints))
        .routes(routes!(endpoint))
        .routes(routes!(verdicts))
}

/// All clusters, and how their addresses do.
#[utoipa::path(get, path = "/v1/clusters", tag = "catalog", params(wire::Page),
    responses((status = 200, body = wire::List<wire::Cluster>), (status = 400, body = Refusal), (status = 503, body = Refusal)))]
async fn clusters(
    State(sources): State<Sources>,
    Query(asked): Query<wire::Page>,
) -> Result<Json<wire::List<wire::Cluster>>, Refused> {
    let wire::Page { contains, offset, limit: most } = asked;
    let most = limit(most)?;
    let report = report(&sources).await?;
    let all = resources::clusters(&report);
    let found = all.into_iter().filter(|one| contains.as_ref().is_none_or(|text| one.name.contains(text)));
    Ok(Json(page(found, offset, most)))
}

/// One cluster.
#[utoipa::path(get, path = "/v1/clusters/{name}", tag = "catalog", params(("name" = String, Path)),
    responses((status = 200, body = wire::Cluster), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn cluster(
    State(sources): State<Sources>,
    Path(name): Path<String>,
) -> Result<Json<wire::Cluster>, Refused> {
    let report = report(&sources).await?;
    let found = resources::clusters(&report).into_iter().find(|one| one.name == name);
    found.map(Json).ok_or_else(|| unknown("cluster", &name))
}

/// Gateways, each with its first hostname and without its endpoints.
#[utoipa::path(get, path = "/v1/gateways", tag = "catalog", params(wire::Page),
    responses((status = 200, body = wire::List<wire::GatewayDetail>), (status = 400, body = Refusal), (status = 503, body = Refusal)))]
async fn gateways(
    State(sources): State<Sources>,
    Query(asked): Query<wire::Page>,
) -> Result<Json<wire::List<wire::GatewayDetail>>, Refused> {
    let wire::Page { contains, offset, limit: most } = asked;
    let most = limit(most)?;
    let report = report(&sources).await?;
    let counts = resources::by_gateway(&report);
    let is_wanted = |name: &str| contains.as_ref().is_none_or(|text| name.contains(text));
    let all = report.catalog.gateways().iter().enumerate().filter(|(_, gateway)| is_wanted(&gateway.name));
    let list = page(all, offset, most);
    let shown = list.items.into_iter().map(|(index, _)| resources::gateway_in_list(&report, &counts, index));
    Ok(Json(wire::List { total: list.total, items: shown.collect() }))
}

/// One gateway, with all its hostnames and endpoints.
#[utoipa::path(get, path = "/v1/gateways/{name}", tag = "catalog", params(("name" = String, Path)),
    responses((status = 200, body = wire::GatewayDetail), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn gateway(
    State(sources): State<Sources>,
    Path(name): Path<String>,
) -> Result<Json<wire::GatewayDetail>, Refused> {
    let report = report(&sources).await?;
    let index = report.catalog.gateways().iter().position(|gateway| *gateway.name == *name);
    let index = index.ok_or_else(|| unknown("gateway", &name))?;
    Ok(Json(resources::gateway(&report, index, (sources.wall)())))
}

/// Addresses that are handed out.
#[utoipa::path(get, path = "/v1/endpoints", tag = "catalog", params(wire::EndpointsQuery),
    responses((status = 200, body = wire::List<wire::Endpoint>), (status = 400, body = Refusal), (status = 503, body = Refusal)))]
async fn endpoints(
    State(sources): State<Sources>,
    Query(asked): Query<wire::EndpointsQuery>,
) -> Result<Json<wire::List<wire::Endpoint>>, Refused> {
    let wire::EndpointsQuery { gateway, cluster, effective, offset, limit: most } = asked;
    let most = limit(most)?;
    let known = ["healthy", "degraded", "unhealthy", "unknown"];
    if let Some(word) = effective.as_ref().filter(|word| !known.contains(&word.as_str())) {
        let why = format!("effective: expected healthy, degraded, unhealthy or unknown, found {word:?}");
        return Err(Refused::new(StatusCode::BAD_REQUEST, why));
    }
    let report = report(&sources).await?;
    let found = report.endpoints.iter().filter(|of| {
        let [of_gateway, of_cluster, _] = resources::id(&report, of);
        gateway.as_ref().is_none_or(|wanted| *of_gateway == **wanted)
            && cluster.as_ref().is_none_or(|wanted| *of_cluster == **wanted)
            && effective.as_ref().is_none_or(|wanted| of.effective.as_str() == wanted)
    });
    let list = page(found, offset, most);
    let wall = (sources.wall)();
    let shown = list.items.into_iter().map(|of| crate::status::endpoint(&report, of, wall));
    Ok(Json(wire::List { total: list.total, items: shown.collect() }))
}

/// One address of one gateway.
#[utoipa::path(get, path = "/v1/endpoints/{gateway}/{cluster}/{address}", tag = "catalog",
    params(("gateway" = String, Path), ("cluster" = String, Path),
        ("address" = String, Path, description = "The address, or the hostname that has none yet.")),
    responses((status = 200, body = wire::Endpoint), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn endpoint(
    State(sources): State<Sources>,
    Path((gateway, cluster, address)): Path<(String, String, String)>,
) -> Result<Json<wire::Endpoint>, Refused> {
    let report = report(&sources).await?;
    let wanted = [&*gateway, &*cluster, &*address];
    let found = report.endpoints.iter().find(|of| resources::id(&report, of).iter().eq(wanted));
    let found = found.ok_or_else(|| unknown("endpoint", &wanted.join("/")))?;
    Ok(Json(crate::status::endpoint(&report, found, (sources.wall)())))
}

/// How many addresses are healthy, and which are not.
#[utoipa::path(get, path = "/v1/verdicts", tag = "health",
    responses((status = 200, body = wire::Verdicts), (status = 503, body = Refusal)))]
async fn verdicts(State(sources): State<Sources>) -> Result<Json<wire::Verdicts>, Refused> {
    let report = report(&sources).await?;
    let last = sources.probes.snapshots().borrow().as_ref().map_or(0, |snapshot| snapshot.transitions);
    Ok(Json(resources::verdicts(&report, last)))
}

fn unknown(kind: &str, name: &str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, format!("no {kind} {name:?}"))
}

/// A part of what was found.
fn page<T>(found: impl Iterator<Item = T>, offset: Option<u32>, limit: usize) -> wire::List<T> {
    let offset = usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX);
    let (mut total, mut items) = (0, Vec::new());
    for one in found {
        if total >= offset && items.len() < limit {
            items.push(one);
        }
        total += 1;
    }
    wire::List { total, items }
}
