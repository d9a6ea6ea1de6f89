//! What is checked at an endpoint's addresses, how often, and what turns outcomes into a verdict.

use std::net::IpAddr;
use std::time::Duration;

use crate::Check;

//----------- Probe ----------------------------------------------------------

/// One way of checking an address, with the thresholds that turn outcomes into a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// As gateways refer to it.
    pub name: Box<str>,
    /// What is done.
    pub check: Check,
    /// Whether its failure is what is wanted.
    pub invert: bool,
    /// The port that is checked; 0 where the type has none.
    pub port: u16,
    /// What is checked in place of each endpoint's addresses, unless the endpoint says otherwise.
    pub address: Option<IpAddr>,
    /// From the start of one check of an address to the start of the next.
    pub interval: Duration,
    /// The same from the first outcome against the verdict until it changes or is confirmed; at most
    /// `interval`.
    pub fast_interval: Duration,
    /// A check that has not succeeded by then has failed; at most `interval`.
    pub timeout: Duration,
    /// When outcomes change a verdict.
    pub thresholds: Thresholds,
}

/// When outcomes change a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// Failures that make an address that serves unhealthy; at least 1.
    pub fall: u32,
    /// Successes in a row that make an unhealthy address serve; at least 1.
    pub rise: u32,
    /// Successes in a row that forget the failures before them, while the address serves; at least 1.
    /// With 1, only failures in a row count (gdnsd's `ok_thresh`).
    pub forgive: u32,
    /// For how long the successes of a recovery must have gone on, beside being `rise` in a row.
    pub rise_for: Duration,
    /// How long after a change of verdict it still counts as in doubt.
    pub hold_down: Duration,
    /// When an address that comes and goes is held unhealthy; `None`: never.
    pub flap: Option<FlapDamping>,
}

impl Default for Thresholds {
    /// Every outcome decides by itself.
    fn default() -> Self {
        Self { fall: 1, rise: 1, forgive: 1, rise_for: Duration::ZERO, hold_down: Duration::ZERO, flap: None }
    }
}

/// When an address that comes and goes is held unhealthy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlapDamping {
    /// More changes than this between serving and not, within `window`, are flapping; at least 1.
    pub changes: u32,
    /// How far back changes count.
    pub window: Duration,
    /// How long the recovery is put off the first time; each time after that twice as long.
    pub hold: Duration,
    /// The longest that it is put off.
    pub hold_max: Duration,
}

/// When everything seems to fail at once, it is likelier that who probes is cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Isolation {
    /// So many clusters, of which every target fails, are too many to believe; `None`: all that served, and at
    /// least two.
    pub min_clusters: Option<u16>,
    /// Clusters that go dark within this time go together; `None`: the longest time that it takes to probe
    /// every target once.
    pub window: Option<Duration>,
}
