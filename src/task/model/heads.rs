//! BERT for each task: the encoder with a head on it, under the Hugging Face names.

// Hugging Face calls its layer normalisations `LayerNorm`.
#![allow(non_snake_case)]

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

use crate::params::builtin::Head;
use crate::params::{BertConfig, Family};
use crate::task::States;
use crate::task::rounding::{Product, Rounding};

use super::bert::{Bert, HEAD, LayerNorm, Noise, Tokens};
use super::init::Init;
use super::kernels::{Dropout, add_norm, gelu, linear, norm};

/// A BERT with a head, as a model folder holds it; a RoBERTa or a DistilBERT likewise.
pub trait BertModel: Module + Clone {
    /// The class of `transformers` that opens what is saved, if it is a BERT.
    const ARCHITECTURE: &'static str;

    /// A new model with random weights: normal with the configuration's spread, biases zero.
    fn with_head(config: &BertConfig, head: Head, seed: u64, device: &Device) -> Self;

    /// The same with only these layers of the encoder, in this order.
    fn keep_layers(self, kept: &[usize]) -> Self;

    /// How many layers the encoder has.
    fn layers(&self) -> usize;

    /// What of it is rounded to few bits, if anything is.
    fn rounding(&self) -> Option<&Arc<Rounding>>;

    /// The same with another rounding.
    fn with_rounding(self, rounding: Option<Arc<Rounding>>) -> Self;

    /// The products of attention, which may be rounded.
    fn products(&self) -> Vec<Product>;

    /// The class of `transformers` that opens what is saved.
    fn architecture(config: &BertConfig) -> String {
        Self::ARCHITECTURE.replacen(Family::Bert.class(), config.family().class(), 1)
    }
}

/// BERT with two logits for each token: start and end of the answer.
#[derive(Module, Debug)]
pub struct BertForQuestionAnswering {
    bert: Bert,
    qa_outputs: Linear,
}

/// BERT with a logit for each label.
#[derive(Module, Debug)]
pub struct BertForSequenceClassification {
    bert: Bert,
    classifier: Linear,
}

/// BERT with a logit for each entry of the vocabulary, for each token.
#[derive(Module, Debug)]
pub struct BertForMaskedLM {
    bert: Bert,
    cls: LanguageModelHead,
}

/// The head of a language model.
#[derive(Module, Debug)]
pub struct LanguageModelHead {
    predictions: Predictions,
}

/// From a hidden state to the vocabulary; the last product is with the word embeddings.
#[derive(Module, Debug)]
pub struct Predictions {
    bias: Param<Tensor<1>>,
    transform: Transform,
}

/// A layer before the product with the word embeddings.
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
            bert: Bert::new(config, false, &mut init, device),
            qa_outputs: init.linear(config.hidden_size, 2, device),
        }
    }

    fn keep_layers(self, kept: &[usize]) -> Self {
        BertForQuestionAnswering { bert: self.bert.keep_layers(kept), ..self }
    }

    fn layers(&self) -> usize {
        self.bert.layers()
    }

    fn rounding(&self) -> Option<&Arc<Rounding>> {
        self.bert.rounding()
    }

    fn with_rounding(self, rounding: Option<Arc<Rounding>>) -> Self {
        BertForQuestionAnswering { bert: self.bert.with_rounding(rounding), ..self }
    }

    fn products(&self) -> Vec<Product> {
        self.bert.products()
    }
}

impl BertForQuestionAnswering {
    /// A new model with random weights.
    pub fn new(config: &BertConfig, seed: u64, device: &Device) -> Self {
        Self::with_head(config, Head::QuestionAnswering, seed, device)
    }

    /// Start and end logits of every token, `[tokens, 2]`.
    pub fn forward(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        self.forward_with(tokens, noise, &mut States::none())
    }

    /// The same, and the encoder's states.
    pub fn forward_with(&self, tokens: &Tokens, noise: Noise, states: &mut States) -> Tensor<2> {
        let hidden = self.bert.forward(tokens, noise, states);
        // DistilBERT alone drops some of what its head reads (`qa_dropout`).
        let hidden = match self.bert.family() {
            Family::DistilBert => norm::dropout(hidden, noise.head),
            _ => hidden,
        };
        self.bert.apply("qa_outputs", &self.qa_outputs, hidden)
    }

    /// The last hidden states, `[tokens, hidden]`.
    pub fn hidden_states(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        self.bert.forward(tokens, noise, &mut States::none())
    }
}

