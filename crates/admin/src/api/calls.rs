//! Spans of requests to the API.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use meridian_telemetry::{Context, Kind, Span};

use super::Sources;

/// What is asked by machines every few seconds, and is no news.
const SILENT: [&str; 3] = ["/livez", "/readyz", "/metrics"];

tokio::task_local! {
    /// The span of the request under way.
    static CURRENT: Context;
}

/// The span of the request that this is done for, where it is traced.
pub(crate) fn current() -> Option<Context> {
    CURRENT.try_with(|context| *context).ok()
}

/// Tells a request, if anybody is told: as part of the span that its `traceparent` names (W3C Trace Context).
pub(crate) async fn traced(State(sources): State<Sources>, request: Request, next: Next) -> Response {
    let Sources { tracer, wall, .. } = sources;
    if !tracer.is_on() || SILENT.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let start = wall();
    let above = request.headers().get("traceparent").and_then(|value| Context::parse(value.to_str().ok()?));
    let context = above.map_or_else(|| tracer.root(), |above| tracer.child(above));
    let method = request.method().clone();
    // Not the path itself, of which there are as many as somebody makes up.
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let response = CURRENT.scope(context, next.run(request)).await;
    let status = response.status();
    let mut attributes = vec![
        ("http.request.method", (&method).into()),
        ("http.response.status_code", u64::from(status.as_u16()).into()),
    ];
    attributes.extend(route.map(|route| ("http.route", route.as_str().into())));
    tracer.send(Span {
        context,
        parent: above.map(|above| above.span_id),
        name: "request",
        kind: Kind::Server,
        start,
        end: wall(),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        error: status.is_server_error().then(|| status.to_string()),
    });
    response
}
