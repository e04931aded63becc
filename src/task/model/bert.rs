//! BERT as Burn modules whose fields bear the Hugging Face names. RoBERTa and DistilBERT are the same
//! modules under their own names ([`Family`]).
//!
//! Everything runs on rows of tokens, `[tokens, hidden]`: on the CPU the sequences of a batch stand
//! one behind the other without padding (see [`Sequences`]), elsewhere padded to one length.

// Hugging Face calls its layer normalisations `LayerNorm`.
#![allow(non_snake_case)]

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use crate::params::{BertConfig, Family};
use crate::task::States;
use crate::task::rounding::{Product, Rounding};

use super::init::Init;
use super::kernels::{
    Dropout, NormParams, Projections, Sequences, add_norm, gelu, linear, norm, rounded_attention,
    self_attention,
};

/// The tokens of a batch, arranged for a device.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Vocabulary entries, `[tokens]`.
    pub ids: Tensor<1, Int>,
    /// Token types, `[tokens]`.
    pub types: Tensor<1, Int>,
    /// Places in their sequences, `[tokens]`.
    pub positions: Tensor<1, Int>,
    /// Which rows are which sequence.
    pub sequences: Sequences,
}

/// The dropout of a forward pass: shares of hidden states and attention weights, and a seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Dropout of hidden states.
    pub hidden: Dropout,
    /// Dropout of attention weights.
    pub attention: Dropout,
    /// Dropout of what a head reads, where its family has one of its own.
    pub head: Dropout,
}

/// The place of a head's own dropout, behind all layers.
pub(super) const HEAD: u32 = u32::MAX;

impl Noise {
    /// No dropout: evaluation, teachers, and gradients for pruning.
    pub const NONE: Noise = Noise { hidden: Dropout::NONE, attention: Dropout::NONE, head: Dropout::NONE };

    /// These shares of hidden states and attention weights, drawn from a seed; no dropout without one.
    pub fn of(hidden: f64, attention: f64, seed: Option<u64>) -> Noise {
        seed.map_or(Noise::NONE, |seed| {
            let hidden = Dropout::drawn(hidden, seed, 1);
            Noise { hidden, attention: Dropout::drawn(attention, seed, 2), head: hidden.place(HEAD) }
        })
    }

    /// The same with another share in the head.
    pub fn with_head(self, share: f64) -> Noise {
        Noise { head: self.head.with_share(share), ..self }
    }
}

/// A layer normalisation under the present names of its parameters.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(super) fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        LayerNorm {
            weight: Param::from_tensor(Tensor::ones([width], device)),
            bias: Param::from_tensor(Tensor::zeros([width], device)),
            epsilon,
        }
    }

    pub(super) fn params(&self) -> NormParams {
        NormParams { gamma: self.weight.val(), beta: self.bias.val(), epsilon: self.epsilon }
    }
}

/// An embedding table.
#[derive(Module, Debug)]
pub struct Table {
    weight: Param<Tensor<2>>,
}

/// The sum of word, position and type embeddings, normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    word_embeddings: Table,
    position_embeddings: Table,
    token_type_embeddings: Option<Table>,
    LayerNorm: LayerNorm,
}

/// The projections of self-attention.
#[derive(Module, Debug)]
pub struct SelfProjections {
    query: Linear,
    key: Linear,
    value: Linear,
}

/// A linear layer whose output joins the residual stream.
#[derive(Module, Debug)]
pub struct Output {
    dense: Linear,
    LayerNorm: LayerNorm,
}

/// Self-attention with its output.
#[derive(Module, Debug)]
pub struct Attention {
    self_: SelfProjections,
    output: Output,
}

/// The widening half of the feed-forward layer.
#[derive(Module, Debug)]
pub struct Intermediate {
    dense: Linear,
}

/// A layer of the encoder.
#[derive(Module, Debug)]
pub struct Layer {
    attention: Attention,
    intermediate: Intermediate,
    output: Output,
}

/// The encoder.
#[derive(Module, Debug)]
pub struct Encoder {
    layer: Vec<Layer>,
}

/// What makes one vector of a sequence: a layer over its first token.
#[derive(Module, Debug)]
pub struct Pooler {
    dense: Linear,
}

