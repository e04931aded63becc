//! Labelled texts in tokens: `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`, or with `<s>` and
//! twice `</s>` between the texts, as the tokenizer has it.

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic};

use super::cache::{Counter, Kept, Key, Numbers, Progress, Reader};
use super::labelled::Example;
use super::tokenize::Tokenizer;

/// A labelled sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// 0 for the text, 1 for the pair.
    pub types: Vec<u32>,
    /// The number of its label.
    pub label: usize,
}

/// Tokenizes examples, telling how many are done. `number` gives the number of a label.
///
/// # Errors
/// A tokenizer that fails, or a label without a number.
pub fn sequences(
    examples: &[Example],
    tokenizer: &Tokenizer,
    max_length: usize,
    number: impl Fn(&str) -> Option<usize> + Sync,
    progress: &Progress,
) -> Result<Vec<Sequence>, Diagnostic> {
    let counter = Counter::new(examples.len(), progress);
    examples
        .par_iter()
        .map(|example| {
            let label = number(&example.label).ok_or_else(|| {
                Diagnostic::unlocated(
                    Code::LabelUnknown,
                    format!("the held-out label `{}` does not occur in training", example.label),
                )
                .help("are the files of one data set? name all labels: `classify(…, labels: [a, b])`")
            })?;
            let encode = |text: &str| {
                tokenizer.encode(text).map(|e| e.ids).map_err(|why| {
                    Diagnostic::unlocated(
                        Code::TokenizerNotReadable,
                        format!("a text cannot be tokenized: {why}"),
                    )
                    .help("is the tokenizer the model's own?")
                })
            };
            let mut text = encode(&example.text)?;
            let mut pair = example.pair.as_deref().map(encode).transpose()?;
            // What the tokenizer puts between two texts beyond one token.
            let more = if pair.is_some() { tokenizer.between() - 1 } else { 0 };
            truncate(&mut text, pair.as_mut(), max_length.saturating_sub(more));
            let mut ids = vec![tokenizer.cls()];
            ids.extend(text);
            ids.push(tokenizer.sep());
            let mut types = vec![0; ids.len()];
            if let Some(pair) = pair {
                ids.resize(ids.len() + more, tokenizer.sep());
                types.resize(ids.len(), 0);
                ids.extend(pair);
                ids.push(tokenizer.sep());
            }
            types.resize(ids.len(), tokenizer.second_type());
            counter.one();
            Ok(Sequence { ids, types, label })
        })
        .collect()
}

/// The key of the sequences of these examples.
pub fn key(
    examples: &[Example],
    tokenizer: &Tokenizer,
    max_length: usize,
    number: impl Fn(&str) -> Option<usize>,
) -> Key {
    let mut key = Key::new("classification", tokenizer);
    key.number(max_length);
    for example in examples {
        key.text(&example.text);
        match &example.pair {
            None => key.number(0),
            Some(pair) => {
                key.number(1);
                key.text(pair);
            }
        }
        key.number(number(&example.label).map_or(0, |n| n + 1));
    }
    key
}

/// Types are 0 for the first text and 1 for the second.
impl Kept for Sequence {
    fn write(&self, out: &mut Numbers) {
        out.list(&self.ids);
        out.push(self.types.iter().take_while(|t| **t == 0).count());
        out.push(self.label);
    }

    fn read(numbers: &mut Reader) -> Option<Self> {
        let ids = numbers.list()?;
        let mut types = vec![0; numbers.number().filter(|n| *n <= ids.len())?];
        types.resize(ids.len(), 1);
        Some(Sequence { types, label: numbers.number()?, ids })
    }
}

/// Cuts the longer text, or both, until they fit with their special tokens (`longest_first` of
/// the tokenizers library).
fn truncate(text: &mut Vec<u32>, pair: Option<&mut Vec<u32>>, max_length: usize) {
    let Some(pair) = pair else { return text.truncate(max_length.saturating_sub(2)) };
    let room = max_length.saturating_sub(3);
    if text.len() + pair.len() <= room {
        return;
    }
    let text_is_shorter = text.len() <= pair.len();
    let short = text.len().min(pair.len());
    let (mut few, mut many) = (short, if short > room { short } else { short.max(room - short) });
    if few + many > room {
        few = room / 2;
        many = few + room % 2;
    }
    let (of_text, of_pair) = if text_is_shorter { (few, many) } else { (many, few) };
    text.truncate(of_text);
    pair.truncate(of_pair);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from the tokenizers library, `longest_first`: lengths of both texts, the longest
    /// sequence, and the lengths that stay.
    const RECORDED: &[([usize; 2], usize, [usize; 2])] = &[
        ([5, 5], 13, [5, 5]),
        ([5, 5], 12, [4, 5]),
        ([10, 3], 12, [6, 3]),
        ([3, 10], 12, [3, 6]),
        ([10, 12], 12, [4, 5]),
        ([12, 10], 12, [5, 4]),
        ([9, 2], 8, [3, 2]),
        ([1, 30], 8, [1, 4]),
    ];

    #[test]
    fn pairs_are_cut_as_the_tokenizers_library_cuts_them() {
        for ([text, pair], length, expected) in RECORDED {
            let (mut a, mut b) = (vec![0; *text], vec![0; *pair]);
            truncate(&mut a, Some(&mut b), *length);
            assert_eq!([a.len(), b.len()], *expected, "{text} and {pair} in {length}");
        }
    }
}
