//! Token classification, such as named entities: a logit for each label and word, from the word's first token.

use burn::tensor::{Device, Int, Tensor};

use super::data::tagged_windows::TaggedWindow;
use super::evaluation::by_length;
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::classification::{self, argmax};
use super::metric::{Metrics, entities::Tags};
use super::model::kernels::Dropout;
use super::model::{BertForTokenClassification, Dropouts, Tokens, int_tensor};
use super::{HiddenStates, Output, Task};

/// Token classification of sentences.
#[derive(Debug)]
pub struct TokenClassification {
    /// The windows of the training set.
    pub train: Vec<TaggedWindow>,
    /// The windows of the dev set.
    pub dev: Vec<TaggedWindow>,
    /// The label of each word of each sentence of the dev set; `None` for a word without one.
    pub dev_labels: Vec<Vec<Option<usize>>>,
    /// The labels in the order of the model's logits.
    pub labels: Vec<String>,
    /// The same labels in the order of the data set.
    pub data_labels: Vec<String>,
    /// The dropout probability of hidden states in training.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights in training.
    pub attention_dropout: f64,
    /// The dropout probability of the classifier's input in training (`classifier_dropout`).
    pub head_dropout: f64,
}

/// A batch of windows on a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The rows of the labelled tokens, `[labelled]`.
    rows: Tensor<1, Int>,
    /// Their labels, `[labelled]`.
    labels: Tensor<1, Int>,
}

impl Task for TokenClassification {
    type Model = BertForTokenClassification;
    type Batch = Batch;

    bert_methods!(BertForTokenClassification);

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let windows: Vec<&TaggedWindow> = examples.iter().map(|i| &self.train[*i]).collect();
        Batch::arrange(&windows, device)
    }

    /// The logits of the labelled tokens alone, `[labelled, labels]`: distillation compares the same tokens as the loss.
    fn outputs_with_hidden_states(
        &self,
        model: &BertForTokenClassification,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut HiddenStates,
    ) -> Vec<Output> {
        let dropouts = Dropouts::of(self.hidden_dropout, self.attention_dropout, dropout);
        let head = dropout.map_or(Dropout::NONE, |seed| Dropout::drawn(self.head_dropout, seed, 3));
        let logits = model.forward_with(&batch.tokens, batch.rows.clone(), dropouts, head, states);
        vec![Output { name: "logits", logits }]
    }

    /// The mean cross-entropy over labelled tokens.
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
        model: &BertForTokenClassification,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        // The label of each word of a window.
        let compute = |part: &[usize]| {
            let windows: Vec<&TaggedWindow> = part.iter().map(|i| &self.dev[*i]).collect();
            let output = self.outputs(model, &Batch::arrange(&windows, device), None).remove(0);
            let mut labels = output.into_rows().into_iter().map(|row| argmax(&row));
            windows.iter().map(|w| labels.by_ref().take(w.words.len()).collect::<Vec<_>>()).collect()
        };
        let total = self.dev.len();
        let lengths = self.dev.iter().map(|window| window.ids.len());
        let found = by_length(lengths, compute, &mut |done| progress(done, total));
        let mut predicted = self.no_prediction();
        for (window, labels) in self.dev.iter().zip(found) {
            for (word, label) in window.words.iter().zip(labels) {
                predicted[window.sentence][word.word] = label;
            }
        }
        self.score(&predicted)
    }
}

impl TokenClassification {
    /// The metrics of logits that another runtime computed: for each window of the dev set those of all its tokens,
    /// token by token.
    pub fn metrics_of(&self, logits: impl Iterator<Item = Vec<f32>>) -> Metrics {
        let mut predicted = self.no_prediction();
        let width = self.labels.len();
        for (window, logits) in self.dev.iter().zip(logits) {
            for word in &window.words {
                predicted[window.sentence][word.word] = argmax(&logits[word.token * width..][..width]);
            }
        }
        self.score(&predicted)
    }

    /// The prediction for words without tokens: `O`, or the first label.
    fn no_prediction(&self) -> Vec<Vec<usize>> {
        let outside = self.labels.iter().position(|label| label == "O").unwrap_or(0);
        self.dev_labels.iter().map(|labels| vec![outside; labels.len()]).collect()
    }

    /// `accuracy` of the labels of words; for entities `f1`, `precision` and `recall` in strict mode, of all and of each
    /// type; for other labels the F1 of each and their mean. Words without a label count nowhere.
    fn score(&self, predicted: &[Vec<usize>]) -> Metrics {
        let mut sentences: (Vec<Vec<usize>>, Vec<Vec<usize>>) = Default::default();
        for (predicted, labels) in predicted.iter().zip(&self.dev_labels) {
            let known = predicted.iter().zip(labels).filter_map(|(p, label)| Some((*p, (*label)?)));
            let (predicted, gold): (Vec<usize>, Vec<usize>) = known.unzip();
            sentences.0.push(predicted);
            sentences.1.push(gold);
        }
        let (predicted, gold) = sentences;
        let Some(tags) = Tags::of(&self.labels) else {
            let f1 = classification::F1::Mean;
            return classification::metrics(&predicted.concat(), &gold.concat(), &self.labels, f1);
        };
        let mut metrics = tags.metrics(&predicted, &gold);
        let accuracy = classification::accuracy(&predicted.concat(), &gold.concat());
        metrics.insert("accuracy".to_owned(), accuracy);
        metrics
    }
}

impl Batch {
    fn arrange(windows: &[&TaggedWindow], device: &Device) -> Self {
        let types: Vec<Vec<u32>> = windows.iter().map(|w| vec![0; w.ids.len()]).collect();
        let parts: Vec<(&[u32], &[u32])> =
            windows.iter().zip(&types).map(|(w, t)| (w.ids.as_slice(), t.as_slice())).collect();
        let tokens = Tokens::arrange(&parts, device);
        let ranges = tokens.row_ranges();
        let words =
            || windows.iter().zip(&ranges).flat_map(|(w, range)| w.words.iter().map(move |l| (l, range)));
        let rows = words().map(|(word, range)| (range.start + word.token) as i32).collect();
        let labels = words().map(|(word, _)| word.label as i32).collect();
        Batch { rows: int_tensor(rows, device), labels: int_tensor(labels, device), tokens }
    }
}
