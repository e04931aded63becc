//! Quantizes the layers of a model, and stores each in the fastest weight format.

use super::describe;
use super::empty::{self, Kept, Weights};
use crate::diag::{Code, Diagnostic, counted};
use crate::infer::file::encoder::{Encoder, Structure};
use crate::infer::file::image::Number;
use crate::infer::file::layout::{Attention, Form, Head, Input, Linear, Operands, Scale};
use crate::infer::file::{Image, Int4Pair};
use crate::params::architecture::Biases;
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales, quantize};
use crate::params::{BertConfig, Family};

/// The quantization of a packed model.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Float32.
    Float32,
    /// Int8 weights with a scale for each row, and dynamic quantization of activations.
    Dynamic,
    /// Int8 with static quantization, where the model has quantization parameters.
    Static(Quantization),
}

/// The largest density (fraction of nonzero blocks of four consecutive inputs) at which the block-sparse product is
/// faster than the dense one, which multiplies six blocks in the time in which the block-sparse one multiplies 2.6.
const DENSEST: f64 = 0.42;

/// Packs a model; `tensor` returns its tensors by the names of its family. The packed file has BERT's names for the
/// tensors of every family.
///
/// # Errors
/// Those of `tensor`; a model that the runtime cannot compute; scales that do not fit the model.
pub fn build(
    config: &BertConfig,
    head: Head,
    tokenizer: Option<&[u8]>,
    plan: &Plan,
    tensor: &dyn Fn(&str) -> Result<Vec<f32>, Diagnostic>,
) -> Result<Image, Diagnostic> {
    let encoder = describe::encoder(config)?;
    let of = config.architecture();
    let shape = describe::shape(config, head);
    let output = shape.head.output();
    let (embedding, hidden) = (encoder.embedding, encoder.hidden);
    let image = Image::new(config.clone(), encoder.clone(), shape.clone());
    let positions_by_head = encoder.position_bias || of.positions.disentangled.is_some();
    let mut packer =
        Packer { image, biases: of.biases, positions_by_head, family: config.family(), plan, tensor };
    let tables =
        [("word", encoder.vocabulary), ("position", encoder.positions), ("token_type", encoder.types)];
    for (name, rows) in tables.into_iter().filter(|(_, rows)| *rows > 0) {
        packer.table(&format!("bert.embeddings.{name}_embeddings.weight"), rows, embedding)?;
    }
    packer.norm("bert.embeddings.LayerNorm", "bert.embeddings.LayerNorm", embedding)?;
    if encoder.projection {
        packer.head("bert.embeddings_project", hidden, embedding)?;
    }
    for layer in 0..encoder.layers {
        match encoder.structure {
            Structure::PostNorm => packer.post_norm(layer, of.layer_at(layer), &encoder)?,
            Structure::PreNormGated => packer.pre_norm(layer, &encoder)?,
        }
    }
    if encoder.structure == Structure::PreNormGated {
        packer.norm(FINAL_NORM, FINAL_NORM, hidden)?;
    }
    if encoder.position_bias {
        let bias = describe::position_bias(config, &packer.values(describe::BUCKETS)?);
        packer.image.add("position_bias", &bias);
    }
    if encoder.disentangled.is_some() {
        let is_normalized = of.positions.disentangled.is_some_and(|of| of.norm);
        packer.distances(&encoder, &describe::distance_rows(config), is_normalized)?;
    }
    if let Some((name, outputs)) = output {
        packer.head(name, outputs, hidden)?;
    }
    if let Some(transform) = shape.transform {
        packer.pooler(hidden)?;
        if transform.norm {
            packer.norm("bert.pooler.LayerNorm", "bert.pooler.LayerNorm", hidden)?;
        }
    }
    if let Some(bytes) = tokenizer {
        packer.image.add("tokenizer.json", bytes);
    }
    Ok(packer.image)
}

/// A linear layer that is some rows and columns of a matrix, by the name of its module.
pub(super) struct Part<'k> {
    module: String,
    /// The index of the first row of the layer.
    first: usize,
    /// The rows of the layer.
    rows: Indices<'k>,
    /// The columns.
    columns: Indices<'k>,
    /// Whether the model has a bias.
    has_bias: bool,
    /// Added to the bias, `[rows]`; empty for nothing.
    constant: &'k [f32],
}

