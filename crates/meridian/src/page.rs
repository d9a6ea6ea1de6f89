//! What commands write to standard output.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

/// Writes a page. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(page: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_may_be_gone = out.write_all(page.as_bytes()).and_then(|()| out.flush());
}

/// A value for programs, its keys in order.
///
/// # Errors
/// When the value is none of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let value = serde_json::to_value(value).context("not JSON")?;
    Ok(format!("{value:#}\n"))
}

/// A time in milliseconds, rounded up.
pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A time for people, rounded up: milliseconds, and tenths of a second from one on.
pub(crate) fn at_most(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    match (tenths / 10, tenths % 10) {
        _ if ms < 1000 => format!("{ms} ms"),
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenth) => format!("{seconds}.{tenth} s"),
    }
}

/// A time in milliseconds for people, its two greatest units: `3m 20s`.
pub(crate) fn span(ms: u128) -> String {
    let ms = u64::try_from(ms).unwrap_or(u64::MAX);
    let whole = if ms < 10_000 { Duration::from_millis(ms) } else { Duration::from_secs(ms / 1000) };
    let text = humantime::format_duration(whole).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up() {
        for (us, wanted) in [
            (660_000, "660 ms"),
            (660_001, "661 ms"),
            (999_001, "1 s"),
            (1_000_000, "1 s"),
            (1_000_001, "1.1 s"),
            (31_610_000, "31.7 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(at_most(whole_ms(Duration::from_micros(us))), wanted);
        }
    }
}
