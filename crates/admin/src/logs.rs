//! What is logged, as whoever writes the log has it.

use std::fmt::Debug;

/// What is logged.
pub trait Levels: Debug + Send + Sync {
    /// The filter in force, as it was said.
    fn filter(&self) -> String;

    /// Puts another into force.
    ///
    /// # Errors
    /// What is wrong with it: expected X, found Y.
    fn set(&self, filter: &str) -> Result<(), String>;
}
