//! The authoritative server: messages, zones, answers, transports.
//!
//! [`answer`] turns the octets of a query into the octets of a reply, from one immutable [`View`]. It
//! is the only way an answer is made: UDP, TCP, tests and benches call it. [`Server`] owns the
//! sockets, which know nothing of DNS beyond the length prefix of TCP.
//!
//! # What this crate does not do
//! It does not know that probes exist: it sees verdicts. It does not choose: `steering` does. It
//! reads no file. Nothing in it logs at the pace of a stranger's packets.
//!
//! # Invariants
//! - Reading and answering are total: no packet panics or loops.
//! - A reply holds no half RRset and is never over its limit; TC says that something is missing.
//! - Two clients inside one returned ECS scope get the same candidates.
//! - Between receive and send there is no await, lock, log line or clock; of the few queries that are taken down the clock
//!   is read.

mod answer;
mod asked;
mod certificate;
mod compile;
mod content;
mod cookie;
mod counters;
mod denial;
mod ecs;
mod edns;
mod explain;
mod facts;
mod limits;
mod manners;
mod message;
mod name;
mod names;
mod notify;
mod opt;
mod outlooks;
mod peer;
mod plain;
mod plan;
mod plans;
mod rate;
mod reach;
mod reply;
mod secret;
mod select;
mod series;
mod server;
mod shares;
mod spread;
mod steered;
mod together;
mod transfer;
mod tsig;
mod users;
mod view;
mod walk;
mod zone;

pub use answer::{Denied, Reply, answer, answer_generally};
pub use certificate::{Certificate, CertificateError};
pub use compile::CompileError;
pub use cookie::CookieSecrets;
pub use counters::{Answers, Count, Counters, Latency, Named, QueryCounts, Totals};
pub use explain::{Asked, Choice, Explanation, Located, Steering, explain};
pub use facts::{Chosen, Cookie, Facts, QueryType, Subnet};
pub use manners::{Manners, Streams};
pub use meridian_steering::Family;
pub use message::Rcode;
pub use notify::Notifier;
pub use peer::{Moment, Peer, Transport};
pub use rate::RateLimit;
pub use reach::Reach;
pub use series::{AnswerLabels, AnswersOf, OTHER, UNKNOWN};
pub use server::{
    BindError, Bound, Departed, Ends, Handle, Inherited, Leaving, Listen, Listening, Passed, Protocol,
    Server, Service, Taken, Taps, Wall,
};
pub use shares::{Mix, Shares, SharesKey};
pub use spread::{Crew, Spread};
#[doc(hidden)]
pub use together::Room;
pub use transfer::Content;
pub use tsig::{TsigAlgorithm, TsigKey};
pub use view::{Ground, Live, View};
pub use walk::{Clients, walk, weigh};
