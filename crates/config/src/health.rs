//! `[health]`: what holds for all probes.

use crate::kinds::{Flag, Section};
use crate::reader::Table;
use crate::settings::Health;

/// A file that others may write must not run programs as this user.
const ALLOW_EXEC_DEFAULT: bool = false;

/// Reads `[health]`.
pub(crate) fn read(root: &mut Table<'_>) -> Health {
    let read =
        |table: &mut Table<'_>| Health { allow_exec: table.or("allow_exec", ALLOW_EXEC_DEFAULT, &Flag) };
    let default = Health { allow_exec: ALLOW_EXEC_DEFAULT };
    root.or("health", default, &Section { header: "[health]", read })
}
