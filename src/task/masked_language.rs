//! Guessing hidden tokens: BERT with a logit for each entry of the vocabulary.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::masking::{Masked, Masking};
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::{Metrics, language_model::MeanLoss};
use super::model::{BertForMaskedLM, BertModel, Noise, Tokens};
use super::rounding::{Product, Rounding};
use super::{Output, States, Task};

/// Masked-language modelling.
///
/// Which tokens are hidden depends on the seed and on the examples of the batch in their order, so
/// that every epoch hides others, while a student and its teacher read the same.
#[derive(Debug)]
pub struct MaskedLanguage {
    /// Sequences to train on.
    pub train: Vec<Vec<u32>>,
    /// Held-out sequences; the same tokens of them are hidden whenever they are measured.
    pub dev: Vec<Vec<u32>>,
    /// How tokens are hidden.
    pub masking: Masking,
    /// Whether outputs are made for all tokens, for a teacher to be matched, or for the hidden
    /// ones alone.
    pub every_token: bool,
    /// The seed of the masks.
    pub seed: u64,
    /// Dropout of hidden states while training.
    pub hidden_dropout: f64,
    /// Dropout of attention weights while training.
    pub attention_dropout: f64,
}

/// Sequences arranged for a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The rows of tokens that get logits; none of them is padding.
    rows: Tensor<1, Int>,
    /// Which of these rows are hidden tokens; `None` for all.
    hidden: Option<Tensor<1, Int>>,
    /// What stood there.
    answers: Tensor<1, Int>,
}

/// Sequences evaluated together: their logits are large.
const EVALUATION_BATCH: usize = 8;

impl Task for MaskedLanguage {
    type Model = BertForMaskedLM;
    type Batch = Batch;

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let sequences: Vec<&[u32]> = examples.iter().map(|i| self.train[*i].as_slice()).collect();
        let seed = examples.iter().fold(self.seed, |seed, example| mix(seed, *example as u64));
        Batch::arrange(&self.masking.apply(&sequences, seed), self.every_token, device)
    }

    fn outputs(&self, model: &BertForMaskedLM, batch: &Batch, dropout: Option<u64>) -> Vec<Output> {
        self.outputs_and_states(model, batch, dropout, &mut States::none())
    }

    fn outputs_and_states(
        &self,
        model: &BertForMaskedLM,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut States,
    ) -> Vec<Output> {
        let noise = Noise::of(self.hidden_dropout, self.attention_dropout, dropout);
        let logits = model.forward_with(&batch.tokens, batch.rows.clone(), noise, states);
        vec![Output { name: "logits", logits }]
    }

    /// The mean cross-entropy over hidden tokens.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        cross_entropy(batch.of_hidden(outputs), batch.answers.clone())
    }

    fn autocasts(&self) -> bool {
        true
    }

    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        Some(smoothed_cross_entropy(batch.of_hidden(outputs), batch.answers.clone(), smoothing, None))
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].len()
    }

    /// The mean loss over hidden tokens in nats, and its exponential.
    fn rounding<'m>(&self, model: &'m BertForMaskedLM) -> Option<&'m Arc<Rounding>> {
        model.rounding()
    }

    fn set_rounding(
        &self,
        model: BertForMaskedLM,
        rounding: Option<Arc<Rounding>>,
    ) -> Option<BertForMaskedLM> {
        Some(model.with_rounding(rounding))
    }

    fn products(&self, model: &BertForMaskedLM) -> Vec<Product> {
        model.products()
    }

    fn evaluate(
        &self,
        model: &BertForMaskedLM,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics {
        let mut mean = MeanLoss::default();
        for (part, sequences) in self.dev.chunks(EVALUATION_BATCH).enumerate() {
            let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let masked = self.masking.apply(&sequences, mix(self.seed, part as u64));
            let batch = Batch::arrange(&masked, false, device);
            let logits = self.outputs(model, &batch, None).remove(0).logits;
            let width = logits.dims()[1].max(1);
            // invariant: logits are floats that convert to f32.
            let values = logits.into_data().convert::<f32>().try_to_vec::<f32>().expect("f32 logits");
            for (row, (.., answer)) in values.chunks(width).zip(&masked.chosen) {
                mean.add(row, *answer as usize);
            }
            progress((part * EVALUATION_BATCH + sequences.len()).min(self.dev.len()), self.dev.len());
        }
        Metrics::from([("loss".to_owned(), mean.loss()), ("perplexity".to_owned(), mean.perplexity())])
    }

    fn keep_layers(&self, model: BertForMaskedLM, kept: &[usize]) -> Option<BertForMaskedLM> {
        Some(BertModel::keep_layers(model, kept))
    }
}

/// A seed out of a seed and a number.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = (seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Batch {
    /// The logits of hidden tokens.
    fn of_hidden(&self, outputs: &[Output]) -> Tensor<2> {
        let logits = outputs[0].logits.clone();
        match &self.hidden {
            Some(rows) => logits.select(0, rows.clone()),
            None => logits,
        }
    }

    fn arrange(masked: &Masked, every_token: bool, device: &Device) -> Self {
        let types: Vec<Vec<u32>> = masked.sequences.iter().map(|s| vec![0; s.len()]).collect();
        let parts: Vec<(&[u32], &[u32])> =
            masked.sequences.iter().zip(&types).map(|(s, t)| (s.as_slice(), t.as_slice())).collect();
        let tokens = Tokens::arrange(&parts, device);
        let ranges = tokens.row_ranges();
        let ints = |values: Vec<i32>| {
            let size = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [size]), device)
        };
        let answers = ints(masked.chosen.iter().map(|(.., answer)| *answer as i32).collect());
        let hidden = |start: &dyn Fn(usize) -> usize| {
            ints(masked.chosen.iter().map(|(s, place, _)| (start(*s) + place) as i32).collect())
        };
        if !every_token {
            let rows = hidden(&|sequence| ranges[sequence].start);
            return Batch { tokens, rows, hidden: None, answers };
        }
        // Without padding, the tokens of a sequence stand behind those of all before it.
        let before: Vec<usize> = ranges
            .iter()
            .scan(0, |sum, range| {
                *sum += range.len();
                Some(*sum - range.len())
            })
            .collect();
        let rows = ints(ranges.iter().cloned().flatten().map(|row| row as i32).collect());
        Batch { tokens, rows, hidden: Some(hidden(&|sequence| before[sequence])), answers }
    }
}
