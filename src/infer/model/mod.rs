//! The encoder: a model from a packed file, and its forward pass.
//!
//! - [`load`], `load_linear`: a model's layers, embeddings and head from a packed file;
//! - `distances`: the projected embeddings of distances of disentangled attention;
//! - [`linear`]: a linear layer of any weight format, with a fused [`epilogue`];
//! - [`tiling`]: the layout of sequences in groups and tiles of tokens;
//! - [`session`]: buffers and threads, allocated once, and the forward pass;
//! - [`stages`]: the stages of the forward pass, each a task for one thread; [`buffers`]: what they read and write.

mod buffers;
mod distances;
mod epilogue;
mod heads;
pub mod linear;
pub mod load;
mod load_linear;
pub mod session;
mod shared;
mod stages;
pub mod tiling;

pub use load::Model;
pub use session::{Limits, Refusal, Sequence, Session};
