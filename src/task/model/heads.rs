//! The models of each task: the encoder with a head, under the parameter names of `transformers`.

// `transformers` calls the layer normalizations `LayerNorm`.
#![allow(non_snake_case)]

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

use crate::params::builtin::Head;
use crate::params::{BertConfig, Family};
use crate::task::HiddenStates;
use crate::task::quantizers::{ActivationMatMul, Quantizers};

use super::bert::Bert;
use super::dropouts::{Dropouts, HEAD};
use super::init::Init;
use super::kernels::{Dropout, activate, linear, norm};
use super::layers::LayerNorm;
use super::tokens::Tokens;

/// An encoder with a head, as a model folder contains it.
pub trait BertModel: Module + Clone {
    /// The class of `transformers` that loads the model if its family is BERT.
    const ARCHITECTURE: &'static str;

    /// Whether saved parameters lack the family's prefix (`bert.`), as those of a `BertModel`.
    const BARE: bool = false;

    /// Creates a model with random weights: normal with standard deviation `initializer_range`, biases zero.
    fn with_head(config: &BertConfig, head: Head, seed: u64, device: &Device) -> Self;

    /// The encoder.
    fn encoder(&self) -> &Bert;

    /// The model with another encoder.
    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self;

    /// The model with only these encoder layers, in this order.
    fn keep_layers(self, kept: &[usize]) -> Self {
        self.map_encoder(|bert| bert.keep_layers(kept))
    }

    /// The number of encoder layers.
    fn layers(&self) -> usize {
        self.encoder().layers()
    }

    /// The quantizers, if any tensor is quantized.
    fn quantizers(&self) -> Option<&Arc<Quantizers>> {
        self.encoder().quantizers()
    }

    /// The same model with other quantizers.
    fn with_quantizers(self, quantizers: Option<Arc<Quantizers>>) -> Self {
        self.map_encoder(|bert| bert.with_quantizers(quantizers))
    }

    /// The matrix products of two activations, which can be quantized: those of attention.
    fn activation_matmuls(&self) -> Vec<ActivationMatMul> {
        self.encoder().activation_matmuls()
    }

    /// The class of `transformers` that loads the saved model.
    fn architecture(config: &BertConfig) -> String {
        Self::ARCHITECTURE.replacen(Family::Bert.class(), config.family().class(), 1)
    }
}

/// The model for extractive question answering: a start and an end logit for each token.
#[derive(Module, Debug)]
pub struct BertForQuestionAnswering {
    bert: Bert,
    qa_outputs: Linear,
}

/// The model for sequence classification: a logit for each label.
#[derive(Module, Debug)]
pub struct BertForSequenceClassification {
    bert: Bert,
    classifier: Linear,
}

/// The model for token classification: a logit for each token and label.
#[derive(Module, Debug)]
pub struct BertForTokenClassification {
    bert: Bert,
    // `transformers` calls it `classifier`; [`Family::name`] translates.
    token_classifier: Linear,
}

/// The encoder alone; an embedding is pooled from its last hidden states.
#[derive(Module, Debug)]
pub struct SentenceEncoder {
    bert: Bert,
}

/// The masked language model: for each token a logit for each vocabulary entry.
#[derive(Module, Debug)]
pub struct BertForMaskedLM {
    bert: Bert,
    cls: LanguageModelHead,
}

/// The head of the masked language model.
#[derive(Module, Debug)]
pub struct LanguageModelHead {
    predictions: Predictions,
}

/// The layers from hidden states to logits. The decoder's weight is tied to the word embeddings.
#[derive(Module, Debug)]
pub struct Predictions {
    bias: Param<Tensor<1>>,
    transform: Transform,
}

/// The linear layer, activation and layer normalization before the decoder.
#[derive(Module, Debug)]
pub struct Transform {
    dense: Linear,
    LayerNorm: LayerNorm,
}

impl BertModel for BertForQuestionAnswering {
    const ARCHITECTURE: &'static str = "BertForQuestionAnswering";

    fn with_head(config: &BertConfig, _: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        BertForQuestionAnswering {
            bert: Bert::new(config, config.architecture().heads.transforms_tokens, &mut init, device),
            qa_outputs: init.linear(config.hidden_size, 2, device),
        }
    }

    fn encoder(&self) -> &Bert {
        &self.bert
    }

    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self {
        BertForQuestionAnswering { bert: map(self.bert), ..self }
    }
}

impl BertForQuestionAnswering {
    /// Creates a model with random weights.
    pub fn new(config: &BertConfig, seed: u64, device: &Device) -> Self {
        Self::with_head(config, Head::QuestionAnswering, seed, device)
    }

    /// The start and end logits of every token, `[tokens, 2]`.
    pub fn forward(&self, tokens: &Tokens, dropouts: Dropouts) -> Tensor<2> {
        self.forward_with(tokens, dropouts, &mut HiddenStates::none())
    }

    /// The logits, with hidden states of the encoder added to `states`.
    pub fn forward_with(&self, tokens: &Tokens, dropouts: Dropouts, states: &mut HiddenStates) -> Tensor<2> {
        let hidden = self.bert.pooled(self.bert.forward(tokens, dropouts, states));
        let hidden = match self.bert.architecture().heads.dropout_before_answers {
            true => norm::dropout(hidden, dropouts.head),
            false => hidden,
        };
        self.bert.apply("qa_outputs", &self.qa_outputs, hidden)
    }

    /// The last hidden states, `[tokens, hidden]`.
    pub fn hidden_states(&self, tokens: &Tokens, dropouts: Dropouts) -> Tensor<2> {
        self.bert.forward(tokens, dropouts, &mut HiddenStates::none())
    }
}

