//! What the two processes say.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;
use meridian_dns::{Passed, Service};
use serde::{Deserialize, Serialize};

/// The version of this language; the first message has it, and a process that does not know it fails.
pub(super) const VERSION: u32 = 1;

/// One message. The old process sends the offer, then waits for `Ready` or `Failed`; all others are its own, in any
/// order. When it ends, everything is the new one's.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
pub(super) enum Message {
    /// Files that the new process may use, one for each entry, and whether more come.
    Offer { version: u32, files: Vec<Offered>, more: bool },
    /// The new process answers from its sockets.
    Ready,
    /// It will not.
    Failed { why: String },
    /// A connection, which is beside the message.
    Connection {
        client: IpAddr,
        /// In hexadecimal.
        input: String,
        skipped: usize,
        age_ms: u64,
        idle_ms: u64,
    },
    /// The old process does not read the sockets of QUIC any more.
    QuicIsFree,
    /// It does not serve the API any more, and writes nothing into the folder.
    FolderIsFree,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "file", rename_all = "kebab-case")]
pub(super) enum Offered {
    /// A socket of DNS.
    Socket { service: String },
    /// The lock of the data_dir.
    Lock { data_dir: PathBuf },
    /// The API's socket in it.
    Api,
    /// The API's socket on a network.
    ApiNetwork,
}

/// By its name for operators.
pub(super) fn service(name: &str) -> Option<Service> {
    let all = [Service::Plain, Service::Dot, Service::Doh, Service::Doh3, Service::Doq];
    all.into_iter().find(|service| service.as_str() == name)
}

impl Message {
    /// For a connection; and that, to be sent beside it.
    pub(super) fn connection(passed: Passed) -> (Self, OwnedFd) {
        let Passed { stream, client, input, skipped, age, idle } = passed;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let input = HEXLOWER.encode(&input);
        (Self::Connection { client, input, skipped, age_ms: ms(age), idle_ms: ms(idle) }, stream.into())
    }
}
