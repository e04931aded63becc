//! Extractive question answering: a start and an end logit for each token of a question and its context.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::data::features::Feature;
use super::data::squad::Question;
use super::evaluation::by_length;
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::{Metrics, squad, squad::Prediction};
use super::model::{BertForQuestionAnswering, Dropouts, Tokens, int_tensor};
use super::{HiddenStates, Output, Task};
use crate::text::spans::{self, Span};

/// Extractive question answering (SQuAD) on overlapping windows of the contexts.
#[derive(Debug)]
pub struct QuestionAnswering {
    /// The windows of the training set.
    pub train: Vec<Feature>,
    /// The questions of the dev set.
    pub dev_questions: Vec<Question>,
    /// The windows of the dev set, in the order of its questions.
    pub dev: Vec<Feature>,
    /// The maximum length of a predicted answer, in tokens.
    pub max_answer_length: usize,
    /// The dropout probability of hidden states in training.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights in training.
    pub attention_dropout: f64,
    /// The dropout probability of the head's input in training (DistilBERT's `qa_dropout`).
    pub head_dropout: f64,
}

/// A batch of windows on a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The row of each token of each padded window, `[windows * length]`.
    rows: Tensor<1, Int>,
    /// The positions that are padding, `[windows, length]`.
    padding: Tensor<2, Bool>,
    /// The positions of the answers' first and last tokens, `[windows]` each.
    answers: [Tensor<1, Int>; 2],
    windows: usize,
    length: usize,
}

/// The logit of padding.
const PADDING_LOGIT: f64 = -1e9;

impl Task for QuestionAnswering {
    type Model = BertForQuestionAnswering;
    type Batch = Batch;

    bert_methods!(BertForQuestionAnswering);

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let windows: Vec<&Feature> = examples.iter().map(|i| &self.train[*i]).collect();
        Batch::arrange(&windows, device)
    }

    fn outputs_with_hidden_states(
        &self,
        model: &BertForQuestionAnswering,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut HiddenStates,
    ) -> Vec<Output> {
        let dropouts = Dropouts::of(self.hidden_dropout, self.attention_dropout, dropout);
        let dropouts = dropouts.with_head(self.head_dropout);
        let logits = model.forward_with(&batch.tokens, dropouts, states).select(0, batch.rows.clone());
        let logits = logits.reshape([batch.windows, batch.length, 2]);
        ["start_logits", "end_logits"]
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let one = logits.clone().narrow(2, i, 1).reshape([batch.windows, batch.length]);
                Output { name, logits: one.mask_fill(batch.padding.clone(), PADDING_LOGIT) }
            })
            .collect()
    }

    /// The mean of the cross-entropies of start and end logits, as `transformers` computes it.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        mean_of_both(outputs, batch, cross_entropy)
    }

    /// The loss with label smoothing; padding has a target of 0.
    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        Some(mean_of_both(outputs, batch, |logits, answers| {
            smoothed_cross_entropy(logits, answers, smoothing, Some(batch.padding.clone()))
        }))
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].window.ids.len()
    }

    fn evaluate(
        &self,
        model: &BertForQuestionAnswering,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        self.score(self.predictions(model, device, progress))
    }
}

/// The mean of the losses of start and end logits.
fn mean_of_both(
    outputs: &[Output],
    batch: &Batch,
    loss: impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>,
) -> Tensor<1> {
    let both = outputs.iter().zip(&batch.answers);
    let sum = both.map(|(output, answer)| loss(output.logits.clone(), answer.clone())).reduce(|a, b| a + b);
    // invariant: a question-answering model has two outputs.
    sum.expect("start and end logits") / 2.0
}

