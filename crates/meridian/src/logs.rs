//! Log lines.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use clap::ValueEnum;
use meridian_admin::Levels;
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

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
/// matters of it is in ours. Who names one all the same has its lines.
const SILENT: [&str; 4] = ["hickory_net", "hickory_resolver", "hyper_util", "reqwest"];

/// The query log.
pub(crate) const QUERY_LOG: &str = "meridian::query_log";

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
    let filter = level.to_string().to_lowercase();
    // A level is a filter.
    let (targets, handle) = reload::Layer::new(targets(&filter).unwrap_or_default());
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(targets).with(lines).init();
    let _first = FILTER.set(Arc::new(Filter { text: Mutex::new(filter), handle }));
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

//----------- Filter ---------------------------------------------------------

/// A process has one log.
static FILTER: OnceLock<Arc<Filter>> = OnceLock::new();

/// What is logged, to be seen and changed while the process runs; `None` before [`init`].
pub(crate) fn levels() -> Option<Arc<dyn Levels>> {
    FILTER.get().map(|filter| Arc::clone(filter) as Arc<dyn Levels>)
}

#[derive(Debug)]
struct Filter {
    /// As it was said.
    text: Mutex<String>,
    handle: reload::Handle<Targets, Registry>,
}

impl Levels for Filter {
    fn filter(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, filter: &str) -> Result<(), String> {
        let targets = targets(filter)?;
        // Held until it is in force: of two at once the last one said is the one that counts.
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(targets).map_err(|error| error.to_string())?;
        let before = std::mem::replace(&mut *text, filter.to_owned());
        tracing::warn!(before, now = filter, "what is logged was changed");
        Ok(())
    }
}

/// A level, or levels by where lines come from, as in `info,meridian_health_probe=debug`.
///
/// # Errors
/// Which part is wrong.
fn targets(filter: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for silent in SILENT {
        targets = targets.with_target(silent, LevelFilter::OFF);
    }
    // It is asked for in the configuration, whatever else is logged.
    targets = targets.with_target(QUERY_LOG, LevelFilter::INFO);
    for part in filter.split(',').map(str::trim) {
        let (target, level) =
            part.split_once('=').map_or((None, part), |(target, level)| (Some(target.trim()), level.trim()));
        // Of what is neither a level nor has one, `LevelFilter` would make one from a number.
        let is_word = level.chars().all(|character| character.is_ascii_alphabetic());
        let level: LevelFilter =
            level.parse().ok().filter(|_| is_word && !level.is_empty()).ok_or_else(|| {
                format!(
                    "expected error, warn, info, debug, trace or off, or one of them by where lines come \
                     from as in \"info,meridian_dns=debug\", found {part:?}"
                )
            })?;
        targets = match target {
            None => targets.with_default(level),
            Some(target) if is_path(target) => targets.with_target(target, level),
            Some(target) => return Err(format!("expected a module such as meridian_dns, found {target:?}")),
        };
    }
    Ok(targets)
}

/// Whether it can be a module's path.
fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_levels_by_module() {
        let is_on = |filter: &str, target: &str, level| {
            targets(filter).unwrap_or_else(|error| panic!("{error}")).would_enable(target, &level)
        };
        assert!(is_on("info", "meridian_dns", Level::INFO));
        assert!(!is_on("info", "meridian_dns", Level::DEBUG));
        assert!(is_on("WARN, meridian_dns = debug", "meridian_dns::server", Level::DEBUG));
        assert!(!is_on("warn,meridian_dns=debug", "meridian", Level::INFO));
        assert!(!is_on("off", "meridian", Level::ERROR));
        assert!(
            is_on("off", QUERY_LOG, Level::INFO)
                && !is_on("meridian=trace,meridian::query_log=off", QUERY_LOG, Level::INFO)
        );
        assert!(!is_on("trace", "hyper_util::client", Level::ERROR));
        assert!(is_on("info,hyper_util=trace", "hyper_util::client", Level::TRACE));
        for (wrong, found) in [
            ("", "found \"\""),
            ("loud", "found \"loud\""),
            ("3", "found \"3\""),
            ("info,,", "found \"\""),
            ("info,a b=debug", "expected a module such as meridian_dns, found \"a b\""),
            ("info,meridian_dns=", "found \"meridian_dns=\""),
            ("=info", "expected a module such as meridian_dns, found \"\""),
        ] {
            let error = targets(wrong).unwrap_err();
            assert!(error.ends_with(found), "{wrong}: {error}");
        }
    }
}
