//! `pytorch_model.bin`, the format of `torch.save` since PyTorch 1.6: a zip archive with a pickle that describes the
//! tensors, and files with their values.
//!
//! A pickle is a program. Here it is interpreted without calling anything, with tensors, containers and numbers as
//! the only objects. Other objects are ignored, or refused by name if they contain tensors. Sizes, offsets and strides
//! are checked against the file before anything is allocated.

use std::path::Path;

use crate::diag::{Code, Diagnostic};

use super::table::TensorHeader;

/// Whether a weight file is a pickle, by the extension `.bin`.
pub fn is_pickle(file: &Path) -> bool {
    file.extension().is_some_and(|last| last == "bin")
}

fn unreadable(file: &Path, why: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{}`: {why}", file.display()))
}

/// Reads names, dtypes and shapes of a file's tensors, in the order of names, without their values.
///
/// # Errors
/// A diagnostic that names the file, if it is missing, truncated, malformed or of another format.
#[cfg(feature = "infer")]
pub fn header(file: &Path) -> Result<Vec<TensorHeader>, Diagnostic> {
    let headers = read::open(file)?.into_iter().map(|tensor| TensorHeader {
        name: tensor.name.clone(),
        dtype: format!("{:?}", tensor.dtype()).to_uppercase(),
        shape: tensor.shape().to_vec(),
    });
    Ok(headers.collect())
}

/// Refuses the file: builds without the feature `infer` read no pickles.
#[cfg(not(feature = "infer"))]
pub fn header(file: &Path) -> Result<Vec<TensorHeader>, Diagnostic> {
    Err(unreadable(file, "this program was built without its engine")
        .help("give a folder with model.safetensors, or build with the default features"))
}

#[cfg(feature = "infer")]
pub(super) use read::open;

#[cfg(feature = "infer")]
mod read {
    use std::fs::File;
    use std::io::{BufReader, Read, Seek};
    use std::path::Path;

    use pytorch_reader::{PytorchReader, Tensor};
    use zip::ZipArchive;

    use super::unreadable;
    use crate::diag::{Code, Diagnostic};

    /// The largest accepted pickle in bytes: each of its bytes may become an object of a hundred bytes. BERT-large
    /// takes 60 kB.
    const LARGEST_PICKLE: u64 = 4 << 20;

    /// Opens the tensors of a file, in the order of names, without reading their values.
    pub(in crate::params) fn open(file: &Path) -> Result<Vec<Tensor>, Diagnostic> {
        inspect(file)?;
        let reader = PytorchReader::new(file).map_err(|e| unreadable(file, e).help(HELP))?;
        let mut tensors: Vec<Tensor> = reader.into_tensors().into_values().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tensors)
    }

    const HELP: &str = "is it a whole file of weights? compare its size with the original; or convert it where \
                        you trust it, with Python: AutoModel.from_pretrained(DIR).save_pretrained(DIR), and the \
                        model's own class for its head";

    /// Refuses files that are no zip archive, and pickles larger than [`LARGEST_PICKLE`].
    fn inspect(path: &Path) -> Result<(), Diagnostic> {
        let mut file = File::open(path).map_err(|e| {
            Diagnostic::unlocated(Code::ModelNotFound, format!("cannot open `{}`: {e}", path.display()))
                .help("a model folder holds config.json, the weights and tokenizer.json or vocab.txt")
        })?;
        let mut start = [0; 4];
        let _ = file.read(&mut start).map_err(|e| unreadable(path, e).help(HELP))?;
        if start != *b"PK\x03\x04" {
            return Err(unreadable(path, "it is no archive as PyTorch writes it since version 1.6").help(
                "if an older version wrote it, save it anew where you trust it, with Python: \
                 torch.save(torch.load(FILE, weights_only=True), FILE)",
            ));
        }
        let archive = file.rewind().map_err(Into::into).and_then(|()| ZipArchive::new(BufReader::new(file)));
        let mut archive = archive.map_err(|e| unreadable(path, e).help(HELP))?;
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(|e| unreadable(path, e).help(HELP))?;
            if entry.name_raw().ends_with(b".pkl") && entry.size() > LARGEST_PICKLE {
                let why = format!(
                    "the description of its tensors takes {} bytes, more than {LARGEST_PICKLE}",
                    entry.size()
                );
                return Err(unreadable(path, why).help(HELP));
            }
        }
        Ok(())
    }
}
