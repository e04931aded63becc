//! Token sequences of sentences whose words have tags: the label of a word is that of its first token.

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic};
use crate::text::Tokenizer;

use super::cache::{Counter, FeatureInputs, Progress};
use super::encoding::{Decoder, Encode, Encoder};
use super::tagged::Sentence;

/// A sentence, or a window of a long one, with the words whose labels are predicted in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedWindow {
    /// The index of its sentence.
    pub sentence: usize,
    /// Token ids.
    pub ids: Vec<u32>,
    /// The words that are labelled in this window, in order.
    pub words: Vec<LabelledWord>,
}

/// A word in a window. Its other tokens have no label (`-100` in the scripts of `transformers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelledWord {
    /// The index of the word in its sentence.
    pub word: usize,
    /// The index in the window's ids of the word's first token.
    pub token: usize,
    /// The index of its label.
    pub label: usize,
}

/// The inputs of windows with labelled words.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Sentences<'a> {
    /// The sentences.
    pub sentences: &'a [Sentence],
    /// The label of each word of each sentence; `None` for a word without one.
    pub labels: &'a [Vec<Option<usize>>],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
    /// The overlap of consecutive windows, in tokens.
    pub doc_stride: usize,
}

impl FeatureInputs for Sentences<'_> {
    type Feature = TaggedWindow;
    const KIND: &'static str = "token classification";

    /// Tokenizes every sentence, word by word, and cuts long ones into windows `[CLS] tokens [SEP]`.
    ///
    /// # Errors
    /// A tokenizer that fails, or windows that cannot advance.
    fn make(&self, progress: &Progress) -> Result<Vec<TaggedWindow>, Diagnostic> {
        let counter = Counter::new(self.sentences.len(), progress);
        let one = |(index, (sentence, labels)): (usize, (&Sentence, &Vec<Option<usize>>))| {
            let windows = self.windows(index, sentence, labels);
            counter.one();
            windows
        };
        let each: Result<Vec<_>, Diagnostic> =
            self.sentences.par_iter().zip(self.labels).enumerate().map(one).collect();
        Ok(each?.into_iter().flatten().collect())
    }
}

impl Sentences<'_> {
    fn windows(
        &self,
        sentence: usize,
        words: &Sentence,
        labels: &[Option<usize>],
    ) -> Result<Vec<TaggedWindow>, Diagnostic> {
        let tokens = self.tokenizer.encode_words(&words.words).map_err(|why| {
            Diagnostic::unlocated(Code::TokenizerNotReadable, format!("a word cannot be tokenized: {why}"))
                .help("is the tokenizer the model's own?")
        })?;
        // The first token of each word; a word without tokens has no place.
        let mut firsts = Vec::new();
        let mut ids: Vec<u32> = Vec::new();
        for (word, own) in tokens.iter().enumerate() {
            if let (Some(label), false) = (labels[word], own.is_empty()) {
                firsts.push(LabelledWord { word, token: ids.len(), label });
            }
            ids.extend(own);
        }
        let room = self.max_length.saturating_sub(2);
        if ids.len() > room && room <= self.doc_stride {
            let (length, stride) = (self.max_length, self.doc_stride);
            let message = format!("windows of {length} tokens cannot advance with an overlap of {stride}");
            return Err(Diagnostic::unlocated(Code::FlagValue, message).help("use a smaller `doc_stride`"));
        }
        let starts: Vec<usize> = match ids.len() <= room {
            true => vec![0],
            false => (0..ids.len() - self.doc_stride).step_by(room - self.doc_stride).collect(),
        };
        let part = |start: usize| start..(start + room).min(ids.len());
        let mut windows: Vec<TaggedWindow> = starts
            .iter()
            .map(|start| {
                let mut own = vec![self.tokenizer.cls()];
                own.extend(&ids[part(*start)]);
                own.push(self.tokenizer.sep());
                TaggedWindow { sentence, ids: own, words: Vec::new() }
            })
            .collect();
        for first in firsts {
            // Each word is predicted in the window where the smaller of its left and right contexts is largest; a
            // context that reaches the end of the sentence counts as unlimited.
            let context = |start: usize| {
                let range = part(start);
                let before = if start == 0 { usize::MAX } else { first.token - start };
                let after = if range.end == ids.len() { usize::MAX } else { range.end - 1 - first.token };
                before.min(after)
            };
            let holding = starts.iter().enumerate().filter(|(_, start)| part(**start).contains(&first.token));
            if let Some((window, start)) = holding.rev().max_by_key(|(_, start)| context(**start)) {
                windows[window].words.push(LabelledWord { token: first.token - start + 1, ..first });
            }
        }
        windows.retain(|window| !window.words.is_empty());
        Ok(windows)
    }
}

