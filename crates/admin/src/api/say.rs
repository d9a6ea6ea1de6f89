//! Overrides.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use meridian_model::{Forced, Order, Override, OverrideTarget};
use meridian_store::KeptOverride;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::failed;
use super::changing::{check_state, objection, said, tagged};
use super::extract::{Body, Query};
use super::{Refused, Sources, report};
use crate::access::Whom;
use crate::book::json;
use crate::limits::{BY_CHARS_MAX, DRAIN_MAX, HOLD_MAX, REASON_CHARS_MAX};
use crate::status::{self, one_override};
use crate::wire::{self, Refusal};
use crate::{BookError, Change, Said};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(list, say, lift))
}

/// The overrides in force, as said first.
#[utoipa::path(get, path = "/v1/overrides", tag = "overrides",
    responses((status = 200, body = Vec<wire::Override>), (status = 503, body = Refusal)))]
async fn list(State(sources): State<Sources>) -> Response {
    match report(&sources).await {
        Ok(report) => tagged(&sources, Json(status::overrides(&sources.book.all(), Some(&report)))),
        Err(refused) => refused.into_response(),
    }
}

/// Puts an override into force, in place of one of the same target.
///
/// The same once more changes nothing. What would leave clients of a gateway with nothing that serves, and that residency lets
/// serve them, is refused without `force`. `If-Match` with the `ETag` of an answer makes sure that nobody changed anything since.
#[utoipa::path(put, path = "/v1/overrides", tag = "overrides", request_body = wire::Say,
    params(("If-Match" = Option<String>, Header, description = "The ETag of the state that is to be changed.")),
    responses((status = 200, body = wire::Override), (status = 400, body = Refusal), (status = 409, body = Refusal),
        (status = 412, body = Refusal), (status = 413, body = Refusal), (status = 415, body = Refusal),
        (status = 422, body = Refusal)))]
async fn say(
    State(sources): State<Sources>,
    Extension(Whom(caller)): Extension<Whom>,
    headers: HeaderMap,
    Body(asked): Body<wire::Say>,
) -> Result<Response, Refused> {
    let (said, hold_for) = read(&asked).map_err(|why| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why))?;
    let _turn = sources.turn.lock().await;
    check_state(&sources, &headers)?;
    let target = said.target.clone();
    let before = sources.book.find(&target);
    let change = Change {
        by: said.by.to_string(),
        caller,
        action: "override",
        target: target.to_string(),
        reason: said.reason.to_string(),
        before: before.as_ref().map(json).unwrap_or_default(),
        forced: asked.force,
        ..Change::default()
    };
    let mut orders = sources.book.orders();
    orders.retain(|(of, _)| *of != target);
    // As it ends: a drain that takes an hour leaves nothing then.
    let lasting = match said.forced {
        Forced::Drain { over } => said.forced.order(over),
        Forced::Up | Forced::Down => said.forced.order(Duration::ZERO),
    };
    orders.push((target, lasting));
    let (force, dry_run) = (asked.force, asked.dry_run);
    let consequences = judge(&sources, orders, force, dry_run, &change).await?;
    if dry_run {
        let wall = (sources.wall)();
        let until = hold_for.and_then(|hold_for| wall.checked_add(hold_for));
        let would_be = one_override(&KeptOverride { said, since: wall, until });
        return Ok(tagged(&sources, Json(wire::Override { consequences, ..would_be })));
    }
    let said = sources.book.say(said, hold_for, (sources.wall)());
    let said = said.map_err(|error| Refused::new(StatusCode::CONFLICT, error))?;
    let is_new = before.as_ref() != Some(&said.kept);
    let change = is_new.then(|| Change { after: json(&said.kept), ..change });
    Ok(answer(&sources, said, change, consequences).await)
}

/// Lifts the override of a target. As with `PUT`, nothing that serves must be left without `force`.
#[utoipa::path(delete, path = "/v1/overrides", tag = "overrides",
    params(wire::Lift, ("If-Match" = Option<String>, Header, description = "The ETag of the state that is to be changed.")),
    responses((status = 200, body = wire::Override), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 409, body = Refusal), (status = 412, body = Refusal), (status = 422, body = Refusal)))]
async fn lift(
    State(sources): State<Sources>,
    Extension(Whom(caller)): Extension<Whom>,
    headers: HeaderMap,
    Query(asked): Query<wire::Lift>,
) -> Result<Response, Refused> {
    let wrong = |error| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, format!("target: {error}"));
    let target: OverrideTarget = asked.target.parse().map_err(wrong)?;
    let (by, reason) = said(asked.by.as_deref(), asked.reason.as_deref())?;
    let _turn = sources.turn.lock().await;
    check_state(&sources, &headers)?;
    let unknown = || Refused::new(StatusCode::NOT_FOUND, BookError::Unknown(target.to_string()));
    let before = sources.book.find(&target).ok_or_else(unknown)?;
    let mut orders = sources.book.orders();
    orders.retain(|(of, _)| *of != target);
    let change = Change {
        by,
        caller,
        action: "restore",
        target: target.to_string(),
        reason,
        before: json(&before),
        forced: asked.force,
        ..Change::default()
    };
    let consequences = judge(&sources, orders, asked.force, asked.dry_run, &change).await?;
    if asked.dry_run {
        return Ok(tagged(&sources, Json(wire::Override { consequences, ..one_override(&before) })));
    }
    // Its time may be over by now.
    let said = sources.book.lift(&target).map_err(|error| Refused::new(StatusCode::NOT_FOUND, error))?;
    Ok(answer(&sources, said, Some(change), consequences).await)
}

