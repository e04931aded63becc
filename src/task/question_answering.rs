//! Finding answers in texts: BERT with a start and an end logit for each token.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::data::features::Feature;
use super::data::squad::Question;
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::{Metrics, squad, squad::Guess};
use super::model::{BertForQuestionAnswering, BertModel, Noise, Tokens};
use super::rounding::{Product, Rounding};
use super::{Output, States, Task};
use crate::text::spans::{self, Span};

/// Question answering on windows of texts.
#[derive(Debug)]
pub struct QuestionAnswering {
    /// Windows to train on.
    pub train: Vec<Feature>,
    /// Held-out questions.
    pub dev_questions: Vec<Question>,
    /// Their windows, in the order of the questions.
    pub dev: Vec<Feature>,
    /// The longest answer that is predicted, in tokens.
    pub max_answer_length: usize,
    /// Dropout of hidden states while training.
    pub hidden_dropout: f64,
    /// Dropout of attention weights while training.
    pub attention_dropout: f64,
    /// Dropout of what a DistilBERT's head reads while training.
    pub head_dropout: f64,
}

/// Windows arranged for a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// For each window and place, the row of its token; `[windows * length]`.
    rows: Tensor<1, Int>,
    /// Places that no token of the window has, `[windows, length]`.
    padding: Tensor<2, Bool>,
    /// First and last tokens of the answers, `[windows]` each.
    answers: [Tensor<1, Int>; 2],
    windows: usize,
    length: usize,
}

/// The logit of a place that does not exist.
const NOWHERE: f64 = -1e9;

/// Windows evaluated together.
const EVALUATION_BATCH: usize = 32;

impl Task for QuestionAnswering {
    type Model = BertForQuestionAnswering;
    type Batch = Batch;

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let windows: Vec<&Feature> = examples.iter().map(|i| &self.train[*i]).collect();
        Batch::arrange(&windows, device)
    }

    fn outputs(&self, model: &BertForQuestionAnswering, batch: &Batch, dropout: Option<u64>) -> Vec<Output> {
        self.outputs_and_states(model, batch, dropout, &mut States::none())
    }

    fn outputs_and_states(
        &self,
        model: &BertForQuestionAnswering,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut States,
    ) -> Vec<Output> {
        let noise = Noise::of(self.hidden_dropout, self.attention_dropout, dropout);
        let noise = noise.with_head(self.head_dropout);
        let logits = model.forward_with(&batch.tokens, noise, states).select(0, batch.rows.clone());
        let logits = logits.reshape([batch.windows, batch.length, 2]);
        ["start_logits", "end_logits"]
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let one = logits.clone().narrow(2, i, 1).reshape([batch.windows, batch.length]);
                Output { name, logits: one.mask_fill(batch.padding.clone(), NOWHERE) }
            })
            .collect()
    }

    /// The mean of the cross-entropies of the first and the last token.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        mean_of_both(outputs, batch, cross_entropy)
    }

    fn autocasts(&self) -> bool {
        true
    }

    /// The same with softened labels; places of padding have no share.
    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        Some(mean_of_both(outputs, batch, |logits, answers| {
            smoothed_cross_entropy(logits, answers, smoothing, Some(batch.padding.clone()))
        }))
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].window.ids.len()
    }

    fn rounding<'m>(&self, model: &'m BertForQuestionAnswering) -> Option<&'m Arc<Rounding>> {
        model.rounding()
    }

    fn set_rounding(
        &self,
        model: BertForQuestionAnswering,
        rounding: Option<Arc<Rounding>>,
    ) -> Option<BertForQuestionAnswering> {
        Some(model.with_rounding(rounding))
    }

    fn products(&self, model: &BertForQuestionAnswering) -> Vec<Product> {
        model.products()
    }

    fn evaluate(
        &self,
        model: &BertForQuestionAnswering,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        self.score(self.guesses(model, device, progress))
    }

    fn keep_layers(
        &self,
        model: BertForQuestionAnswering,
        kept: &[usize],
    ) -> Option<BertForQuestionAnswering> {
        Some(BertModel::keep_layers(model, kept))
    }
}