/// BERT without a head.
#[derive(Module, Debug)]
pub struct Bert {
    // First: it names what follows.
    family: Family,
    embeddings: Embeddings,
    encoder: Encoder,
    pooler: Option<Pooler>,
    heads: usize,
    first_position: usize,
    #[module(skip)]
    rounding: Option<Arc<Rounding>>,
}

/// The rounding of a model by BERT's names, which are looked up under its family's.
#[derive(Clone, Copy)]
pub(super) struct Rounded<'a> {
    rounding: &'a Rounding,
    family: Family,
}

impl Rounded<'_> {
    fn pass(self, name: &str, x: Tensor<2>) -> Tensor<2> {
        self.rounding.pass(&self.family.name(name), x)
    }

    /// The weight of a module.
    fn weight(self, module: &str, weight: Tensor<2>) -> Tensor<2> {
        self.pass(&format!("{module}.weight"), weight)
    }

    /// What the module of a linear layer makes of its input.
    fn linear(self, module: &str, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        let x = self.pass(&format!("{module}.input"), x);
        linear(x, self.weight(module, layer.weight.val()), bias(layer))
    }
}

/// The table of words, and the pooler's layer, as BERT calls them.
const WORDS: &str = "bert.embeddings.word_embeddings";
const POOLER: &str = "bert.pooler.dense";

/// What the operands of attention's products are called, behind the name of the attention.
const STATES: [&str; 4] = ["query_states", "key_states", "probabilities", "value_states"];

impl Bert {
    /// A new encoder with random weights; `pooled` says whether it has a pooler.
    pub(super) fn new(config: &BertConfig, pooled: bool, init: &mut Init, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let norm = || LayerNorm::new(hidden, config.layer_norm_eps, device);
        let embeddings = Embeddings {
            word_embeddings: Table { weight: init.matrix(config.vocab_size, hidden, device) },
            position_embeddings: Table {
                weight: init.matrix(config.max_position_embeddings, hidden, device),
            },
            token_type_embeddings: (config.type_vocab_size > 0)
                .then(|| Table { weight: init.matrix(config.type_vocab_size, hidden, device) }),
            LayerNorm: norm(),
        };
        let layer = (0..config.num_hidden_layers)
            .map(|_| Layer {
                attention: Attention {
                    self_: SelfProjections {
                        query: init.linear(hidden, hidden, device),
                        key: init.linear(hidden, hidden, device),
                        value: init.linear(hidden, hidden, device),
                    },
                    output: Output { dense: init.linear(hidden, hidden, device), LayerNorm: norm() },
                },
                intermediate: Intermediate { dense: init.linear(hidden, config.intermediate_size, device) },
                output: Output {
                    dense: init.linear(config.intermediate_size, hidden, device),
                    LayerNorm: norm(),
                },
            })
            .collect();
        let pooler = pooled.then(|| Pooler { dense: init.linear(hidden, hidden, device) });
        Bert {
            family: config.family(),
            embeddings,
            encoder: Encoder { layer },
            pooler,
            heads: config.num_attention_heads,
            first_position: config.first_position(),
            rounding: None,
        }
    }

    /// What of it is rounded.
    pub(super) fn rounding(&self) -> Option<&Arc<Rounding>> {
        self.rounding.as_ref()
    }

    /// The same with another rounding.
    pub(super) fn with_rounding(self, rounding: Option<Arc<Rounding>>) -> Self {
        Bert { rounding, ..self }
    }

