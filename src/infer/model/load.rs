//! Loads a model from a packed file.

use std::path::Path;

use super::linear::{BlockRows, Folded, Linear, Scales, Weights};
use crate::diag::Diagnostic;
use crate::infer::file::encoder::Encoder;
use crate::infer::file::layout::{self, Form, Head, Input, Scale};
use crate::infer::file::{Opened, Stored};
use crate::infer::kernel::attention::Operands;
use crate::infer::kernel::quantize::{InputQuantization, QParams};
use crate::params::{Activation, BertConfig, Settings};

/// A model, ready to run.
#[derive(Debug)]
pub struct Model {
    config: BertConfig,
    pub(super) encoder: Encoder,
    pub(super) tables: Tables,
    pub(super) embedding_norm: Norm,
    /// The layer between embeddings and encoder layers, if they differ in width.
    pub(super) projection: Option<Linear>,
    pub(super) layers: Vec<Layer>,
    pub(super) head: HeadLayers,
    tokenizer: Option<Stored<u8>>,
    settings: Option<Settings>,
    size: usize,
}

/// The embedding matrices.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) words: Table,
    pub(super) positions: Table,
    pub(super) types: Option<Table>,
}

/// An embedding matrix `[rows][width]`.
#[derive(Debug)]
pub(super) enum Table {
    Float32(Stored<f32>),
    /// Int8 `[rows][width]`, and the scale of each row.
    Int8(Stored<i8>, Stored<f32>),
}

impl Table {
    /// Adds a row to `sum`, `[width]`.
    #[inline(always)]
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) {
        let width = sum.len();
        match self {
            Table::Float32(table) => {
                for (s, v) in sum.iter_mut().zip(&table[row * width..(row + 1) * width]) {
                    *s += v;
                }
            }
            Table::Int8(table, scales) => {
                let scale = scales[row];
                for (s, v) in sum.iter_mut().zip(&table[row * width..(row + 1) * width]) {
                    *s += scale * f32::from(*v);
                }
            }
        }
    }
}

/// Weight and bias of a layer normalization, one for each feature.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Stored<f32>,
    pub(super) bias: Stored<f32>,
}

/// An encoder layer.
#[derive(Debug)]
pub(super) struct Layer {
    /// The query, key and value projections.
    pub(super) projections: [Linear; 3],
    /// The index in `quantizations` for the input of each projection; `None` for float32.
    pub(super) quantized_input: [Option<usize>; 3],
    /// The distinct quantizations of the layer's input; projections with equal ones share the quantized input.
    pub(super) quantizations: Vec<InputQuantization>,
    pub(super) scores: Operands,
    pub(super) context: Operands,
    pub(super) output: Linear,
    pub(super) output_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) down_norm: Norm,
}

/// The task head.
#[derive(Debug)]
// There is one of it in a model.
#[allow(clippy::large_enum_variant)]
pub(super) enum HeadLayers {
    Answers(Linear),
    /// `transform` is applied to the hidden state of the first token.
    Labels {
        transform: Option<(Linear, Activation)>,
        classifier: Linear,
        names: Vec<String>,
    },
}

impl Model {
    /// Reads a packed file into memory.
    ///
    /// # Errors
    /// A file that is missing, of another format, truncated, damaged or inconsistent.
    pub fn open(path: &Path) -> Result<Model, Diagnostic> {
        Model::of(Opened::file(path)?)
    }

    /// Maps a packed file into memory, so that several processes share its pages.
    ///
    /// # Safety
    /// The file must not be truncated or overwritten while the model exists. It may be replaced by renaming another file.
    ///
    /// # Errors
    /// Those of [`Model::open`].
    pub unsafe fn map(path: &Path) -> Result<Model, Diagnostic> {
        // SAFETY: the caller promises what `Opened::map` asks for.
        Model::of(unsafe { Opened::map(path) }?)
    }

    /// Loads a packed model from memory; `shown` is its name in messages.
    ///
    /// # Errors
    /// Those of [`Model::open`].
    pub fn from_bytes(bytes: &[u8], shown: &str) -> Result<Model, Diagnostic> {
        Model::of(Opened::bytes(bytes, shown)?)
    }

