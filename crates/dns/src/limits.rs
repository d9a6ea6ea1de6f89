//! Every bound of this crate, with its reason.

use std::time::Duration;

/// The largest UDP reply, and the size we advertise: fits the IPv6 minimum MTU, so that no reply is
/// ever fragmented (DNS flag day 2020, RFC 9715 §3.1).
pub(crate) const UDP_PAYLOAD_SIZE: u16 = 1232;

/// The UDP reply size without EDNS, and the least that a requestor's size counts as (RFC 6891 §6.2.3).
pub(crate) const UDP_PAYLOAD_SIZE_MIN: u16 = 512;

/// The largest query read over UDP: no requestor may send more than we advertise (RFC 6891 §6.2.3). What is longer is
/// cut by the kernel, and so FORMERR.
pub(crate) const UDP_QUERY_SIZE: usize = UDP_PAYLOAD_SIZE as usize;

/// The largest query read on any other transport. Queries are small, and of thousands of connections each may have
/// one half sent. What is longer is cut, and so FORMERR; over HTTP it is 413.
pub(crate) const QUERY_SIZE: usize = 4096;

/// How many datagrams one worker answers from one load of the view.
pub(crate) const UDP_BATCH: usize = 64;

/// How many queries are read before the first of them is answered: more than the waits for memory that a core has under
/// way at once, so that few are waited for alone, and few enough that what was read is still in its nearest cache.
pub(crate) const TOGETHER: usize = 32;

/// From how many names on it is worth while to read, for queries that are answered together, what they will need: fewer
/// are in a near cache (with 1,000 it cost more than it brought).
pub(crate) const TOUCHED_NAMES: usize = 1 << 15;

/// How many such batches of one socket, before the worker's other sockets get their turn; and at the end.
pub(crate) const UDP_TURNS: usize = 256;

/// Octets that the kernel keeps of what has arrived at a socket of UDP, and as many again for its own account of it: 2,700
/// small queries. What it gives by default, 277 of them, is full in 2 ms of a flood, which is less than a worker may wait for
/// a processor: of 145,000 a second two in five were lost, honest ones among them, while half the machine idled. NSD asks
/// for as much.
pub(crate) const RECEIVE_BUFFER: usize = 1 << 20;

/// How long a full send buffer is waited for.
pub(crate) const SEND_WAIT: Duration = Duration::from_millis(20);

/// Queries that were taken down by one worker and wait for who writes them: all that a core answers in 5 ms at 200,000 a
/// second, which is how often they are looked for. And the octets that are kept for each message of theirs.
pub(crate) const TAKEN_WAITING: usize = 1024;
pub(crate) const TAKEN_OCTETS: usize = 512;

/// CNAMEs followed inside our zones before the chain is answered as it stands.
pub(crate) const CNAME_DEPTH: usize = 8;

/// How long a client may take to read a batch of replies.
pub(crate) const REPLY_READ: Duration = Duration::from_secs(5);

/// Of that, how long its connection does not count as idle: a client that is there reads within a round trip.
pub(crate) const REPLYING: Duration = Duration::from_secs(1);

/// Octets of replies that are written at once, and so queries answered before the client reads: a batch ends
/// with the reply that reaches it.
pub(crate) const REPLY_BATCH: usize = 32 << 10;

/// How long a handshake of TLS may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Requests under way on one connection of HTTP/2 or HTTP/3 (RFC 9113 §5.1.2 advises at least 100).
pub(crate) const HTTP_STREAMS: u32 = 100;
/// Octets of body that a client may send before they are read: one query.
pub(crate) const HTTP_STREAM_WINDOW: u32 = 4096;
/// Octets of a request's header, and of what is buffered to be sent: a query in a URI is at most 5,462.
pub(crate) const HTTP_BUFFER: u32 = 16 << 10;
/// Fields of a request's header by HTTP/1.1.
pub(crate) const HTTP_HEADERS: usize = 64;
/// Streams that a client may open and reset before the connection is closed (CVE-2023-44487), or that we had
/// to reset.
pub(crate) const HTTP_RESETS: usize = 20;