/// The mean of the losses of the first and the last token.
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
    /// The best answer to every held-out question, in order, and how likely there is none: the least
    /// score of `[CLS]` over its windows, against the answer's.
    pub fn guesses(
        &self,
        model: &BertForQuestionAnswering,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Vec<Guess> {
        // The score of no answer and the best answer of every window.
        let mut found = vec![(f32::INFINITY, None); self.dev.len()];
        let mut done = 0;
        // Windows of one length together: where batches are padded, little is.
        let mut order: Vec<usize> = (0..self.dev.len()).collect();
        order.sort_by_key(|i| self.dev[*i].window.ids.len());
        for part in order.chunks(EVALUATION_BATCH) {
            let windows: Vec<&Feature> = part.iter().map(|i| &self.dev[*i]).collect();
            let batch = Batch::arrange(&windows, device);
            let mut logits = self.outputs(model, &batch, None).into_iter().map(|o| {
                // invariant: logits are floats that convert to f32.
                o.logits.into_data().convert::<f32>().try_to_vec::<f32>().expect("f32 logits")
            });
            let (start, end) = (logits.next().unwrap_or_default(), logits.next().unwrap_or_default());
            for (i, (window, place)) in windows.iter().zip(part).enumerate() {
                let row = i * batch.length..(i + 1) * batch.length;
                let nothing = start[row.start] + end[row.start];
                found[*place] = (
                    nothing,
                    spans::best(&window.window, &start[row.clone()], &end[row], self.max_answer_length),
                );
            }
            done += windows.len();
            progress(done, self.dev.len());
        }
        self.answers(found)
    }

    /// The metrics of start and end logits that another runtime computed for the windows of `dev`.
    pub fn metrics_of(&self, logits: impl Iterator<Item = (Vec<f32>, Vec<f32>)>) -> Metrics {
        let windows = self.dev.iter().zip(logits);
        let found = windows.map(|(window, (start, end))| {
            (start[0] + end[0], spans::best(&window.window, &start, &end, self.max_answer_length))
        });
        self.score(self.answers(found.collect()))
    }

    /// Guesses against the references.
    fn score(&self, guesses: Vec<Guess>) -> Metrics {
        let references =
            |question: &Question| question.answers.iter().map(|a| a.text.clone()).collect::<Vec<_>>();
        if self.dev_questions.iter().any(|q| q.answers.is_empty()) {
            let pairs: Vec<_> = guesses.into_iter().zip(self.dev_questions.iter().map(references)).collect();
            return squad::score_v2(&pairs);
        }
        let pairs = guesses.iter().zip(&self.dev_questions);
        let (em, f1) = squad::score(pairs.map(|(guess, q)| (guess.text.as_str(), references(q))));
        Metrics::from([("em".to_owned(), em), ("f1".to_owned(), f1)])
    }

    /// The best of the windows' answers for each question; each window comes with its score of no answer.
    fn answers(&self, found: Vec<(f32, Option<Span>)>) -> Vec<Guess> {
        let mut best: Vec<(f32, &str)> = vec![(f32::NEG_INFINITY, ""); self.dev_questions.len()];
        let mut nothing: Vec<f32> = vec![f32::INFINITY; self.dev_questions.len()];
        for (window, (of_nothing, span)) in self.dev.iter().zip(found) {
            let least = &mut nothing[window.question];
            *least = least.min(of_nothing);
            let Some(Span { score, from, to }) = span else { continue };
            let context: &str = &self.dev_questions[window.question].context;
            let entry = &mut best[window.question];
            if score > entry.0 {
                *entry = (score, &context[from..to]);
            }
        }
        let guess = |((score, text), nothing): ((f32, &str), f32)| Guess {
            text: text.to_owned(),
            no_answer: f64::from(nothing) - f64::from(score),
        };
        best.into_iter().zip(nothing).map(guess).collect()
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
        let ints = |values: Vec<i32>| {
            let size = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [size]), device)
        };
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
