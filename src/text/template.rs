//! The positions of special tokens around texts.

use tokenizers::tokenizer::Token;
use tokenizers::{Encoding, Tokenizer as HuggingFace};

/// The special tokens around texts: `cls text sep` and `cls text sep… pair sep`, as a post-processor adds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// The first token of a sequence.
    pub cls: u32,
    /// The last token of a text.
    pub sep: u32,
    /// The number of `sep` between two texts.
    pub between: usize,
    /// The token type of the second text and its last token; the first text has type 0.
    pub second_type: u32,
}

impl Template {
    /// Finds the template of a post-processor by applying it to one token and to a pair.
    ///
    /// # Errors
    /// A message of one sentence if it adds special tokens in another way.
    pub fn of(inner: &HuggingFace) -> Result<Template, String> {
        const TEXT: u32 = u32::MAX;
        let text = || Encoding::from_tokens(vec![Token::new(TEXT, "a".into(), (0, 1))], 0);
        let run = |pair| inner.post_process(text(), pair, true).map_err(|e| e.to_string());
        let (single, pair) = (run(None)?, run(Some(text()))?);
        let other = || "it does not place special tokens as [CLS] text [SEP] pair [SEP]".to_owned();
        let (&[cls, TEXT, sep], ids) = (single.get_ids(), pair.get_ids()) else { return Err(other()) };
        let between = ids.len().checked_sub(4).ok_or_else(other)?;
        let mut expected = vec![cls, TEXT];
        expected.resize(2 + between, sep);
        expected.extend([TEXT, sep]);
        let types = pair.get_type_ids();
        let second_type = types.last().copied().unwrap_or(0);
        let (first, second) = types.split_at(types.len() - 2);
        let regular = between > 0 && ids == expected && single.get_type_ids().iter().all(|t| *t == 0);
        if !regular || first.iter().any(|t| *t != 0) || second.iter().any(|t| *t != second_type) {
            return Err(other());
        }
        Ok(Template { cls, sep, between, second_type })
    }
}
