//! Log lines.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines of this level and above to standard error, for the rest of the process.
pub(crate) fn init(format: LogFormat, level: Level) {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::from_level(level))
        .with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        if let Some(seen) = worth_a_line() {
            tracing::error!(%panic, seen, "panic");
        }
    }));
}

/// A packet that panics costs one answer; a flood of them must not cost a line each. The first ten
/// are logged, then every thousandth.
fn worth_a_line() -> Option<u64> {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    (seen <= 10 || seen.is_multiple_of(1000)).then_some(seen)
}
