//! The encoder as Burn modules whose fields have BERT's parameter names of `transformers`. All families use the same
//! modules; [`Family`] maps the names, and an [`Architecture`] says what is computed.
//!
//! Hidden states are `[tokens, hidden]`, with the sequences of a batch packed or padded (see [`Tokens`]).

// `transformers` calls the layer normalizations `LayerNorm`.
#![allow(non_snake_case)]

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

use crate::params::architecture::LayerKind;
use crate::params::{Architecture, BertConfig, Family};
use crate::task::HiddenStates;
use crate::task::quantizers::{ActivationMatMul, Quantizers};

use super::dropouts::Dropouts;
use super::init::Init;
use super::kernels::{BucketedBias, Buckets, Dropout, PositionTerms, Rotation, activate, add_norm, norm};
use super::layers::{
    Attention, Distances, Intermediate, Layer, LayerNorm, Output, Positioning, SelfProjections, apply,
};
use super::named_quantizers::{self, NamedQuantizers};
use super::pre_norm::{PreNormLayer, Surroundings};
use super::tokens::Tokens;

/// An embedding table, `[entries, hidden]`.
#[derive(Module, Debug)]
pub struct Table {
    weight: Param<Tensor<2>>,
}

/// The sum of word, position and token type embeddings, layer-normalized.
#[derive(Module, Debug)]
pub struct Embeddings {
    word_embeddings: Table,
    position_embeddings: Option<Table>,
    token_type_embeddings: Option<Table>,
    LayerNorm: LayerNorm,
}

/// The stack of encoder layers.
#[derive(Module, Debug)]
pub struct Encoder {
    layer: Vec<Layer>,
    // Layers of the other structure: one of both lists is empty.
    layers: Vec<PreNormLayer>,
    final_norm: Option<LayerNorm>,
    relative_attention_bias: Option<Table>,
    rel_embeddings: Option<Table>,
    LayerNorm: Option<LayerNorm>,
}

/// A linear layer over the hidden state of the first token (`[CLS]`), or of every token.
#[derive(Module, Debug)]
pub struct Pooler {
    dense: Linear,
    LayerNorm: Option<LayerNorm>,
}

/// BERT without a head.
#[derive(Module, Debug)]
pub struct Bert {
    // The first field: visitors read the family from it before they name parameters.
    family: Family,
    embeddings: Embeddings,
    embeddings_project: Option<Linear>,
    encoder: Encoder,
    pooler: Option<Pooler>,
    #[module(skip)]
    architecture: Arc<Architecture>,
    #[module(skip)]
    quantizers: Option<Arc<Quantizers>>,
}

/// BERT's names of the word embeddings and of the pooler.
const WORDS: &str = "bert.embeddings.word_embeddings";
const POOLER: &str = "bert.pooler.dense";
const PROJECTION: &str = "bert.embeddings_project";
const DISTANCES: &str = "bert.encoder.rel_embeddings";
const BIAS: &str = "bert.encoder.relative_attention_bias";

