//! Labels for texts and pairs of texts: BERT with a logit for each label.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::pairs::Sequence;
use super::loss::{cross_entropy, smoothed_cross_entropy};
pub use super::metric::classification::F1;
use super::metric::{Metrics, classification};
use super::model::kernels::Dropout;
use super::model::{BertForSequenceClassification, BertModel, Noise, Tokens};
use super::rounding::{Product, Rounding};
use super::{Output, States, Task};

/// Classification of texts.
#[derive(Debug)]
pub struct Classification {
    /// Sequences to train on.
    pub train: Vec<Sequence>,
    /// Held-out sequences, in sets that are measured by themselves: what the names of a set's
    /// metrics end with, and its sequences.
    pub dev: Vec<(&'static str, Vec<Sequence>)>,
    /// The labels in the order of the model's outputs.
    pub labels: Vec<String>,
    /// The same labels in the order of the data.
    pub data_labels: Vec<String>,
    /// What `f1` is.
    pub f1: F1,
    /// Dropout of hidden states while training.
    pub hidden_dropout: f64,
    /// Dropout of attention weights while training.
    pub attention_dropout: f64,
    /// Dropout of the pooled vectors while training.
    pub pooled_dropout: f64,
}

/// Sequences arranged for a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The row of each sequence's first token.
    first: Tensor<1, Int>,
    labels: Tensor<1, Int>,
}

/// Sequences evaluated together.
const EVALUATION_BATCH: usize = 32;

impl Task for Classification {
    type Model = BertForSequenceClassification;
    type Batch = Batch;

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let sequences: Vec<&Sequence> = examples.iter().map(|i| &self.train[*i]).collect();
        Batch::arrange(&sequences, device)
    }

    fn outputs(
        &self,
        model: &BertForSequenceClassification,
        batch: &Batch,
        dropout: Option<u64>,
    ) -> Vec<Output> {
        self.outputs_and_states(model, batch, dropout, &mut States::none())
    }

    fn outputs_and_states(
        &self,
        model: &BertForSequenceClassification,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut States,
    ) -> Vec<Output> {
        let noise = Noise::of(self.hidden_dropout, self.attention_dropout, dropout);
        let pooled = dropout.map_or(Dropout::NONE, |seed| Dropout::drawn(self.pooled_dropout, seed, 3));
        let logits = model.forward_with(&batch.tokens, batch.first.clone(), noise, pooled, states);
        vec![Output { name: "logits", logits }]
    }

    /// The mean cross-entropy.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        cross_entropy(outputs[0].logits.clone(), batch.labels.clone())
    }

    fn autocasts(&self) -> bool {
        true
    }

    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        let (logits, labels) = (outputs[0].logits.clone(), batch.labels.clone());
        Some(smoothed_cross_entropy(logits, labels, smoothing, None))
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].ids.len()
    }

    fn rounding<'m>(&self, model: &'m BertForSequenceClassification) -> Option<&'m Arc<Rounding>> {
        model.rounding()
    }

    fn set_rounding(
        &self,
        model: BertForSequenceClassification,
        rounding: Option<Arc<Rounding>>,
    ) -> Option<BertForSequenceClassification> {
        Some(model.with_rounding(rounding))
    }

    fn products(&self, model: &BertForSequenceClassification) -> Vec<Product> {
        model.products()
    }

    fn evaluate(
        &self,
        model: &BertForSequenceClassification,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        let total = self.held_out();
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

    fn keep_layers(
        &self,
        model: BertForSequenceClassification,
        kept: &[usize],
    ) -> Option<BertForSequenceClassification> {
        Some(super::model::BertModel::keep_layers(model, kept))
    }
}

impl Classification {
    /// The label of each sequence with the largest logit.
    pub fn predict(
        &self,
        model: &BertForSequenceClassification,
        sequences: &[Sequence],
        device: &Device,
        progress: &mut dyn FnMut(usize),
    ) -> Vec<usize> {
        let mut predicted = vec![0; sequences.len()];
        let mut done = 0;
        // Sequences of one length together: where batches are padded, little is.
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|i| sequences[*i].ids.len());
        for part in order.chunks(EVALUATION_BATCH) {
            let own: Vec<&Sequence> = part.iter().map(|i| &sequences[*i]).collect();
            let batch = Batch::arrange(&own, device);
            let logits = self.outputs(model, &batch, None).remove(0).logits;
            let width = logits.dims()[1].max(1);
            // invariant: logits are floats that convert to f32.
            let values = logits.into_data().convert::<f32>().try_to_vec::<f32>().expect("f32 logits");
            for (place, row) in part.iter().zip(values.chunks(width)) {
                predicted[*place] = largest(row);
            }
            done += part.len();
            progress(done);
        }
        predicted
    }

    /// The metrics of logits that another runtime computed for the sequences of each set of `dev`.
    pub fn metrics_of(&self, logits: &[Vec<Vec<f32>>]) -> Metrics {
        let predicted = logits.iter().map(|set| set.iter().map(|row| largest(row)).collect());
        self.score(&predicted.collect::<Vec<_>>())
    }

    /// The metrics of the labels that were predicted for each set of `dev`.
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

    /// How many sequences are held out.
    pub fn held_out(&self) -> usize {
        self.dev.iter().map(|(_, sequences)| sequences.len()).sum()
    }
}

/// The place of the largest value, the first of equal ones.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}

impl Batch {
    fn arrange(sequences: &[&Sequence], device: &Device) -> Self {
        let parts: Vec<(&[u32], &[u32])> =
            sequences.iter().map(|s| (s.ids.as_slice(), s.types.as_slice())).collect();
        let tokens = Tokens::arrange(&parts, device);
        let ints = |values: Vec<i32>| {
            let size = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [size]), device)
        };
        Batch {
            first: ints(tokens.row_ranges().iter().map(|r| r.start as i32).collect()),
            labels: ints(sequences.iter().map(|s| s.label as i32).collect()),
            tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_first_of_equal_logits_is_predicted() {
        assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(largest(&[2.0, -1.0]), 0);
    }
}
