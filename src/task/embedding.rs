//! Sentence embeddings: a vector for each text, pooled from the last hidden states of an encoder.

use burn::tensor::{Device, Tensor};

use crate::params::sentence_modules::SentenceModules;
use crate::schedule::ir::EmbeddingLoss;

use super::data::sentence_rows::SentenceRow;
use super::data::sentences::Shape;
use super::metric::{Metrics, similarity};
use super::model::{Dropouts, SentenceEncoder, Tokens};
use super::pooling::{
    cosent, cosine_error, cosines, in_batch_negatives, pool, random_projection, similarities,
};
use super::{Divergence, HiddenStates, Output, Task};

/// The rows of a split, with their scores.
#[derive(Debug)]
pub struct Split {
    /// What the rows are.
    pub shape: Shape,
    /// The rows.
    pub rows: Vec<SentenceRow>,
    /// The score of each row; zeros if the rows have none.
    pub scores: Vec<f64>,
}

/// Training and evaluation of sentence embeddings.
#[derive(Debug)]
pub struct Embedding {
    /// The training set.
    pub train: Split,
    /// The dev set.
    pub dev: Split,
    /// The loss of rows that are no plain texts.
    pub loss: EmbeddingLoss,
    /// The factor of cosines in the loss.
    pub scale: f64,
    /// How embeddings are pooled.
    pub modules: SentenceModules,
    /// The dropout probability of hidden states in training.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights in training.
    pub attention_dropout: f64,
}

/// A batch of rows on a device: first the first texts of all rows, then the second ones, and so on.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    rows: usize,
    scores: Vec<f32>,
}

/// The number of texts in an evaluation batch.
const EVALUATION_BATCH: usize = 32;

impl Task for Embedding {
    type Model = SentenceEncoder;
    type Batch = Batch;

    bert_methods!(SentenceEncoder);

    fn examples(&self) -> usize {
        self.train.rows.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let texts = (0..self.train.shape.texts())
            .flat_map(|column| examples.iter().map(move |i| self.train.rows[*i].texts[column].as_slice()));
        Batch {
            tokens: arrange(&texts.collect::<Vec<_>>(), device),
            rows: examples.len(),
            scores: examples.iter().map(|i| self.train.scores[*i] as f32).collect(),
        }
    }

    fn outputs(&self, model: &SentenceEncoder, batch: &Batch, dropout: Option<u64>) -> Vec<Output> {
        self.outputs_with_hidden_states(model, batch, dropout, &mut HiddenStates::none())
    }

    /// `embeddings`, `[texts, hidden]`, and their cosines with each other, `similarities`, `[texts, texts]`.
    fn outputs_with_hidden_states(
        &self,
        model: &SentenceEncoder,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut HiddenStates,
    ) -> Vec<Output> {
        let dropouts = Dropouts::of(self.hidden_dropout, self.attention_dropout, dropout);
        let embeddings = self.embed(model, &batch.tokens, dropouts, states);
        let cosines = similarities(embeddings.clone());
        vec![
            Output { name: "embeddings", logits: embeddings },
            Output { name: "similarities", logits: cosines },
        ]
    }

    /// The loss of pairs, triplets or scored pairs. Plain texts have none: it is zero, and a model learns from them by
    /// distillation.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        let all = &outputs[0].logits;
        let [texts, _] = all.dims();
        let column = |first: usize, last: usize| all.clone().slice([first * batch.rows..last * batch.rows]);
        let columns = texts / batch.rows.max(1);
        if columns == 1 {
            return all.clone().sum().reshape([1]) * 0.0;
        }
        match self.loss {
            EmbeddingLoss::InBatch => in_batch_negatives(column(0, 1), column(1, columns), self.scale),
            EmbeddingLoss::Cosent => cosent(cosines(column(0, 1), column(1, 2)), &batch.scores, self.scale),
            EmbeddingLoss::Cosine => cosine_error(cosines(column(0, 1), column(1, 2)), &batch.scores),
        }
    }

    /// The loss; of plain texts a random projection of each embedding.
    fn pruning_loss(&self, outputs: &[Output], batch: &Batch, seed: u64) -> Tensor<1> {
        match self.train.shape {
            Shape::Texts => random_projection(outputs[0].logits.clone(), seed),
            _ => self.loss(outputs, batch),
        }
    }

    fn has_loss(&self) -> bool {
        self.train.shape != Shape::Texts
    }

    fn divergence(&self, _: &str) -> Divergence {
        Divergence::Squared
    }

    fn length(&self, example: usize) -> usize {
        self.train.rows[example].texts.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn evaluate(
        &self,
        model: &SentenceEncoder,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        let texts = self.dev_texts();
        let mut embeddings = vec![Vec::new(); texts.len()];
        let mut done = 0;
        // Texts of similar length in one batch, to minimise padding.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|i| texts[*i].len());
        for part in order.chunks(EVALUATION_BATCH) {
            let own: Vec<&[u32]> = part.iter().map(|i| texts[*i]).collect();
            let tokens = arrange(&own, device);
            let found = self.embed(model, &tokens, Dropouts::NONE, &mut HiddenStates::none());
            let width = found.dims()[1].max(1);
            let values = Output { name: "embeddings", logits: found }.into_values();
            for (place, row) in part.iter().zip(values.chunks(width)) {
                embeddings[*place] = row.to_vec();
            }
            done += part.len();
            progress(done, texts.len());
        }
        self.metrics_of(&embeddings)
    }
}

impl Embedding {
    /// The token ids of the texts of the dev set: first the first texts of all rows, then the second ones, and so on.
    pub fn dev_texts(&self) -> Vec<&[u32]> {
        let rows = &self.dev.rows;
        let columns = 0..self.dev.shape.texts();
        columns.flat_map(|column| rows.iter().map(move |row| row.texts[column].as_slice())).collect()
    }

    /// The metrics of the embeddings of [`Self::dev_texts`]: of scored pairs `spearman` and `pearson`, of triplets
    /// `accuracy`, of pairs `mrr_10`, `recall_1` and `recall_10`.
    pub fn metrics_of(&self, embeddings: &[Vec<f32>]) -> Metrics {
        let rows = self.dev.rows.len();
        let column = |i: usize| &embeddings[i * rows..(i + 1) * rows];
        match self.dev.shape {
            Shape::Scored => similarity::scored(column(0), column(1), &self.dev.scores),
            Shape::Triplets => similarity::triplets(column(0), column(1), column(2)),
            Shape::Pairs | Shape::Texts => {
                similarity::pairs(column(0), column(1), &self.dev_texts()[rows..2 * rows])
            }
        }
    }

    fn embed(
        &self,
        model: &SentenceEncoder,
        tokens: &Tokens,
        dropouts: Dropouts,
        states: &mut HiddenStates,
    ) -> Tensor<2> {
        let hidden = model.forward_with(tokens, dropouts, states);
        pool(hidden, tokens, self.modules.pooling, self.modules.normalize)
    }
}

fn arrange(texts: &[&[u32]], device: &Device) -> Tokens {
    let types: Vec<Vec<u32>> = texts.iter().map(|ids| vec![0; ids.len()]).collect();
    let parts: Vec<(&[u32], &[u32])> = texts.iter().zip(&types).map(|(i, t)| (*i, t.as_slice())).collect();
    Tokens::arrange(&parts, device)
}
