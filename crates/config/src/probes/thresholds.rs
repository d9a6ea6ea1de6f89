//! When outcomes change a verdict: the keys that every type of probe has.

use std::time::Duration;

use meridian_model::{FlapDamping, Thresholds};

use crate::findings::Spotted;
use crate::kinds::{At, Section, Span, Whole};
use crate::limits;
use crate::reader::Table;

/// Every ten seconds, as Route 53's fast checks: a failure is seen within half a minute.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// The timeout is the interval divided by this: a check is over well before the next begins.
const TIMEOUT_DIVISOR: u32 = 2;
/// One lost packet is no outage.
const FALL_DEFAULT: u32 = 3;
/// One answer from a server that is starting is no recovery.
const RISE_DEFAULT: u32 = 2;
/// Only failures in a row count.
const FORGIVE_DEFAULT: u32 = 1;
/// `rise` successes are enough.
const RISE_FOR_DEFAULT: Duration = Duration::ZERO;
/// While a change is this young, answers carry the short TTL: it may be taken back.
const HOLD_DOWN_DEFAULT: Duration = Duration::from_secs(30);
/// Five outages in ten minutes are one that goes on; a minute's quiet is the proof that it ended, and a
/// quarter of an hour is the longest that a repair can go unseen.
const FLAP_DEFAULT: FlapDamping = FlapDamping {
    changes: 10,
    window: Duration::from_secs(600),
    hold: Duration::from_secs(60),
    hold_max: Duration::from_secs(900),
};

const IN_A_ROW: Whole<u32> = Whole { min: 1, max: limits::IN_A_ROW, unit: "checks" };

//----------- Timing ---------------------------------------------------------

/// How often, as written.
pub(crate) struct TimingSpec {
    interval: Duration,
    fast_interval: Option<Spotted<Duration>>,
    timeout: Option<Spotted<Duration>>,
}

/// How often, with the defaults.
pub(crate) struct Timing {
    pub(crate) interval: Duration,
    pub(crate) fast_interval: Duration,
    pub(crate) timeout: Duration,
}

impl Default for TimingSpec {
    fn default() -> Self {
        Self { interval: INTERVAL_DEFAULT, fast_interval: None, timeout: None }
    }
}

/// Reads the keys of how often.
pub(crate) fn read_timing(table: &mut Table<'_>) -> TimingSpec {
    let interval = Span { min: limits::INTERVAL_MIN, max: limits::INTERVAL_MAX };
    let timeout = Span { min: limits::TIMEOUT_MIN, max: limits::INTERVAL_MAX };
    TimingSpec {
        interval: table.or("interval", INTERVAL_DEFAULT, &interval),
        fast_interval: table.optional("fast_interval", &At(interval)),
        timeout: table.optional("timeout", &At(timeout)),
    }
}

impl TimingSpec {
    /// The times, with the defaults that follow from each other.
    pub(crate) fn build(self, findings: &crate::findings::Findings<'_>) -> Timing {
        let Self { interval, fast_interval, timeout } = self;
        for longer in [&fast_interval, &timeout].into_iter().flatten().filter(|time| time.value > interval) {
            let most = humantime::format_duration(interval);
            let found = humantime::format_duration(longer.value);
            findings.mistake(&longer.spot, format_args!("at most the interval of {most}"), found);
        }
        Timing {
            interval,
            fast_interval: fast_interval.map_or(interval, |fast| fast.value),
            timeout: timeout.map_or(interval / TIMEOUT_DIVISOR, |timeout| timeout.value),
        }
    }
}

//----------- Thresholds -----------------------------------------------------

/// Reads the keys of when outcomes change a verdict.
pub(crate) fn read(table: &mut Table<'_>) -> Thresholds {
    let span = Span { min: Duration::ZERO, max: limits::HOLD_DOWN_MAX };
    let flap = Section { header: "[probes.flap]", read: read_flap };
    Thresholds {
        fall: table.or("fall", FALL_DEFAULT, &IN_A_ROW),
        rise: table.or("rise", RISE_DEFAULT, &IN_A_ROW),
        forgive: table.or("forgive", FORGIVE_DEFAULT, &IN_A_ROW),
        rise_for: table.or("rise_for", RISE_FOR_DEFAULT, &span),
        hold_down: table.or("hold_down", HOLD_DOWN_DEFAULT, &span),
        flap: table.or("flap", Some(FLAP_DEFAULT), &flap),
    }
}

/// No changes allowed means no damping, as a limit of 0 does elsewhere.
fn read_flap(table: &mut Table<'_>) -> Option<FlapDamping> {
    let changes = Whole { min: 0, max: limits::FLAP_CHANGES, unit: "changes" };
    let window = Span { min: limits::FLAP_TIME_MIN, max: limits::FLAP_TIME_MAX };
    let hold = Span { min: limits::FLAP_TIME_MIN, max: limits::FLAP_TIME_MAX };
    let changes = table.or("changes", FLAP_DEFAULT.changes, &changes);
    let window = table.or("window", FLAP_DEFAULT.window, &window);
    let first = table.or("hold", FLAP_DEFAULT.hold, &hold);
    let hold_max = table.optional("hold_max", &At(hold));
    if let Some(hold_max) = hold_max.as_ref().filter(|hold_max| hold_max.value < first) {
        let least = humantime::format_duration(first);
        let found = humantime::format_duration(hold_max.value);
        table.findings.mistake(&hold_max.spot, format_args!("at least the hold of {least}"), found);
    }
    let hold_max = hold_max.map_or(FLAP_DEFAULT.hold_max.max(first), |hold_max| hold_max.value);
    (changes > 0).then_some(FlapDamping { changes, window, hold: first, hold_max })
}
