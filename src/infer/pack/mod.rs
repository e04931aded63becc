//! Conversion of models to packed models.
//!
//! - [`folder`]: from a model folder in the Hugging Face layout;
//! - [`describe`]: what its encoder and head compute, as data;
//! - [`distances`]: the embeddings of distances of disentangled attention;
//! - [`empty`]: finds heads and neurons that compute nothing;
//! - [`build`]: quantizes layers and selects the fastest weight format;
//! - [`random`]: random models of any shape and sparsity, for benchmarks.

pub mod build;
pub mod describe;
pub mod distances;
mod empty;
pub mod folder;
pub mod random;

pub use folder::pack;

use std::path::Path;

use super::model::Model;
use crate::diag::{Diagnostic, Sources};

/// The dtype that encoder layers compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// Float32.
    Float32,
    /// Int8: static quantization with the model's own quantization parameters, or else dynamic quantization.
    Int8,
}

/// Opens a packed file, or packs a model folder in memory. `precision` applies to a folder, as in [`pack`].
///
/// # Errors
/// One diagnostic for each fault of the file or the folder.
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
