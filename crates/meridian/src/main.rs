//! `meridian`: one binary, wiring only. See `meridian --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    meridian::run()
}
