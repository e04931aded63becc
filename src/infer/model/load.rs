//! Layers, tables and heads out of a packed file.

use std::path::Path;

use super::linear::{BlockRows, Folded, Linear, Scales, Weights};
use crate::diag::Diagnostic;
use crate::infer::file::layout::{self, Form, Head, Input, Scale};
use crate::infer::file::{Opened, Stored};
use crate::infer::kernel::affine::{Affine, Rounding};
use crate::infer::kernel::attention::Operands;
use crate::params::{BertConfig, Settings};

/// A model, ready to run.
#[derive(Debug)]
pub struct Model {
    pub(super) config: BertConfig,
    pub(super) tables: [Table; 3],
    pub(super) embedding_norm: Norm,
    pub(super) layers: Vec<Layer>,
    pub(super) head: HeadLayers,
    tokenizer: Option<Stored<u8>>,
    settings: Option<Settings>,
    size: usize,
}

/// A table of embeddings.
#[derive(Debug)]
pub(super) enum Table {
    Floats(Stored<f32>),
    /// Bytes, with the scale of each row.
    Bytes(Stored<i8>, Stored<f32>),
}

impl Table {
    /// Adds a row to `sum`.
    #[inline(always)]
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) {
        let width = sum.len();
        match self {
            Table::Floats(table) => {
                for (s, v) in sum.iter_mut().zip(&table[row * width..(row + 1) * width]) {
                    *s += v;
                }
            }
            Table::Bytes(table, scales) => {
                let scale = scales[row];
                for (s, v) in sum.iter_mut().zip(&table[row * width..(row + 1) * width]) {
                    *s += scale * f32::from(*v);
                }
            }
        }
    }
}

/// Weight and bias of a layer normalisation.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Stored<f32>,
    pub(super) bias: Stored<f32>,
}

/// One layer of the encoder.
#[derive(Debug)]
pub(super) struct Layer {
    /// Query, key and value.
    pub(super) projections: [Linear; 3],
    /// Which of the roundings the input of each projection takes.
    pub(super) rounded: [Option<usize>; 3],
    /// Different roundings of the layer's input.
    pub(super) roundings: Vec<Rounding>,
    pub(super) scores: Operands,
    pub(super) context: Operands,
    pub(super) output: Linear,
    pub(super) output_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) down_norm: Norm,
}

/// What stands on the encoder.
#[derive(Debug)]
// There is one of it in a model.
#[allow(clippy::large_enum_variant)]
pub(super) enum HeadLayers {
    Answers(Linear),
    Labels { pooler: Linear, classifier: Linear, names: Vec<String> },
}

impl Model {
    /// Reads a packed file into memory.
    ///
    /// # Errors
    /// A file that is missing, foreign, truncated or damaged, or that contradicts itself.
    pub fn open(path: &Path) -> Result<Model, Diagnostic> {
        Model::of(Opened::file(path)?)
    }

    /// Maps a packed file into memory: several processes that serve one model share its pages.
    ///
    /// # Safety
    /// The file must not be truncated or overwritten while the model lives; replacing it by renaming
    /// another over it is fine.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub unsafe fn map(path: &Path) -> Result<Model, Diagnostic> {
        // SAFETY: the caller promises what `Opened::map` asks for.
        Model::of(unsafe { Opened::map(path) }?)
    }

    /// Opens a packed model in memory; `shown` names it in messages.
    ///
    /// # Errors
    /// As for a file.
    pub fn from_bytes(bytes: &[u8], shown: &str) -> Result<Model, Diagnostic> {
        Model::of(Opened::bytes(bytes, shown)?)
    }

    fn of(file: Opened) -> Result<Model, Diagnostic> {
        let config = file.directory.config.clone();
        if let Some(why) = config.unsupported() {
            return Err(file.contradiction(why));
        }
        let shape = config.shape();
        if file.directory.attention.len() != shape.layers {
            return Err(file.contradiction("its directory does not describe every layer".into()));
        }
        let table = |name: &str, rows: usize| -> Result<Table, Diagnostic> {
            let name = format!("bert.embeddings.{name}_embeddings.weight");
            let count = Some(rows * shape.hidden);
            let floats = file.directory.sections.get(&name).is_none_or(|s| s.kind == "f32");
            if floats {
                return Ok(Table::Floats(file.array(&name, count)?));
            }
            Ok(Table::Bytes(file.array(&name, count)?, file.array(&format!("{name}.scales"), Some(rows))?))
        };
        let tables = [
            table("word", shape.vocab)?,
            table("position", shape.positions)?,
            table("token_type", shape.types)?,
        ];
        let mut layers = Vec::new();
        for (i, attention) in file.directory.attention.iter().enumerate() {
            layers.push(layer(&file, i, *attention)?);
        }
        let head = match &file.directory.head {
            Head::Answers => HeadLayers::Answers(linear(&file, "qa_outputs", 2, shape.hidden)?),
            Head::Labels(names) => HeadLayers::Labels {
                pooler: linear(&file, "bert.pooler.dense", shape.hidden, shape.hidden)?,
                classifier: linear(&file, "classifier", names.len(), shape.hidden)?,
                names: names.clone(),
            },
        };
        let tokenizer = match file.directory.sections.contains_key("tokenizer.json") {
            true => Some(file.array("tokenizer.json", None)?),
            false => None,
        };
        Ok(Model {
            embedding_norm: norm(&file, "bert.embeddings.LayerNorm")?,
            tables,
            layers,
            head,
            tokenizer,
            size: file.size(),
            settings: file.directory.settings.clone(),
            config,
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// What the model was made with, if that is known.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// The labels in the order of their logits; `None` for a model that finds answers.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.head {
            HeadLayers::Answers(_) => None,
            HeadLayers::Labels { names, .. } => Some(names),
        }
    }

    /// The model's `tokenizer.json`, if it was packed with one.
    pub fn tokenizer(&self) -> Option<&[u8]> {
        self.tokenizer.as_deref()
    }

    /// Bytes of the packed model.
    pub fn size(&self) -> usize {
        self.size
    }
}

