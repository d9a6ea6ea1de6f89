//! Transitions, and everything that happens as it happens (server-sent events, HTML §9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::{Refused, Sources, limit};
use crate::events::{Event, Events, Place, What};
use crate::limits::STREAM_LIFE_MAX;
use crate::wire::{self, Refusal};

pub(super) fn routes() -> OpenApiRouter<Sources> {
    OpenApiRouter::new().routes(routes!(transitions)).routes(routes!(events))
}

/// After how long a browser that has lost the stream asks for it again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a stream says that it is alive, where nothing happens.
const ALIVE: Duration = Duration::from_secs(10);
/// Events on their way to one client; it may be as slow as it likes.
const ON_THE_WAY: usize = 16;

/// Changes of verdict since the start, the first ones included.
#[utoipa::path(get, path = "/v1/transitions", tag = "health", params(wire::TransitionsQuery),
    responses((status = 200, body = wire::Transitions), (status = 400, body = Refusal)))]
async fn transitions(
    State(sources): State<Sources>,
    Query(asked): Query<wire::TransitionsQuery>,
) -> Result<Json<wire::Transitions>, Refused> {
    let wire::TransitionsQuery { after, limit: most } = asked;
    Ok(Json(sources.events.transitions(after.unwrap_or(0), limit(most)?)))
}

/// Everything that happens, as it happens.
///
/// Server-sent events: `transition` with the JSON of one, `view` with `generation` and `transitions` of a view that has come
/// into force, `change` with an entry of the audit, and `lost` with how many of them are no longer kept, or with `null` where that is not known: then all must be read
/// anew. A stream ends after less than a minute; with `Last-Event-ID`, which browsers send by themselves, nothing is missed.
#[utoipa::path(get, path = "/v1/events", tag = "health",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that the client has.")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 503, body = Refusal, description = "There are as many streams as there can be.")))]
async fn events(State(sources): State<Sources>, headers: HeaderMap) -> Result<Response, Refused> {
    let Ok(seat) = Arc::clone(&sources.streams).try_acquire_owned() else {
        let why = "there are as many streams of events as there can be";
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let asked = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let known = asked.and_then(|asked| sources.events.place(asked));
    let is_unknown = asked.is_some() && known.is_none();
    let from = known.unwrap_or_else(|| sources.events.now());
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    let mut closed = sources.closed.clone();
    tokio::spawn(async move {
        let stream = stream(&sources.events, from, is_unknown, seat, sender);
        tokio::select! {
            _over = timeout(STREAM_LIFE_MAX, stream) => {}
            _end = closed.wait_for(|()| false) => {}
        }
    });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

type Sender = mpsc::Sender<Result<Sent, Infallible>>;

/// Until the client goes.
async fn stream(
    events: &Events,
    mut place: Place,
    is_unknown: bool,
    _seat: OwnedSemaphorePermit,
    to: Sender,
) -> Option<()> {
    let mut newest = events.newest();
    // At once, so that the client knows that it has the stream, and where it begins.
    let hello = Sent::default().retry(RETRY).id(place.to_string());
    let hello = if is_unknown { hello.event("lost").data("null") } else { hello.comment("from now on") };
    to.send(Ok(hello)).await.ok()?;
    loop {
        newest.borrow_and_update();
        let (new, lost) = events.after(place);
        if lost > 0 {
            to.send(Ok(Sent::default().event("lost").data(lost.to_string()))).await.ok()?;
        }
        for Event { number, what } in new {
            place.number = number;
            to.send(Ok(sent(&what)?.id(place.to_string()))).await.ok()?;
        }
        tokio::select! {
            changed = newest.changed() => changed.ok()?,
            () = to.closed() => return None,
        }
    }
}

fn sent(what: &What) -> Option<Sent> {
    let event = Sent::default().event(what.name());
    match what {
        What::Transition(transition) => event.json_data(&**transition).ok(),
        What::View(view) => event.json_data(view).ok(),
        What::Change(change) => event.json_data(&**change).ok(),
    }
}
