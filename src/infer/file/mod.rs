//! The packed file: one file, mapped into memory and used where it lies.
//!
//! - [`layout`]: the header, and the directory of what stands where;
//! - [`stored`]: arrays in a mapped file;
//! - [`open`]: reading, with every offset and checksum checked;
//! - [`image`][]: writing.

pub mod image;
pub mod layout;
pub mod open;
pub mod stored;

pub use image::Image;
pub use layout::Directory;
pub use open::Opened;
pub use stored::Stored;
