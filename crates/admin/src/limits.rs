//! Bounds of what is held and read.

use std::time::Duration;

/// Overrides at once; one more is refused.
pub const OVERRIDES_MAX: usize = 256;
/// Characters of a reason.
pub const REASON_CHARS_MAX: usize = 512;
/// Characters of who says so.
pub const BY_CHARS_MAX: usize = 64;
/// The longest that an override is said for: one that holds longer is one without an end.
pub const HOLD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest that a drain takes.
pub const DRAIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Addresses with a verdict among the metrics, and probes with outcomes and durations: a series for each of two
/// kinds, and twenty. What is beyond is counted; all of them are in the status.
pub(crate) const ADDRESS_SERIES: usize = 10_000;
pub(crate) const PROBE_SERIES: usize = 1000;
/// Octets of a file of `/proc`: a table of 60,000 sockets.
pub(crate) const PROC_OCTETS_MAX: u64 = 8 << 20;
/// Characters of a filter of log lines.
pub const FILTER_CHARS_MAX: usize = 1024;

/// Connections at once to each of the two sockets; for one more the longest idle ends, or else it does.
pub const CONNECTIONS_MAX: usize = 64;
/// Octets of a request's head.
pub const HEAD_OCTETS_MAX: usize = 16 << 10;
/// Octets of a request's body.
pub const BODY_OCTETS_MAX: usize = 16 << 10;
/// Octets of a body with a configuration.
pub const CONFIGURATION_OCTETS_MAX: usize = 4 << 20;
/// How long a client may take for the head of a request.
pub const HEAD_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a connection lives: a client that reads nothing does not keep it for ever.
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(60);
/// For how long a connection that has asked nothing yet may do so when the API ends.
pub(crate) const CLOSING_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long requests under way may take when the API ends.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(1);
/// Events that are kept for who was away for a moment, and transitions by themselves.
pub const EVENTS_KEPT: usize = 1024;
/// Changes of the audit that are answered from memory; all of them are in the folder.
pub const CHANGES_KEPT: usize = 1000;
/// Changes that wait for a disk that does not take them; of more the log alone knows.
pub const CHANGES_WAITING_MAX: usize = 1000;
/// Streams of events at once; one more is refused.
pub const STREAMS_MAX: usize = 32;
/// How long a stream of events lasts: less than its connection, so that it ends in order and is asked for again.
pub const STREAM_LIFE_MAX: Duration = Duration::from_secs(50);
/// The most items of a list on one page.
pub const PAGE_MAX: u32 = 1000;
/// Items on a page where nobody says how many.
pub const PAGE_DEFAULT: u32 = 100;
/// Verdicts that are not healthy which are listed one by one.
pub const NOT_HEALTHY_MAX: usize = 1000;
/// How long somebody waits for a map: the first of a policy takes seconds with a large database, and others may be before
/// it.
pub const MAP_WAIT_MAX: Duration = Duration::from_secs(20);
/// Maps of the view that is served which are kept: each has some hundred countries.
pub const MAPS_KEPT: usize = 128;
/// How long an operator waits for the disk, before being told that what was said is in force and not kept.
pub const KEEP_WAIT_MAX: Duration = Duration::from_secs(5);
