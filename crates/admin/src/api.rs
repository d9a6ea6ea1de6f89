//! Requests and answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use meridian_dns::Counters;
use meridian_health_probe::{Handle as Probes, Report};
use meridian_model::{Forced, Override, OverrideTarget};
use tokio::sync::watch;

use crate::limits::{BODY_OCTETS_MAX, BY_CHARS_MAX, DRAIN_MAX, HOLD_MAX, REASON_CHARS_MAX};
use crate::{Book, BookError, Command, Commands, Configuration, Said, metrics, status, wire};

/// What requests are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) book: Arc<Book>,
    pub(crate) probes: Arc<Probes>,
    pub(crate) queries: Arc<Counters>,
    pub(crate) commands: Commands,
    pub(crate) configuration: watch::Receiver<Configuration>,
    /// The wall clock.
    pub(crate) wall: fn() -> SystemTime,
}

const PATHS: &str = "expected /v1/status, /v1/overrides, /v1/configuration, /v1/reload, /v1/process, /v1/restart, /metrics, /livez \
                     or /readyz";

pub(crate) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/v1/status", get(show))
        .route("/v1/overrides", get(list).put(say).delete(lift))
        .route("/v1/configuration", get(configuration))
        .route("/v1/reload", post(reload))
        .route("/v1/process", get(process))
        .route("/v1/restart", post(restart))
        .route("/metrics", get(scrape))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || refuse(StatusCode::NOT_FOUND, PATHS))
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(sources)
}

pub(crate) fn refuse(status: StatusCode, error: impl ToString) -> Response {
    (status, Json(wire::Refusal { error: error.to_string() })).into_response()
}

//----------- Seeing ---------------------------------------------------------

async fn show(State(sources): State<Sources>) -> Response {
    match report(&sources).await {
        Ok(report) => {
            let configuration = status::configuration(&sources.configuration.borrow());
            let wall = (sources.wall)();
            Json(status::status(&report, &sources.book.all(), configuration, wall)).into_response()
        }
        Err(refusal) => refusal,
    }
}

async fn list(State(sources): State<Sources>) -> Response {
    match report(&sources).await {
        Ok(report) => Json(status::overrides(&sources.book.all(), Some(&report))).into_response(),
        Err(refusal) => refusal,
    }
}

async fn scrape(State(sources): State<Sources>) -> Response {
    let report = match report(&sources).await {
        Ok(report) => report,
        Err(refusal) => return refusal,
    };
    let configuration = sources.configuration.borrow().clone();
    match metrics::render(&report, &sources.probes.counters(), &sources.queries.totals(), &configuration) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

async fn configuration(State(sources): State<Sources>) -> Response {
    let configuration = sources.configuration.borrow().clone();
    let text = configuration.text().to_string();
    Json(wire::Running { configuration: status::configuration(&configuration), text }).into_response()
}

/// There is an API when answers are given; what was refused since does not count, as what was before it answers.
async fn ready(State(sources): State<Sources>) -> Response {
    let is_watched = sources.probes.snapshots().has_changed().is_ok();
    if is_watched { "ok\n".into_response() } else { stopping() }
}

async fn report(sources: &Sources) -> Result<Report, Response> {
    sources.probes.report().await.ok_or_else(stopping)
}

fn stopping() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
}

//----------- The process ----------------------------------------------------

async fn reload(State(sources): State<Sources>) -> Response {
    match sources.commands.ask(Command::Reload).await {
        Some(Ok(reloaded)) => Json(reloaded).into_response(),
        Some(Err(issues)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, issues),
        None => stopping(),
    }
}

async fn process(State(sources): State<Sources>) -> Response {
    Json(this(&sources)).into_response()
}

async fn restart(State(sources): State<Sources>) -> Response {
    match sources.commands.ask(Command::Restart).await {
        Some(Ok(pid)) => {
            let successor = Some(wire::Successor { pid, failed: None });
            (StatusCode::ACCEPTED, Json(wire::Process { successor, ..this(&sources) })).into_response()
        }
        Some(Err(why)) => refuse(StatusCode::CONFLICT, why),
        None => stopping(),
    }
}

fn this(sources: &Sources) -> wire::Process {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    wire::Process { pid: std::process::id(), version, successor: sources.commands.successor() }
}

//----------- Saying ---------------------------------------------------------

async fn say(State(sources): State<Sources>, body: Result<Json<wire::Say>, JsonRejection>) -> Response {
    let said = match body {
        Ok(Json(said)) => said,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let (said, hold_for) = match read(&said) {
        Ok(read) => read,
        Err(error) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
    };
    change(sources, move |book, wall| book.say(said, hold_for, wall)).await
}

async fn lift(State(sources): State<Sources>, query: Result<Query<wire::Lift>, QueryRejection>) -> Response {
    let target = match query {
        Ok(Query(wire::Lift { target })) => target,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    match target.parse::<OverrideTarget>() {
        Ok(target) => change(sources, move |book, _| book.lift(&target)).await,
        Err(error) => refuse(StatusCode::UNPROCESSABLE_ENTITY, format!("target: {error}")),
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
        Err(error @ BookError::Full) => refuse(StatusCode::CONFLICT, error),
        Err(error @ BookError::Unknown(_)) => refuse(StatusCode::NOT_FOUND, error),
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
