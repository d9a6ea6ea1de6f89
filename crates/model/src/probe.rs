//! What is checked at an endpoint's addresses, and how often.

use std::time::Duration;

/// One way of checking an address, with the thresholds that turn outcomes into a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// As gateways refer to it.
    pub name: Box<str>,
    /// What is done.
    pub check: Check,
    /// The TCP port that is connected to.
    pub port: u16,
    /// From the start of one check of an address to the start of the next.
    pub interval: Duration,
    /// A check that has not succeeded by then has failed; at most `interval`.
    pub timeout: Duration,
    /// Failures in a row that make a healthy address unhealthy; at least 1.
    pub fall: u32,
    /// Successes in a row that make an unhealthy address healthy; at least 1.
    pub rise: u32,
    /// How long after a change of verdict it still counts as in doubt.
    pub hold_down: Duration,
}

/// What a probe does with an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// `GET path` over HTTP; a status from 200 to 299 is a success, a redirect is not followed.
    Http {
        /// Begins with `/`.
        path: Box<str>,
        /// The `Host` header; the address and port when not given.
        host: Option<Box<str>>,
    },
    /// A TCP connection that is accepted is a success.
    Tcp,
}
