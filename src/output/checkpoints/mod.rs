//! Checkpoints: a run on the disk, from which it can go on.
//!
//! - [`file`]: one checkpoint, a safetensors file with a checksum;
//! - [`folder`]: those of a run: the last few, the newest whole one;
//! - [`identity`]: what a run was begun with, so that it goes on with the same;
//! - [`keeper`]: writes them while a run goes.

pub mod file;
pub mod folder;
pub mod identity;
pub mod keeper;

pub use folder::{Checkpoints, Found};
pub use identity::Identity;
pub use keeper::Keeper;
