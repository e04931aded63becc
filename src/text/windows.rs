//! Token sequences with special tokens: truncation, and overlapping windows of long contexts.

use super::tokenizer::{Encoded, Tokenizer};

/// A window of a long context: `[CLS] question [SEP] part of the context [SEP]`, or with RoBERTa's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Token types, one for each id: 0 for the question, [`Tokenizer::second_type`] for the context.
    pub types: Vec<u32>,
    /// The index in `ids` of the first token of the context.
    pub context_start: usize,
    /// The bytes of the context that each of its tokens covers, from `context_start` on.
    pub offsets: Vec<(usize, usize)>,
}

/// The maximum length and the overlap of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
    /// The overlap of consecutive windows, in tokens (`stride` of the tokenizers library).
    pub doc_stride: usize,
}

/// A question that leaves a window too little room for its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The number of tokens of the question.
    pub question: usize,
    /// The number of tokens left for the context.
    pub room: usize,
    /// The settings of the windows.
    pub windows: Windows,
}

impl Windows {
    /// Cuts a context into overlapping windows, as `transformers` does with `truncation="only_second"`,
    /// `stride` and `return_overflowing_tokens`. A context without tokens gives one window.
    ///
    /// # Errors
    /// A question that leaves no room, or no more than the overlap.
    pub fn cut(
        self,
        question: &Encoded,
        context: &Encoded,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Window>, NoRoom> {
        let around = question.ids.len() + 2 + tokenizer.between();
        let room = self.max_length.saturating_sub(around);
        // Windows must advance by at least one token.
        if around > self.max_length || (room <= self.doc_stride && context.ids.len() > room) {
            return Err(NoRoom { question: question.ids.len(), room, windows: self });
        }
        let mut list = Vec::new();
        let mut first = 0;
        loop {
            let last = (first + room).min(context.ids.len());
            let mut ids = vec![tokenizer.cls()];
            ids.extend(&question.ids);
            ids.resize(ids.len() + tokenizer.between(), tokenizer.sep());
            let context_start = ids.len();
            let mut types = vec![0; context_start];
            ids.extend(&context.ids[first..last]);
            ids.push(tokenizer.sep());
            types.resize(ids.len(), tokenizer.second_type());
            let offsets = context.offsets[first..last].to_vec();
            list.push(Window { ids, types, context_start, offsets });
            if last == context.ids.len() {
                return Ok(list);
            }
            first += room - self.doc_stride;
        }
    }
}

/// The sequence of a text or a pair of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Token types, one for each id.
    pub types: Vec<u32>,
    /// The length before truncation, in tokens.
    pub length: usize,
}

impl Joined {
    /// Whether the texts were truncated.
    pub fn is_truncated(&self) -> bool {
        self.length > self.ids.len()
    }
}

/// Joins a text, or a pair, to `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]` of at most `max_length` tokens,
/// truncated as by `transformers` with `truncation=True`.
pub fn join(
    mut text: Vec<u32>,
    mut pair: Option<Vec<u32>>,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Joined {
    let special = 2 + if pair.is_some() { tokenizer.between() } else { 0 };
    let length = special + text.len() + pair.as_ref().map_or(0, Vec::len);
    truncate(&mut text, pair.as_mut(), max_length.saturating_sub(special));
    let mut ids = vec![tokenizer.cls()];
    ids.extend(text);
    let mut types = vec![0; ids.len()];
    if let Some(pair) = pair {
        ids.resize(ids.len() + tokenizer.between(), tokenizer.sep());
        types.resize(ids.len(), 0);
        ids.extend(pair);
        types.resize(ids.len() + 1, tokenizer.second_type());
    }
    ids.push(tokenizer.sep());
    types.resize(ids.len(), 0);
    Joined { ids, types, length }
}

/// Truncates the longer text, or both, to `room` tokens in total (`longest_first` of the tokenizers library).
fn truncate(text: &mut Vec<u32>, pair: Option<&mut Vec<u32>>, room: usize) {
    let Some(pair) = pair else { return text.truncate(room) };
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

    /// Recorded from the tokenizers library, `longest_first`: lengths of both texts, the maximum length, and the lengths
    /// after truncation.
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

    fn tokenizer() -> Tokenizer {
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e f g h i j";
        Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap()
    }

    #[test]
    fn pairs_are_truncated_as_the_tokenizers_library_truncates_them() {
        let tokenizer = tokenizer();
        for ([text, pair], length, expected) in RECORDED {
            let joined = join(vec![5; *text], Some(vec![6; *pair]), &tokenizer, *length);
            let count = |id| joined.ids.iter().filter(|i| **i == id).count();
            assert_eq!([count(5), count(6)], *expected, "{text} and {pair} in {length}");
            assert_eq!(joined.length, text + pair + 3);
            assert_eq!(joined.is_truncated(), text + pair + 3 > *length);
        }
    }

    #[test]
    fn types_tell_the_second_text_and_its_separator() {
        let tokenizer = tokenizer();
        let joined = join(vec![5, 6], Some(vec![7]), &tokenizer, 100);
        assert_eq!((joined.ids, joined.types), (vec![2, 5, 6, 3, 7, 3], vec![0, 0, 0, 0, 1, 1]));
        let alone = join(vec![5, 6, 7], None, &tokenizer, 4);
        assert_eq!((alone.ids, alone.types, alone.length), (vec![2, 5, 6, 3], vec![0; 4], 5));
    }

    #[test]
    fn windows_overlap_and_cover_the_context() {
        let tokenizer = tokenizer();
        let (question, context) =
            (tokenizer.encode("a b").unwrap(), tokenizer.encode("a b c d e f g h i j").unwrap());
        let list = Windows { max_length: 10, doc_stride: 2 }.cut(&question, &context, &tokenizer).unwrap();
        let firsts: Vec<usize> = list.iter().map(|w| w.offsets[0].0 / 2).collect();
        assert_eq!(firsts, [0, 3, 6, 9][..list.len()], "five tokens of context, two of them shared");
        assert_eq!(list[0].types, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(list.last().unwrap().offsets.last(), Some(&(18, 19)));
        let narrow = Windows { max_length: 7, doc_stride: 2 };
        assert_eq!(
            narrow.cut(&question, &context, &tokenizer).unwrap_err(),
            NoRoom { question: 2, room: 2, windows: narrow }
        );
    }
}
