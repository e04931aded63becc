//! Long contexts cut into overlapping windows of tokens.

use std::sync::Arc;

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic};

use super::cache::{Counter, Kept, Key, Numbers, Progress, Reader, unwatched};
use super::squad::Question;
use super::tokenize::{Encoded, Tokenizer};

/// One window: `[CLS] question [SEP] part of the context [SEP]`, or as the tokenizer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Which question.
    pub question: usize,
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// 0 for the question's half, 1 for the context's.
    pub types: Vec<u32>,
    /// The first token of the context.
    pub context_start: usize,
    /// The context's bytes of each token from `context_start` on.
    pub offsets: Vec<(usize, usize)>,
    /// First and last token of the answer; `[CLS]` twice if it is not in this window.
    pub answer: (usize, usize),
}

/// How contexts are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The longest sequence, in tokens.
    pub max_length: usize,
    /// How far neighbouring windows overlap, in tokens.
    pub doc_stride: usize,
}

/// Cuts every question's context into windows, in order.
///
/// # Errors
/// A question too long for any window, or a tokenizer that fails.
pub fn features(
    questions: &[Question],
    tokenizer: &Tokenizer,
    windows: Windows,
) -> Result<Vec<Feature>, Diagnostic> {
    features_told(questions, tokenizer, windows, &unwatched)
}

/// The same, telling how many questions are done.
///
/// # Errors
/// The same.
pub fn features_told(
    questions: &[Question],
    tokenizer: &Tokenizer,
    windows: Windows,
    progress: &Progress,
) -> Result<Vec<Feature>, Diagnostic> {
    let counter = Counter::new(questions.len(), progress);
    // Questions about one text stand together: it is tokenized once.
    let same = |a: &Question, b: &Question| Arc::ptr_eq(&a.context, &b.context);
    let groups: Vec<&[Question]> = questions.chunk_by(same).collect();
    let mut first = 0;
    let starts: Vec<usize> = groups
        .iter()
        .map(|group| {
            first += group.len();
            first - group.len()
        })
        .collect();
    let each: Result<Vec<Vec<Feature>>, Diagnostic> = groups
        .par_iter()
        .zip(starts)
        .map(|(group, start)| {
            let context = encode(&group[0], &group[0].context, tokenizer)?;
            let mut list = Vec::new();
            for (i, question) in group.iter().enumerate() {
                list.extend(cut(start + i, question, &context, tokenizer, windows)?);
                counter.one();
            }
            Ok(list)
        })
        .collect();
    Ok(each?.into_iter().flatten().collect())
}

/// The key of the windows of these questions.
pub fn key(questions: &[Question], tokenizer: &Tokenizer, windows: Windows) -> Key {
    let mut key = Key::new("question answering", tokenizer);
    key.number(windows.max_length);
    key.number(windows.doc_stride);
    for question in questions {
        key.text(&question.question);
        key.text(&question.context);
        // Only the first answer is trained on.
        match question.answers.first() {
            None => key.number(0),
            Some(answer) => {
                key.number(1 + answer.start);
                key.number(answer.text.len());
            }
        }
    }
    key
}

fn encode(question: &Question, text: &str, tokenizer: &Tokenizer) -> Result<Encoded, Diagnostic> {
    tokenizer.encode(text).map_err(|why| {
        Diagnostic::unlocated(
            Code::TokenizerNotReadable,
            format!("question `{}` cannot be tokenized: {why}", question.id),
        )
        .help("is the tokenizer the model's own?")
    })
}

fn cut(
    index: usize,
    question: &Question,
    context: &Encoded,
    tokenizer: &Tokenizer,
    windows: Windows,
) -> Result<Vec<Feature>, Diagnostic> {
    let asked = encode(question, question.question.trim_start(), tokenizer)?;
    let room = windows.max_length.saturating_sub(asked.ids.len() + 2 + tokenizer.between());
    // Windows must move on by at least one token.
    if room <= windows.doc_stride && context.ids.len() > room {
        return Err(Diagnostic::unlocated(
            Code::FlagValue,
            format!(
                "question `{}` has {} tokens and leaves {room} of {} for its context, no more than the overlap of {}",
                question.id,
                asked.ids.len(),
                windows.max_length,
                windows.doc_stride
            ),
        )
        .help("raise `max_length` or lower `doc_stride` in `train`"));
    }
    let mut list = Vec::new();
    let mut first = 0;
    loop {
        let last = (first + room).min(context.ids.len());
        list.push(window(index, question, tokenizer, &asked, context, first..last));
        if last == context.ids.len() {
            return Ok(list);
        }
        first += room - windows.doc_stride;
    }
}

