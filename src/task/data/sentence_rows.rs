//! The tokens of rows of one, two or three texts.

use rayon::prelude::*;

use crate::diag::Diagnostic;
use crate::text::Tokenizer;
use crate::text::windows::join;

use super::cache::{Counter, FeatureInputs, Progress};
use super::encoding::{Decoder, Encode, Encoder};
use super::pairs::token_ids;

/// The token ids of the texts of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentenceRow {
    /// Of each text `[CLS] tokens [SEP]`.
    pub texts: Vec<Vec<u32>>,
    /// The number of texts that were truncated.
    pub truncated: usize,
}

/// The inputs of rows of texts.
#[derive(Clone, Copy, Debug, Hash)]
pub struct SentenceTexts<'a> {
    /// The texts of each row.
    pub rows: &'a [&'a [String]],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
}

impl FeatureInputs for SentenceTexts<'_> {
    type Feature = SentenceRow;
    const KIND: &'static str = "sentence embeddings";

    /// Tokenizes every text alone, truncated to the maximum length.
    ///
    /// # Errors
    /// A tokenizer that fails.
    fn make(&self, progress: &Progress) -> Result<Vec<SentenceRow>, Diagnostic> {
        let counter = Counter::new(self.rows.len(), progress);
        let one = |texts: &&[String]| {
            let mut row = SentenceRow { texts: Vec::with_capacity(texts.len()), truncated: 0 };
            for text in *texts {
                let joined = join(token_ids(self.tokenizer, text)?, None, self.tokenizer, self.max_length);
                row.truncated += usize::from(joined.is_truncated());
                row.texts.push(joined.ids);
            }
            counter.one();
            Ok(row)
        };
        self.rows.par_iter().map(one).collect()
    }
}

impl Encode for SentenceRow {
    fn encode(&self, out: &mut Encoder) {
        let SentenceRow { texts, truncated } = self;
        out.push(texts.len());
        texts.iter().for_each(|ids| out.list(ids));
        out.push(*truncated);
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        let count = numbers.count()?;
        let texts = (0..count).map(|_| numbers.list()).collect::<Option<Vec<_>>>()?;
        Some(SentenceRow { texts, truncated: numbers.number()? })
    }
}
