//! Long contexts cut into overlapping windows of tokens.

use super::tokenizer::{Encoded, Tokenizer};

/// One window: `[CLS] question [SEP] part of the context [SEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// 0 for the question's half, 1 for the context's.
    pub types: Vec<u32>,
    /// The first token of the context.
    pub context: usize,
    /// The context's bytes of each token from `context` on.
    pub offsets: Vec<(usize, usize)>,
}

/// Cuts a context into windows of at most `length` tokens, neighbours `overlap` tokens apart from new ones.
///
/// # Errors
/// One sentence if the question leaves no room.
pub fn cut(
    question: &Encoded,
    context: &Encoded,
    tokenizer: &Tokenizer,
    length: usize,
    overlap: usize,
) -> Result<Vec<Window>, String> {
    let room = length.saturating_sub(question.ids.len() + 3);
    // Windows must move on by at least one token.
    if room == 0 || (room <= overlap && context.ids.len() > room) {
        return Err(format!(
            "the question has {} tokens and leaves {room} of {length} for its context; windows overlap by {overlap}",
            question.ids.len()
        ));
    }
    let mut list = Vec::new();
    let mut first = 0;
    loop {
        let last = (first + room).min(context.ids.len());
        let mut ids = vec![tokenizer.cls];
        ids.extend(&question.ids);
        ids.push(tokenizer.sep);
        let start = ids.len();
        let mut types = vec![0; start];
        ids.extend(&context.ids[first..last]);
        ids.push(tokenizer.sep);
        types.resize(ids.len(), 1);
        let offsets = context.offsets[first..last].to_vec();
        list.push(Window { ids, types, context: start, offsets });
        if last == context.ids.len() {
            return Ok(list);
        }
        first += room - overlap;
    }
}

/// `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`: ids and types.
pub fn join(text: &Encoded, pair: Option<&Encoded>, tokenizer: &Tokenizer) -> (Vec<u32>, Vec<u32>) {
    let mut ids = vec![tokenizer.cls];
    ids.extend(&text.ids);
    ids.push(tokenizer.sep);
    let mut types = vec![0; ids.len()];
    if let Some(pair) = pair {
        ids.extend(&pair.ids);
        ids.push(tokenizer.sep);
        types.resize(ids.len(), 1);
    }
    (ids, types)
}
