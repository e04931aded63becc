//! Sequence classification of texts and pairs of texts: a logit for each label.

use burn::tensor::{Device, Int, Tensor};

use super::data::pairs::Sequence;
use super::evaluation::by_length;
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::Metrics;
pub use super::metric::classification::F1;
use super::metric::classification::{self, argmax};
use super::model::kernels::Dropout;
use super::model::{BertForSequenceClassification, Dropouts, Tokens, int_tensor};
use super::{HiddenStates, Output, Task};

/// Classification of texts or pairs of texts.
#[derive(Debug)]
pub struct Classification {
    /// The training set.
    pub train: Vec<Sequence>,
    /// The dev sets, which are evaluated separately: the suffix of a set's metrics (`_mm`), and its sequences.
    pub dev: Vec<(&'static str, Vec<Sequence>)>,
    /// The labels in the order of the model's logits.
    pub labels: Vec<String>,
    /// The same labels in the order of the data set.
    pub data_labels: Vec<String>,
    /// The definition of the metric `f1`.
    pub f1: F1,
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
    labels: Tensor<1, Int>,
}

impl Task for Classification {
    type Model = BertForSequenceClassification;
    type Batch = Batch;

    bert_methods!(BertForSequenceClassification);

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let sequences: Vec<&Sequence> = examples.iter().map(|i| &self.train[*i]).collect();
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

    /// The mean cross-entropy.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        cross_entropy(outputs[0].logits.clone(), batch.labels.clone())
    }

    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        let (logits, labels) = (outputs[0].logits.clone(), batch.labels.clone());
        Some(smoothed_cross_entropy(logits, labels, smoothing, None))
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
        let total = self.dev_examples();
        let mut done = 0;
        let predicted: Vec<Vec<usize>> = self
            .dev
            .iter()
            .map(|(_, sequences)| {
                let before = done;
                self.predict(model, sequences, device, &mut |n| {
                    done = before + n;
                    progress(done, total);
                })
            })
            .collect();
        self.score(&predicted)
    }
}

impl Classification {
    /// The index of the largest logit of each sequence.
    pub fn predict(
        &self,
        model: &BertForSequenceClassification,
        sequences: &[Sequence],
        device: &Device,
        progress: &mut dyn FnMut(usize),
    ) -> Vec<usize> {
        let compute = |part: &[usize]| {
            let own: Vec<&Sequence> = part.iter().map(|i| &sequences[*i]).collect();
            let output = self.outputs(model, &Batch::arrange(&own, device), None).remove(0);
            output.into_rows().iter().map(|row| argmax(row)).collect()
        };
        by_length(sequences.iter().map(|s| s.ids.len()), compute, progress)
    }

    /// The metrics of logits that another runtime computed for the sequences of each dev set.
    pub fn metrics_of(&self, logits: &[Vec<Vec<f32>>]) -> Metrics {
        let predicted = logits.iter().map(|set| set.iter().map(|row| argmax(row)).collect());
        self.score(&predicted.collect::<Vec<_>>())
    }

    /// The metrics of the predicted labels of each dev set.
    fn score(&self, predicted: &[Vec<usize>]) -> Metrics {
        let mut metrics = Metrics::new();
        for ((suffix, sequences), predicted) in self.dev.iter().zip(predicted) {
            let labels: Vec<usize> = sequences.iter().map(|s| s.label).collect();
            for (name, value) in classification::metrics(predicted, &labels, &self.labels, self.f1) {
                metrics.insert(format!("{name}{suffix}"), value);
            }
        }
        metrics
    }

    /// The number of sequences of all dev sets.
    pub fn dev_examples(&self) -> usize {
        self.dev.iter().map(|(_, sequences)| sequences.len()).sum()
    }
}

impl Batch {
    fn arrange(sequences: &[&Sequence], device: &Device) -> Self {
        let parts: Vec<(&[u32], &[u32])> =
            sequences.iter().map(|s| (s.ids.as_slice(), s.types.as_slice())).collect();
        let tokens = Tokens::arrange(&parts, device);
        let ints = |values: Vec<i32>| int_tensor(values, device);
        Batch {
            first: ints(tokens.row_ranges().iter().map(|r| r.start as i32).collect()),
            labels: ints(sequences.iter().map(|s| s.label as i32).collect()),
            tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn the_first_of_equal_logits_is_predicted() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[2.0, -1.0]), 0);
    }
}
