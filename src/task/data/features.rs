//! Features of extractive question answering: windows of questions and contexts, with answer positions.

use std::sync::Arc;

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic};
use crate::text::windows::{NoRoom, Window, Windows};
use crate::text::{Encoded, Tokenizer};

use super::cache::{Counter, FeatureInputs, Progress};
use super::encoding::{Decoder, Encode, Encoder};
use super::squad::Question;

/// A question with one window of its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The index of the question.
    pub question: usize,
    /// The token sequence.
    pub window: Window,
    /// The positions of the answer's first and last tokens in the sequence; both 0 (`[CLS]`) if the window does not
    /// contain it.
    pub answer: (usize, usize),
}

/// A question answering data set before tokenization: everything that its [`Feature`]s are computed from. Its hash is
/// part of the key in the cache.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Questions<'a> {
    /// The questions with their contexts and answers.
    pub questions: &'a [Question],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length and the overlap of windows.
    pub windows: Windows,
}

impl FeatureInputs for Questions<'_> {
    type Feature = Feature;
    const KIND: &'static str = "question answering";

    /// Computes the windows of every question, in order.
    ///
    /// # Errors
    /// A question that leaves no room for its context, or a tokenizer that fails.
    fn make(&self, progress: &Progress) -> Result<Vec<Feature>, Diagnostic> {
        let counter = Counter::new(self.questions.len(), progress);
        // Questions about one context are consecutive: it is tokenized once.
        let same = |a: &Question, b: &Question| Arc::ptr_eq(&a.context, &b.context);
        let groups: Vec<&[Question]> = self.questions.chunk_by(same).collect();
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
                let context = self.encode(&group[0], &group[0].context)?;
                let mut list = Vec::new();
                for (i, question) in group.iter().enumerate() {
                    list.extend(self.cut(start + i, question, &context)?);
                    counter.one();
                }
                Ok(list)
            })
            .collect();
        Ok(each?.into_iter().flatten().collect())
    }
}

impl Questions<'_> {
    /// For each question, whether it leaves room for its context in a window.
    ///
    /// # Errors
    /// A tokenizer that fails.
    pub fn fitting(&self) -> Result<Vec<bool>, Diagnostic> {
        let fits = |question: &Question| {
            let asked = self.encode(question, question.question.trim_start())?;
            let around = asked.ids.len() + 2 + self.tokenizer.between();
            let room = self.windows.max_length.saturating_sub(around);
            // A context that fits into one window needs no overlap.
            Ok(room > self.windows.doc_stride
                || (around <= self.windows.max_length
                    && self.encode(question, &question.context)?.ids.len() <= room))
        };
        self.questions.par_iter().map(fits).collect()
    }

    fn encode(&self, question: &Question, text: &str) -> Result<Encoded, Diagnostic> {
        self.tokenizer.encode(text).map_err(|why| {
            Diagnostic::unlocated(
                Code::TokenizerNotReadable,
                format!("question `{}` cannot be tokenized: {why}", question.id),
            )
            .help("is the tokenizer the model's own?")
        })
    }

    fn cut(&self, index: usize, question: &Question, context: &Encoded) -> Result<Vec<Feature>, Diagnostic> {
        let asked = self.encode(question, question.question.trim_start())?;
        let windows = self.windows.cut(&asked, context, self.tokenizer);
        let windows = windows.map_err(|no_room| too_long(question, no_room))?;
        let feature = |window: Window| {
            let answer = answer_tokens(question, &window.offsets);
            let moved = |place: usize| window.context_start + place;
            let answer = answer.map_or((0, 0), |(first, last)| (moved(first), moved(last)));
            Feature { question: index, window, answer }
        };
        Ok(windows.into_iter().map(feature).collect())
    }
}

