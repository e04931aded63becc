//! Packing a model.
//!
//! - [`folder`]: from a folder in the Hugging Face layout;
//! - [`build`]: layers rounded, in the form that is fastest;
//! - [`random`]: models of any shape with random masks, to measure speed on.

pub mod build;
pub mod folder;
pub mod random;

pub use folder::pack;

use std::path::Path;

use super::model::Model;
use crate::diag::{Diagnostic, Sources};

/// What encoder layers compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    Floats,
    /// 8-bit integers: with the scales a model was trained with, else with scales measured at run time.
    Bytes,
}

/// Opens a packed file, or packs a model folder in memory.
///
/// # Errors
/// Everything that is wrong with the file or the folder.
pub fn open(
    path: &Path,
    precision: Option<Precision>,
    sources: &mut Sources,
) -> Result<Model, Vec<Diagnostic>> {
    if !path.is_dir() && path.exists() {
        return Model::open(path).map_err(|d| vec![d]);
    }
    let image = pack(path, precision, sources)?;
    Model::from_bytes(&image.bytes(), &path.display().to_string()).map_err(|d| vec![d])
}
