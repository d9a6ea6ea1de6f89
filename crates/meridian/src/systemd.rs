//! What a service manager gives, and is told: sd_listen_fds(3), sd_notify(3). Nothing of it needs one to be there.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use listenfd::ListenFd;
use meridian_dns::{Handle, Inherited, Protocol};
use sd_notify::NotifyState;

/// The sockets that it has bound, or kept for us. To be asked once, before there are threads that read the
/// environment: those that this process starts are not to find it there.
pub(crate) fn sockets() -> Inherited {
    let mut inherited = Inherited::default();
    let mut given = ListenFd::from_env();
    for index in 0..given.len() {
        if let Err(error) = socket(&mut given, index).and_then(|socket| inherited.add(None, socket)) {
            tracing::warn!("socket {index} of the service manager is of no use: {error}");
        }
    }
    inherited
}

fn socket(given: &mut ListenFd, index: usize) -> std::io::Result<OwnedFd> {
    let udp = given.take_udp_socket(index).map(|udp| udp.map(|udp: UdpSocket| udp.into()));
    let socket = match udp {
        Ok(socket) => socket,
        Err(_) => given.take_tcp_listener(index)?.map(|tcp: TcpListener| tcp.into()),
    };
    socket.ok_or_else(|| std::io::Error::other("it was taken before"))
}

/// Answers are given.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read; then it is [`ready`] again.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The end begins.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service from now on.
pub(crate) fn succeeded_by(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Has these sockets kept while no process is there: what arrives meanwhile waits in them for the next. What is
/// kept already is so once.
pub(crate) fn keep(sockets: &[Handle]) {
    for Handle { protocol, address, socket, .. } in sockets {
        let name = name(*protocol, *address);
        let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
        log(sd_notify::notify_with_fds(&state, &[socket.as_fd()]));
    }
}

/// Closes sockets that nobody listens on any more, and has them kept no longer.
pub(crate) fn forget(inherited: Inherited) {
    for (protocol, address) in inherited.rest() {
        let name = name(protocol, address);
        tracing::warn!(%address, "a {} socket was handed over that [server] does not name: closed", protocol.as_str());
        tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]);
    }
}

/// Colons keep names apart where they are listed.
fn name(protocol: Protocol, address: SocketAddr) -> String {
    format!("{}-{address}", protocol.as_str().to_lowercase()).replace(':', "_")
}

fn tell(state: &[NotifyState<'_>]) {
    log(sd_notify::notify(state));
}

fn log(told: std::io::Result<()>) {
    if let Err(error) = told {
        tracing::debug!("the service manager was not told: {error}");
    }
}