impl Bert {
    /// Creates an encoder with random weights, with a pooler if `pooled`.
    pub(super) fn new(config: &BertConfig, pooled: bool, init: &mut Init, device: &Device) -> Self {
        let architecture = config.architecture();
        let (hidden, width) = (config.hidden_size, architecture.embedding);
        let norm = |width: usize| LayerNorm::new(width, &architecture, device);
        let position_embeddings = architecture
            .positions
            .table
            .then(|| Table { weight: init.matrix(config.max_position_embeddings, width, device) });
        let embeddings = Embeddings {
            word_embeddings: Table { weight: init.matrix(config.vocab_size, width, device) },
            position_embeddings,
            token_type_embeddings: (config.type_vocab_size > 0)
                .then(|| Table { weight: init.matrix(config.type_vocab_size, width, device) }),
            LayerNorm: norm(width),
        };
        let embeddings_project = architecture.projects.then(|| init.linear(width, hidden, device));
        let (post, pre) = match architecture.layers {
            LayerKind::PostNorm => (architecture.distinct_layers(), 0),
            LayerKind::PreNormGated => (0, config.num_hidden_layers),
        };
        let distances = architecture.positions.disentangled;
        let own_terms = distances.filter(|of| !of.shared);
        let layer = (0..post)
            .map(|_| Layer {
                attention: Attention {
                    self_: SelfProjections {
                        query: init.linear(hidden, hidden, device),
                        key: init.linear(hidden, hidden, device),
                        value: init.linear(hidden, hidden, device),
                        pos_key: own_terms
                            .filter(|of| of.content_to_position)
                            .map(|_| init.linear(hidden, hidden, device)),
                        pos_query: own_terms
                            .filter(|of| of.position_to_content)
                            .map(|_| init.linear(hidden, hidden, device)),
                    },
                    output: Output { dense: init.linear(hidden, hidden, device), LayerNorm: norm(hidden) },
                },
                intermediate: Intermediate { dense: init.linear(hidden, config.intermediate_size, device) },
                output: Output {
                    dense: init.linear(config.intermediate_size, hidden, device),
                    LayerNorm: norm(hidden),
                },
            })
            .collect();
        let relative_attention_bias = architecture
            .positions
            .buckets
            .map(|buckets| Table { weight: init.matrix(buckets.count, architecture.shape.heads, device) });
        let layers = (0..pre).map(|i| PreNormLayer::new(&architecture, i == 0, init, device)).collect();
        let pooler = pooled.then(|| Pooler {
            dense: init.linear_with(hidden, hidden, architecture.biases.pooler, device),
            LayerNorm: architecture.heads.pooler_norm.then(|| norm(hidden)),
        });
        let rel_embeddings = distances.map(|of| Table { weight: init.matrix(2 * of.span, hidden, device) });
        let final_norm = (pre > 0).then(|| norm(hidden));
        Bert {
            family: config.family(),
            embeddings,
            embeddings_project,
            encoder: Encoder {
                layer,
                layers,
                final_norm,
                relative_attention_bias,
                rel_embeddings,
                LayerNorm: distances.filter(|of| of.norm).map(|_| norm(hidden)),
            },
            pooler,
            architecture: Arc::new(architecture),
            quantizers: None,
        }
    }

    /// The quantizers, if any tensor is quantized.
    pub(super) fn quantizers(&self) -> Option<&Arc<Quantizers>> {
        self.quantizers.as_ref()
    }

    /// The same model with other quantizers.
    pub(super) fn with_quantizers(self, quantizers: Option<Arc<Quantizers>>) -> Self {
        Bert { quantizers, ..self }
    }