    fn rounded(&self) -> Option<Rounded<'_>> {
        self.rounding.as_deref().map(|rounding| Rounded { rounding, family: self.family })
    }

    /// The products of attention, layer by layer.
    pub(super) fn products(&self) -> Vec<Product> {
        let heads = self.heads;
        let of_layer = |layer: usize| {
            let name =
                |part: &str| self.family.name(&format!("bert.encoder.layer.{layer}.attention.self.{part}"));
            let [query, key, shares, value] = STATES.map(name);
            let weights = |parts: &[&str]| parts.iter().map(|p| name(&format!("{p}.weight"))).collect();
            [
                Product { weights: weights(&["query", "key"]), left: query, right: key, heads },
                Product { weights: weights(&["value"]), left: shares, right: value, heads },
            ]
        };
        (0..self.layers()).flat_map(of_layer).collect()
    }

    /// The same with only these layers, in this order.
    pub(super) fn keep_layers(self, kept: &[usize]) -> Self {
        let layer = kept.iter().filter_map(|i| self.encoder.layer.get(*i).cloned()).collect();
        let rounding = self.rounding.as_ref().map(|rounding| Arc::new(rounding.keep_layers(kept)));
        Bert { encoder: Encoder { layer }, rounding, ..self }
    }

    /// How many layers there are.
    pub(super) fn layers(&self) -> usize {
        self.encoder.layer.len()
    }

    /// Whose names and whose heads it has.
    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// The embedding of every vocabulary entry, `[vocabulary, hidden]`, as the forward pass used it.
    pub(super) fn word_embeddings(&self) -> Tensor<2> {
        let table = self.embeddings.word_embeddings.weight.val();
        match self.rounded() {
            Some(r) => r.rounding.again(&self.family.name(&format!("{WORDS}.weight")), table),
            None => table,
        }
    }

    /// What a linear layer of the model makes of its input, by BERT's name of its module.
    pub(super) fn apply(&self, module: &str, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match self.rounded() {
            Some(rounded) => rounded.linear(module, layer, x),
            None => apply(layer, x),
        }
    }

    /// A vector for each of `first` rows of the last hidden states, `[sequences, hidden]`: the pooler
    /// with its activation, if there is one. What is a pooler to BERT, RoBERTa and DistilBERT call a
    /// layer of their classifiers; the latter has a rectifier in it.
    pub(super) fn pooled(&self, first: Tensor<2>) -> Tensor<2> {
        match (&self.pooler, self.family) {
            (Some(pooler), Family::DistilBert) => activation::relu(self.apply(POOLER, &pooler.dense, first)),
            (Some(pooler), _) => self.apply(POOLER, &pooler.dense, first).tanh(),
            (None, _) => first,
        }
    }

    /// The last hidden states, `[tokens, hidden]`; into `states` the outputs of the embeddings and of every
    /// layer, under the names of Hugging Face.
    pub(super) fn forward(&self, tokens: &Tokens, noise: Noise, states: &mut States) -> Tensor<2> {
        let types = self.family.has_types() && self.embeddings.types() > 1;
        let rounded = self.rounded();
        let mut hidden =
            self.embeddings.forward(tokens, self.first_position, types, noise.hidden.place(0), rounded);
        tokens.show(&self.family.embeddings(), &hidden, states);
        for (i, layer) in self.encoder.layer.iter().enumerate() {
            let place = |dropout: Dropout, k: u32| dropout.place(1 + 4 * i as u32 + k);
            let noise = |k| Noise {
                // DistilBERT drops nothing between attention and its normalisation.
                hidden: match (k, self.family) {
                    (1, Family::DistilBert) => Dropout::NONE,
                    _ => place(noise.hidden, k),
                },
                attention: place(noise.attention, k),
                head: Dropout::NONE,
            };
            hidden = match rounded {
                None => layer.forward(hidden, self.heads, &tokens.sequences, noise),
                Some(rounded) => {
                    let at = format!("bert.encoder.layer.{i}");
                    layer.rounded_forward(hidden, self.heads, &tokens.sequences, noise, (rounded, &at))
                }
            };
            tokens.show(&self.family.layer(i), &hidden, states);
        }
        hidden
    }
}

impl Embeddings {
    /// How many token types there are. With one, texts of a pair are not told apart.
    fn types(&self) -> usize {
        self.token_type_embeddings.as_ref().map_or(0, |table| table.weight.val().dims()[0])
    }

    /// `typed` says whether the types of tokens count; all have the first one otherwise.
    fn forward(
        &self,
        tokens: &Tokens,
        first_position: usize,
        typed: bool,
        dropout: Dropout,
        rounded: Option<Rounded>,
    ) -> Tensor<2> {
        let look_up = |name: &str, table: &Table, at: &Tensor<1, Int>| {
            let weight = table.weight.val();
            let weight = rounded.map_or(weight.clone(), |r| r.weight(name, weight));
            weight.select(0, at.clone())
        };
        let words = look_up(WORDS, &self.word_embeddings, &tokens.ids);
        let positions = match first_position {
            0 => tokens.positions.clone(),
            first => tokens.positions.clone() + first as i32,
        };
        let mut places =
            look_up("bert.embeddings.position_embeddings", &self.position_embeddings, &positions);
        if let Some(table) = &self.token_type_embeddings {
            let types = if typed { tokens.types.clone() } else { tokens.types.zeros_like() };
            places = places + look_up("bert.embeddings.token_type_embeddings", table, &types);
        }
        let normal = add_norm(words, places, self.LayerNorm.params(), Dropout::NONE);
        norm::dropout(normal, dropout)
    }
}

