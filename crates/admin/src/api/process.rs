//! What is asked of the process: reload, restart.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::failed;
use super::calls::current;
use super::changing::{check_state, objection, said, tagged};
use super::extract::Query;
use super::{Refused, Sources, stopping};
use crate::access::Whom;
use crate::wire::{self, Refusal};
use crate::{Change, Command, Configuration};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(reload)).routes(routes!(process)).routes(routes!(restart))
}

/// Reads the configuration again. A file with issues changes nothing.
///
/// What would leave clients of a gateway with nothing that serves now, or break residency where it held, is refused without
/// `force`. Who changes the file, or sends SIGHUP, is not asked: their checks come before.
#[utoipa::path(post, path = "/v1/reload", tag = "configuration",
    params(wire::Reload, ("If-Match" = Option<String>, Header, description = "The ETag of the state that is to be changed.")),
    responses((status = 200, body = wire::ReloadAnswer), (status = 400, body = Refusal), (status = 409, body = Refusal),
        (status = 412, body = Refusal), (status = 422, body = Refusal), (status = 503, body = Refusal)))]
async fn reload(
    State(sources): State<Sources>,
    Extension(Whom(caller)): Extension<Whom>,
    headers: HeaderMap,
    Query(asked): Query<wire::Reload>,
) -> Result<Response, Refused> {
    let (by, reason) = said(asked.by.as_deref(), asked.reason.as_deref())?;
    let _turn = sources.turn.lock().await;
    check_state(&sources, &headers)?;
    let before = sources.configuration.borrow().clone();
    let file = before.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
    let change = Change {
        by,
        caller,
        action: "reload",
        target: file,
        reason,
        before: digest(&before),
        forced: asked.force,
        ..Change::default()
    };
    let refused = |status: StatusCode, why: String| {
        sources.ledger.record(Change { refused: Some(why.clone()), ..change.clone() });
        Refused::new(status, why)
    };
    let (dry_run, orders) = (asked.dry_run, sources.book.orders());
    if asked.force && !dry_run {
        return reload_now(&sources, change).await;
    }
    let rehearsed = sources.advice.ask(move |advisor| {
        let is_needed = dry_run || advisor.reload_endangers(&orders)?;
        is_needed.then(|| advisor.rehearse(&orders)).transpose()
    });
    match rehearsed.await.ok_or_else(failed)? {
        Ok(Some(rehearsal)) if dry_run => {
            return Ok(tagged(&sources, Json(wire::ReloadAnswer::Rehearsal(Box::new(rehearsal)))));
        }
        Ok(Some(rehearsal)) if rehearsal.holds_now && !rehearsal.proof.holds => {
            let why = "this breaks residency that holds now, see `meridian prove`; it is done all the same with force";
            return Err(refused(StatusCode::CONFLICT, why.to_owned()));
        }
        Ok(Some(rehearsal)) => {
            if let Some(why) = objection(&rehearsal.consequences) {
                let _recorded = refused(StatusCode::CONFLICT, why.clone());
                return Err(Refused::for_what(rehearsal.consequences, why));
            }
        }
        Err(issues) if dry_run => return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, issues)),
        // Issues the reload finds too, and the status will have them.
        Ok(None) | Err(_) => {}
    }
    reload_now(&sources, change).await
}

async fn reload_now(sources: &Sources, change: Change) -> Result<Response, Refused> {
    let reloaded =
        sources.commands.ask(|reply| Command::Reload(reply, current())).await.ok_or_else(stopping)?;
    let after = digest(&sources.configuration.borrow());
    let refused = reloaded.as_ref().err().cloned();
    let number = sources.ledger.record(Change { after, refused, ..change });
    // It is in the log; the next that is kept takes it along.
    let _logged = sources.ledger.not_kept(number).await;
    match reloaded {
        Ok(reloaded) => Ok(tagged(sources, Json(wire::ReloadAnswer::Reloaded(reloaded)))),
        Err(issues) => Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, issues)),
    }
}

/// As the audit has a configuration.
fn digest(of: &Configuration) -> serde_json::Value {
    serde_json::json!({ "sha256": of.digest() })
}

/// Which process serves, and which is to take over.
#[utoipa::path(get, path = "/v1/process", tag = "process", responses((status = 200, body = wire::Process)))]
async fn process(State(sources): State<Sources>) -> Response {
    Json(this(&sources)).into_response()
}

/// Starts a process that takes over, without losing a query.
#[utoipa::path(post, path = "/v1/restart", tag = "process", params(wire::Restart),
    responses((status = 202, body = wire::Process), (status = 400, body = Refusal), (status = 409, body = Refusal),
        (status = 422, body = Refusal), (status = 503, body = Refusal)))]
async fn restart(
    State(sources): State<Sources>,
    Extension(Whom(caller)): Extension<Whom>,
    Query(asked): Query<wire::Restart>,
) -> Result<Response, Refused> {
    let (by, reason) = said(asked.by.as_deref(), asked.reason.as_deref())?;
    let _turn = sources.turn.lock().await;
    let started = sources.commands.ask(Command::Restart).await.ok_or_else(stopping)?;
    let pid = |pid: u32| serde_json::json!({ "pid": pid });
    sources.ledger.record(Change {
        by,
        caller,
        action: "restart",
        reason,
        before: pid(std::process::id()),
        after: started.as_ref().map(|&new| pid(new)).unwrap_or_default(),
        refused: started.as_ref().err().cloned(),
        ..Change::default()
    });
    let pid = started.map_err(|why| Refused::new(StatusCode::CONFLICT, why))?;
    let successor = Some(wire::Successor { pid, failed: None });
    Ok((StatusCode::ACCEPTED, Json(wire::Process { successor, ..this(&sources) })).into_response())
}

fn this(sources: &Sources) -> wire::Process {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    wire::Process { pid: std::process::id(), version, successor: sources.commands.successor() }
}