impl BertModel for BertForSequenceClassification {
    const ARCHITECTURE: &'static str = "BertForSequenceClassification";

    fn with_head(config: &BertConfig, head: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        let labels = match head {
            Head::Classification { labels } => labels,
            _ => 2,
        };
        BertForSequenceClassification {
            bert: Bert::new(config, true, &mut init, device),
            classifier: init.linear(config.hidden_size, labels, device),
        }
    }

    fn keep_layers(self, kept: &[usize]) -> Self {
        BertForSequenceClassification { bert: self.bert.keep_layers(kept), ..self }
    }

    fn layers(&self) -> usize {
        self.bert.layers()
    }

    fn rounding(&self) -> Option<&Arc<Rounding>> {
        self.bert.rounding()
    }

    fn with_rounding(self, rounding: Option<Arc<Rounding>>) -> Self {
        BertForSequenceClassification { bert: self.bert.with_rounding(rounding), ..self }
    }

    fn products(&self) -> Vec<Product> {
        self.bert.products()
    }
}

impl BertForSequenceClassification {
    /// The logits of sequences whose first tokens stand in the rows `first`, `[sequences, labels]`;
    /// `dropout` is that of the pooled vectors.
    pub fn forward(
        &self,
        tokens: &Tokens,
        first: Tensor<1, Int>,
        noise: Noise,
        dropout: Dropout,
    ) -> Tensor<2> {
        self.forward_with(tokens, first, noise, dropout, &mut States::none())
    }

    /// The same, and the encoder's states.
    pub fn forward_with(
        &self,
        tokens: &Tokens,
        first: Tensor<1, Int>,
        noise: Noise,
        dropout: Dropout,
        states: &mut States,
    ) -> Tensor<2> {
        let hidden = self.bert.forward(tokens, noise, states);
        let first = hidden.select(0, first);
        // RoBERTa's classifier begins with a dropout.
        let first = match self.bert.family() {
            Family::Roberta => norm::dropout(first, dropout.place(HEAD)),
            _ => first,
        };
        let pooled = self.bert.pooled(first);
        self.bert.apply("classifier", &self.classifier, norm::dropout(pooled, dropout))
    }
}

impl BertModel for BertForMaskedLM {
    const ARCHITECTURE: &'static str = "BertForMaskedLM";

    fn with_head(config: &BertConfig, _: Head, seed: u64, device: &Device) -> Self {
        let mut init = Init::new(seed, config.initializer_range);
        let hidden = config.hidden_size;
        let bert = Bert::new(config, false, &mut init, device);
        let predictions = Predictions {
            bias: Param::from_tensor(Tensor::zeros([config.vocab_size], device)),
            transform: Transform {
                dense: init.linear(hidden, hidden, device),
                LayerNorm: LayerNorm::new(hidden, config.layer_norm_eps, device),
            },
        };
        BertForMaskedLM { bert, cls: LanguageModelHead { predictions } }
    }

    fn keep_layers(self, kept: &[usize]) -> Self {
        BertForMaskedLM { bert: self.bert.keep_layers(kept), ..self }
    }

    fn layers(&self) -> usize {
        self.bert.layers()
    }

    fn rounding(&self) -> Option<&Arc<Rounding>> {
        self.bert.rounding()
    }

    fn with_rounding(self, rounding: Option<Arc<Rounding>>) -> Self {
        BertForMaskedLM { bert: self.bert.with_rounding(rounding), ..self }
    }

    fn products(&self) -> Vec<Product> {
        self.bert.products()
    }
}

impl BertForMaskedLM {
    /// The logits of the tokens in `rows`, `[rows, vocabulary]`.
    pub fn forward(&self, tokens: &Tokens, rows: Tensor<1, Int>, noise: Noise) -> Tensor<2> {
        self.forward_with(tokens, rows, noise, &mut States::none())
    }

    /// The same, and the encoder's states.
    pub fn forward_with(
        &self,
        tokens: &Tokens,
        rows: Tensor<1, Int>,
        noise: Noise,
        states: &mut States,
    ) -> Tensor<2> {
        let hidden = self.bert.forward(tokens, noise, states).select(0, rows);
        let Predictions { bias, transform } = &self.cls.predictions;
        let wide = gelu(self.bert.apply("cls.predictions.transform.dense", &transform.dense, hidden));
        let nothing = Tensor::zeros(wide.dims(), &wide.device());
        let normal = add_norm(wide, nothing, transform.LayerNorm.params(), Dropout::NONE);
        linear(normal, self.bert.word_embeddings().transpose(), bias.val())
    }
}
