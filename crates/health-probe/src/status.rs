//! What is to be seen of the probes at one moment.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meridian_model::{Catalog, GatewayId, Order, Override, OverrideTarget, Verdict};

use crate::{Finding, Past};

/// Everything that is held of the endpoints of a catalog, and why.
#[derive(Clone, Debug)]
pub struct Report {
    /// The catalog in force.
    pub catalog: Arc<Catalog>,
    /// For how long the prober has suspected itself, if it does.
    pub isolated_for: Option<Duration>,
    /// The overrides in force, in the order in which they were said.
    pub overrides: Vec<OverrideStatus>,
    /// Every address that is handed out, in the catalog's order.
    pub endpoints: Vec<EndpointStatus>,
}

/// An override and what has become of it.
#[derive(Clone, Debug)]
pub struct OverrideStatus {
    /// What was said.
    pub said: Override,
    /// How long it has held.
    pub age: Duration,
    /// How long it still holds; `None`: until it is lifted.
    pub left: Option<Duration>,
    /// For how many addresses it decides.
    pub addresses: usize,
}

/// One address that is handed out.
#[derive(Clone, Debug)]
pub struct EndpointStatus {
    /// Of which gateway.
    pub gateway: GatewayId,
    /// Which of its endpoints, by index.
    pub endpoint: usize,
    /// `None` for a hostname that is handed out itself and has no address yet.
    pub address: Option<IpAddr>,
    /// What the probes say; healthy where there is no probe.
    pub observed: Verdict,
    /// What an operator says, and by which override.
    pub forced: Option<(OverrideTarget, Order)>,
    /// What counts.
    pub effective: Verdict,
    /// Whether it is held on to although something else is observed: the prober suspects itself.
    pub is_frozen: bool,
    /// What its probe has to say; `None` where there is none.
    pub probed: Option<ProbedStatus>,
}

/// What a probe has to say of an address.
#[derive(Clone, Debug)]
pub struct ProbedStatus {
    /// The probe's name.
    pub probe: Box<str>,
    /// For how long the observed verdict has held; `None` while there is none.
    pub held: Option<Duration>,
    /// Whether it may be about to change, or just did.
    pub in_doubt: bool,
    /// For how much longer a recovery is put off because the address comes and goes.
    pub put_off: Option<Duration>,
    /// Why the verdict is what it is.
    pub cause: String,
    /// The last outcome; `None` before the first, and where the probe is made of others.
    pub last: Option<LastOutcome>,
}

/// The last outcomes of one probe of an address.
#[derive(Clone, Debug)]
pub struct PastOutcomes {
    /// The probe's name.
    pub probe: Box<str>,
    /// What is checked, which need not be what is handed out.
    pub at: SocketAddr,
    /// Within which time it has to answer.
    pub timeout: Duration,
    /// Oldest first; as many as [`crate::limits::HISTORY_MAX`] and its neighbours say.
    pub outcomes: Vec<Past>,
}

/// The last outcome of a target.
#[derive(Clone, Debug)]
pub struct LastOutcome {
    /// What was found.
    pub finding: Finding,
    /// From the start of the probe to its end.
    pub latency: Duration,
    /// How long ago it ended.
    pub ago: Duration,
}
