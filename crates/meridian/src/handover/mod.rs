//! A restart that loses nothing: a new process takes over from the one that serves.
//!
//! The old process starts the new one from the path and with the arguments that it was started with itself, so that
//! a new binary there is an upgrade; the two talk over a socket that is the new one's standard input.
//! 1. The old offers its sockets, the lock of its folder and its API's socket (`SCM_RIGHTS`). They are the same sockets
//!    to the kernel, so nothing that waits in them is lost, whichever process reads it.
//! 2. The new loads its file, has its first round, answers from the sockets, and says that it is ready. Until then
//!    the old serves alone; if the new one fails, or takes too long, it serves on.
//! 3. The old stops reading, answers what it has read, and passes on its plain connections in between two replies.
//!    Others are served until their clients are done or idle. It gives up QUIC, the API and the folder, and ends.
//!
//! A process that ends without a word leaves all of it to the other.

mod channel;
mod message;
mod predecessor;
mod successor;

pub(crate) use predecessor::{Event, Gift, Predecessor};
pub(crate) use successor::{Offer, Program, Successor};

/// In its environment, for a process that is to take over.
const VARIABLE: &str = "MERIDIAN_TAKES_OVER";