/// Handshakes of QUIC with clients that have not shown that they are where they say: each costs a signature. The
/// next ones must show it first.
pub(crate) const QUIC_HANDSHAKES: usize = 64;
/// Queries under way on one connection of QUIC (RFC 9250 §5.3.1 leaves it to us).
pub(crate) const QUIC_STREAMS: u32 = 100;
/// Streams of HTTP/3 beside its requests: three (RFC 9114 §6.2), and some that nobody knows.
pub(crate) const QUIC_UNI_STREAMS: u32 = 8;
/// Octets that a client may send on a stream before they are read: one query with its head.
pub(crate) const QUIC_STREAM_WINDOW: u32 = 8 << 10;
/// The same on all streams of a connection.
pub(crate) const QUIC_WINDOW: u32 = 128 << 10;
/// Octets of replies of one connection that the client has not acknowledged: the largest reply, twice.
pub(crate) const QUIC_SEND_WINDOW: u64 = 128 << 10;
/// Octets of one request by HTTP/3: its header and a query.
pub(crate) const HTTP3_REQUEST: usize = 24 << 10;
/// Octets of each of a connection's other streams, over its life: settings are a hundred.
pub(crate) const HTTP3_CONTROL: usize = 16 << 10;

/// Octets of a header of the PROXY protocol: addresses are 52, and what some balancers add a few hundred.
pub(crate) const PROXY_HEADER: usize = 1024;

/// How long the end of a connection may take to be said.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);

/// Connections that wait to be passed to another server: each has ended here already.
pub(crate) const PASSED_WAITING: usize = 16;

/// How long a connection that cannot be passed on may idle once another server has taken over: its client is told
/// by its end to connect anew, and while it asks it has nothing to tell.
pub(crate) const LEAVING_IDLE: Duration = Duration::from_secs(1);

/// Octets of one message of a zone transfer, from which on the next begins: pointers reach so far (RFC 1035
/// §4.1.4), so that larger ones compress worse.
pub(crate) const TRANSFER_MESSAGE: usize = 1 << 14;

/// Zone transfers at once; each reads one view, and holds it.
pub(crate) const TRANSFERS: usize = 8;

/// Servers that are told of a change at once, over a socket each.
pub(crate) const NOTIFY_AT_ONCE: usize = 256;

/// How often a server is told that does not answer (RFC 1996 §3.6), and how long the first time waits; each
/// further one twice as long: a minute in all.
pub(crate) const NOTIFY_TRIES: usize = 5;
pub(crate) const NOTIFY_WAIT: Duration = Duration::from_secs(2);

/// A pause after `accept` or `recvmsg` fails, so that a lack of descriptors or memory costs no spin.
pub(crate) const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// The pause where a connection was told to make room: it is gone within it, and with it the lack.
pub(crate) const SHED_PAUSE: Duration = Duration::from_millis(1);

/// Ports tried when port 0 was asked for and TCP cannot have the one that UDP was given.
pub(crate) const EPHEMERAL_TRIES: usize = 16;

/// Ranges kept in all merged scope maps of one view (8 to 20 octets each). Beyond it, gateways share
/// the map of their clusters' order: scopes are narrower then, never wrong.
pub(crate) const SCOPE_RANGES: usize = 16 << 20;

/// Plans that a view keeps though no gateway has them now: an address that comes and goes has about ten (healthy, in
/// doubt, unhealthy, for two families), and to make one again costs milliseconds with a database of cities. Of
/// these ten, two or three have a map of their own, of 2 MiB with eight clusters and such a database.
pub(crate) const IDLE_PLANS: usize = 64;

/// Kinds of endpoints of a gateway up to which every combination of their health is tried for a proof:
/// 1,024 decisions for each outlook, track and family.
pub(crate) const REACH_KINDS: usize = 10;

/// Sets of buckets of the rate limit, and buckets in each: 4 MiB, room for half a million networks and names
/// that are asked for within a second.
pub(crate) const RATE_SETS: usize = 1 << 16;
/// What a cache line holds.
pub(crate) const RATE_WAYS: usize = 8;

/// Series that answers are counted in, of gateways, clusters and countries together; what is beyond shares one. A worker
/// has eight octets for each, in its near cache, and Prometheus takes ten thousands of a server but not millions.
pub(crate) const ANSWER_SERIES: usize = 1 << 15;