    fn named_quantizers(&self) -> Option<NamedQuantizers<'_>> {
        self.quantizers.as_deref().map(|quantizers| NamedQuantizers { quantizers, family: self.family })
    }

    /// The matrix products of two activations, layer by layer.
    pub(super) fn activation_matmuls(&self) -> Vec<ActivationMatMul> {
        named_quantizers::activation_matmuls(&self.architecture)
    }

    /// The model with only these encoder layers, in this order.
    pub(super) fn keep_layers(self, kept: &[usize]) -> Self {
        let layer = kept.iter().filter_map(|i| self.encoder.layer.get(*i).cloned()).collect();
        let layers = kept.iter().filter_map(|i| self.encoder.layers.get(*i).cloned()).collect();
        let architecture = Arc::new(self.architecture.keep_layers(kept));
        let quantizers = self.quantizers.as_ref().map(|quantizers| Arc::new(quantizers.keep_layers(kept)));
        Bert { encoder: Encoder { layer, layers, ..self.encoder }, architecture, quantizers, ..self }
    }

    /// The number of encoder layers.
    pub(super) fn layers(&self) -> usize {
        self.encoder.layer.len() + self.encoder.layers.len()
    }

    /// What the encoder and its heads compute.
    pub(super) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The word embeddings, `[vocabulary, hidden]`, fake-quantized as in the forward pass.
    pub(super) fn word_embeddings(&self) -> Tensor<2> {
        let table = self.embeddings.word_embeddings.weight.val();
        match self.named_quantizers() {
            Some(q) => q.quantizers.fake_quantize_again(&self.family.name(&format!("{WORDS}.weight")), table),
            None => table,
        }
    }

    /// Applies a linear layer, with fake quantization if it has quantizers; `module` is BERT's name of it.
    pub(super) fn apply(&self, module: &str, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match self.named_quantizers() {
            Some(quantizers) => quantizers.linear(module, layer, x),
            None => apply(layer, x),
        }
    }

    /// The pooled output, `[sequences, hidden]`, of the hidden states `first` of the first tokens: a linear layer
    /// with an activation. In `transformers` the layer is a part of the classification head of some families, such as
    /// `classifier.dense` of RoBERTa and `pre_classifier` of DistilBERT. Without a pooler it is `first`.
    pub(super) fn pooled(&self, first: Tensor<2>) -> Tensor<2> {
        match &self.pooler {
            Some(pooler) => {
                let y = activate(self.apply(POOLER, &pooler.dense, first), self.architecture.heads.pooler);
                pooler.LayerNorm.as_ref().map_or(y.clone(), |norm| norm.forward(y))
            }
            None => first,
        }
    }

    /// What positions add to attention in sequences of up to `longest` tokens.
    fn position_terms(&self, longest: usize) -> PositionTerms {
        let table = self.encoder.relative_attention_bias.as_ref();
        let bias = table.zip(self.architecture.positions.buckets).map(|(table, buckets)| {
            let weight = table.weight.val();
            let table = self.named_quantizers().map_or(weight.clone(), |q| q.weight(BIAS, weight));
            BucketedBias { table, buckets: Buckets::new(longest, |distance| buckets.bucket(distance)) }
        });
        PositionTerms { bias, ..PositionTerms::default() }
    }

    /// The relative position embeddings for sequences of up to `longest` tokens.
    fn distances(&self, longest: usize) -> Option<Distances> {
        let of = self.architecture.positions.disentangled?;
        let heads = self.architecture.shape.heads;
        let weight = self.encoder.rel_embeddings.as_ref()?.weight.val();
        let weight = self.named_quantizers().map_or(weight.clone(), |q| q.weight(DISTANCES, weight));
        let embeddings = self.encoder.LayerNorm.as_ref().map_or(weight.clone(), |norm| norm.forward(weight));
        Some(Distances { embeddings, rows: Buckets::new(longest, |distance| of.row(distance)), of, heads })
    }

    /// The last hidden states, `[tokens, hidden]`. The outputs of the embeddings and of every layer are added to
    /// `states` under their module names.
    pub(super) fn forward(
        &self,
        tokens: &Tokens,
        dropouts: Dropouts,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let architecture = &*self.architecture;
        let typed = architecture.typed && self.embeddings.types() > 1;
        let quantizers = self.named_quantizers();
        let first = architecture.positions.first;
        let dropout = if architecture.embedding_dropout { dropouts.hidden.place(0) } else { Dropout::NONE };
        let mut hidden = self.embeddings.forward(tokens, first, typed, dropout, quantizers);
        if let Some(projection) = &self.embeddings_project {
            hidden = self.apply(PROJECTION, projection, hidden);
        }
        tokens.report(&self.family.embeddings(), &hidden, states);
        let longest = tokens.longest();
        let positioning =
            Positioning { terms: self.position_terms(longest), distances: self.distances(longest) };
        let depth = if self.encoder.layer.is_empty() { 0 } else { architecture.shape.layers };
        for i in 0..depth {
            let own = architecture.layer_at(i);
            let layer = &self.encoder.layer[own];
            let dropouts = |k| match k {
                1 if !architecture.attention_output_dropout => Dropouts::NONE,
                2 if !architecture.feed_forward_dropout => Dropouts::NONE,
                _ => dropouts.in_layer(i, k),
            };
            hidden = match quantizers {
                None => layer.forward(hidden, architecture, &tokens.sequences, dropouts, &positioning),
                Some(named) => {
                    let named = (named, &*format!("bert.encoder.layer.{own}"));
                    layer.quantized_forward(
                        hidden,
                        architecture,
                        &tokens.sequences,
                        dropouts,
                        &positioning,
                        named,
                    )
                }
            };
            tokens.report(&self.family.layer(i), &hidden, states);
        }
        self.pre_norm_layers(hidden, tokens, dropouts, states)
    }

    /// The output of the pre-norm layers and of the normalization after the last one.
    fn pre_norm_layers(
        &self,
        mut hidden: Tensor<2>,
        tokens: &Tokens,
        dropouts: Dropouts,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let architecture = &*self.architecture;
        let size = architecture.shape.hidden / architecture.shape.heads;
        let mut rotations: Vec<(f64, Rotation)> = Vec::new();
        let parts = architecture.windows.iter().zip(&architecture.positions.thetas);
        for (i, (layer, (window, theta))) in self.encoder.layers.iter().zip(parts).enumerate() {
            if !rotations.iter().any(|(known, _)| known == theta) {
                rotations.push((*theta, Rotation::new(tokens.longest(), size, *theta)));
            }
            // invariant: the rotation was added above.
            let place = rotations.iter().position(|(known, _)| known == theta).unwrap_or_default();
            let name = format!("bert.encoder.layers.{i}");
            let with = Surroundings {
                architecture,
                sequences: &tokens.sequences,
                terms: &PositionTerms { window: *window, ..PositionTerms::default() },
                rotation: &rotations[place].1,
                quantizers: self.named_quantizers().map(|named| (named, name.as_str())),
            };
            hidden = layer.forward(hidden, |k| dropouts.in_layer(i, k), &with);
            tokens.report(&self.family.layer(i), &hidden, states);
        }
        self.encoder.final_norm.as_ref().map_or(hidden.clone(), |norm| norm.forward(hidden))
    }
}

