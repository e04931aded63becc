//! Sentence embeddings: a vector for each text, pooled from the last hidden states of an encoder.

use burn::tensor::{Device, Tensor};

use crate::params::sentence_modules::SentenceModules;
use crate::schedule::ir::EmbeddingLoss;

use super::data::sentence_rows::SentenceRow;
use super::data::sentences::Shape;
use super::evaluation::by_length;
use super::metric::retrieval::Nearest;
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

/// Queries and documents with relevance judgements.
#[derive(Debug)]
pub struct RetrievalSet {
    /// The queries, a text in each row.
    pub queries: Vec<SentenceRow>,
    /// The documents, a text in each row.
    pub documents: Vec<SentenceRow>,
    /// The sorted indices of the relevant documents of each query.
    pub relevant: Vec<Vec<usize>>,
}

/// What embeddings are evaluated on.
#[derive(Debug)]
pub enum DevSet {
    /// Scored pairs, pairs or triplets.
    Rows(Split),
    /// Retrieval of documents.
    Retrieval(RetrievalSet),
}

/// Training and evaluation of sentence embeddings.
#[derive(Debug)]
pub struct Embedding {
    /// The training set.
    pub train: Split,
    /// The dev set.
    pub dev: DevSet,
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

/// The number of documents whose embeddings are in memory at a time.
const DOCUMENTS: usize = 4096;

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

    /// The loss of pairs, triplets or scored pairs. For plain texts it is zero: a model learns from them by
    /// distillation only.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        let all = &outputs[0].logits;
        let [texts, _] = all.dims();
        let column = |first: usize, last: usize| {
            all.clone().narrow(0, first * batch.rows, (last - first) * batch.rows)
        };
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

    /// The loss; for plain texts, the mean of a random projection of the embeddings.
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
        let total = texts.len();
        let mut embed = |part: &[&[u32]], before: usize| {
            self.embed_all(model, part, device, &mut |done| progress(before + done, total))
        };
        match &self.dev {
            DevSet::Rows(split) => metrics_of_rows(split, &texts, &embed(&texts, 0)),
            DevSet::Retrieval(set) => {
                let (queries, documents) = texts.split_at(set.queries.len());
                let mut nearest = Nearest::new(embed(queries, 0));
                // The embeddings of a part of the documents are in memory at a time.
                for (part, texts) in documents.chunks(DOCUMENTS).enumerate() {
                    let first = part * DOCUMENTS;
                    for (i, embedding) in embed(texts, queries.len() + first).iter().enumerate() {
                        nearest.add(first + i, embedding);
                    }
                }
                nearest.metrics(&set.relevant)
            }
        }
    }
}

impl Embedding {
    /// The token ids of the texts of the dev set: first the first texts of all rows, then the second ones, and so on; of
    /// retrieval the queries, then the documents.
    pub fn dev_texts(&self) -> Vec<&[u32]> {
        fn column(rows: &[SentenceRow], column: usize) -> impl Iterator<Item = &[u32]> {
            rows.iter().map(move |row| row.texts[column].as_slice())
        }
        match &self.dev {
            DevSet::Rows(Split { shape, rows, .. }) => {
                (0..shape.texts()).flat_map(|i| column(rows, i)).collect()
            }
            DevSet::Retrieval(set) => column(&set.queries, 0).chain(column(&set.documents, 0)).collect(),
        }
    }

    /// The number of rows of the dev set, or of queries.
    pub fn dev_rows(&self) -> usize {
        match &self.dev {
            DevSet::Rows(split) => split.rows.len(),
            DevSet::Retrieval(set) => set.queries.len(),
        }
    }

    /// The metrics of the embeddings of [`Self::dev_texts`]: for scored pairs `spearman` and `pearson`, for triplets
    /// `accuracy`, for pairs `mrr_10`, `recall_1` and `recall_10`, for retrieval those of [`Nearest::metrics`].
    pub fn metrics_of(&self, embeddings: &[Vec<f32>]) -> Metrics {
        match &self.dev {
            DevSet::Rows(split) => metrics_of_rows(split, &self.dev_texts(), embeddings),
            DevSet::Retrieval(set) => {
                let (queries, documents) = embeddings.split_at(set.queries.len());
                let mut nearest = Nearest::new(queries.to_vec());
                documents.iter().enumerate().for_each(|(i, embedding)| nearest.add(i, embedding));
                nearest.metrics(&set.relevant)
            }
        }
    }

    /// The embedding of each text. `progress` receives the number of finished texts.
    fn embed_all(
        &self,
        model: &SentenceEncoder,
        texts: &[&[u32]],
        device: &Device,
        progress: &mut dyn FnMut(usize),
    ) -> Vec<Vec<f32>> {
        let compute = |part: &[usize]| {
            let own: Vec<&[u32]> = part.iter().map(|i| texts[*i]).collect();
            let tokens = arrange(&own, device);
            let logits = self.embed(model, &tokens, Dropouts::NONE, &mut HiddenStates::none());
            Output { name: "embeddings", logits }.into_rows()
        };
        by_length(texts.iter().map(|ids| ids.len()), compute, progress)
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

/// The metrics of the embeddings of these texts, the first ones of all rows, then the second ones, and so on.
fn metrics_of_rows(split: &Split, texts: &[&[u32]], embeddings: &[Vec<f32>]) -> Metrics {
    let rows = split.rows.len();
    let column = |i: usize| &embeddings[i * rows..(i + 1) * rows];
    match split.shape {
        Shape::Scored => similarity::scored(column(0), column(1), &split.scores),
        Shape::Triplets => similarity::triplets(column(0), column(1), column(2)),
        Shape::Pairs | Shape::Texts => similarity::pairs(column(0), column(1), &texts[rows..2 * rows]),
    }
}

fn arrange(texts: &[&[u32]], device: &Device) -> Tokens {
    let types: Vec<Vec<u32>> = texts.iter().map(|ids| vec![0; ids.len()]).collect();
    let parts: Vec<(&[u32], &[u32])> = texts.iter().zip(&types).map(|(i, t)| (*i, t.as_slice())).collect();
    Tokens::arrange(&parts, device)
}
