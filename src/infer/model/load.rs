//! Loads a model from a packed file.

use std::path::Path;

use super::distances::{self, DistanceTerms};
use super::linear::Linear;
use super::load_linear::{linear, operands};
use crate::diag::{Diagnostic, counted};
use crate::infer::file::encoder::{Encoder, Pooling, Structure};
use crate::infer::file::layout::{self, Head};
use crate::infer::file::{Int4Pair, Opened, Plain, Stored};
use crate::infer::kernel::attention::{Bias, Operands};
use crate::infer::kernel::quantize::InputQuantization;
use crate::infer::simd::LANES;
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
    pub(super) position_bias: Option<PositionBias>,
    pub(super) distances: Option<DistanceTerms>,
    /// The layer normalization after all layers, with [`Structure::PreNormGated`].
    pub(super) final_norm: Option<Norm>,
    pub(super) head: HeadLayers,
    tokenizer: Option<Stored<u8>>,
    settings: Option<Settings>,
    size: usize,
}

/// The embedding matrices.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) words: Table,
    pub(super) positions: Option<Table>,
    pub(super) types: Option<Table>,
}

/// An embedding matrix `[rows][width]`.
#[derive(Debug)]
pub(super) enum Table {
    Float32(Stored<f32>),
    /// Int8 `[rows][width]`, and the scale of each row.
    Int8(Stored<i8>, Stored<f32>),
    /// Int4 `[rows][width / 2]`, rounded up, and the scale of each row.
    Int4(Stored<Int4Pair>, Stored<f32>),
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
            Table::Int4(table, scales) => {
                let (scale, bytes) = (scales[row], width.div_ceil(2));
                for (s, pair) in sum.chunks_mut(2).zip(&table[row * bytes..(row + 1) * bytes]) {
                    for (s, v) in s.iter_mut().zip(pair.values()) {
                        *s += scale * f32::from(v);
                    }
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
    /// The layer normalization before the projections; `None` with [`Structure::PostNorm`] and in the first layer.
    pub(super) input_norm: Option<Norm>,
    /// The number of attention heads.
    pub(super) heads: usize,
    /// The query, key and value projections.
    pub(super) projections: [Linear; 3],
    /// The index in `quantizations` for the input of each projection; `None` for float32.
    pub(super) quantized_input: [Option<usize>; 3],
    /// The distinct quantizations of the layer's input; projections with equal ones share the quantized input.
    pub(super) quantizations: Vec<InputQuantization>,
    pub(super) scores: Operands,
    pub(super) context: Operands,
    pub(super) window: Option<usize>,
    pub(super) output: Linear,
    /// Behind attention's residual connection: the layer normalization of the hidden states, or that before the
    /// feed-forward layer.
    pub(super) output_norm: Norm,
    pub(super) up: Linear,
    /// The linear layer whose outputs are multiplied with the activations.
    pub(super) gate: Option<Linear>,
    pub(super) down: Linear,
    /// Behind the residual connection of the feed-forward layer; `None` with [`Structure::PreNormGated`].
    pub(super) down_norm: Option<Norm>,
}

/// The task head.
#[derive(Debug)]
pub(super) struct HeadLayers {
    pub(super) head: Head,
    pub(super) pooling: Pooling,
    /// The layer before the output layer.
    pub(super) transform: Option<HeadTransform>,
    /// The output layer; `None` for embeddings.
    pub(super) output: Option<Linear>,
}

impl HeadLayers {
    /// The number of outputs for a sequence or a token.
    pub(super) fn outputs(&self, hidden: usize) -> usize {
        self.output.as_ref().map_or(hidden, |output| output.rows)
    }
}

/// A linear layer with an activation, and a layer normalization if there is one.
#[derive(Debug)]
pub(super) struct HeadTransform {
    pub(super) dense: Linear,
    pub(super) activation: Activation,
    pub(super) norm: Option<Norm>,
}

/// The position bias: for each head a value for each distance between query and key, shared by all layers.
#[derive(Debug)]
pub(super) struct PositionBias {
    /// `[heads][2 longest − 1 + LANES]`: padded for the lanes of the last group.
    values: Vec<f32>,
    longest: usize,
}

impl PositionBias {
    /// The biases of a head.
    pub(super) fn of_head(&self, head: usize) -> Bias<'_> {
        let width = 2 * self.longest - 1 + LANES;
        Bias { values: &self.values[head * width..(head + 1) * width], zero: self.longest - 1 }
    }
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
            let (count, scales) = (Some(rows * encoder.embedding), format!("{name}.scales"));
            let kind = file.directory.sections.get(&name).map(|section| section.kind.as_str());
            Ok(match kind {
                None | Some(<f32 as Plain>::NAME) => Table::Float32(file.array(&name, count)?),
                Some(<Int4Pair as Plain>::NAME) => {
                    let bytes = Some(rows * encoder.embedding.div_ceil(2));
                    Table::Int4(file.array(&name, bytes)?, file.array(&scales, Some(rows))?)
                }
                Some(_) => Table::Int8(file.array(&name, count)?, file.array(&scales, Some(rows))?),
            })
        };
        let tables = Tables {
            words: table("word", encoder.vocabulary)?,
            positions: (encoder.positions > 0).then(|| table("position", encoder.positions)).transpose()?,
            types: (encoder.types > 0).then(|| table("token_type", encoder.types)).transpose()?,
        };
        let projection = encoder
            .projection
            .then(|| linear(&file, "bert.embeddings_project", hidden, encoder.embedding))
            .transpose()?;
        let mut layers = Vec::new();
        for (i, attention) in file.directory.attention.iter().enumerate() {
            layers.push(layer(&file, i, *attention)?);
        }
        let position_bias = encoder.position_bias.then(|| position_bias(&file)).transpose()?;
        let projections: Vec<_> = layers.iter().map(|layer| &layer.projections).collect();
        let distances =
            encoder.disentangled.map(|of| distances::load(&file, of, &projections)).transpose()?;
        let final_norm = match encoder.structure {
            Structure::PostNorm => None,
            Structure::PreNormGated => Some(norm(&file, "bert.encoder.final_norm", hidden)?),
        };
        let head = head(&file)?;
        let tokenizer = match file.directory.sections.contains_key("tokenizer.json") {
            true => Some(file.array("tokenizer.json", None)?),
            false => None,
        };
        Ok(Model {
            embedding_norm: norm(&file, "bert.embeddings.LayerNorm", encoder.embedding)?,
            projection,
            tables,
            layers,
            position_bias,
            distances,
            final_norm,
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
        self.encoder.longest
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

    /// The task head.
    pub fn head(&self) -> &Head {
        &self.head.head
    }

    /// The number of values of an embedding.
    pub fn width(&self) -> usize {
        self.encoder.hidden
    }

    /// The labels of texts in the order of their logits; `None` for a model that does not classify texts.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.head.head {
            Head::Labels(names) | Head::Multilabel(names) => Some(names),
            _ => None,
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
    let &Encoder { hidden, heads, intermediate, structure, .. } = &file.directory.encoder;
    let pre_norm = structure == Structure::PreNormGated;
    let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
    // Packing leaves out heads and neurons that compute nothing: the layers before and after them are smaller than those of
    // the model.
    let rows_of = |part: &str, most: usize, step: usize| -> Result<usize, Diagnostic> {
        let name = name(part);
        match file.directory.linears.get(&name).map(|linear| linear.rows) {
            Some(rows) if rows > most || !rows.is_multiple_of(step) => Err(file.contradiction(format!(
                "the layer `{name}` has {}, which are not parts of {most}",
                counted(rows, "row", "rows")
            ))),
            rows => Ok(rows.unwrap_or(most)),
        }
    };
    let of_heads = rows_of("attention.self.query", hidden, hidden / heads)?;
    let inner = rows_of("intermediate.dense", intermediate, 1)?;
    let projection = |part: &str| linear(file, &name(part), of_heads, hidden);
    let projections = [
        projection("attention.self.query")?,
        projection("attention.self.key")?,
        projection("attention.self.value")?,
    ];
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
    let norm_of = |part: &str| norm(file, &name(part), hidden);
    let wide = |part: &str| linear(file, &name(part), inner, hidden);
    let up = wide("intermediate.dense")?;
    let gate = pre_norm.then(|| wide("intermediate.gate")).transpose()?;
    if gate.as_ref().is_some_and(|gate| gate.input != up.input) {
        let why =
            format!("the feed-forward layer and its gate in layer {layer} quantize one input in two ways");
        return Err(file.contradiction(why));
    }
    Ok(Layer {
        input_norm: (pre_norm && layer > 0).then(|| norm_of("attention.input.LayerNorm")).transpose()?,
        heads: of_heads / (hidden / heads),
        projections,
        quantized_input,
        quantizations,
        scores: operands(file, layer, attention.scores)?,
        context: operands(file, layer, attention.context)?,
        window: file.directory.encoder.windows[layer],
        output: linear(file, &name("attention.output.dense"), hidden, of_heads)?,
        output_norm: norm_of("attention.output.LayerNorm")?,
        up,
        gate,
        down: linear(file, &name("output.dense"), hidden, inner)?,
        down_norm: (!pre_norm).then(|| norm_of("output.LayerNorm")).transpose()?,
    })
}

fn head(file: &Opened) -> Result<HeadLayers, Diagnostic> {
    let layout::Directory { encoder, head, transform, pooling, .. } = &file.directory;
    let hidden = encoder.hidden;
    let transform = match transform {
        None => None,
        Some(t) => Some(HeadTransform {
            dense: linear(file, "bert.pooler.dense", hidden, hidden)?,
            activation: t.activation,
            norm: t.norm.then(|| norm(file, "bert.pooler.LayerNorm", hidden)).transpose()?,
        }),
    };
    let output = head.output().map(|(name, rows)| linear(file, name, rows, hidden)).transpose()?;
    let pooling = match head {
        Head::Embedding { pooling, .. } => *pooling,
        _ => *pooling,
    };
    Ok(HeadLayers { head: head.clone(), pooling, transform, output })
}

fn position_bias(file: &Opened) -> Result<PositionBias, Diagnostic> {
    let Encoder { heads, longest, .. } = file.directory.encoder;
    let width = 2 * longest - 1;
    let stored: Stored<f32> = file.array("position_bias", Some(heads * width))?;
    let padded = |row: &[f32]| row.iter().copied().chain([0.0; LANES]).collect::<Vec<f32>>();
    Ok(PositionBias { values: stored.chunks(width).flat_map(padded).collect(), longest })
}