impl Embeddings {
    /// The number of token types. With one, the two texts of a pair get the same type.
    fn types(&self) -> usize {
        self.token_type_embeddings.as_ref().map_or(0, |table| table.weight.val().dims()[0])
    }

    /// The embeddings, `[tokens, hidden]`. Unless `typed`, all tokens have type 0.
    fn forward(
        &self,
        tokens: &Tokens,
        first_position: usize,
        typed: bool,
        dropout: Dropout,
        quantizers: Option<NamedQuantizers>,
    ) -> Tensor<2> {
        let look_up = |name: &str, table: &Table, at: &Tensor<1, Int>| {
            let weight = table.weight.val();
            let weight = quantizers.map_or(weight.clone(), |q| q.weight(name, weight));
            weight.select(0, at.clone())
        };
        let words = look_up(WORDS, &self.word_embeddings, &tokens.ids);
        let positions = match first_position {
            0 => tokens.positions.clone(),
            first => tokens.positions.clone() + first as i32,
        };
        let positions = self
            .position_embeddings
            .as_ref()
            .map(|table| look_up("bert.embeddings.position_embeddings", table, &positions));
        let types = self.token_type_embeddings.as_ref().map(|table| {
            let types = if typed { tokens.types.clone() } else { tokens.types.zeros_like() };
            look_up("bert.embeddings.token_type_embeddings", table, &types)
        });
        let normal = match [positions, types].into_iter().flatten().reduce(|a, b| a + b) {
            Some(sum) => add_norm(words, sum, self.LayerNorm.params(), Dropout::NONE),
            None => self.LayerNorm.forward(words),
        };
        norm::dropout(normal, dropout)
    }
}
