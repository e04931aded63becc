//! What was written, read again from the disk and asked the same questions as the model it was made from.
//!
//! The questions are a few fixed sequences of tokens. A file that holds the model's own numbers must answer them
//! bit for bit as the runtime does with the model; an ONNX file is computed by an evaluator of its own, whose sums
//! are of another order, and may differ by [`Tolerance`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::onnx::evaluate::Evaluator;
use super::onnx::value::Value;
use super::source::Source;
use crate::diag::{Code, Diagnostic};
use crate::infer::file::layout::Head;
use crate::infer::pack::build::{Plan, build};
use crate::infer::{Limits, Model, Sequence, Session};
use crate::params::BertConfig;
use crate::params::quantization::{Quantization, Scheme};

/// Token numbers and types.
pub type Tokens = (Vec<u32>, Vec<u32>);

/// Three sequences of tokens: a short one, one longer than a group of the runtime, one in between.
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

/// All logits of a model, question by question.
///
/// # Errors
/// A session that cannot be planned.
pub fn answers(model: Model, questions: &[Tokens]) -> Result<Vec<f32>, Diagnostic> {
    let labels = model.labels().is_some();
    let length = questions.iter().map(|(ids, _)| ids.len()).max().unwrap_or(1);
    let limits = Limits { sequences: questions.len(), length, threads: 1, ..Limits::default() };
    let failed = |why: String| differs(format!("the runtime cannot run the model: {why}"));
    let mut session = Session::new(Arc::new(model), limits).map_err(|e| failed(e.to_string()))?;
    let sequences: Vec<Sequence> = questions.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let logits = session.run(&sequences).map_err(|e| failed(e.to_string()))?;
    let mut all = Vec::new();
    for i in 0..questions.len() {
        if labels {
            all.extend(logits.labels(i));
        } else {
            let (start, end) = logits.answer(i);
            all.extend_from_slice(start);
            all.extend_from_slice(end);
        }
    }
    Ok(all)
}

/// A model of these tensors and scales in the runtime; without scales, of floats.
///
/// # Errors
/// Scales that do not fit each other, or a shape that the runtime cannot run.
pub fn model(
    source: &Source,
    head: &Head,
    scales: Option<&Quantization>,
    tensor: &dyn Fn(&str) -> Vec<f32>,
) -> Result<Model, Diagnostic> {
    let plan = scales.map_or(Plan::Floats, |scales| Plan::Trained(scales.clone()));
    let image = build(&source.config, head.clone(), None, &plan, &|name| Ok(tensor(name)))?;
    Model::from_bytes(&image.bytes(), &source.path.display().to_string())
}

/// How far an evaluator's logits may lie from the runtime's.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The furthest logit.
    pub most: f32,
    /// The mean of all.
    pub mean: f32,
}

impl Tolerance {
    /// For floats: 1e-4 of the greatest logit, at least 1e-4.
    pub fn of_floats(logits: &[f32]) -> Tolerance {
        let size = logits.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        Tolerance { most: 1e-4 * size, mean: 1e-4 * size }
    }

    /// For rounded activations: sums of another order round a few values the other way, each by one step, and
    /// through the layers these become many. Two roundings of one model that fall differently lie no further apart
    /// than each lies from the model without, added: twice what rounding does, which is measured. `floats` are the
    /// logits of the same weights with no activation rounded. That no rounding is missing, [`constants`] sees.
    pub fn of_steps(logits: &[f32], floats: &[f32]) -> Tolerance {
        let (most, mean) = apart(logits, floats);
        let of_floats = Tolerance::of_floats(logits);
        Tolerance { most: (2.0 * most).max(of_floats.most), mean: (2.0 * mean).max(of_floats.mean) }
    }
}

/// The greatest and the mean distance of logits. Not finite if they are not as many, or not numbers.
pub fn apart(a: &[f32], b: &[f32]) -> (f32, f32) {
    if a.len() != b.len() {
        return (f32::INFINITY, f32::INFINITY);
    }
    let distances = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // A maximum passes over what is not a number; a sum does not.
    let sum: f32 = distances().sum();
    let most = if sum.is_finite() { distances().fold(0.0, f32::max) } else { f32::INFINITY };
    (most, sum / a.len().max(1) as f32)
}

