//! Which clusters answer the clients of each country now, from the view that is served.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use meridian_dns::{Crew, Family, Spread, View};
use meridian_model::{ClusterId, CountryCode, GatewayId, country};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query};
use super::{Refused, Sources};
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(map)).routes(routes!(shares))
}

/// Which clusters answer the clients of each country now.
///
/// Clients are counted by address space: addresses of IPv4 and networks (/48) of IPv6, each measure weighing the same.
/// Each client asks for itself. It is what the view that is served decides, and not what was counted.
#[utoipa::path(get, path = "/v1/map", tag = "health", params(wire::MapQuery),
    responses((status = 200, body = wire::Map), (status = 400, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn map(
    State(sources): State<Sources>,
    Query(asked): Query<wire::MapQuery>,
) -> Result<Json<wire::Map>, Refused> {
    let wire::MapQuery { gateway, question_type } = asked;
    let found = found(&sources, gateway.as_deref(), question_type.as_deref()).await?;
    Ok(Json(found.map()))
}

/// Which share of a gateway's clients each cluster answers now, as of a map.
#[utoipa::path(get, path = "/v1/gateways/{name}/shares", tag = "health",
    params(("name" = String, Path), wire::SharesQuery),
    responses((status = 200, body = wire::Shares), (status = 400, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal)))]
async fn shares(
    State(sources): State<Sources>,
    Path(name): Path<String>,
    Query(asked): Query<wire::SharesQuery>,
) -> Result<Json<wire::Shares>, Refused> {
    let found = found(&sources, Some(&name), asked.question_type.as_deref()).await?;
    Ok(Json(found.shares()))
}

/// What a spread is of.
struct Found {
    view: Arc<View>,
    gateway: GatewayId,
    family: Family,
    spread: Arc<Spread>,
}

/// # Errors
/// The answer that says what is wrong with the question.
async fn found(sources: &Sources, name: Option<&str>, asked: Option<&str>) -> Result<Found, Refused> {
    let families = match asked.map(str::to_ascii_uppercase).as_deref() {
        None => &Family::ALL[..],
        Some("A") => &[Family::V4],
        Some("AAAA") => &[Family::V6],
        Some(other) => {
            let error = format!("type: expected A or AAAA, found {other:?}");
            return Err(Refused::new(StatusCode::BAD_REQUEST, error));
        }
    };
    let view = sources.maps.live.load();
    let gateways = view.ground().catalog().gateways();
    let index = match name {
        None => (!gateways.is_empty()).then_some(0),
        Some(name) => gateways.iter().position(|gateway| *gateway.name == *name),
    };
    let Some(gateway) = index.map(GatewayId::from_index) else {
        let error = format!("gateway: expected the name of one, found {:?}", name.unwrap_or_default());
        return Err(Refused::new(StatusCode::NOT_FOUND, error));
    };
    let mut first = None;
    for &family in families {
        let Some(spread) = sources.maps.spread(&view, gateway, family).await else {
            let error = "the map is not ready within the time; it is being made, ask again";
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, error));
        };
        let is_nothing = spread.all.answered.keys().all(Option::is_none);
        let found = Found { view: Arc::clone(&view), gateway, family, spread };
        if !is_nothing {
            return Ok(found);
        }
        first.get_or_insert(found);
    }
    first.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "gateway: expected one with clients"))
}

impl Found {
    fn map(&self) -> wire::Map {
        let of = |(code, crew): (&CountryCode, &Crew)| {
            let known = country(*code);
            wire::MapCountry {
                country: code.to_string(),
                name: known.map_or_else(|| code.to_string(), |known| known.name.to_owned()),
                latitude: known.map(|known| known.coordinates.latitude()),
                longitude: known.map(|known| known.coordinates.longitude()),
                share: rounded(crew.part_of(&self.spread.all)),
                clusters: self.clusters(crew),
            }
        };
        wire::Map { shares: self.shares(), countries: self.spread.countries.iter().map(of).collect() }
    }

    fn shares(&self) -> wire::Shares {
        let question_type = if self.family == Family::V4 { "A" } else { "AAAA" };
        wire::Shares {
            gateway: self.view.ground().catalog().gateway(self.gateway).name.to_string(),
            question_type: question_type.to_owned(),
            generation: self.view.generation(),
            clusters: self.clusters(&self.spread.all),
        }
    }

    fn clusters(&self, crew: &Crew) -> Vec<wire::ClusterShare> {
        let catalog = self.view.ground().catalog();
        let name = |id: ClusterId| catalog.cluster(id).name.to_string();
        let of = |(cluster, share): (Option<ClusterId>, f64)| wire::ClusterShare {
            cluster: cluster.map(name),
            share: rounded(share),
        };
        crew.shares().into_iter().map(of).collect()
    }
}

/// Without what floating point adds.
fn rounded(share: f64) -> f64 {
    (share * 1e8).round() / 1e8
}
