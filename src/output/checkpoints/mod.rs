//! Checkpoints, from which a run can be resumed.
//!
//! - [`file`]: one checkpoint, a safetensors file with a checksum;
//! - [`folder`]: the checkpoints of a run;
//! - [`identity`]: the inputs of a run, which must be the same when it is resumed;
//! - [`keeper`]: the observer that writes them.

pub mod file;
pub mod folder;
pub mod identity;
pub mod keeper;

pub use folder::{Checkpoints, Found};
pub use identity::Identity;
pub use keeper::Keeper;