/// The error of a question that leaves too little room for its context, with settings that leave enough.
fn too_long(question: &Question, no_room: NoRoom) -> Diagnostic {
    let NoRoom { question: tokens, room, windows: Windows { max_length, doc_stride } } = no_room;
    let message = format!(
        "question `{}` has {tokens} tokens and leaves {room} of {max_length} for its context, no more than the overlap of {doc_stride}",
        question.id,
    );
    let (length, stride) = match room {
        // Room for the question, special tokens, and windows that advance.
        0..2 => (max_length.max(tokens + 4) + 2 * doc_stride.max(8), doc_stride),
        _ => (max_length, room / 2),
    };
    Diagnostic::unlocated(Code::RowUnusable, message).help(format!(
        "say `squad(max_length: {length}, doc_stride: {stride})`, in `eval` `--max-length {length} --doc-stride {stride}`; or leave such questions out: `--skip-bad`"
    ))
}

/// The first and last tokens of the first answer, if the window contains all of it.
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

impl Encode for Feature {
    fn encode(&self, out: &mut Encoder) {
        let Feature { question, window: Window { ids, types, context_start, offsets }, answer } = self;
        out.push(*question);
        out.list(ids);
        out.runs(types);
        out.push(*context_start);
        out.push(offsets.len());
        let mut at = 0;
        for (from, to) in offsets {
            // Offsets increase, so that differences are small; others wrap around.
            out.push(from.wrapping_sub(at));
            out.push(to.wrapping_sub(*from));
            at = *to;
        }
        out.push(answer.0);
        out.push(answer.1);
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        let question = numbers.number()?;
        let (ids, types) = (numbers.list()?, numbers.runs()?);
        let context_start = numbers.number()?;
        let count = numbers.count()?;
        let mut offsets = Vec::with_capacity(count);
        let mut at = 0usize;
        for _ in 0..count {
            let from = at.wrapping_add(numbers.number()?);
            at = from.wrapping_add(numbers.number()?);
            offsets.push((from, at));
        }
        let answer = (numbers.number()?, numbers.number()?);
        Some(Feature { question, window: Window { ids, types, context_start, offsets }, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::{FeatureCache, no_progress};
    use super::super::squad::Answer;
    use super::*;

    fn tokenizer() -> Tokenizer {
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] who ? a b c d e f g h i j";
        Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap()
    }

    fn features(
        questions: &[Question],
        tokenizer: &Tokenizer,
        windows: Windows,
    ) -> Result<Vec<Feature>, Diagnostic> {
        Questions { questions, tokenizer, windows }.make(&no_progress)
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
        let contexts: Vec<usize> = list.iter().map(|f| f.window.offsets[0].0 / 2).collect();
        assert_eq!(contexts, [0, 3, 6], "five tokens of context, two of them shared");
        assert_eq!(list[0].answer, (0, 0), "`f` is not in the first window");
        assert_eq!(list[1].answer, (5, 6));
        assert_eq!(list[2].answer, (0, 0));
        assert_eq!(list[0].window.types, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_window_without_room_is_an_error_and_not_an_endless_loop() {
        let q = [question("a b c d e f g h i j", "e")];
        let error = features(&q, &tokenizer(), Windows { max_length: 7, doc_stride: 2 }).unwrap_err();
        assert!(error.message.contains("no more than the overlap"), "{}", error.message);
        let fits = |max_length, doc_stride| {
            let windows = Windows { max_length, doc_stride };
            Questions { questions: &q, tokenizer: &tokenizer(), windows }.fitting().unwrap()[0]
        };
        assert!(!fits(7, 2) && fits(7, 1));
        // What the help says works.
        assert!(error.help.unwrap().contains("squad(max_length: 7, doc_stride: 1)"));
        features(&q, &tokenizer(), Windows { max_length: 7, doc_stride: 1 }).unwrap();
        let error = features(&q, &tokenizer(), Windows { max_length: 5, doc_stride: 2 }).unwrap_err();
        assert!(error.help.unwrap().contains("squad(max_length: 22, doc_stride: 2)"));
        features(&q, &tokenizer(), Windows { max_length: 22, doc_stride: 2 }).unwrap();
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
        let tokenizer = tokenizer();
        let inputs = Questions { questions: &questions, tokenizer: &tokenizer, windows };
        for kept in 0..2 {
            let mut feature_cache = FeatureCache::new(Some(dir.path().to_owned()), &no_progress);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), kept);
            assert_eq!(feature_cache.features(&inputs).unwrap(), list);
        }
    }
}
