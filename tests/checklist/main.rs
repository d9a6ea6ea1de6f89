//! The protocol's checklist, statement by statement, against the built binary. A test's name begins with the
//! number of its statement and the section that says so.

mod cookies;
mod edns;
mod header;
mod names;
mod sizes;
mod steered;
mod subnet;
mod transfer;
mod transports;
mod world;