    fn of(file: Opened) -> Result<Model, Diagnostic> {
        let encoder = file.directory.encoder.clone();
        if let Some(why) = encoder.impossible() {
            return Err(file.contradiction(why));
        }
        if file.directory.attention.len() != encoder.layers {
            return Err(file.contradiction("its directory does not describe every layer".into()));
        }
        let hidden = encoder.hidden;
        let table = |name: &str, rows: usize| -> Result<Table, Diagnostic> {
            let name = format!("bert.embeddings.{name}_embeddings.weight");
            let count = Some(rows * encoder.embedding);
            let floats = file.directory.sections.get(&name).is_none_or(|s| s.kind == "f32");
            if floats {
                return Ok(Table::Float32(file.array(&name, count)?));
            }
            Ok(Table::Int8(file.array(&name, count)?, file.array(&format!("{name}.scales"), Some(rows))?))
        };
        let tables = Tables {
            words: table("word", encoder.vocabulary)?,
            positions: table("position", encoder.positions)?,
            types: (encoder.types > 0).then(|| table("token_type", encoder.types)).transpose()?,
        };
        let projection = (encoder.embedding != hidden)
            .then(|| linear(&file, "bert.embeddings_project", hidden, encoder.embedding))
            .transpose()?;
        let mut layers = Vec::new();
        for (i, attention) in file.directory.attention.iter().enumerate() {
            layers.push(layer(&file, i, *attention)?);
        }
        let head = match (&file.directory.head, file.directory.transform) {
            (Head::Answers, None) => HeadLayers::Answers(linear(&file, "qa_outputs", 2, hidden)?),
            (Head::Labels(names), transform) => HeadLayers::Labels {
                transform: match transform {
                    None => None,
                    Some(t) => Some((linear(&file, "bert.pooler.dense", hidden, hidden)?, t.activation)),
                },
                classifier: linear(&file, "classifier", names.len(), hidden)?,
                names: names.clone(),
            },
            (Head::Answers, Some(_)) => {
                let why = "its head for question answering has a layer before the output layer";
                return Err(file.contradiction(why.into()));
            }
        };
        let tokenizer = match file.directory.sections.contains_key("tokenizer.json") {
            true => Some(file.array("tokenizer.json", None)?),
            false => None,
        };
        Ok(Model {
            embedding_norm: norm(&file, "bert.embeddings.LayerNorm", encoder.embedding)?,
            projection,
            tables,
            layers,
            head,
            tokenizer,
            size: file.size(),
            settings: file.directory.settings.clone(),
            config: file.directory.config.clone(),
            encoder,
        })
    }

    /// The greatest sequence length in tokens.
    pub fn longest(&self) -> usize {
        self.encoder.longest()
    }

    /// The number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.encoder.vocabulary
    }

    /// The model's configuration.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The task and settings that the model was trained with, if they are known.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// The labels in the order of their logits; `None` for question answering.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.head {
            HeadLayers::Answers(_) => None,
            HeadLayers::Labels { names, .. } => Some(names),
        }
    }

    /// The content of `tokenizer.json`, if the model was packed with one.
    pub fn tokenizer(&self) -> Option<&[u8]> {
        self.tokenizer.as_deref()
    }

    /// The size of the packed model in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

fn norm(file: &Opened, name: &str, width: usize) -> Result<Norm, Diagnostic> {
    let width = Some(width);
    Ok(Norm {
        weight: file.array(&format!("{name}.weight"), width)?,
        bias: file.array(&format!("{name}.bias"), width)?,
    })
}

fn layer(file: &Opened, layer: usize, attention: layout::Attention) -> Result<Layer, Diagnostic> {
    let &Encoder { hidden, intermediate, .. } = &file.directory.encoder;
    let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
    let square = |part: &str| linear(file, &name(part), hidden, hidden);
    let projections =
        [square("attention.self.query")?, square("attention.self.key")?, square("attention.self.value")?];
    let mut quantizations = Vec::new();
    let mut quantized_input = [None; 3];
    for (index, projection) in quantized_input.iter_mut().zip(&projections) {
        let Some(wanted) = projection.input else { continue };
        let known = quantizations.iter().position(|r| *r == wanted);
        *index = Some(known.unwrap_or(quantizations.len()));
        if known.is_none() {
            quantizations.push(wanted);
        }
    }
    Ok(Layer {
        projections,
        quantized_input,
        quantizations,
        scores: operands(file, layer, attention.scores)?,
        context: operands(file, layer, attention.context)?,
        output: square("attention.output.dense")?,
        output_norm: norm(file, &name("attention.output.LayerNorm"), hidden)?,
        up: linear(file, &name("intermediate.dense"), intermediate, hidden)?,
        down: linear(file, &name("output.dense"), hidden, intermediate)?,
        down_norm: norm(file, &name("output.LayerNorm"), hidden)?,
    })
}

