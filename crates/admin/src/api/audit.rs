//! The audit.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::{Refused, Sources, limit};
use crate::status::audited;
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Who changed what, when and why; refused changes, too. The last 1,000; all are in `audit.jsonl` in the server's folder.
#[utoipa::path(get, path = "/v1/audit", tag = "changes", params(wire::AuditQuery),
    responses((status = 200, body = wire::Audit), (status = 400, body = Refusal)))]
async fn audit(
    State(sources): State<Sources>,
    Query(asked): Query<wire::AuditQuery>,
) -> Result<Json<wire::Audit>, Refused> {
    let wire::AuditQuery { after, limit: most } = asked;
    let (items, last) = sources.ledger.after(after.unwrap_or(0), limit(most)?);
    Ok(Json(wire::Audit { last, items: items.iter().map(audited).collect() }))
}