impl<'k> Part<'k> {
    /// The rows that are kept.
    fn with_rows(self, kept: Option<&'k Kept>) -> Self {
        let indices = kept.map(|kept| kept.indices.as_slice());
        Part { rows: Indices { kept: indices, ..self.rows }, ..self }
    }

    /// The columns that are kept, and in the bias what the others add.
    fn with_columns(self, kept: Option<&'k Kept>) -> Self {
        let indices = kept.map(|kept| kept.indices.as_slice());
        let constant = kept.map_or(&[][..], |kept| &kept.constant);
        Part { columns: Indices { kept: indices, ..self.columns }, constant, ..self }
    }

    /// All rows and columns of a matrix.
    pub(super) fn whole(module: String, [rows, columns]: [usize; 2], has_bias: bool) -> Self {
        let (rows, columns) = (Indices::all(rows), Indices::all(columns));
        Part { module, first: 0, rows, columns, has_bias, constant: &[] }
    }
}

/// Indices `0..all`, of which all or some are kept.
#[derive(Clone, Copy)]
struct Indices<'k> {
    all: usize,
    kept: Option<&'k [usize]>,
}

impl Indices<'_> {
    fn all(all: usize) -> Self {
        Indices { all, kept: None }
    }

    fn indices(&self) -> Vec<usize> {
        self.kept.map_or_else(|| (0..self.all).collect(), <[usize]>::to_vec)
    }
}

/// The layer normalization after all layers.
const FINAL_NORM: &str = "bert.encoder.final_norm";

/// All methods take BERT's names: that of a section of the packed file, and, where it differs, that of the tensor to
/// read, which [`Family::name`] translates to the family's.
pub(super) struct Packer<'a> {
    image: Image,
    biases: Biases,
    /// Whether each head has positions of its own.
    positions_by_head: bool,
    family: Family,
    plan: &'a Plan,
    tensor: &'a dyn Fn(&str) -> Result<Vec<f32>, Diagnostic>,
}

impl<'a> Packer<'a> {
    /// The values of a tensor.
    fn values(&self, name: &str) -> Result<Vec<f32>, Diagnostic> {
        (self.tensor)(&self.family.name(name))
    }

