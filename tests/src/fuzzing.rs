//! What must hold for every input that a stranger, an operator or a broken disk can give: one check each for
//! the fuzz targets of `fuzz/`, and for `corpus.rs`, which replays what they found.
//!
//! A check gives an error for what it was made to find. A panic, a loop without end and growth without
//! bound are for who runs it to see.

mod config_text;
mod database;
mod packet;
mod paths;

pub use config_text::{config_text, zone_file};
pub use database::database;
pub use packet::{packet, world};
pub use paths::{paths, same_both_ways};
