//! The exit codes of every command. 2 is clap's own, for the command line.

/// All went well.
pub(crate) const OK: u8 = 0;
/// Something at run time: a port in use, a thread that cannot start; of `probe`, a target that does not serve.
pub(crate) const FAILED: u8 = 1;
/// More clients move than `diff --max-moved` lets.
pub(crate) const MOVED: u8 = 3;
/// The configuration, or a file given beside it (`EX_USAGE` of sysexits).
pub(crate) const CONFIG: u8 = 64;
