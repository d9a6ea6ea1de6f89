//! Log lines.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Lines that wait for standard error to take them; further ones are dropped and counted.
const LINES_WAITING: usize = 8192;

/// Libraries that would write a line for a packet that anyone can send, or several for each probe: what
/// matters of it is in ours.
const SILENT: [&str; 4] = ["hickory_net", "hickory_resolver", "hyper_util", "reqwest"];

/// The logs of this process. When it is dropped, lines that wait have a moment to be written.
pub(crate) struct Logs {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Drop for Logs {
    fn drop(&mut self) {
        let dropped = self.dropped.dropped_lines();
        if dropped > 0 {
            tracing::warn!(dropped, "log lines were dropped: standard error did not take them in time");
        }
    }
}

/// Sends log lines of this level and above to standard error, for the rest of the process.
pub(crate) fn init(format: LogFormat, level: Level) -> Logs {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING);
    let (writer, guard) = builder.finish(io::stderr());
    let logs = Logs { dropped: writer.error_counter(), _writer: guard };
    let lines = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_max_level(LevelFilter::from_level(level))
        .with_target(false);
    let mut targets = Targets::new().with_default(LevelFilter::from_level(level));
    for silent in SILENT {
        targets = targets.with_target(silent, LevelFilter::OFF);
    }
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).finish().with(targets).init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().with(targets).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        if let Some(seen) = worth_a_line() {
            tracing::error!(%panic, seen, "panic");
        }
    }));
    logs
}

/// A packet that panics costs one answer; a flood of them must not cost a line each. The first ten
/// are logged, then every thousandth.
fn worth_a_line() -> Option<u64> {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    (seen <= 10 || seen.is_multiple_of(1000)).then_some(seen)
}