fn window(
    index: usize,
    question: &Question,
    tokenizer: &Tokenizer,
    asked: &Encoded,
    context: &Encoded,
    part: std::ops::Range<usize>,
) -> Feature {
    let mut ids = vec![tokenizer.cls()];
    ids.extend(&asked.ids);
    ids.resize(ids.len() + tokenizer.between(), tokenizer.sep());
    let context_start = ids.len();
    let mut types = vec![0; context_start];
    ids.extend(&context.ids[part.clone()]);
    ids.push(tokenizer.sep());
    types.resize(ids.len(), tokenizer.second_type());
    let offsets = context.offsets[part].to_vec();
    let answer =
        answer_tokens(question, &offsets).map_or((0, 0), |(a, b)| (context_start + a, context_start + b));
    Feature { question: index, ids, types, context_start, offsets, answer }
}

/// The tokens of a window that hold the whole first answer.
fn answer_tokens(question: &Question, offsets: &[(usize, usize)]) -> Option<(usize, usize)> {
    let answer = question.answers.first()?;
    let (start, end) = (answer.start, answer.start + answer.text.len());
    let (window_start, window_end) = (offsets.first()?.0, offsets.last()?.1);
    if start < window_start || end > window_end {
        return None;
    }
    let first = offsets.iter().rposition(|(from, _)| *from <= start)?;
    let last = offsets.iter().position(|(_, to)| *to >= end)?;
    (first <= last).then_some((first, last))
}

/// Types follow from where the context begins; each token's bytes are told from where the last one's end.
impl Kept for Feature {
    fn write(&self, out: &mut Numbers) {
        out.push(self.question);
        out.list(&self.ids);
        out.push(self.context_start);
        out.push(self.offsets.len());
        let mut at = 0;
        for (from, to) in &self.offsets {
            // Bytes of tokens rise; whatever does not is told by a number that cannot be.
            out.push(from.wrapping_sub(at));
            out.push(to.wrapping_sub(*from));
            at = *to;
        }
        out.push(self.answer.0);
        out.push(self.answer.1);
    }

    fn read(numbers: &mut Reader) -> Option<Self> {
        let question = numbers.number()?;
        let ids = numbers.list()?;
        let context_start = numbers.number().filter(|start| *start <= ids.len())?;
        let mut types = vec![0; context_start];
        types.resize(ids.len(), 1);
        let count = numbers.count()?;
        let mut offsets = Vec::with_capacity(count);
        let mut at = 0usize;
        for _ in 0..count {
            let from = at.wrapping_add(numbers.number()?);
            at = from.wrapping_add(numbers.number()?);
            offsets.push((from, at));
        }
        let answer = (numbers.number()?, numbers.number()?);
        Some(Feature { question, ids, types, context_start, offsets, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::Making;
    use super::super::squad::Answer;
    use super::*;

    fn tokenizer() -> Tokenizer {
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] who ? a b c d e f g h i j";
        Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap()
    }

    fn question(context: &str, answer: &str) -> Question {
        Question {
            id: "q".into(),
            question: "Who?".into(),
            context: context.into(),
            answers: vec![Answer { text: answer.into(), start: context.find(answer).unwrap() }],
        }
    }

    #[test]
    fn windows_overlap_and_each_knows_whether_it_holds_the_answer() {
        let q = [question("a b c d e f g h i j", "e f")];
        let windows = Windows { max_length: 10, doc_stride: 2 };
        let list = features(&q, &tokenizer(), windows).unwrap();
        let contexts: Vec<usize> = list.iter().map(|f| f.offsets[0].0 / 2).collect();
        assert_eq!(contexts, [0, 3, 6], "five tokens of context, two of them shared");
        assert_eq!(list[0].answer, (0, 0), "`f` is not in the first window");
        assert_eq!(list[1].answer, (5, 6));
        assert_eq!(list[2].answer, (0, 0));
        assert_eq!(list[0].types, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_window_without_room_is_an_error_and_not_an_endless_loop() {
        let q = [question("a b c d e f g h i j", "e")];
        let error = features(&q, &tokenizer(), Windows { max_length: 7, doc_stride: 2 }).unwrap_err();
        assert!(error.message.contains("no more than the overlap"), "{}", error.message);
    }

    #[test]
    fn windows_are_kept_and_read_again_as_they_were() {
        let mut questions = vec![question("a b c d e f g h i j", "e f"), question("a b", "b")];
        // Two questions about one text, which is tokenized once.
        let context = questions[0].context.clone();
        questions.insert(1, Question { context, ..question("a b c d e f g h i j", "h") });
        let windows = Windows { max_length: 10, doc_stride: 2 };
        let list = features(&questions, &tokenizer(), windows).unwrap();
        assert_eq!(list.iter().map(|f| f.question).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2]);
        assert_eq!(list[5].answer, (5, 5), "each has its own answer");
        let dir = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let mut making = Making::new(Some(dir.path().to_owned()), &unwatched);
            let got = making.features(key(&questions, &tokenizer(), windows), |_| match round {
                0 => Ok(list.clone()),
                _ => panic!("it was kept"),
            });
            assert_eq!(got.unwrap(), list);
        }
    }
}
