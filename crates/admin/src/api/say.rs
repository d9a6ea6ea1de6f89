//! Overrides.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meridian_model::{Forced, Override, OverrideTarget};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Query};
use super::{Refused, Sources, report};
use crate::limits::{BY_CHARS_MAX, DRAIN_MAX, HOLD_MAX, REASON_CHARS_MAX};
use crate::status;
use crate::wire::{self, Refusal};
use crate::{Book, BookError, Said};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(list, say, lift))
}

/// The overrides in force, as said first.
#[utoipa::path(get, path = "/v1/overrides", tag = "overrides",
    responses((status = 200, body = Vec<wire::Override>), (status = 503, body = Refusal)))]
async fn list(State(sources): State<Sources>) -> Response {
    match report(&sources).await {
        Ok(report) => Json(status::overrides(&sources.book.all(), Some(&report))).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Puts an override into force, in place of one of the same target.
#[utoipa::path(put, path = "/v1/overrides", tag = "overrides", request_body = wire::Say,
    responses((status = 200, body = wire::Override), (status = 400, body = Refusal), (status = 409, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal)))]
async fn say(State(sources): State<Sources>, Body(said): Body<wire::Say>) -> Response {
    let (said, hold_for) = match read(&said) {
        Ok(read) => read,
        Err(error) => return Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error).into_response(),
    };
    change(sources, move |book, wall| book.say(said, hold_for, wall)).await
}

/// Lifts the override of a target.
#[utoipa::path(delete, path = "/v1/overrides", tag = "overrides", params(wire::Lift),
    responses((status = 200, body = wire::Override), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 422, body = Refusal)))]
async fn lift(State(sources): State<Sources>, Query(wire::Lift { target }): Query<wire::Lift>) -> Response {
    match target.parse::<OverrideTarget>() {
        Ok(target) => change(sources, move |book, _| book.lift(&target)).await,
        Err(error) => {
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, format!("target: {error}")).into_response()
        }
    }
}

/// Changes the book, and answers with what was changed when the disk has it, or does not take it.
async fn change(
    sources: Sources,
    change: impl FnOnce(&Book, SystemTime) -> Result<Said, BookError>,
) -> Response {
    match change(&sources.book, (sources.wall)()) {
        Ok(Said { kept, change }) => {
            let not_kept = sources.book.not_kept(change).await;
            // The count of addresses is of after the change: the probes take what is said before they are asked.
            let report = sources.probes.report().await;
            let mut all = status::overrides(std::slice::from_ref(&kept), report.as_ref());
            let said = all.pop().unwrap_or_else(|| status::one_override(&kept));
            Json(wire::Override { not_kept, ..said }).into_response()
        }
        Err(error @ BookError::Full) => Refused::new(StatusCode::CONFLICT, error).into_response(),
        Err(error @ BookError::Unknown(_)) => Refused::new(StatusCode::NOT_FOUND, error).into_response(),
    }
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
fn text(key: &str, text: &str, chars_max: usize) -> Result<Box<str>, String> {
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
