//! The spans of traces: which there are, and what is part of what.
//!
//! - `detect` → `transition` → `publish`: from the first probe that spoke against a verdict to the view that has the new
//!   one. Several changes in one view: it is part of the last one's trace, and linked to the others.
//! - `start` or `reload` → `load`, `resolve`, `first round`, `publish`. A reload that the API was asked for is part of that
//!   request.
//! - `publish` alone: what operators say, a doubt that ended, addresses of hostnames.
//! - `query`, with an event for each stage of its answer.
//!
//! Probes that change nothing have no span: there are thousands a second, and metrics count them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meridian_config::Geoip;
use meridian_dns::explain;
use meridian_model::Transition;
use meridian_telemetry::{Context, Kind, Span, Tracer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::known::Known;
use crate::explain::{Naming, stages};
use crate::serve::wall;

/// What has numbers.
const TRANSITIONS: u64 = 1;
/// Links of a span: transitions of one view.
const LINKS: u64 = 64;

fn span(name: &'static str, context: Context, parent: Option<[u8; 8]>, start: SystemTime) -> Span {
    Span {
        context,
        parent,
        name,
        kind: Kind::Internal,
        start,
        end: wall(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        error: None,
    }
}

//----------- Transitions ----------------------------------------------------

/// Tells the changes of verdict, until the probes end.
pub(crate) async fn transitions(tracer: Tracer, mut received: Receiver<Transition>) {
    loop {
        match received.recv().await {
            Ok(transition) if tracer.is_on() => transition_of(&tracer, &transition),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn transition_of(tracer: &Tracer, transition: &Transition) {
    let now = wall();
    let context = tracer.numbered(TRANSITIONS, transition.number);
    let probed = || {
        vec![
            ("meridian.probe", (&*transition.probe).into()),
            ("server.address", (&transition.address).into()),
            ("meridian.cause", (&*transition.cause).into()),
        ]
    };
    // The first verdict of an address speaks against none.
    let detected = transition.took.map(|took| {
        let began = now.checked_sub(took).unwrap_or(now);
        let detect = span("detect", tracer.child(context), None, began);
        Span { kind: Kind::Client, attributes: probed(), ..detect }
    });
    let mut attributes = probed();
    attributes.extend([
        ("meridian.transition", transition.number.into()),
        ("meridian.endpoint", (&*transition.endpoint).into()),
        ("meridian.gateways", (transition.gateways as u64).into()),
        ("meridian.from", transition.from.as_str().into()),
        ("meridian.observed", transition.observed.as_str().into()),
        ("meridian.effective", transition.effective.as_str().into()),
    ]);
    if let Some(forced) = &transition.forced {
        attributes.push(("meridian.forced", format!("{forced:?}").as_str().into()));
    }
    if let Some(held) = transition.held {
        attributes.push(("meridian.held_ms", milliseconds(held).into()));
    }
    let parent = detected.as_ref().map(|span| span.context.span_id);
    if let Some(detected) = detected {
        tracer.send(detected);
    }
    tracer.send(Span { attributes, ..span("transition", context, parent, now) });
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//----------- Views ----------------------------------------------------------

/// The way of a catalog into force. One that is dropped was passed over for a later one.
#[derive(Debug)]
pub(crate) struct Way {
    tracer: Tracer,
    name: &'static str,
    context: Context,
    parent: Option<[u8; 8]>,
    began: SystemTime,
    /// When the step began that is under way.
    step: SystemTime,
    has_ended: bool,
}

impl Way {
    /// Begins one, if anybody is told of it; as part of another span, if there is one.
    pub(crate) fn begin(tracer: &Tracer, name: &'static str, of: Option<Context>) -> Option<Self> {
        if !tracer.is_on() {
            return None;
        }
        let now = wall();
        let context = of.map_or_else(|| tracer.root(), |of| tracer.child(of));
        let parent = of.map(|of| of.span_id);
        Some(Self { tracer: tracer.clone(), name, context, parent, began: now, step: now, has_ended: false })
    }

    /// A step of it has ended, and the next begins.
    pub(crate) fn step(&mut self, name: &'static str) {
        self.step_until(name, wall());
    }

    /// The same of one that has ended then.
    pub(crate) fn step_until(&mut self, name: &'static str, end: SystemTime) {
        let context = self.tracer.child(self.context);
        let parent = Some(self.context.span_id);
        self.tracer.send(Span { end, ..span(name, context, parent, self.step) });
        self.step = end;
    }

    /// It has ended: in force, or not.
    pub(crate) fn end(mut self, error: Option<String>) {
        self.tell(error);
    }

    fn tell(&mut self, error: Option<String>) {
        if !std::mem::replace(&mut self.has_ended, true) {
            let span = span(self.name, self.context, self.parent, self.began);
            self.tracer.send(Span { error, ..span });
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.tell(Some("passed over for a later one".to_owned()));
    }
}

/// A view that was published.
pub(crate) struct Publication {
    pub(crate) began: SystemTime,
    pub(crate) generation: u64,
    /// The numbers of the last transition that it has, and that the one before it had.
    pub(crate) transitions: (u64, u64),
    pub(crate) gateways: usize,
    /// The way that brought its ground into force.
    pub(crate) way: Option<Way>,
    /// Whether its ground is another.
    pub(crate) is_new_ground: bool,
}

/// Tells that a view was published: as part of what brought it about.
pub(crate) fn publish(tracer: &Tracer, publication: Publication) {
    let Publication { began, generation, transitions: (now, before), gateways, way, is_new_ground } =
        publication;
    let (of, cause) = match &way {
        Some(way) => (Some(way.context), way.name),
        None if is_new_ground => (None, "addresses of hostnames"),
        None if now > before => (Some(tracer.numbered(TRANSITIONS, now)), "transition"),
        None => (None, "an override, or a doubt that ended"),
    };
    let context = of.map_or_else(|| tracer.root(), |of| tracer.child(of));
    // That of the last is its parent, where it is.
    let others = (before + 1).max(now.saturating_sub(LINKS))..=now;
    let links = others.map(|number| tracer.numbered(TRANSITIONS, number)).filter(|link| Some(*link) != of);
    let attributes = vec![
        ("meridian.generation", generation.into()),
        ("meridian.transition", now.into()),
        ("meridian.gateways", (gateways as u64).into()),
        ("meridian.cause", cause.into()),
    ];
    let parent = of.map(|of| of.span_id);
    tracer.send(Span { attributes, links: links.collect(), ..span("publish", context, parent, began) });
    if let Some(way) = way {
        way.end(None);
    }
}

//----------- Queries --------------------------------------------------------

/// A query with the stages of its answer, which are worked out once more, on the view that it was answered from.
pub(super) fn query(tracer: &Tracer, known: &Known<'_>, geoip: &Geoip) -> Span {
    let Known { taken, view, asked, .. } = known;
    let (client, resolver) = known.client();
    let mut attributes = vec![
        ("client.address", (&client).into()),
        ("network.transport", known.transport().into()),
        ("dns.response_code", known.rcode.into()),
        ("meridian.generation", view.generation().into()),
    ];
    if let Some(asked) = asked {
        attributes.push(("dns.question.name", asked.name.as_str().into()));
    }
    let optional = [
        ("dns.question.type", known.record_type()),
        ("meridian.resolver", resolver.map(|resolver| resolver.to_string())),
        ("meridian.gateway", known.gateway.map(str::to_owned)),
        ("meridian.scope", known.scope.map(|scope| scope.to_string())),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some((key, (&value?).into()))));
    if !known.addresses.is_empty() {
        let texts = known.addresses.iter().map(ToString::to_string).collect();
        attributes.push(("dns.answers", meridian_telemetry::Value::Texts(texts)));
        let texts = known.clusters.iter().map(ToString::to_string).collect();
        attributes.push(("meridian.clusters", meridian_telemetry::Value::Texts(texts)));
    }
    let events = asked.as_ref().map(|asked| {
        let naming = Naming::new(Arc::clone(view.ground().catalog()), geoip);
        let stages = stages(&explain(view, asked), &naming);
        stages.into_iter().map(|(stage, text)| (stage.to_owned(), text)).collect()
    });
    let query = span("query", tracer.root(), None, taken.received);
    let events = events.unwrap_or_default();
    Span { kind: Kind::Server, end: taken.replied, attributes, events, ..query }
}
