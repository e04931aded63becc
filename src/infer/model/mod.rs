//! A whole encoder: what a packed file holds, and its forward pass.
//!
//! - [`linear`]: one linear layer in any form, with what is done to its outputs fused in;
//! - [`load`]: layers, tables and heads out of a packed file;
//! - [`arrange`]: sequences laid out in groups and tiles of tokens;
//! - [`session`]: memory and threads, planned once, and the forward pass;
//! - [`stages`]: its stages, each a task for one thread.

pub mod arrange;
pub mod linear;
pub mod load;
pub mod session;
mod shared;
mod stages;

pub use load::Model;
pub use session::{Limits, Refusal, Sequence, Session};
