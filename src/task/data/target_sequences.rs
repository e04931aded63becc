//! Tokenized texts and pairs of texts with numbers as targets.

use rayon::prelude::*;

use crate::diag::Diagnostic;
use crate::text::Tokenizer;
use crate::text::windows::join;

use super::cache::{Counter, FeatureInputs, Progress};
use super::encoding::{Decoder, Encode, Encoder};
use super::pairs::token_ids;

/// A token sequence with its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Token types, one for each id.
    pub types: Vec<u32>,
    /// The score, or 1 for each label of the text and 0 for the others.
    pub targets: Vec<f32>,
    /// Whether the text was truncated.
    pub truncated: bool,
}

/// The inputs of sequences with targets.
#[derive(Clone, Copy, Debug, Hash)]
pub struct TargetTexts<'a> {
    /// The texts, with the second text of a pair.
    pub texts: &'a [(&'a str, Option<&'a str>)],
    /// The bits of each text's targets (`f32::to_bits`), which can be hashed.
    pub targets: &'a [Vec<u32>],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
}

impl FeatureInputs for TargetTexts<'_> {
    type Feature = TargetSequence;
    const KIND: &'static str = "scores and multi-label classification";

    /// Tokenizes every text, truncated to the maximum length.
    ///
    /// # Errors
    /// A tokenizer that fails.
    fn make(&self, progress: &Progress) -> Result<Vec<TargetSequence>, Diagnostic> {
        let counter = Counter::new(self.texts.len(), progress);
        let encode = |text: &str| token_ids(self.tokenizer, text);
        let one = |((text, pair), targets): (&(&str, Option<&str>), &Vec<u32>)| {
            let joined = join(encode(text)?, pair.map(encode).transpose()?, self.tokenizer, self.max_length);
            counter.one();
            let truncated = joined.is_truncated();
            let targets = targets.iter().map(|bits| f32::from_bits(*bits)).collect();
            Ok(TargetSequence { ids: joined.ids, types: joined.types, targets, truncated })
        };
        self.texts.par_iter().zip(self.targets).map(one).collect()
    }
}

impl Encode for TargetSequence {
    fn encode(&self, out: &mut Encoder) {
        let TargetSequence { ids, types, targets, truncated } = self;
        out.list(ids);
        out.runs(types);
        out.list(&targets.iter().map(|value| value.to_bits()).collect::<Vec<u32>>());
        out.push(usize::from(*truncated));
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        let (ids, types, targets) = (numbers.list()?, numbers.runs()?, numbers.list()?);
        let targets = targets.into_iter().map(f32::from_bits).collect();
        let truncated = numbers.number().filter(|n| *n < 2)? == 1;
        Some(TargetSequence { ids, types, targets, truncated })
    }
}