impl Layer {
    fn forward(
        &self,
        x: Tensor<2>,
        heads: usize,
        sequences: &Sequences,
        noise: impl Fn(u32) -> Noise,
    ) -> Tensor<2> {
        let pair = |l: &Linear| (l.weight.val(), bias(l));
        let projections = Projections {
            query: pair(&self.attention.self_.query),
            key: pair(&self.attention.self_.key),
            value: pair(&self.attention.self_.value),
        };
        let context = self_attention(x.clone(), projections, heads, sequences, noise(0).attention);
        let x = self.attention.output.forward(context, x, noise(1).hidden);
        let wide = gelu(apply(&self.intermediate.dense, x.clone()));
        self.output.forward(wide, x, noise(2).hidden)
    }

    /// The same with what is rounded of the layer called `at`.
    fn rounded_forward(
        &self,
        x: Tensor<2>,
        heads: usize,
        sequences: &Sequences,
        noise: impl Fn(u32) -> Noise,
        (rounded, at): (Rounded, &str),
    ) -> Tensor<2> {
        let own = |part: &str| rounded.family.name(&format!("{at}.attention.self.{part}"));
        let parts = ["query", "key", "value"];
        let inputs = parts.map(|part| own(&format!("{part}.input")));
        let inputs = rounded.rounding.pass_to(inputs.each_ref().map(String::as_str), &x);
        let SelfProjections { query, key, value } = &self.attention.self_;
        let project = |i: usize, layer: &Linear, state: usize| {
            let weight = rounded.weight(&format!("{at}.attention.self.{}", parts[i]), layer.weight.val());
            rounded.rounding.pass(&own(STATES[state]), linear(inputs[i].clone(), weight, bias(layer)))
        };
        let states = [project(0, query, 0), project(1, key, 1), project(2, value, 3)];
        let quantizer = rounded.rounding.get(&own(STATES[2])).cloned();
        let shares = quantizer.map(|quantizer| (quantizer, rounded.rounding.phase()));
        let context = rounded_attention(states, heads, sequences, noise(0).attention, shares);
        let joined = |module: &str, output: &Output, y: Tensor<2>, x: Tensor<2>, dropout: Dropout| {
            let y = rounded.linear(&format!("{at}.{module}.dense"), &output.dense, y);
            add_norm(y, x, output.LayerNorm.params(), dropout)
        };
        let x = joined("attention.output", &self.attention.output, context, x, noise(1).hidden);
        let wide =
            gelu(rounded.linear(&format!("{at}.intermediate.dense"), &self.intermediate.dense, x.clone()));
        joined("output", &self.output, wide, x, noise(2).hidden)
    }
}

impl Output {
    fn forward(&self, x: Tensor<2>, residual: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        add_norm(apply(&self.dense, x), residual, self.LayerNorm.params(), dropout)
    }
}

pub(super) fn apply(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    linear(x, layer.weight.val(), bias(layer))
}

fn bias(layer: &Linear) -> Tensor<1> {
    // invariant: every linear layer of a BERT is made with a bias.
    layer.bias.as_ref().expect("a linear layer with a bias").val()
}

impl Tokens {
    /// Arranges sequences of token ids with their types for a device: packed where the CPU
    /// kernels run, padded elsewhere.
    pub fn arrange(sequences: &[(&[u32], &[u32])], device: &Device) -> Self {
        let lengths: Vec<usize> = sequences.iter().map(|(ids, _)| ids.len()).collect();
        if is_cpu(device) {
            let starts: Vec<usize> = std::iter::once(0)
                .chain(lengths.iter().scan(0, |at, n| {
                    *at += n;
                    Some(*at)
                }))
                .collect();
            return Self::rows(sequences, &lengths, Sequences::Packed(starts.into()), device);
        }
        // Kernels for matrices like whole eights.
        let length = lengths.iter().copied().max().unwrap_or(0).next_multiple_of(8);
        let padded = vec![length; lengths.len()];
        let arrangement = Sequences::Padded { lengths: lengths.into(), length };
        Self::rows(sequences, &padded, arrangement, device)
    }