/// Loads a linear layer, with its weights in the format that the directory states.
fn linear(file: &Opened, name: &str, rows: usize, columns: usize) -> Result<Linear, Diagnostic> {
    let wrong = |why: String| file.contradiction(format!("the layer `{name}` {why}"));
    let entry = file.directory.linears.get(name);
    let entry = entry.ok_or_else(|| wrong("is missing".into()))?;
    if (entry.rows, entry.columns) != (rows, columns) || rows == 0 {
        return Err(wrong(format!("is {} × {}, not {rows} × {columns}", entry.rows, entry.columns)));
    }
    let steps = columns.div_ceil(4);
    let part = |part: &str| format!("{name}.{part}");
    let scales = || -> Result<Scales, Diagnostic> {
        Ok(Scales {
            scales: file.array(&part("scales"), Some(rows))?,
            sums: file.array(&part("sums"), Some(rows))?,
        })
    };
    let weights = match entry.form {
        Form::Float32 => Weights::Float32(file.array(&part("weight"), Some(rows * columns))?),
        Form::Dense => Weights::Dense(file.array(&part("weight"), Some(rows * steps))?, scales()?),
        Form::Blocks => {
            let pointers: Stored<u32> = file.array(&part("pointers"), Some(rows + 1))?;
            let indices: Stored<u16> = file.array(&part("places"), None)?;
            let words: Stored<[i8; 4]> = file.array(&part("words"), None)?;
            Weights::Blocks(BlockRows::new(pointers, indices, words, steps).map_err(wrong)?, scales()?)
        }
    };
    let input = match entry.input {
        Input::Float32 => None,
        Input::Dynamic => Some(InputQuantization::Dynamic),
        Input::Static(scale) => Some(InputQuantization::Static(
            qparams(scale, 0..=255).map_err(|why| wrong(format!("has an input with {why}")))?,
        )),
    };
    if (entry.form == Form::Float32) != input.is_none() {
        return Err(wrong("mixes floats and bytes".into()));
    }
    let bias: Stored<f32> = file.array(&part("bias"), Some(rows))?;
    let folded = Folded::of(&weights, &bias, input);
    Ok(Linear { rows, columns, weights, bias, input, folded })
}

fn operands(file: &Opened, layer: usize, stored: layout::Operands) -> Result<Operands, Diagnostic> {
    Ok(match stored {
        layout::Operands::Float32 => Operands::Float32,
        layout::Operands::Dynamic => Operands::Dynamic,
        layout::Operands::Static { left, right } => {
            let wrong =
                |why| file.contradiction(format!("the attention of layer {layer} has an operand with {why}"));
            Operands::Static {
                left: qparams(left, 0..=255).map_err(wrong)?,
                right: qparams(right, -128..=127).map_err(wrong)?,
            }
        }
    })
}

/// Validates quantization parameters; `bytes` is the range of the integers.
///
/// # Errors
/// What is wrong with them, in words.
fn qparams(stored: Scale, bytes: std::ops::RangeInclusive<i32>) -> Result<QParams, String> {
    let Scale { scale, zero, low, high } = stored;
    let fits = low < high && [low, high, zero].iter().all(|v| bytes.contains(v));
    let sound = scale.is_normal() && scale > 0.0 && (1.0 / scale).is_finite();
    if !sound {
        return Err(format!("the scale {scale}, which is not a positive, normal float32 number"));
    }
    if !fits {
        let (least, most) = (bytes.start(), bytes.end());
        return Err(format!(
            "the integers {low}..={high} and the zero point {zero}; they must be within {least}..={most}, and \
             the first integer below the last"
        ));
    }
    Ok(QParams { scale, zero, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantization_parameters_are_refused_with_what_is_wrong() {
        let stored = Scale { scale: 0.5, zero: 3, low: 0, high: 255 };
        assert!(qparams(stored, 0..=255).is_ok());
        for scale in [0.0, -1.0, 1e-40, f32::INFINITY, f32::NAN] {
            let why = qparams(Scale { scale, ..stored }, 0..=255).unwrap_err();
            assert!(why.contains("not a positive, normal float32 number"), "{why}");
        }
        for wrong in [Scale { zero: 256, ..stored }, Scale { low: -1, ..stored }, Scale { high: 0, ..stored }]
        {
            let why = qparams(wrong, 0..=255).unwrap_err();
            assert!(why.contains("must be within 0..=255"), "{why}");
        }
    }
}
