//! Other people's servers, as far as they are alike: started in the foreground, ready by what they say.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::binary::{DEADLINE, lines_of, now};
use crate::clients::not_started;

/// A server that ends with the test, also with one that fails.
pub struct Daemon {
    child: Child,
    /// Read on behind it, so that it never waits for a reader.
    lines: Receiver<String>,
}

impl Daemon {
    /// Starts a server of a Debian package and waits until it says `ready` on its standard error.
    ///
    /// # Panics
    /// Without the program, and when it does not say so; what it says is in the message.
    #[must_use]
    pub fn start(mut command: Command, package: &str, ready: &str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{}", not_started(&command, package, &error)),
        };
        let lines = lines_of(child.stderr.take().expect("piped"));
        let daemon = Self { child, lines };
        let (until, mut seen) = (now() + DEADLINE, Vec::new());
        while let Ok(line) = daemon.lines.recv_timeout(until.saturating_duration_since(now())) {
            if line.contains(ready) {
                return daemon;
            }
            seen.push(line);
        }
        panic!("{command:?} did not say {ready:?} in {DEADLINE:?}: {seen:#?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
