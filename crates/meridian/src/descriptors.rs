//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Asks for as many as the administrator lets it: the soft limit of 1,024 is for programs that select()
/// (man 2 select), and each probe under way or connection kept takes one.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => tracing::debug!(limit, "file descriptors"),
        Err(error) => tracing::warn!(%error, "file descriptors: the soft limit stays, fewer probes at once"),
    }
}
