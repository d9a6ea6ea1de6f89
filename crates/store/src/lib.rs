//! What must survive a restart, in files of one folder that one server holds at a time.
//!
//! Every file is written beside its place, flushed and renamed: a reader, and a server that starts after a
//! loss of power, finds the old content or the new one. The changes that people make are appended, each a line. Losing the folder changes no answer that is being
//! given; it is only not remembered what operators said, and which serials zones had.
//!
//! What it does not do: decide what the overrides mean, watch the clock, or share anything with other servers.

mod changes;
mod folder;
mod overrides;
mod serials;

pub use changes::KeptChange;
pub use folder::{Folder, Loaded, StoreError};
pub use overrides::KeptOverride;
pub use serials::KeptSerial;