    /// The scales of a weight in a model with static quantization.
    fn weight_scales(&self, known: &'a Quantization, name: &str) -> Option<&'a WeightScales> {
        known.weights.get(&self.family.name(name))
    }

    /// The scale of an activation in a model with static quantization.
    fn activation_scale(&self, known: &'a Quantization, name: &str) -> Option<&'a ActivationScale> {
        known.activations.get(&self.family.name(name))
    }

    /// Adds an encoder layer with normalizations after its parts, and the quantization of its attention. Its parameters
    /// are those of the layer `from`; several layers may share them.
    fn post_norm(&mut self, layer: usize, from: usize, encoder: &Encoder) -> Result<(), Diagnostic> {
        let &Encoder { hidden, intermediate, .. } = encoder;
        let [at, from] = [layer, from].map(|layer| format!("bert.encoder.layer.{layer}"));
        let whole = |name: &str, sizes| Part::whole(format!("{from}.{name}"), sizes, true);
        let [query, key, value] =
            ["query", "key", "value"].map(|name| whole(&format!("attention.self.{name}"), [hidden, hidden]));
        let output = whole("attention.output.dense", [hidden, hidden]);
        self.attention(&at, encoder, [query, key, value], output)?;
        if let Some(of) = &encoder.disentangled {
            self.distance_projections(of, &at, &from, hidden)?;
        }
        let up = whole("intermediate.dense", [intermediate, hidden]);
        self.feed_forward(&at, encoder, up, None, whole("output.dense", [hidden, intermediate]))?;
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            self.norm(&format!("{at}.{name}"), &format!("{from}.{name}"), hidden)?;
        }
        self.products(&format!("{from}.attention.self"))
    }

    /// Adds an encoder layer with normalizations before its parts. Query, key and value projection are rows of one
    /// matrix, and so are the feed-forward layer and its gate.
    fn pre_norm(&mut self, layer: usize, encoder: &Encoder) -> Result<(), Diagnostic> {
        let &Encoder { hidden, intermediate, .. } = encoder;
        let Biases { attention, feed_forward, .. } = self.biases;
        let (at, from) = (format!("bert.encoder.layer.{layer}"), format!("bert.encoder.layers.{layer}"));
        let part = |name: &str, first, sizes, has_bias| Part {
            first,
            ..Part::whole(format!("{from}.{name}"), sizes, has_bias)
        };
        let projections = [0, 1, 2].map(|i| part("attn.Wqkv", i * hidden, [hidden, hidden], attention));
        self.attention(&at, encoder, projections, part("attn.Wo", 0, [hidden, hidden], attention))?;
        let [up, gate] =
            [0, 1].map(|i| part("mlp.Wi", i * intermediate, [intermediate, hidden], feed_forward));
        let down = part("mlp.Wo", 0, [hidden, intermediate], feed_forward);
        self.feed_forward(&at, encoder, up, Some(gate), down)?;
        if layer > 0 {
            self.norm(&format!("{at}.attention.input.LayerNorm"), &format!("{from}.attn_norm"), hidden)?;
        }
        self.norm(&format!("{at}.attention.output.LayerNorm"), &format!("{from}.mlp_norm"), hidden)?;
        self.products(&format!("{from}.attn"))
    }

    /// Adds the linear layers of attention, without the heads that compute nothing. Biases and embeddings of distances belong
    /// to all heads, so models with them keep all.
    fn attention(
        &mut self,
        at: &str,
        encoder: &Encoder,
        projections: [Part<'_>; 3],
        output: Part<'_>,
    ) -> Result<(), Diagnostic> {
        let [_, _, value] = &projections;
        let ((value, value_bias), (weight, bias)) = (self.matrix(value)?, self.matrix(&output)?);
        let kept = match self.positions_by_head {
            true => None,
            false => Some(empty::heads(
                Weights { weight: &value, bias: &value_bias, columns: encoder.hidden },
                Weights { weight: &weight, bias: &bias, columns: encoder.hidden },
                encoder.hidden / encoder.heads,
            )),
        };
        for (part, name) in projections.into_iter().zip(["query", "key", "value"]) {
            self.part(&format!("{at}.attention.self.{name}"), &part.with_rows(kept.as_ref()))?;
        }
        self.part(&format!("{at}.attention.output.dense"), &output.with_columns(kept.as_ref()))
    }

    /// Adds the linear layers of a feed-forward layer, without the neurons that compute nothing.
    fn feed_forward(
        &mut self,
        at: &str,
        encoder: &Encoder,
        up: Part<'_>,
        gate: Option<Part<'_>>,
        down: Part<'_>,
    ) -> Result<(), Diagnostic> {
        let of_gate = gate.as_ref().map(|gate| self.matrix(gate)).transpose()?;
        let ((up_weight, up_bias), (weight, bias)) = (self.matrix(&up)?, self.matrix(&down)?);
        let columns = encoder.hidden;
        let gate_weights = of_gate.as_ref().map(|(weight, bias)| Weights { weight, bias, columns });
        let kept = empty::neurons(
            Weights { weight: &up_weight, bias: &up_bias, columns },
            gate_weights,
            Weights { weight: &weight, bias: &bias, columns: encoder.intermediate },
            encoder.activation,
        );
        self.part(&format!("{at}.intermediate.dense"), &up.with_rows(Some(&kept)))?;
        if let Some(gate) = gate {
            self.part(&format!("{at}.intermediate.gate"), &gate.with_rows(Some(&kept)))?;
        }
        self.part(&format!("{at}.output.dense"), &down.with_columns(Some(&kept)))
    }

    /// Adds the quantization of a layer's attention.
    fn products(&mut self, at: &str) -> Result<(), Diagnostic> {
        let scores = self.product(&format!("{at}.query_states"), &format!("{at}.key_states"))?;
        let context = self.product(&format!("{at}.probabilities"), &format!("{at}.value_states"))?;
        self.image.attention(Attention { scores, context });
        Ok(())
    }

    /// Adds weight and bias of a layer normalization; zeros for a bias that the model does not have.
    fn norm(&mut self, name: &str, from: &str, width: usize) -> Result<(), Diagnostic> {
        let (weight, bias) = self.norm_values(from, width)?;
        self.image.add(&format!("{name}.weight"), &weight);
        self.image.add(&format!("{name}.bias"), &bias);
        Ok(())
    }

    /// Weight and bias of a layer normalization.
    pub(super) fn norm_values(&self, from: &str, width: usize) -> Result<(Vec<f32>, Vec<f32>), Diagnostic> {
        let bias = match self.biases.norm {
            true => self.values(&format!("{from}.bias"))?,
            false => vec![0.0; width],
        };
        Ok((self.values(&format!("{from}.weight"))?, bias))
    }

    /// Adds an array.
    pub(super) fn add<T: Number>(&mut self, name: &str, values: &[T]) {
        self.image.add(name, values);
    }

    /// The values of a matrix `[rows, width]`, dequantized if the model has scales for it.
    pub(super) fn represented(&self, name: &str, width: usize) -> Result<Vec<f32>, Diagnostic> {
        let values = self.values(name)?;
        let Plan::Static(known) = self.plan else { return Ok(values) };
        let Some(scales) = self.weight_scales(known, name) else { return Ok(values) };
        let each = row_by_row(name, scales, values.len() / width)?;
        Ok(dequantized(&quantized(&values, width, &each, qmax(scales)), width, &each))
    }

    /// Adds the first `rows` rows of an embedding matrix, `[rows, width]`.
    fn table(&mut self, name: &str, rows: usize, width: usize) -> Result<(), Diagnostic> {
        let mut values = self.values(name)?;
        let all = values.len() / width;
        values.truncate(rows * width);
        let (scales, most) = match self.plan {
            Plan::Float32 => {
                self.image.add(name, &values);
                return Ok(());
            }
            Plan::Dynamic => (row_scales(&values, width), INT8_MAX),
            Plan::Static(known) => match self.weight_scales(known, name) {
                None => {
                    self.image.add(name, &values);
                    return Ok(());
                }
                Some(scales) => {
                    let mut each = row_by_row(name, scales, all)?;
                    each.truncate(rows);
                    (each, qmax(scales))
                }
            },
        };
        let values = quantized(&values, width, &scales, most);
        match most <= INT4_MAX {
            true => self.image.add(name, &int4_pairs(&values, width)),
            false => self.image.add(name, &values),
        }
        self.image.add(&format!("{name}.scales"), &scales);
        Ok(())
    }

    /// Weights and bias of a part; zeros for a bias that the model does not have.
    fn matrix(&self, part: &Part<'_>) -> Result<(Vec<f32>, Vec<f32>), Diagnostic> {
        let (all, width) = (self.values(&format!("{}.weight", part.module))?, part.columns.all);
        let bias = match part.has_bias {
            true => Some(self.values(&format!("{}.bias", part.module))?),
            false => None,
        };
        let (rows, columns) = (part.rows.indices(), part.columns.indices());
        let mut weight = Vec::with_capacity(rows.len() * columns.len());
        for row in &rows {
            let row = &all[(part.first + row) * width..(part.first + row + 1) * width];
            weight.extend(columns.iter().map(|column| row[*column]));
        }
        let mut bias: Vec<f32> =
            rows.iter().map(|row| bias.as_ref().map_or(0.0, |bias| bias[part.first + row])).collect();
        bias.iter_mut().zip(part.constant).for_each(|(bias, constant)| *bias += constant);
        Ok((weight, bias))
    }

    /// Adds a linear layer.
    pub(super) fn part(&mut self, name: &str, from: &Part<'_>) -> Result<(), Diagnostic> {
        let weight = format!("{}.weight", from.module);
        let (values, bias) = self.matrix(from)?;
        let (rows, columns) = (bias.len(), values.len() / bias.len().max(1));
        self.image.add(&format!("{name}.bias"), &bias);
        let (scales, most, input) = match self.plan {
            Plan::Float32 => return self.floats(name, rows, columns, &values),
            Plan::Dynamic => (row_scales(&values, columns), INT8_MAX, Input::Dynamic),
            Plan::Static(known) => {
                let input = self.activation_scale(known, &format!("{}.input", from.module));
                match (self.weight_scales(known, &weight), input) {
                    (None, None) => return self.floats(name, rows, columns, &values),
                    (None, Some(_)) => return Err(unpaired(&self.family.name(&weight), "input", "weight")),
                    (Some(scales), input) => {
                        let count = self.values(&weight)?.len() / from.columns.all;
                        let all = row_by_row(&weight, scales, count)?;
                        let each: Vec<f32> =
                            from.rows.indices().iter().map(|row| all[from.first + row]).collect();
                        let most = qmax(scales);
                        let Some(input) = input else {
                            // The weights are quantized and the inputs are not: the product is in float32.
                            let bytes = quantized(&values, columns, &each, most);
                            return self.floats(name, rows, columns, &dequantized(&bytes, columns, &each));
                        };
                        (each, most, Input::Static(unsigned(input)))
                    }
                }
            }
        };
        let bytes = quantized(&values, columns, &scales, most);
        let sums: Vec<i32> = bytes.chunks(columns).map(|r| r.iter().map(|b| i32::from(*b)).sum()).collect();
        self.image.add(&format!("{name}.scales"), &scales);
        self.image.add(&format!("{name}.sums"), &sums);
        let form = self.bytes(name, columns, &bytes);
        self.image.linear(name, Linear { rows, columns, form, input });
        Ok(())
    }

    /// Adds the layer before the output layer of a head.
    fn pooler(&mut self, hidden: usize) -> Result<(), Diagnostic> {
        self.outside("bert.pooler.dense", hidden, hidden, self.biases.pooler)
    }

    /// Adds a linear layer outside of the encoder layers.
    fn head(&mut self, name: &str, rows: usize, columns: usize) -> Result<(), Diagnostic> {
        self.outside(name, rows, columns, true)
    }

    /// Adds a linear layer in float32 unless the model has quantization parameters for it.
    fn outside(&mut self, name: &str, rows: usize, columns: usize, has_bias: bool) -> Result<(), Diagnostic> {
        let plan = match self.plan {
            Plan::Static(_) => self.plan,
            _ => &Plan::Float32,
        };
        let plan = std::mem::replace(&mut self.plan, plan);
        let whole = Part::whole(name.to_owned(), [rows, columns], has_bias);
        let result = self.part(name, &whole);
        self.plan = plan;
        result
    }

    /// Adds a linear layer with float32 weights.
    fn floats(&mut self, name: &str, rows: usize, columns: usize, values: &[f32]) -> Result<(), Diagnostic> {
        self.image.add(&format!("{name}.weight"), values);
        self.image.linear(name, Linear { rows, columns, form: Form::Float32, input: Input::Float32 });
        Ok(())
    }

    /// Adds int8 weights, dense or block-sparse.
    fn bytes(&mut self, name: &str, columns: usize, bytes: &[i8]) -> Form {
        let steps = columns.div_ceil(4);
        let (mut pointers, mut indices, mut words) = (vec![0u32], Vec::new(), Vec::new());
        let mut padded = Vec::with_capacity(bytes.len());
        for row in bytes.chunks(columns) {
            for (step, four) in row.chunks(4).enumerate() {
                let mut word = [0; 4];
                word[..four.len()].copy_from_slice(four);
                padded.extend(word);
                if word != [0; 4] {
                    // Rows with more steps than u16 can index are stored dense, below.
                    indices.push(step as u16);
                    words.extend(word);
                }
            }
            pointers.push(indices.len() as u32);
        }
        let density = indices.len() as f64 / (padded.len() / 4).max(1) as f64;
        if density > DENSEST || steps > 1 << 16 {
            self.image.add(&format!("{name}.weight"), &padded);
            return Form::Dense;
        }
        self.image.add(&format!("{name}.pointers"), &pointers);
        self.image.add(&format!("{name}.places"), &indices);
        self.image.add(&format!("{name}.words"), &words);
        Form::Blocks
    }

    /// The quantization of a product of two activations.
    fn product(&self, left: &str, right: &str) -> Result<Operands, Diagnostic> {
        let known = match self.plan {
            Plan::Float32 => return Ok(Operands::Float32),
            Plan::Dynamic => return Ok(Operands::Dynamic),
            Plan::Static(known) => known,
        };
        let [own_left, own_right] = [left, right].map(|name| self.family.name(name));
        match (self.activation_scale(known, left), self.activation_scale(known, right)) {
            (None, None) => Ok(Operands::Float32),
            (Some(l), Some(r)) => Ok(Operands::Static { left: unsigned(l), right: signed(r) }),
            (Some(_), None) => Err(unpaired(&own_left, &own_left, &own_right)),
            (None, Some(_)) => Err(unpaired(&own_right, &own_right, &own_left)),
        }
    }
}

/// The error for a product of which only one operand is quantized.
fn unpaired(name: &str, has: &str, lacks: &str) -> Diagnostic {
    Diagnostic::unlocated(
        Code::PackedUnsupported,
        format!("of the product `{name}`, only `{has}` is quantized, not `{lacks}`"),
    )
    .help("quantize both operands of a product, or neither")
}

/// One scale for each row, from a scale per tensor or scales per channel.
fn row_by_row(name: &str, scales: &WeightScales, rows: usize) -> Result<Vec<f32>, Diagnostic> {
    match scales.scales.as_slice() {
        [one] => Ok(vec![*one; rows]),
        each if each.len() == rows => Ok(each.to_vec()),
        each => Err(Diagnostic::unlocated(
            Code::QuantizationNotReadable,
            format!("`{name}` has {} and {} scales", counted(rows, "row", "rows"), each.len()),
        )
        .help("quantization.json and model.safetensors must be of one training")),
    }
}

/// Quantization parameters for the left operand of a product, with unsigned integers.
fn unsigned(activation: &ActivationScale) -> Scale {
    let ActivationScale { bits, scheme, scale, zero_point } = *activation;
    match scheme {
        Scheme::Asymmetric => Scale { scale, zero: zero_point, low: 0, high: (1 << bits) - 1 },
        Scheme::Symmetric => {
            let half = 1 << (bits - 1);
            Scale { scale, zero: 128, low: 128 - half, high: 127 + half }
        }
    }
}

/// Quantization parameters for the right operand, with signed integers.
fn signed(activation: &ActivationScale) -> Scale {
    let Scale { scale, zero, low, high } = unsigned(activation);
    Scale { scale, zero: zero - 128, low: low - 128, high: high - 128 }
}

/// `qmax` of INT4 and INT8.
const INT4_MAX: f32 = 7.0;
const INT8_MAX: f32 = 127.0;

/// The rows of an INT4 matrix, two values in a byte; a row of odd width ends with a zero.
fn int4_pairs(values: &[i8], width: usize) -> Vec<Int4Pair> {
    let pair = |pair: &[i8]| Int4Pair::new(pair[0], pair.get(1).copied().unwrap_or(0));
    values.chunks(width).flat_map(|row| row.chunks(2).map(pair)).collect()
}

/// `qmax` of a weight.
fn qmax(scales: &WeightScales) -> f32 {
    ((1 << (scales.bits - 1)) - 1) as f32
}

/// The scale of each row, `max|w| / 127`; 1 for a row of zeros.
fn row_scales(values: &[f32], width: usize) -> Vec<f32> {
    let size = |row: &[f32]| row.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let scale = |row| match size(row) / 127.0 {
        scale if scale.is_normal() => scale,
        _ => 1.0,
    };
    values.chunks(width).map(scale).collect()
}

/// Quantizes a matrix with a scale for each row.
fn quantized(values: &[f32], width: usize, scales: &[f32], most: f32) -> Vec<i8> {
    values.chunks(width).zip(scales).flat_map(|(row, scale)| quantize(row, *scale, most)).collect()
}

/// The values that the integers of a matrix represent.
fn dequantized(bytes: &[i8], width: usize, scales: &[f32]) -> Vec<f32> {
    let rows = bytes.chunks(width).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |byte| scale * f32::from(*byte))).collect()
}
