//! Every limit of this crate, with its reason.

use std::time::Duration;

/// Probes under way at once where a checker does not say how many. Each may hold a socket, and 1,024 file
/// descriptors is the usual soft limit of a process: half is left for whoever shares it.
pub const PROBES_UNDER_WAY_DEFAULT: usize = 512;

/// Probes under way at once where descriptors abound. 10,000 targets at a second, of which half take their
/// half second, are 2,500; and with a [`RESPONSE_HEAD_OCTETS_MAX`] each all of them hold 256 MiB at most.
pub const PROBES_UNDER_WAY_MAX: usize = 4096;

/// Probes under way to one address, whatever their ports: what is behind it is often one load balancer,
/// which must not be hit by a burst, and a host that swallows packets keeps each probe for its whole
/// timeout: it must not take the places of others. A probe beyond waits its turn and is counted.
pub const PROBES_OF_ADDRESS_MAX: usize = 16;

/// Connections kept between probes (`keep_alive`), where descriptors abound: measured at 32 KB of buffers each,
/// they hold 200 MB. Beyond it a probe closes its connection.
pub const CONNECTIONS_KEPT_MAX: usize = 6144;

/// The longest that a connection waits for its next check. Translators and balancers on the way forget what is
/// silent for some minutes, often without a word, and then a probe over it would find nobody.
pub const CONNECTION_KEPT_FOR_MAX: Duration = Duration::from_mins(1);

/// Octets of a response that nobody wants and that are read only to keep its connection.
pub const KEPT_REST_OCTETS_MAX: usize = 64 * 1024;

/// How long they are waited for, at most; and no longer than half of the time that the probe has left.
pub const KEPT_REST_WAIT_MAX: Duration = Duration::from_millis(100);

/// Probes under way at once where each is run once for somebody who looks at it: few enough that the times are
/// those of the addresses and not of this machine, and that one host with many of them is not flooded.
pub const ONCE_UNDER_WAY_MAX: usize = 32;

/// The shortest interval that is kept; one below counts as this. Keeps a wrong catalog from
/// turning the probes into a flood.
pub const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The longest interval that is kept; one above counts as this. Keeps sums of times in range.
pub const INTERVAL_MAX: Duration = Duration::from_hours(24);

/// The longest a first round is waited for, whatever the settings say: a server that waits longer
/// looks dead.
pub const FIRST_ROUND_MAX: Duration = Duration::from_mins(10);

/// The first probes of new targets are spread over this, or over the interval if that is shorter:
/// soon enough to answer with facts, and not all at once.
pub const FIRST_ROUND_SPREAD: Duration = Duration::from_millis(200);

/// A start is moved from its beat by at most the interval divided by this (5 %): enough that two
/// servers do not march in step, and little beside the time that detection takes.
pub const JITTER_DIVISOR: u32 = 20;

/// How long a change waits for others before they leave together as one snapshot; so at most a
/// hundred snapshots a second, and detection is this much later.
pub const COALESCE: Duration = Duration::from_millis(10);

/// The shortest step of a drain: each makes a new view.
pub const DRAIN_STEP_MIN: Duration = Duration::from_secs(1);

/// Questions for the state of everything that wait for the engine; who asks beyond waits.
pub const STATUS_QUESTIONS_MAX: usize = 16;

/// Changes of one target that are remembered for flap damping: as many as a probe may be told to allow,
/// and one more.
pub const FLAP_CHANGES_MAX: usize = 1001;

/// Transitions that a slow receiver may fall behind before it loses the oldest.
pub const TRANSITIONS_KEPT: usize = 1024;

/// Outcomes of one target that are remembered for who looks at it: two minutes at one a second.
pub const HISTORY_MAX: usize = 120;

/// Those of all targets together, of eight octets each: 32 MiB. Beyond 35,000 targets each keeps fewer,
pub const HISTORY_ALL_MAX: usize = 4 << 20;

/// but as many as show a fall.
pub const HISTORY_MIN: usize = 16;

/// From one warning that probes wait for their turn to the next.
pub const LATE_WARNING_EVERY: Duration = Duration::from_mins(1);

/// Octets of a cause's first part, which names what was done: a path may be long.
pub const CAUSE_ACTION_OCTETS_MAX: usize = 256;

/// Octets of a cause's second part, which says what was found.
pub const CAUSE_FINDING_OCTETS_MAX: usize = 256;

/// Header fields of a response: hyper's own default for HTTP/1.1, set here so that it is ours.
pub const RESPONSE_HEADERS_MAX: usize = 100;

/// Octets of a response's head, and of what is read ahead of a body: what a hostile server can make a
/// probe hold. As much as servers themselves take of a request.
pub const RESPONSE_HEAD_OCTETS_MAX: usize = 64 * 1024;

/// Octets of a compiled regular expression.
pub(crate) const REGEX_OCTETS_MAX: usize = 1 << 20;

/// Octets of a state file: a line for each of 20,000 addresses.
pub(crate) const STATE_FILE_OCTETS_MAX: u64 = 1 << 20;

/// Octets of a command's output that are kept: enough for its first line.
pub(crate) const COMMAND_OUTPUT_MAX: usize = 1024;

/// Octets of a gRPC message: a serving status is two, and this leaves room for what a later protocol adds.
pub(crate) const GRPC_MESSAGE_OCTETS_MAX: usize = 1024;

/// Octets of a DNS answer over UDP: servers send 512 to a query without EDNS (RFC 1035 §4.2.1), and what is
/// longer than this cannot be read and is passed over.
pub(crate) const DNS_DATAGRAM_OCTETS_MAX: usize = 4096;

/// Octets of Prometheus' response: some hundred samples. A query that gives more is too wide for a probe.
pub(crate) const PROMETHEUS_OCTETS_MAX: usize = 64 * 1024;

/// Connections to a Prometheus server that one probe keeps while they are not in use: checks are spread
/// over the interval, so few are under way at once.
pub(crate) const PROMETHEUS_IDLE_MAX: usize = 4;
