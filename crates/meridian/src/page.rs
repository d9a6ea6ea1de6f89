//! What commands write to standard output.

use std::io::Write as _;

/// Writes a page. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(page: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_may_be_gone = out.write_all(page.as_bytes()).and_then(|()| out.flush());
}
