//! What operators see and say of a server that runs: status, overrides, metrics, reload and restart, as HTTP over
//! a Unix socket in its folder, and on a network.
//!
//! [`Book`] holds the overrides: it keeps them in the [`meridian_store::Folder`], hands them to the probes and
//! lifts those whose time is over. [`Admin`] serves it together with what the probes report. Whoever may open
//! the socket may do everything; its mode lets that be the server's own user. On a network tokens say who may do what.
//!
//! What it does not do: answer DNS, or decide anything.

mod access;
mod advisor;
mod api;
mod book;
mod command;
mod configuration;
mod events;
mod ledger;
pub mod limits;
mod logs;
mod maps;
mod metrics;
mod resources;
mod server;
mod status;
mod vitals;
pub mod wire;

pub use access::{Access, Role, Token};
pub use advisor::{Advisor, Explained};
pub use book::{Book, BookError, Said};
pub use command::{Command, Commands};
pub use configuration::{Configuration, Refused, Reloads, Stamp, sha256};
pub use events::{Events, Published};
pub use ledger::{Change, Ledger};
pub use logs::Levels;
pub use server::{About, Admin, Handles, Network, SOCKET};
pub use vitals::{Data, Database, NewView, Vitals};