impl QuestionAnswering {
    /// The best answer to every question of the dev set, in order, with the score of "no answer": the minimum over
    /// windows of the `[CLS]` token's score, minus the answer's score.
    pub fn predictions(
        &self,
        model: &BertForQuestionAnswering,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Vec<Prediction> {
        // The score of "no answer" and the best answer of every window.
        let compute = |part: &[usize]| {
            let windows: Vec<&Feature> = part.iter().map(|i| &self.dev[*i]).collect();
            let batch = Batch::arrange(&windows, device);
            let mut logits = self.outputs(model, &batch, None).into_iter().map(Output::into_rows);
            let (start, end) = (logits.next().unwrap_or_default(), logits.next().unwrap_or_default());
            let best = |((window, start), end): ((&&Feature, Vec<f32>), Vec<f32>)| {
                let answer = spans::best(&window.window, &start, &end, self.max_answer_length);
                (start[0] + end[0], answer)
            };
            windows.iter().zip(start).zip(end).map(best).collect()
        };
        let total = self.dev.len();
        let lengths = self.dev.iter().map(|window| window.window.ids.len());
        let found = by_length(lengths, compute, &mut |done| progress(done, total));
        self.answers(found)
    }

    /// The metrics of start and end logits that another runtime computed for the windows of the dev set.
    pub fn metrics_of(&self, logits: impl Iterator<Item = (Vec<f32>, Vec<f32>)>) -> Metrics {
        let windows = self.dev.iter().zip(logits);
        let found = windows.map(|(window, (start, end))| {
            (start[0] + end[0], spans::best(&window.window, &start, &end, self.max_answer_length))
        });
        self.score(self.answers(found.collect()))
    }

    /// The metrics of predictions: those of SQuAD v2.0 if a question has no answer, otherwise those of v1.1.
    fn score(&self, predictions: Vec<Prediction>) -> Metrics {
        let references =
            |question: &Question| question.answers.iter().map(|a| a.text.clone()).collect::<Vec<_>>();
        if self.dev_questions.iter().any(|q| q.answers.is_empty()) {
            let pairs: Vec<_> =
                predictions.into_iter().zip(self.dev_questions.iter().map(references)).collect();
            return squad::score_v2(&pairs);
        }
        let pairs = predictions.iter().zip(&self.dev_questions);
        let (em, f1) = squad::score(pairs.map(|(prediction, q)| (prediction.text.as_str(), references(q))));
        Metrics::from([("em".to_owned(), em), ("f1".to_owned(), f1)])
    }

    /// The best answer of each question over its windows, from each window's score of "no answer" and best span.
    fn answers(&self, found: Vec<(f32, Option<Span>)>) -> Vec<Prediction> {
        let mut best: Vec<(f32, &str)> = vec![(f32::NEG_INFINITY, ""); self.dev_questions.len()];
        let mut no_answer: Vec<f32> = vec![f32::INFINITY; self.dev_questions.len()];
        for (window, (score_of_none, span)) in self.dev.iter().zip(found) {
            let least = &mut no_answer[window.question];
            *least = least.min(score_of_none);
            let Some(Span { score, from, to }) = span else { continue };
            let context: &str = &self.dev_questions[window.question].context;
            let entry = &mut best[window.question];
            if score > entry.0 {
                *entry = (score, &context[from..to]);
            }
        }
        let prediction = |((score, text), no_answer): ((f32, &str), f32)| Prediction {
            text: text.to_owned(),
            no_answer: f64::from(no_answer) - f64::from(score),
        };
        best.into_iter().zip(no_answer).map(prediction).collect()
    }
}

impl Batch {
    fn arrange(windows: &[&Feature], device: &Device) -> Self {
        let sequences: Vec<(&[u32], &[u32])> =
            windows.iter().map(|w| (w.window.ids.as_slice(), w.window.types.as_slice())).collect();
        let tokens = Tokens::arrange(&sequences, device);
        let length = windows.iter().map(|w| w.window.ids.len()).max().unwrap_or(1);
        let count = windows.len();
        let mut rows = Vec::with_capacity(count * length);
        let mut padding = Vec::with_capacity(count * length);
        for range in tokens.row_ranges() {
            for place in 0..length {
                let exists = place < range.len();
                rows.push(if exists { (range.start + place) as i32 } else { 0 });
                padding.push(!exists);
            }
        }
        let ints = |values: Vec<i32>| int_tensor(values, device);
        let answer = |pick: fn(&Feature) -> usize| ints(windows.iter().map(|w| pick(w) as i32).collect());
        Batch {
            rows: ints(rows),
            padding: Tensor::from_data(TensorData::new(padding, [count, length]), device),
            answers: [answer(|w| w.answer.0), answer(|w| w.answer.1)],
            tokens,
            windows: count,
            length,
        }
    }
}
