//! What this machine is short of: no fault of whoever is probed.

use std::io;

use nix::errno::Errno;

use crate::Finding;

/// What an error says if it is this machine's own: nothing of the address.
pub(super) fn shortage(error: &io::Error) -> Option<Finding> {
    let of = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => "file descriptors of this process",
        Errno::ENFILE => "file descriptors",
        Errno::EADDRNOTAVAIL => "local addresses and ports",
        Errno::ENOBUFS | Errno::ENOMEM => "memory for connections",
        // Of fork alone: a socket of ours that would block waits.
        Errno::EAGAIN => "processes",
        _ => return None,
    };
    Some(Finding::NoData(format!("not checked, this server is short of {of}")))
}
