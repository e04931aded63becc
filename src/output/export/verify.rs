//! Verifying exports: the file is read back and compared with the model.
//!
//! Formats that the runtime runs must give the model's logits on a few fixed token sequences, bit for bit. Of an ONNX
//! file weights and scales are compared; tests run its graph in ONNX Runtime (tests/oracle/exported.py).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::onnx::constants::Constants;
use super::source::Source;
use crate::diag::{Code, Diagnostic};
use crate::infer::file::layout::Head;
use crate::infer::pack::build::{Plan, build};
use crate::infer::pack::describe;
use crate::infer::{Limits, Model, Sequence, Session};
use crate::params::BertConfig;
use crate::params::quantization::{Quantization, Scheme};

/// Token ids and token type ids.
pub type Tokens = (Vec<u32>, Vec<u32>);

/// Three token sequences: a short one, one longer than sixteen tokens (the runtime's vector width), and one in between.
pub fn questions(config: &BertConfig) -> Vec<Tokens> {
    let (vocab, types) = (config.vocab_size as u64, config.type_vocab_size.max(1) as u32);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % vocab
    };
    [5, 21, 12]
        .map(|length: usize| {
            let length = length.min(config.longest());
            let ids = (0..length).map(|_| draw() as u32).collect();
            let kind = (0..length).map(|i| u32::from(i >= length / 2).min(types - 1)).collect();
            (ids, kind)
        })
        .to_vec()
}

/// The outputs of a model for each sequence: those of the one head that it has.
///
/// # Errors
/// A session that cannot be created.
pub fn answers(model: Model, questions: &[Tokens]) -> Result<Vec<f32>, Diagnostic> {
    let length = questions.iter().map(|(ids, _)| ids.len()).max().unwrap_or(1);
    let limits = Limits { sequences: questions.len(), length, threads: 1, ..Limits::default() };
    let failed = |why: String| differs(format!("the runtime cannot run the model: {why}"));
    let mut session = Session::new(Arc::new(model), limits).map_err(|e| failed(e.to_string()))?;
    let sequences: Vec<Sequence> = questions.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let logits = session.run(&sequences).map_err(|e| failed(e.to_string()))?;
    let mut all = Vec::new();
    for i in 0..questions.len() {
        let (start, end) = logits.answer(i);
        all.extend_from_slice(start);
        all.extend_from_slice(end);
        all.extend(logits.tokens(i).flatten());
        all.extend(logits.labels(i));
        all.extend(logits.embedding(i));
    }
    Ok(all)
}

/// Builds the runtime's model from tensors and scales; in float32 without scales.
///
/// # Errors
/// Scales that do not fit each other, or a shape that the runtime cannot run.
pub fn model(
    source: &Source,
    head: &Head,
    scales: Option<&Quantization>,
    tensor: &dyn Fn(&str) -> Vec<f32>,
) -> Result<Model, Diagnostic> {
    let plan = scales.map_or(Plan::Float32, |scales| Plan::Static(scales.clone()));
    let image = build(&source.config, head.clone(), None, &plan, &|name| Ok(tensor(name)))?;
    Model::from_bytes(&image.bytes(), &source.path.display().to_string())
}

/// The maximum and the mean absolute difference of logits. Not finite if their counts differ, or one is NaN.
pub fn apart(a: &[f32], b: &[f32]) -> (f32, f32) {
    if a.len() != b.len() {
        return (f32::INFINITY, f32::INFINITY);
    }
    let distances = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // `f32::max` ignores NaN; a sum does not.
    let sum: f32 = distances().sum();
    let most = if sum.is_finite() { distances().fold(0.0, f32::max) } else { f32::INFINITY };
    (most, sum / a.len().max(1) as f32)
}

/// Checks that an ONNX file has the weights of the quantized model, bit for bit, and exactly its activation scales.
///
/// # Errors
/// The first weight or scale that differs.
pub fn constants(path: &Path, source: &Source) -> Result<(), Diagnostic> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| differs(format!("`{shown}` cannot be read: {e}")))?;
    let file = Constants::read(&bytes).map_err(|why| differs(format!("`{shown}` cannot be read: {why}")))?;
    for parameter in source.table.iter() {
        let name = &parameter.name;
        // The ONNX file has the relative position bias expanded from buckets to one value for each distance.
        let is_buckets = *name == source.config.family().name(describe::BUCKETS);
        let found = file
            .weight(if is_buckets { "position_bias" } else { name })
            .map_err(|why| differs(format!("the weight `{name}` in the ONNX file: {why}")))?;
        let mut expected = source.seen(name);
        if is_buckets {
            expected = describe::position_bias(&source.config, &expected);
        } else if let ([rows, columns], false) = (&parameter.shape[..], name.contains("embeddings.")) {
            expected = (0..*columns)
                .flat_map(|c| (0..*rows).map(move |r| (r, c)))
                .map(|(r, c)| expected[r * columns + c])
                .collect();
        }
        if !same(&found, &expected) {
            return Err(differs(format!("`{name}` has other weights in the ONNX file")));
        }
    }
    let scales = source.quantization.iter().flat_map(|q| q.activations.values());
    let expected: BTreeSet<(u32, u8)> = scales
        .map(|a| (a.scale.to_bits(), if a.scheme == Scheme::Symmetric { 128 } else { a.zero_point as u8 }))
        .collect();
    let found = file
        .activation_scales()
        .map_err(|why| differs(format!("a QuantizeLinear of the ONNX file: {why}")))?;
    if found != expected {
        return Err(differs("the ONNX file quantizes activations by other scales".to_owned()));
    }
    Ok(())
}

/// Whether floats are equal; 0 equals −0.
pub fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

/// The diagnostic for an export that differs from its model.
pub fn differs(why: String) -> Diagnostic {
    Diagnostic::unlocated(Code::ExportDiffers, why).help(
        "nothing was put in place; this is a mistake of obert, or of the disk: try again, and report it with the \
         model's config.json if it comes back",
    )
}
