//! Messages between two processes of this machine, with open files beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, ensure};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::message::Message;

/// Octets of a message: the largest is a connection with half a query, in hexadecimal.
const OCTETS_MAX: usize = 64 << 10;
/// Files beside a message; the kernel takes 253 (unix(7)).
pub(super) const FILES_MAX: usize = 64;

/// One end of a connection that keeps messages apart.
///
/// A socket of SOCK_SEQPACKET: to tokio, which has no such type, one that is waited for as a stream is.
#[derive(Debug)]
pub(crate) struct Channel(UnixStream);

impl Channel {
    /// Both ends, of which one is for another process. Needs a tokio runtime.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::new(ours)?, theirs))
    }

    /// The end that another process has made. Needs a tokio runtime.
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        let end = std::os::unix::net::UnixStream::from(end);
        end.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(end)?))
    }

    pub(super) async fn send(&self, message: &Message, files: &[BorrowedFd<'_>]) -> anyhow::Result<()> {
        let octets = serde_json::to_vec(message)?;
        ensure!(octets.len() <= OCTETS_MAX && files.len() <= FILES_MAX, "a message that is too long");
        let ready = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
                return Err(io::Error::other("no room for files"));
            }
            Ok(sendmsg(self.0.as_fd(), &[IoSlice::new(&octets)], &mut beside, SendFlags::NOSIGNAL)?)
        };
        let sent = self.0.async_io(Interest::WRITABLE, ready).await;
        sent.context("the other process is gone")?;
        Ok(())
    }

    /// The next message with its files; `None`: the other process has closed its end.
    pub(super) async fn receive(&self) -> anyhow::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut octets = vec![0; OCTETS_MAX];
        let mut files = Vec::new();
        let ready = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut octets)];
            let received = recvmsg(self.0.as_fd(), &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(these) = message {
                    files.extend(these);
                }
            }
            Ok(received.bytes)
        };
        let length = match self.0.async_io(Interest::READABLE, ready).await {
            Ok(length) => length,
            // It has ended without reading all that was said.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error.into()),
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(octets.get(..length).unwrap_or_default());
        Ok(Some((message.context("a message that this version does not know")?, files)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn messages_come_whole_with_their_files() {
        let (one, other) = Channel::pair().unwrap();
        let other = Channel::new(other).unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        one.send(&Message::Ready, &[writer.as_fd()]).await.unwrap();
        one.send(&Message::Failed { why: "because".into() }, &[]).await.unwrap();
        let (message, files) = other.receive().await.unwrap().unwrap();
        assert_eq!(message, Message::Ready);
        let [file] = <[OwnedFd; 1]>::try_from(files).unwrap();
        File::from(file).write_all(b"through it").unwrap();
        writer.write_all(b" and beside").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through it and beside");
        let (message, files) = other.receive().await.unwrap().unwrap();
        assert_eq!((message, files.len()), (Message::Failed { why: "because".into() }, 0));
        drop(one);
        assert!(other.receive().await.unwrap().is_none());
        assert!(other.send(&Message::Ready, &[]).await.is_err());
    }
}
