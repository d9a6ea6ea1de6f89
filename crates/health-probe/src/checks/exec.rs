//! A command that says whether an address serves.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use meridian_model::ExecCheck;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process;

use super::shortage::shortage;
use crate::Finding;
use crate::limits::COMMAND_OUTPUT_MAX;

#[derive(Debug)]
pub(super) struct Command {
    words: Vec<Box<str>>,
}

/// Ends a command with everything that it has started, when the check ends or its time is over.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // An error says that all of it has ended.
        let _ended = killpg(self.0, Signal::SIGKILL);
    }
}

impl Command {
    pub(super) fn new(check: &ExecCheck) -> Self {
        Self { words: check.command.clone() }
    }

    pub(super) async fn check(&self, at: SocketAddr) -> Finding {
        match self.run(at).await {
            Ok((status, _)) if status.success() => Finding::Good,
            Ok((status, output)) => {
                let said = String::from_utf8_lossy(&output);
                let said = said.lines().next().unwrap_or_default().trim();
                let dash = if said.is_empty() { "" } else { ": " };
                Finding::Failed(format!("{status}{dash}{said}"))
            }
            Err(error) => match shortage(&error) {
                Some(short) => short,
                None => Finding::Failed(format!("cannot be run: {error}")),
            },
        }
    }

    /// The exit status and the beginning of what was written.
    async fn run(&self, at: SocketAddr) -> io::Result<(ExitStatus, Vec<u8>)> {
        let filled = |word: &str| {
            word.replace("{address}", &at.ip().to_string()).replace("{port}", &at.port().to_string())
        };
        let mut words = self.words.iter().map(|word| filled(word));
        let mut command = process::Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .env("MERIDIAN_ADDRESS", at.ip().to_string())
            .env("MERIDIAN_PORT", at.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let _group = child.id().and_then(|id| i32::try_from(id).ok()).map(|id| Group(Pid::from_raw(id)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (status, mut said, error) = tokio::join!(child.wait(), head(stdout), head(stderr));
        if said.is_empty() {
            said = error;
        }
        Ok((status?, said))
    }
}

/// The beginning of an output; the rest is read and dropped, so that the command does not wait for us.
async fn head(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut octets = [0; COMMAND_OUTPUT_MAX];
    while let Ok(read @ 1..) = from.read(&mut octets).await {
        let room = COMMAND_OUTPUT_MAX - kept.len();
        kept.extend_from_slice(octets.get(..read.min(room)).unwrap_or_default());
    }
    kept
}
