//! Classifiers of texts whose targets are numbers: regression, reranking, and multi-label classification.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};

use super::data::target_sequences::TargetSequence;
use super::evaluation::by_length;
use super::metric::{Metrics, correlation, multi_label, ranking};
use super::model::kernels::Dropout;
use super::model::{BertForSequenceClassification, Dropouts, Tokens, int_tensor};
use super::{Divergence, HiddenStates, Output, Task};

/// What the outputs of the model mean (`problem_type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One output is a score.
    Regression,
    /// The sigmoid of the one output is the probability that a passage is relevant for a query.
    Rerank {
        /// The number of the query of each sequence of the dev set.
        queries: Vec<usize>,
    },
    /// The sigmoid of an output is the probability of its label.
    MultiLabel {
        /// The labels in the order of the model's logits.
        labels: Vec<String>,
        /// The same labels in the order of the data set.
        data_labels: Vec<String>,
    },
}

/// Regression, reranking or multi-label classification of texts or pairs of texts.
#[derive(Debug)]
pub struct Scoring {
    /// What the outputs mean.
    pub problem: Problem,
    /// The training set.
    pub train: Vec<TargetSequence>,
    /// The dev set.
    pub dev: Vec<TargetSequence>,
    /// The dropout probability of hidden states in training.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights in training.
    pub attention_dropout: f64,
    /// The dropout probability of the pooled output in training (`classifier_dropout`).
    pub pooled_dropout: f64,
}

/// A batch of sequences on a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The row of each sequence's first token, `[sequences]`.
    first: Tensor<1, Int>,
    /// `[sequences, outputs]`.
    targets: Tensor<2>,
}

impl Task for Scoring {
    type Model = BertForSequenceClassification;
    type Batch = Batch;

    bert_methods!(BertForSequenceClassification);

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let sequences: Vec<&TargetSequence> = examples.iter().map(|i| &self.train[*i]).collect();
        Batch::arrange(&sequences, device)
    }

    fn outputs_with_hidden_states(
        &self,
        model: &BertForSequenceClassification,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut HiddenStates,
    ) -> Vec<Output> {
        let dropouts = Dropouts::of(self.hidden_dropout, self.attention_dropout, dropout);
        let pooled = dropout.map_or(Dropout::NONE, |seed| Dropout::drawn(self.pooled_dropout, seed, 3));
        let logits = model.forward_with(&batch.tokens, batch.first.clone(), dropouts, pooled, states);
        vec![Output { name: "logits", logits }]
    }

    /// The mean squared error (`torch.nn.MSELoss`), or the mean over texts and labels of the binary cross-entropy
    /// (`torch.nn.BCEWithLogitsLoss`).
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        let (x, y) = (outputs[0].logits.clone(), batch.targets.clone());
        match self.problem {
            Problem::Regression => (x - y).square().mean(),
            // -y ln σ(x) - (1 - y) ln σ(-x), where ln σ(-x) = ln σ(x) - x.
            Problem::MultiLabel { .. } | Problem::Rerank { .. } => {
                let log = activation::log_sigmoid(x.clone());
                ((-y + 1.0) * x - log).mean()
            }
        }
    }

    fn divergence(&self, _: &str) -> Divergence {
        match self.problem {
            Problem::Regression => Divergence::Squared,
            Problem::MultiLabel { .. } | Problem::Rerank { .. } => Divergence::Sigmoid,
        }
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].ids.len()
    }

    fn evaluate(
        &self,
        model: &BertForSequenceClassification,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        let compute = |part: &[usize]| {
            let own: Vec<&TargetSequence> = part.iter().map(|i| &self.dev[*i]).collect();
            self.outputs(model, &Batch::arrange(&own, device), None).remove(0).into_rows()
        };
        let total = self.dev.len();
        let lengths = self.dev.iter().map(|sequence| sequence.ids.len());
        let found = by_length(lengths, compute, &mut |done| progress(done, total));
        self.metrics_of(&found)
    }
}

impl Scoring {
    /// The metrics of the outputs for each sequence of the dev set: `pearson` and `spearman` in -1..=1 and `mse` of scores;
    /// of reranking those of [`ranking::metrics`]; of labels those of [`multi_label::metrics`], where a label is given if its probability is above 0.5.
    pub fn metrics_of(&self, outputs: &[Vec<f32>]) -> Metrics {
        match &self.problem {
            Problem::Regression => {
                let scores = |row: &[f32]| f64::from(row.first().copied().unwrap_or(0.0));
                let x: Vec<f64> = outputs.iter().map(|row| scores(row)).collect();
                let y: Vec<f64> = self.dev.iter().map(|sequence| scores(&sequence.targets)).collect();
                let squares = x.iter().zip(&y).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
                Metrics::from([
                    ("pearson".to_owned(), correlation::pearson(&x, &y)),
                    ("spearman".to_owned(), correlation::spearman(&x, &y)),
                    ("mse".to_owned(), squares / y.len().max(1) as f64),
                ])
            }
            Problem::Rerank { queries } => {
                let first = |row: &[f32]| row.first().copied().unwrap_or(0.0);
                let scores: Vec<f32> = outputs.iter().map(|row| first(row)).collect();
                let relevant: Vec<bool> = self.dev.iter().map(|s| first(&s.targets) > 0.5).collect();
                ranking::metrics(&scores, &relevant, queries)
            }
            Problem::MultiLabel { labels, .. } => {
                let above = |row: &[f32], threshold: f32| row.iter().map(|v| *v > threshold).collect();
                let predicted: Vec<Vec<bool>> = outputs.iter().map(|row| above(row, 0.0)).collect();
                let gold: Vec<Vec<bool>> = self.dev.iter().map(|s| above(&s.targets, 0.5)).collect();
                multi_label::metrics(&predicted, &gold, labels)
            }
        }
    }
}

impl Batch {
    fn arrange(sequences: &[&TargetSequence], device: &Device) -> Self {
        let parts: Vec<(&[u32], &[u32])> =
            sequences.iter().map(|s| (s.ids.as_slice(), s.types.as_slice())).collect();
        let tokens = Tokens::arrange(&parts, device);
        let first = tokens.row_ranges().iter().map(|r| r.start as i32).collect();
        let width = sequences.first().map_or(0, |s| s.targets.len());
        let targets: Vec<f32> = sequences.iter().flat_map(|s| s.targets.iter().copied()).collect();
        let targets = Tensor::from_data(TensorData::new(targets, [sequences.len(), width]), device);
        Batch { first: int_tensor(first, device), tokens, targets }
    }
}