impl Encode for TaggedWindow {
    fn encode(&self, out: &mut Encoder) {
        let TaggedWindow { sentence, ids, words } = self;
        out.push(*sentence);
        out.list(ids);
        out.push(words.len());
        for LabelledWord { word, token, label } in words {
            [word, token, label].into_iter().for_each(|number| out.push(*number));
        }
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        let (sentence, ids, count) = (numbers.number()?, numbers.list()?, numbers.count()?);
        let mut word = || {
            let (word, token, label) = (numbers.number()?, numbers.number()?, numbers.number()?);
            (token < ids.len()).then_some(LabelledWord { word, token, label })
        };
        let words = (0..count).map(|_| word()).collect::<Option<Vec<_>>>()?;
        Some(TaggedWindow { sentence, ids, words })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::no_progress;
    use super::super::encoding::{decode, encode};
    use super::*;

    fn windows(
        words: &str,
        labels: &[Option<usize>],
        max_length: usize,
        doc_stride: usize,
    ) -> Vec<TaggedWindow> {
        let vocabulary = "[PAD] [UNK] [CLS] [SEP] [MASK] a b ##c";
        let tokenizer = Tokenizer::from_vocabulary(vocabulary.split(' ').map(str::to_owned), true).unwrap();
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let sentences = [Sentence { tags: vec![String::new(); words.len()], words }];
        let labels = [labels.to_vec()];
        let inputs = Sentences {
            sentences: &sentences,
            labels: &labels,
            tokenizer: &tokenizer,
            max_length,
            doc_stride,
        };
        inputs.make(&no_progress).unwrap()
    }

    fn places(window: &TaggedWindow) -> Vec<(usize, usize, usize)> {
        window.words.iter().map(|w| (w.word, w.token, w.label)).collect()
    }

    #[test]
    fn the_first_token_of_each_word_has_its_label() {
        let list = windows("acc b a", &[Some(2), None, Some(1)], 16, 4);
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].ids, [2, 5, 7, 7, 6, 5, 3]);
        assert_eq!(places(&list[0]), [(0, 1, 2), (2, 5, 1)]);
        // A word without tokens is in no window.
        let list = windows("a \u{200d} b", &[Some(0), Some(1), Some(2)], 16, 4);
        assert_eq!(places(&list[0]), [(0, 1, 0), (2, 2, 2)]);
    }

    #[test]
    fn each_word_of_a_long_sentence_is_labelled_once_where_it_has_most_context() {
        let labels: Vec<Option<usize>> = (0..10).map(Some).collect();
        // Windows of six tokens at 0, 4 and 8: two of them are shared.
        let list = windows("a b a b a b a b a b", &labels, 8, 2);
        let words: Vec<Vec<usize>> = list.iter().map(|w| w.words.iter().map(|l| l.word).collect()).collect();
        assert_eq!(words, [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
        assert_eq!(list[1].words[0], LabelledWord { word: 5, token: 2, label: 5 });
        assert!(list.iter().all(|w| w.ids.len() <= 8));
        assert_eq!(decode::<TaggedWindow>(&encode(&list)).unwrap(), list);
    }
}
