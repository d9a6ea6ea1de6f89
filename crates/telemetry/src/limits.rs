//! Every bound of this crate, with its reason.

use std::time::Duration;

/// dnstap messages that wait for their reader: 80 ms of 100,000 a second, longer than a reader is held up by anything but
/// its own death. Each has the octets of one DNS message.
pub const FRAMES_WAITING: usize = 8192;
/// Messages that are written together.
pub const FRAMES_TOGETHER: usize = 256;
/// Octets of a control frame that is read: one names a few content types.
pub const CONTROL_OCTETS: usize = 512;
/// How long a reader may take to take what is written, to shake hands, and to say that it is done.
pub const FRAMES_WAIT: Duration = Duration::from_secs(5);
/// How long one that is told of the end may take: the process waits for it.
pub const FINISH_WAIT: Duration = Duration::from_secs(1);

/// Spans that wait for their collector: the bursts of a bad day, as a change of verdict of each of a thousand addresses.
pub const SPANS_WAITING: usize = 4096;
/// Spans in one request, as OpenTelemetry's own exporters have it.
pub const SPANS_TOGETHER: usize = 512;
/// How long the first of them waits for others.
pub const SPANS_GATHER: Duration = Duration::from_secs(1);
/// Attributes, events and links of a span; what is beyond is left out, and the span says how many.
pub const ATTRIBUTES: usize = 64;
/// Octets of a text in a span.
pub const TEXT_OCTETS: usize = 1024;
/// How long a collector may take for one request.
pub const EXPORT_WAIT: Duration = Duration::from_secs(10);
/// The same of the last ones, which the end of the process waits for.
pub const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Octets of its response that are read.
pub const RESPONSE_OCTETS: usize = 64 << 10;

/// Between two attempts to reach who is not there, at first; it doubles up to the most.
pub const BACK_OFF: Duration = Duration::from_secs(1);
/// The most.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(30);