    fn rows(
        sequences: &[(&[u32], &[u32])],
        widths: &[usize],
        arrangement: Sequences,
        device: &Device,
    ) -> Self {
        let mut columns: [Vec<i32>; 3] = Default::default();
        for ((ids, types), width) in sequences.iter().zip(widths) {
            for place in 0..*width {
                columns[0].push(ids.get(place).copied().unwrap_or(0) as i32);
                columns[1].push(types.get(place).copied().unwrap_or(0) as i32);
                // Padding may reach beyond the model's last place.
                columns[2].push(if place < ids.len() { place as i32 } else { 0 });
            }
        }
        let [ids, types, positions] = columns.map(|column| {
            let count = column.len();
            Tensor::<1, Int>::from_data(TensorData::new(column, [count]), device)
        });
        Tokens { ids, types, positions, sequences: arrangement }
    }

    /// Hands on what a module gives for every token, without the rows of padding.
    fn show(&self, module: &str, values: &Tensor<2>, states: &mut States) {
        if !states.wants(module) {
            return;
        }
        let values = values.clone();
        let values = match &self.sequences {
            Sequences::Packed(_) => values,
            Sequences::Padded { .. } => {
                let rows: Vec<i32> = self.row_ranges().into_iter().flatten().map(|row| row as i32).collect();
                let count = rows.len();
                let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &values.device());
                values.select(0, rows)
            }
        };
        states.add(module, values);
    }

    /// For each sequence, the rows of its tokens.
    pub fn row_ranges(&self) -> Vec<std::ops::Range<usize>> {
        match &self.sequences {
            Sequences::Packed(starts) => starts.windows(2).map(|w| w[0]..w[1]).collect(),
            Sequences::Padded { lengths, length } => {
                lengths.iter().enumerate().map(|(i, n)| i * length..i * length + n).collect()
            }
        }
    }
}

/// Whether the CPU kernels run on this device.
fn is_cpu(device: &Device) -> bool {
    super::kernels::is_on_cpu(&Tensor::<2>::zeros([1, 1], device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::BertShape;

    #[test]
    fn padded_sequences_show_the_states_of_packed_ones_even_beyond_the_models_last_place() {
        let shape = BertShape {
            vocab: 30,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 12,
            positions: 11,
            types: 2,
        };
        let device = Device::flex();
        let bert = Bert::new(&BertConfig::new(shape), false, &mut Init::new(3, 0.3), &device);
        let ids: [Vec<u32>; 3] = [11, 4, 7].map(|n| (0..n).map(|i| (i * 7 + n) % 30).collect());
        let types: [Vec<u32>; 3] = [11, 4, 7].map(|n| (0..n).map(|i| u32::from(i > 2)).collect());
        let parts: Vec<(&[u32], &[u32])> =
            ids.iter().zip(&types).map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
        let wide = Sequences::Padded { lengths: [11, 4, 7].into(), length: 16 };
        let padded = Tokens::rows(&parts, &[16; 3], wide, &device);
        let packed = Tokens::arrange(&parts, &device);
        let states = |tokens: &Tokens| {
            let wanted = |_: &str| true;
            let mut states = States::of(&wanted);
            bert.forward(tokens, Noise::NONE, &mut states);
            states.into_list()
        };
        let (padded, packed) = (states(&padded), states(&packed));
        assert_eq!(packed.len(), 3, "the embeddings and two layers");
        for (a, b) in padded.iter().zip(&packed) {
            assert_eq!(a.module, b.module);
            assert_eq!((a.values.dims(), b.values.dims()), ([22, 8], [22, 8]), "no row is padding");
            let worst = (a.values.clone() - b.values.clone()).abs().max().into_scalar::<f32>();
            assert!(worst < 1e-5, "{} differs by {worst}", a.module);
        }
    }
}
