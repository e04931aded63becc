//! The packed file: one file with all arrays of a model, used in place after it is read or mapped.
//!
//! - [`layout`]: the header and the directory;
//! - [`encoder`]: what the encoder and the head compute;
//! - [`stored`]: arrays in the file's memory;
//! - [`open`]: reads a file and checks every offset and checksum;
//! - [`image`][]: writes a file.

pub mod encoder;
pub mod image;
pub mod layout;
pub mod open;
pub mod stored;

pub use image::Image;
pub use layout::Directory;
pub use open::Opened;
pub use stored::{Int4Pair, Plain, Stored};
