//! The API over HTTP, as operators and their programs use it.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::{Meridian, says};

/// Waits for the API on a network, and says where it is.
///
/// # Panics
/// When it does not listen.
#[must_use]
pub fn api_address(server: &mut Meridian) -> SocketAddr {
    let line =
        server.wait_for("the API", |line| says(line, "the API listens") && line["address"].is_string());
    line["address"].as_str().unwrap().parse().unwrap()
}

/// What `curl` gets: the status and the body.
///
/// # Panics
/// When it gets no answer.
#[must_use]
pub fn curl(arguments: &[&str]) -> (u16, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| {
        panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (status.parse().unwrap(), body.to_owned())
}
