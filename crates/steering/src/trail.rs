//! What decided, for those who ask why.

use meridian_model::{ClientMatch, ClusterId, Track};

/// Takes notes while a decision is made. The answer path takes none and pays nothing.
pub trait Trail {
    /// Takes one note; `note` is only called where notes are kept.
    fn note(&mut self, note: impl FnOnce() -> Note);
}

impl Trail for () {
    fn note(&mut self, _: impl FnOnce() -> Note) {}
}

impl Trail for Vec<Note> {
    fn note(&mut self, note: impl FnOnce() -> Note) {
        self.push(note());
    }
}

/// One step of a decision. Endpoints are indexes into the gateway's.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Residency: this rule (from 0) holds for the client; `None`: none does.
    Rule(Option<usize>),
    /// Residency: the client cannot be placed well enough.
    Unplaced,
    /// Residency kept these and removed those.
    Residency {
        /// In a cluster that may serve the client.
        kept: Vec<usize>,
        /// In another.
        removed: Vec<usize>,
    },
    /// A geo policy: this rule (from 0) holds, by this condition; `None`: the default.
    GeoRule(Option<(usize, ClientMatch)>),
    /// A policy by distance: how far a cluster is.
    Distance {
        /// Which one.
        cluster: ClusterId,
        /// The great circle.
        km: f64,
        /// What it counts as, with its bias.
        counts_km: f64,
        /// Further than the policy's `max_km`.
        beyond: bool,
    },
    /// A policy by distance without a place to measure from: the order of the file holds.
    NoCoordinates,
    /// A policy by latency: how fast a cluster is.
    Latency {
        /// Which one.
        cluster: ClusterId,
        /// In microseconds.
        rtt_us: u32,
        /// What was measured; `None`: estimated from the distance.
        measured: Option<ClientMatch>,
    },
    /// Endpoints without an address of the family that is asked for.
    NoAddress(Vec<usize>),
    /// An operator took these out, leaves those a part of their weight, and says of others that they are up.
    Operator {
        /// Out.
        removed: Vec<usize>,
        /// With a part of their weight, or none of it.
        draining: Vec<usize>,
        /// Up, whatever is found.
        raised: Vec<usize>,
    },
    /// Health: these are healthy, those are not.
    Health {
        /// Healthy.
        kept: Vec<usize>,
        /// Degraded: used where no healthy one is left in a tier.
        degraded: Vec<usize>,
        /// Unhealthy or not yet probed.
        removed: Vec<usize>,
    },
    /// The endpoints of a track are looked at.
    Track {
        /// Which; `None`: all that are left.
        track: Option<Track>,
        /// Whether these are the endpoints of weight 0.
        weightless: bool,
        /// Which are looked at.
        members: Vec<usize>,
    },
    /// A tier is skipped: too few of its endpoints serve.
    TooFewHealthy {
        /// The tier's endpoints.
        members: Vec<usize>,
        /// How many of them are healthy or degraded.
        healthy: usize,
        /// How many it wants.
        wanted: u16,
    },
    /// A tier counts as all healthy: too many of its endpoints do not serve.
    Panic {
        /// The tier's endpoints.
        members: Vec<usize>,
        /// How many of them are healthy or degraded.
        healthy: usize,
    },
    /// A tier has nothing healthy; its degraded endpoints stand in.
    OnlyDegraded(Vec<usize>),
    /// A tier has nothing that serves; the next one is looked at.
    NothingHealthy(Vec<usize>),
    /// The first tier with something healthy: these answer.
    Chosen(Vec<usize>),
    /// Nothing is healthy: what the gateway does then begins.
    AllDown,
}
