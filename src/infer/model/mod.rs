//! The encoder: a model from a packed file, and its forward pass.
//!
//! - [`load`], `load_linear`: a model's layers, embeddings and head from a packed file;
//! - `distances`: the projected embeddings of distances of disentangled attention;
//! - [`linear`]: a linear layer of any weight format, with a fused [`epilogue`];
//! - [`tiling`]: the layout of sequences in groups and tiles of tokens;
//! - [`session`]: buffers and threads, allocated once, and the forward pass;
//! - [`forward`]: the forward pass; [`phases`]: the tasks of several threads, and the wait for the last of them;
//! - [`stages`] up to the attention of a layer, [`feed_forward`] behind it, and [`heads`]: what the tasks compute, in
//!   [`buffers`].

mod buffers;
mod distances;
mod epilogue;
mod feed_forward;
mod forward;
mod heads;
pub mod linear;
pub mod load;
mod load_linear;
mod phases;
pub mod session;
mod shared;
mod stages;
pub mod tiling;

pub use epilogue::activate_one;
pub use load::Model;
pub use session::{Limits, Refusal, Sequence, Session};