impl BertModel for BertForSequenceClassification {
    const ARCHITECTURE: &'static str = "BertForSequenceClassification";

    fn with_head(config: &BertConfig, head: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        let labels = head.text_outputs().unwrap_or(2);
        BertForSequenceClassification {
            bert: Bert::new(config, true, &mut init, device),
            classifier: init.linear(config.hidden_size, labels, device),
        }
    }

    fn encoder(&self) -> &Bert {
        &self.bert
    }

    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self {
        BertForSequenceClassification { bert: map(self.bert), ..self }
    }
}

impl BertForSequenceClassification {
    /// The logits, `[sequences, labels]`. `first` are the rows of the sequences' first tokens; `dropout` applies to
    /// the pooled output.
    pub fn forward(
        &self,
        tokens: &Tokens,
        first: Tensor<1, Int>,
        dropouts: Dropouts,
        dropout: Dropout,
    ) -> Tensor<2> {
        self.forward_with(tokens, first, dropouts, dropout, &mut HiddenStates::none())
    }

    /// The logits, with hidden states of the encoder added to `states`.
    pub fn forward_with(
        &self,
        tokens: &Tokens,
        first: Tensor<1, Int>,
        dropouts: Dropouts,
        dropout: Dropout,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let hidden = self.bert.forward(tokens, dropouts, states);
        let first = match self.bert.architecture().heads.mean {
            true => tokens.mean(hidden),
            false => hidden.select(0, first),
        };
        let first = match self.bert.architecture().heads.dropout_before_pooler {
            true => norm::dropout(first, dropout.place(HEAD)),
            false => first,
        };
        let pooled = self.bert.pooled(first);
        self.bert.apply("classifier", &self.classifier, norm::dropout(pooled, dropout))
    }
}

impl BertModel for BertForTokenClassification {
    const ARCHITECTURE: &'static str = "BertForTokenClassification";

    fn with_head(config: &BertConfig, head: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        let labels = match head {
            Head::TokenClassification { labels } => labels,
            _ => 2,
        };
        BertForTokenClassification {
            bert: Bert::new(config, config.architecture().heads.transforms_tokens, &mut init, device),
            token_classifier: init.linear(config.hidden_size, labels, device),
        }
    }

    fn encoder(&self) -> &Bert {
        &self.bert
    }

    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self {
        BertForTokenClassification { bert: map(self.bert), ..self }
    }
}

impl BertForTokenClassification {
    /// The logits of the tokens at `rows`, `[rows, labels]`, with hidden states of the encoder added to `states`.
    /// `dropout` applies to the last hidden states of all tokens.
    pub fn forward_with(
        &self,
        tokens: &Tokens,
        rows: Tensor<1, Int>,
        dropouts: Dropouts,
        dropout: Dropout,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let hidden = self.bert.pooled(self.bert.forward(tokens, dropouts, states));
        let hidden = norm::dropout(hidden, dropout).select(0, rows);
        self.bert.apply("token_classifier", &self.token_classifier, hidden)
    }
}

impl BertModel for SentenceEncoder {
    const ARCHITECTURE: &'static str = "BertModel";
    const BARE: bool = true;

    fn with_head(config: &BertConfig, _: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        SentenceEncoder { bert: Bert::new(config, false, &mut init, device) }
    }

    fn encoder(&self) -> &Bert {
        &self.bert
    }

    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self {
        SentenceEncoder { bert: map(self.bert) }
    }
}

impl SentenceEncoder {
    /// The last hidden states, `[tokens, hidden]`; those of the encoder are added to `states`.
    pub fn forward_with(&self, tokens: &Tokens, dropouts: Dropouts, states: &mut HiddenStates) -> Tensor<2> {
        self.bert.forward(tokens, dropouts, states)
    }
}

impl BertModel for BertForMaskedLM {
    const ARCHITECTURE: &'static str = "BertForMaskedLM";

    fn with_head(config: &BertConfig, _: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        let architecture = config.architecture();
        let width = architecture.embedding;
        let bert = Bert::new(config, false, &mut init, device);
        let predictions = Predictions {
            bias: Param::from_tensor(Tensor::zeros([config.vocab_size], device)),
            transform: Transform {
                dense: init.linear_with(config.hidden_size, width, architecture.biases.pooler, device),
                LayerNorm: LayerNorm::new(width, &architecture, device),
            },
        };
        BertForMaskedLM { bert, cls: LanguageModelHead { predictions } }
    }

    fn encoder(&self) -> &Bert {
        &self.bert
    }

    fn map_encoder(self, map: impl FnOnce(Bert) -> Bert) -> Self {
        BertForMaskedLM { bert: map(self.bert), ..self }
    }
}

impl BertForMaskedLM {
    /// The logits of the tokens at `rows`, `[rows, vocabulary]`.
    pub fn forward(&self, tokens: &Tokens, rows: Tensor<1, Int>, dropouts: Dropouts) -> Tensor<2> {
        self.forward_with(tokens, rows, dropouts, &mut HiddenStates::none())
    }

    /// The logits, with hidden states of the encoder added to `states`.
    pub fn forward_with(
        &self,
        tokens: &Tokens,
        rows: Tensor<1, Int>,
        dropouts: Dropouts,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let hidden = self.bert.forward(tokens, dropouts, states).select(0, rows);
        let Predictions { bias, transform } = &self.cls.predictions;
        let wide = self.bert.apply("cls.predictions.transform.dense", &transform.dense, hidden);
        let wide = activate(wide, self.bert.architecture().heads.language);
        let normal = transform.LayerNorm.forward(wide);
        linear(normal, self.bert.word_embeddings().transpose(), bias.val())
    }
}
