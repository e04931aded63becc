//! Tokenized texts and pairs of texts with labels.

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic};
use crate::text::Tokenizer;
use crate::text::windows::join;

use super::cache::{Counter, FeatureInputs, Progress};
use super::encoding::{Decoder, Encode, Encoder};
use super::labelled::Example;

/// A token sequence with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Token types, one for each id.
    pub types: Vec<u32>,
    /// The index of the label.
    pub label: usize,
    /// Whether the text was truncated.
    pub truncated: bool,
}

/// A classification data set before tokenization: everything that its [`Sequence`]s are computed from. Its hash is
/// part of the key in the cache.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Examples<'a> {
    /// The texts with their labels.
    pub examples: &'a [Example],
    /// The index of each example's label; `None` if the model does not have it.
    pub numbers: &'a [Option<usize>],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
}

impl FeatureInputs for Examples<'_> {
    type Feature = Sequence;
    const KIND: &'static str = "classification";

    /// Tokenizes every example, truncated to the maximum length.
    ///
    /// # Errors
    /// A tokenizer that fails, or a label that the model does not have.
    fn make(&self, progress: &Progress) -> Result<Vec<Sequence>, Diagnostic> {
        let counter = Counter::new(self.examples.len(), progress);
        let encode = |text: &str| token_ids(self.tokenizer, text);
        self.examples
            .par_iter()
            .zip(self.numbers)
            .map(|(example, number)| {
                let label = number.ok_or_else(|| {
                    Diagnostic::unlocated(
                        Code::LabelUnknown,
                        format!("the label `{}` of the dev set does not occur in training", example.label),
                    )
                    .help("are the files of one data set? name all labels: `classify(…, labels: [a, b])`")
                })?;
                let pair = example.pair.as_deref().map(encode).transpose()?;
                let joined = join(encode(&example.text)?, pair, self.tokenizer, self.max_length);
                counter.one();
                let truncated = joined.is_truncated();
                Ok(Sequence { ids: joined.ids, types: joined.types, label, truncated })
            })
            .collect()
    }
}

/// The token ids of a text, without special tokens.
///
/// # Errors
/// A tokenizer that fails.
pub(super) fn token_ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Diagnostic> {
    tokenizer.encode(text).map(|encoded| encoded.ids).map_err(|why| {
        Diagnostic::unlocated(Code::TokenizerNotReadable, format!("a text cannot be tokenized: {why}"))
            .help("is the tokenizer the model's own?")
    })
}

impl Encode for Sequence {
    fn encode(&self, out: &mut Encoder) {
        let Sequence { ids, types, label, truncated } = self;
        out.list(ids);
        out.runs(types);
        out.push(*label);
        out.push(usize::from(*truncated));
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        let (ids, types, label) = (numbers.list()?, numbers.runs()?, numbers.number()?);
        let truncated = numbers.number().filter(|n| *n < 2)? == 1;
        Some(Sequence { ids, types, label, truncated })
    }
}
