//! Masked language modelling: for each masked token a logit for each vocabulary entry.

use burn::tensor::{Device, Int, Tensor};

use super::data::masking::{Masked, Masking};
use super::loss::{cross_entropy, smoothed_cross_entropy};
use super::metric::{Metrics, language_model::MeanLoss};
use super::model::{BertForMaskedLM, Dropouts, Tokens, int_tensor};
use super::{HiddenStates, Output, Task};

/// Masked language modelling, with dynamic masking.
///
/// The masks depend on the seed and on the examples of the batch in their order: they differ from epoch to epoch, and
/// student and teacher get the same ones.
#[derive(Debug)]
pub struct MaskedLanguage {
    /// The token ids of the training set.
    pub train: Vec<Vec<u32>>,
    /// The token ids of the dev set, with the same masks in every evaluation.
    pub dev: Vec<Vec<u32>>,
    /// How tokens are masked.
    pub masking: Masking,
    /// Whether logits are computed for all tokens, for distillation, or for masked tokens alone.
    pub every_token: bool,
    /// The seed of the masks.
    pub seed: u64,
    /// The dropout probability of hidden states in training.
    pub hidden_dropout: f64,
    /// The dropout probability of attention weights in training.
    pub attention_dropout: f64,
}

/// A batch of masked sequences on a device.
#[derive(Debug)]
pub struct Batch {
    tokens: Tokens,
    /// The rows of the tokens whose logits are computed, without padding.
    rows: Tensor<1, Int>,
    /// The indices in `rows` of the masked tokens; `None` if all of them are masked.
    masked: Option<Tensor<1, Int>>,
    /// The original ids of the masked tokens.
    answers: Tensor<1, Int>,
}

/// The number of sequences in an evaluation batch, small as each masked token has a logit per vocabulary entry.
const EVALUATION_BATCH: usize = 8;

impl Task for MaskedLanguage {
    type Model = BertForMaskedLM;
    type Batch = Batch;

    bert_methods!(BertForMaskedLM);

    fn examples(&self) -> usize {
        self.train.len()
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Batch {
        let sequences: Vec<&[u32]> = examples.iter().map(|i| self.train[*i].as_slice()).collect();
        let seed = examples.iter().fold(self.seed, |seed, example| mix(seed, *example as u64));
        Batch::arrange(&self.masking.apply(&sequences, seed), self.every_token, device)
    }

    fn outputs_with_hidden_states(
        &self,
        model: &BertForMaskedLM,
        batch: &Batch,
        dropout: Option<u64>,
        states: &mut HiddenStates,
    ) -> Vec<Output> {
        let dropouts = Dropouts::of(self.hidden_dropout, self.attention_dropout, dropout);
        let logits = model.forward_with(&batch.tokens, batch.rows.clone(), dropouts, states);
        vec![Output { name: "logits", logits }]
    }

    /// The mean cross-entropy over masked tokens.
    fn loss(&self, outputs: &[Output], batch: &Batch) -> Tensor<1> {
        cross_entropy(batch.masked_logits(outputs), batch.answers.clone())
    }

    fn smoothed_loss(&self, outputs: &[Output], batch: &Batch, smoothing: f64) -> Option<Tensor<1>> {
        Some(smoothed_cross_entropy(batch.masked_logits(outputs), batch.answers.clone(), smoothing, None))
    }

    fn length(&self, example: usize) -> usize {
        self.train[example].len()
    }

    /// The mean cross-entropy over masked tokens (nats), and its exponential, the perplexity.
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
            let output = self.outputs(model, &batch, None).remove(0);
            let width = output.logits.dims()[1].max(1);
            let values = output.into_values();
            for (row, (.., answer)) in values.chunks(width).zip(&masked.chosen) {
                mean.add(row, *answer as usize);
            }
            progress((part * EVALUATION_BATCH + sequences.len()).min(self.dev.len()), self.dev.len());
        }
        Metrics::from([("loss".to_owned(), mean.loss()), ("perplexity".to_owned(), mean.perplexity())])
    }
}

/// Derives a seed from a seed and a number (SplitMix64).
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = (seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Batch {
    /// The logits of masked tokens, `[masked, vocabulary]`.
    fn masked_logits(&self, outputs: &[Output]) -> Tensor<2> {
        let logits = outputs[0].logits.clone();
        match &self.masked {
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
        let ints = |values: Vec<i32>| int_tensor(values, device);
        let answers = ints(masked.chosen.iter().map(|(.., answer)| *answer as i32).collect());
        let at = |start: &dyn Fn(usize) -> usize| {
            ints(masked.chosen.iter().map(|(s, place, _)| (start(*s) + place) as i32).collect())
        };
        if !every_token {
            let rows = at(&|sequence| ranges[sequence].start);
            return Batch { tokens, rows, masked: None, answers };
        }
        // `rows` has no padding: the tokens of a sequence follow those of all sequences before it.
        let before: Vec<usize> = ranges
            .iter()
            .scan(0, |sum, range| {
                *sum += range.len();
                Some(*sum - range.len())
            })
            .collect();
        let rows = ints(ranges.iter().cloned().flatten().map(|row| row as i32).collect());
        Batch { tokens, rows, masked: Some(at(&|sequence| before[sequence])), answers }
    }
}