fn norm(file: &Opened, name: &str) -> Result<Norm, Diagnostic> {
    let width = Some(file.directory.config.hidden_size);
    Ok(Norm {
        weight: file.array(&format!("{name}.weight"), width)?,
        bias: file.array(&format!("{name}.bias"), width)?,
    })
}

fn layer(file: &Opened, layer: usize, attention: layout::Attention) -> Result<Layer, Diagnostic> {
    let shape = file.directory.config.shape();
    let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
    let square = |part: &str| linear(file, &name(part), shape.hidden, shape.hidden);
    let projections =
        [square("attention.self.query")?, square("attention.self.key")?, square("attention.self.value")?];
    let mut roundings = Vec::new();
    let mut rounded = [None; 3];
    for (rounded, projection) in rounded.iter_mut().zip(&projections) {
        let Some(wanted) = projection.input else { continue };
        let known = roundings.iter().position(|r| *r == wanted);
        *rounded = Some(known.unwrap_or(roundings.len()));
        if known.is_none() {
            roundings.push(wanted);
        }
    }
    Ok(Layer {
        projections,
        rounded,
        roundings,
        scores: operands(file, layer, attention.scores)?,
        context: operands(file, layer, attention.context)?,
        output: square("attention.output.dense")?,
        output_norm: norm(file, &name("attention.output.LayerNorm"))?,
        up: linear(file, &name("intermediate.dense"), shape.intermediate, shape.hidden)?,
        down: linear(file, &name("output.dense"), shape.hidden, shape.intermediate)?,
        down_norm: norm(file, &name("output.LayerNorm"))?,
    })
}

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
        Form::Floats => Weights::Floats(file.array(&part("weight"), Some(rows * columns))?),
        Form::Dense => Weights::Dense(file.array(&part("weight"), Some(rows * steps))?, scales()?),
        Form::Blocks => {
            let pointers: Stored<u32> = file.array(&part("pointers"), Some(rows + 1))?;
            let places: Stored<u16> = file.array(&part("places"), None)?;
            let words: Stored<[i8; 4]> = file.array(&part("words"), None)?;
            Weights::Blocks(BlockRows::new(pointers, places, words, steps).map_err(wrong)?, scales()?)
        }
    };
    let input = match entry.input {
        Input::Floats => None,
        Input::Measured => Some(Rounding::Measured),
        Input::Fixed(scale) => Some(Rounding::Fixed(
            affine(scale, 0..=255).ok_or_else(|| wrong("has an input scale that makes no sense".into()))?,
        )),
    };
    if (entry.form == Form::Floats) != input.is_none() {
        return Err(wrong("mixes floats and bytes".into()));
    }
    let bias: Stored<f32> = file.array(&part("bias"), Some(rows))?;
    let folded = Folded::of(&weights, &bias, input);
    Ok(Linear { rows, columns, weights, bias, input, folded })
}

fn operands(file: &Opened, layer: usize, stored: layout::Operands) -> Result<Operands, Diagnostic> {
    Ok(match stored {
        layout::Operands::Floats => Operands::Floats,
        layout::Operands::Measured => Operands::Measured,
        layout::Operands::Fixed { left, right } => match (affine(left, 0..=255), affine(right, -128..=127)) {
            (Some(left), Some(right)) => Operands::Fixed { left, right },
            _ => {
                let why = format!("the attention of layer {layer} has scales that make no sense");
                return Err(file.contradiction(why));
            }
        },
    })
}

fn affine(stored: Scale, bytes: std::ops::RangeInclusive<i32>) -> Option<Affine> {
    let Scale { scale, zero, low, high } = stored;
    let fits = low < high && [low, high, zero].iter().all(|v| bytes.contains(v));
    let sound = scale.is_normal() && scale > 0.0 && (1.0 / scale).is_finite();
    (fits && sound).then_some(Affine { scale, zero, low, high })
}