/// What overrides would do in place of those in force, where that is asked for or must be judged.
///
/// # Errors
/// When clients are left with nothing, nobody forces it and it is not only asked for; that is recorded.
async fn judge(
    sources: &Sources,
    orders: Vec<(OverrideTarget, Order)>,
    force: bool,
    dry_run: bool,
    change: &Change,
) -> Result<Option<Box<wire::Consequences>>, Refused> {
    // Who forces something is in a hurry.
    if force && !dry_run {
        return Ok(None);
    }
    let worked_out = sources.advice.ask(move |advisor| {
        // Most changes endanger nobody, and need no more.
        let is_needed = dry_run || advisor.endangers(&orders);
        is_needed.then(|| advisor.overriding(&orders))
    });
    let Some(consequences) = worked_out.await.ok_or_else(failed)? else { return Ok(None) };
    if let (Some(why), false) = (objection(&consequences), dry_run) {
        let refused = Refused::for_what(consequences, why);
        sources.ledger.record(Change { refused: Some(refused.why().to_owned()), ..change.clone() });
        return Err(refused);
    }
    Ok(Some(Box::new(consequences)))
}

/// What was changed, when the disk has it, or does not take it.
async fn answer(
    sources: &Sources,
    Said { kept, change }: Said,
    recorded: Option<Change>,
    consequences: Option<Box<wire::Consequences>>,
) -> Response {
    let number = recorded.map(|recorded| sources.ledger.record(recorded));
    let of_audit = async {
        match number {
            Some(number) => sources.ledger.not_kept(number).await,
            None => None,
        }
    };
    let (of_book, of_audit) = tokio::join!(sources.book.not_kept(change), of_audit);
    // The count of addresses is of after the change: the probes take what is said before they are asked.
    let report = sources.probes.report().await;
    let mut all = status::overrides(std::slice::from_ref(&kept), report.as_ref());
    let said = all.pop().unwrap_or_else(|| one_override(&kept));
    tagged(sources, Json(wire::Override { not_kept: of_book.or(of_audit), consequences, ..said }))
}

/// # Errors
/// What is wrong, with its key.
fn read(said: &wire::Say) -> Result<(Override, Option<Duration>), String> {
    let target = said.target.parse().map_err(|error| format!("target: {error}"))?;
    let over = said.over.as_deref().map(|text| duration("over", text, DRAIN_MAX)).transpose()?;
    let forced = match (&*said.state, over) {
        ("up", None) => Forced::Up,
        ("down", None) => Forced::Down,
        ("drain", over) => Forced::Drain { over: over.unwrap_or_default() },
        ("up" | "down", Some(_)) => {
            return Err(format!("over: expected only of a drain, found with {}", said.state));
        }
        (other, _) => return Err(format!("state: expected up, down or drain, found {other:?}")),
    };
    let hold_for = said.hold_for.as_deref().map(|text| duration("for", text, HOLD_MAX)).transpose()?;
    if hold_for == Some(Duration::ZERO) {
        return Err("for: expected a duration, found none".to_owned());
    }
    let reason = text("reason", &said.reason, REASON_CHARS_MAX)?;
    let by = text("by", &said.by, BY_CHARS_MAX)?;
    Ok((Override { target, forced, reason, by }, hold_for))
}

fn duration(key: &str, text: &str, max: Duration) -> Result<Duration, String> {
    let expected = || format!("{key}: expected a duration such as \"5m\"");
    let found: Duration = humantime::parse_duration(text)
        .map_err(|error| format!("{}, found {text:?}: {error}", expected()))?;
    if found > max {
        let max = humantime::format_duration(max);
        return Err(format!("{key}: expected at most {max}, found {text:?}"));
    }
    Ok(found)
}

/// One line for logs and tables.
pub(super) fn text(key: &str, text: &str, chars_max: usize) -> Result<Box<str>, String> {
    let text = text.trim();
    let chars = text.chars().count();
    if !(1..=chars_max).contains(&chars) {
        return Err(format!("{key}: expected 1 to {chars_max} characters, found {chars}"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{key}: expected one line, found {text:?}"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let good = || wire::Say {
            target: "cluster/eu-*".to_owned(),
            state: "drain".to_owned(),
            over: Some("5m".to_owned()),
            hold_for: Some("2h".to_owned()),
            reason: " disk change ".to_owned(),
            by: "ann".to_owned(),
            force: false,
            dry_run: false,
        };
        let (said, hold_for) = read(&good()).unwrap();
        assert_eq!(said.forced, Forced::Drain { over: Duration::from_secs(300) });
        assert_eq!((&*said.reason, hold_for), ("disk change", Some(Duration::from_secs(7200))));
        let wrong = |change: fn(&mut wire::Say)| {
            let mut said = good();
            change(&mut said);
            read(&said).unwrap_err()
        };
        for (error, wanted) in [
            (wrong(|said| said.target = "eu".to_owned()), "target: expected cluster/NAME"),
            (wrong(|said| said.state = "off".to_owned()), "state: expected up, down or drain, found \"off\""),
            (wrong(|said| said.state = "up".to_owned()), "over: expected only of a drain, found with up"),
            (
                wrong(|said| said.over = Some("soon".to_owned())),
                "over: expected a duration such as \"5m\", found",
            ),
            (wrong(|said| said.over = Some("25h".to_owned())), "over: expected at most 1day, found \"25h\""),
            (wrong(|said| said.hold_for = Some("0s".to_owned())), "for: expected a duration, found none"),
            (wrong(|said| said.reason = "  ".to_owned()), "reason: expected 1 to 512 characters, found 0"),
            (wrong(|said| said.reason = "a\u{1b}[2J".to_owned()), "reason: expected one line"),
            (wrong(|said| said.by = "x".repeat(65)), "by: expected 1 to 64 characters, found 65"),
        ] {
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