/// Whether an ONNX file holds the weights that the quantized model sees, bit for bit, and rounds activations by its
/// scales, all of them and no others.
///
/// # Errors
/// The first weight or scale that differs.
pub fn constants(path: &Path, source: &Source) -> Result<(), Diagnostic> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| differs(format!("`{shown}` cannot be read: {e}")))?;
    let file = Evaluator::read(&bytes).map_err(|why| differs(format!("`{shown}` cannot be read: {why}")))?;
    for parameter in source.table.iter() {
        let name = &parameter.name;
        let found = file
            .weight(name)
            .map_err(|why| differs(format!("the weight `{name}` in the ONNX file: {why}")))?;
        let mut expected = source.seen(name);
        if let ([rows, columns], false) = (&parameter.shape[..], name.contains("embeddings")) {
            expected = (0..*columns)
                .flat_map(|c| (0..*rows).map(move |r| (r, c)))
                .map(|(r, c)| expected[r * columns + c])
                .collect();
        }
        if !super::bitmask::same(&found, &expected) {
            return Err(differs(format!("`{name}` has other weights in the ONNX file")));
        }
    }
    let scales = source.quantization.iter().flat_map(|q| q.activations.values());
    let expected: BTreeSet<(u32, u8)> = scales
        .map(|a| (a.scale.to_bits(), if a.scheme == Scheme::Symmetric { 128 } else { a.zero_point as u8 }))
        .collect();
    let found =
        file.roundings().map_err(|why| differs(format!("the ONNX file rounds without a scale: {why}")))?;
    if found != expected {
        return Err(differs("the ONNX file rounds activations by other scales".to_owned()));
    }
    Ok(())
}

/// The logits of an ONNX file, question by question, by the evaluator. The second time all questions are one
/// call, filled up with padding, which must change nothing.
///
/// # Errors
/// A file that cannot be read or computed.
pub fn evaluated(path: &Path, questions: &[Tokens], together: bool) -> Result<Vec<f32>, Diagnostic> {
    let wrong = |why: String| differs(format!("`{}` cannot be computed: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let file = Evaluator::read(&bytes).map_err(wrong)?;
    drop(bytes);
    let mut all = Vec::new();
    let calls: Vec<&[Tokens]> = if together { vec![questions] } else { questions.chunks(1).collect() };
    for call in calls {
        let length = call.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        let filled = |of: &dyn Fn(&Tokens, usize) -> i64| {
            let rows = call.iter().flat_map(|t| (0..length).map(move |i| of(t, i)));
            Value::longs(vec![call.len(), length], rows.collect())
        };
        let at = |list: &[u32], i: usize| list.get(i).map_or(0, |v| i64::from(*v));
        let outputs = file
            .run(vec![
                ("input_ids", filled(&|t, i| at(&t.0, i))),
                ("attention_mask", filled(&|t, i| i64::from(i < t.0.len()))),
                ("token_type_ids", filled(&|t, i| at(&t.1, i))),
            ])
            .map_err(wrong)?;
        for (row, (ids, _)) in call.iter().enumerate() {
            for output in &outputs {
                let values = output.as_floats().map_err(wrong)?;
                let width = output.dims.last().copied().unwrap_or(0);
                let of_row = values.get(row * width..(row + 1) * width).unwrap_or(&[]);
                // One for each token, or one for each label.
                let kept = if outputs.len() == 2 { ids.len() } else { width };
                all.extend_from_slice(&of_row[..kept.min(of_row.len())]);
            }
        }
    }
    Ok(all)
}

/// An export that does not say what its model says.
pub fn differs(why: String) -> Diagnostic {
    Diagnostic::unlocated(Code::ExportDiffers, why).help(
        "nothing was put in place; this is a mistake of obert, or of the disk: try again, and report it with the \
         model's config.json if it comes back",
    )
}
