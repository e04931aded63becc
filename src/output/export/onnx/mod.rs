//! `--as onnx`: one file for ONNX Runtime.
//!
//! - [`proto`]: the messages of the file;
//! - [`graph`]: building graphs, and [`encoder`]: the graph of an encoder, with `heads` and the
//!   `terms` of positions;
//! - [`constants`]: reading weights and scales back.
//!
//! Quantized weights are INT8 initializers followed by a `DequantizeLinear`; quantized activations go through
//! `QuantizeLinear` and `DequantizeLinear` (the QDQ format), which a runtime may fuse into INT8 products.

pub mod constants;
pub mod encoder;
pub mod graph;
mod heads;
pub mod proto;
#[cfg(test)]
mod recorded;
mod terms;
mod writer;

use std::path::Path;

use prost::Message;

use super::source::Source;
use crate::diag::{Code, Diagnostic};
use crate::infer::file::layout::Head;

/// The largest protobuf message in bytes.
const MOST: usize = i32::MAX as usize;

/// Encodes a model as an ONNX file.
///
/// # Errors
/// A model that is too large for one file, or that the runtime cannot compute.
pub fn bytes(source: &Source, head: &Head, out: &Path) -> Result<Vec<u8>, Diagnostic> {
    bytes_within(MOST, source, head, out)
}

fn bytes_within(most: usize, source: &Source, head: &Head, out: &Path) -> Result<Vec<u8>, Diagnostic> {
    // Weights alone, before they are copied.
    let weights = |name: &String| source.values(name).len() * if source.has_scales(name) { 1 } else { 4 };
    let least: usize = source.tensors.keys().map(weights).sum();
    if least > most {
        return Err(too_large(out, least));
    }
    let model = encoder::model(source, head)?;
    match model.encoded_len() {
        size if size > most => Err(too_large(out, size)),
        _ => Ok(model.encode_to_vec()),
    }
}

fn too_large(out: &Path, size: usize) -> Diagnostic {
    let gib = size as f64 / f64::from(1 << 30);
    let message = format!("`{}` would take {gib:.1} GiB; an ONNX file holds at most 2", out.display());
    Diagnostic::unlocated(Code::ExportTooLarge, message)
        .help("quantize the model, or write it `--as engine` or `--as compressed-tensors`, which have no such limit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    #[test]
    fn a_model_that_does_not_fit_into_one_message_is_refused_by_its_weights_or_by_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert/tiny");
        let source = Source::read(&folder, &mut Sources::new()).unwrap_or_else(|d| panic!("{d:?}"));
        let head = source.head.clone().unwrap();
        let within = |most| bytes_within(most, &source, &head, Path::new("model.onnx"));
        let whole = within(MOST).unwrap();
        assert_eq!(within(whole.len()).unwrap(), whole);
        let weights: usize = source.tensors.keys().map(|name| 4 * source.values(name).len()).sum();
        assert!(weights < whole.len(), "what is not weights is the difference");
        for most in [whole.len() - 1, weights - 1] {
            let refused = within(most).unwrap_err();
            assert_eq!(refused.code, Code::ExportTooLarge);
            assert!(refused.message.starts_with("`model.onnx` would take"), "{}", refused.message);
            assert!(refused.help.unwrap().contains("--as engine"));
        }
        assert!(too_large(Path::new("m"), 3 << 30).message.contains("3.0 GiB"));
    }
}
