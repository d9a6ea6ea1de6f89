//! The new process's side.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use meridian_admin::Handles;
use meridian_dns::{Inherited, Passed};

use super::VARIABLE;
use super::channel::Channel;
use super::message::{Message, Offered, VERSION, service};

/// The process that serves until this one does.
#[derive(Debug)]
pub(crate) struct Predecessor(Channel);

/// What it hands on.
#[derive(Debug)]
pub(crate) struct Gift {
    pub(crate) sockets: Inherited,
    /// Its folder, and the lock of that.
    pub(crate) folder: Option<(PathBuf, OwnedFd)>,
    /// The API's sockets.
    pub(crate) api: Handles,
}

impl Gift {
    /// Sockets alone.
    pub(crate) fn of(sockets: Inherited) -> Self {
        Self { sockets, folder: None, api: Handles::default() }
    }
}

/// What it says after this one is ready.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection to serve on.
    Connection(Passed),
    /// QUIC can start.
    QuicIsFree,
    /// The API can start.
    FolderIsFree,
    /// It has ended.
    Ended,
}

impl Predecessor {
    /// The process that has started this one to take over, if that is so. Needs a tokio runtime.
    ///
    /// # Errors
    /// When standard input is not what it would be then.
    pub(crate) fn of_this_process() -> anyhow::Result<Option<Self>> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let end = std::io::stdin().as_fd().try_clone_to_owned().and_then(Channel::new);
        let end = end.with_context(|| format!("{VARIABLE} is set, and standard input is no such socket"))?;
        Ok(Some(Self(end)))
    }

    /// What it hands on.
    ///
    /// # Errors
    /// When it says something else.
    pub(crate) async fn gift(&self) -> anyhow::Result<Gift> {
        let mut gift = Gift::of(Inherited::served());
        loop {
            let (version, offered, more, files) = match self.0.receive().await? {
                Some((Message::Offer { version, files: offered, more }, files)) => {
                    (version, offered, more, files)
                }
                Some((other, _)) => bail!("expected an offer, found {other:?}"),
                None => bail!("the process that serves has ended before it offered anything"),
            };
            ensure!(version == VERSION, "expected version {VERSION} of the offer, found {version}");
            ensure!(offered.len() == files.len(), "expected {} files, found {}", offered.len(), files.len());
            for (offered, file) in offered.into_iter().zip(files) {
                match offered {
                    Offered::Socket { service: name } => {
                        gift.sockets.add(service(&name), file).context("a socket of no use")?;
                    }
                    Offered::Lock { data_dir } => gift.folder = Some((data_dir, file)),
                    Offered::Api => gift.api.unix = Some(file),
                    Offered::ApiNetwork => gift.api.network = Some(file),
                }
            }
            if !more {
                tracing::debug!("sockets were handed over");
                return Ok(gift);
            }
        }
    }

    /// Says that this process answers. One that has ended by now does not hear it, and left everything to this one.
    pub(crate) async fn ready(&self) {
        if let Err(error) = self.0.send(&Message::Ready, &[]).await {
            tracing::warn!("the process before this one ended before this one was ready: {error:#}");
        }
    }

    /// Says that it will not; whether that was heard.
    pub(crate) async fn failed(&self, why: &str) -> bool {
        let why = why.chars().take(super::successor::WHY_CHARS_MAX).collect();
        self.0.send(&Message::Failed { why }, &[]).await.is_ok()
    }

    /// What it says next. Whatever goes wrong is its end.
    pub(crate) async fn next(&self) -> Event {
        match self.0.receive().await {
            Ok(Some((Message::QuicIsFree, _))) => Event::QuicIsFree,
            Ok(Some((Message::FolderIsFree, _))) => Event::FolderIsFree,
            Ok(Some((Message::Connection { client, input, skipped, age_ms, idle_ms }, files))) => {
                match (<[OwnedFd; 1]>::try_from(files), HEXLOWER.decode(input.as_bytes())) {
                    (Ok([file]), Ok(input)) => Event::Connection(Passed {
                        stream: file.into(),
                        client,
                        input,
                        skipped,
                        age: Duration::from_millis(age_ms),
                        idle: Duration::from_millis(idle_ms),
                    }),
                    _ => Event::Ended,
                }
            }
            Ok(Some(_) | None) => Event::Ended,
            Err(error) => {
                tracing::warn!("the process before this one: {error:#}");
                Event::Ended
            }
        }
    }
}
