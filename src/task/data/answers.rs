//! Locates the answers of SQuAD in their contexts.
//!
//! `answer_start` counts characters. If the answer's text is not there, its nearest occurrence in the context is used,
//! and the number of such answers is reported (`run_qa.py` of `transformers` trains on the text at `answer_start`; its
//! older `SquadProcessor` leaves such questions out). An answer that does not occur in the context cannot be trained
//! on: it is an error, or left out on request. In evaluation it is still a reference, as the official scripts compare
//! texts alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, agreeing, counted};

use super::bad_rows;
use super::questions::{Answer, Question, Version};
use super::splits::Split;

/// A question as the file has it.
#[derive(Debug)]
pub(super) struct RawQuestion {
    pub(super) id: String,
    pub(super) question: String,
    pub(super) answers: Option<Vec<RawAnswer>>,
}

/// An answer as the file has it; `answer_start` counts characters.
#[derive(Debug, serde::Deserialize)]
pub(super) struct RawAnswer {
    pub(super) text: String,
    pub(super) answer_start: i64,
}

/// The questions of one file, and the ids of those with faults.
pub(super) struct Collected {
    path: PathBuf,
    version: Version,
    split: Split,
    questions: Vec<Question>,
    /// The last context, which consecutive questions share.
    last: Arc<str>,
    /// Questions without an answer, in v1.1.
    unanswered: Vec<String>,
    /// Questions with an answer that is found in the context, but not at its `answer_start`.
    moved: Vec<String>,
    /// Questions with an answer that does not occur in the context.
    lost: Vec<String>,
}

impl Collected {
    pub(super) fn new(path: &Path, version: Version, split: Split) -> Self {
        Collected {
            path: path.to_owned(),
            version,
            split,
            questions: Vec::new(),
            last: "".into(),
            unanswered: Vec::new(),
            moved: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// The number of questions.
    pub(super) fn count(&self) -> usize {
        self.questions.len()
    }

    /// The context, shared with the question before if it is equal; questions about one context are consecutive.
    pub(super) fn shared(&mut self, context: String) -> Arc<str> {
        if *self.last != *context {
            self.last = context.into();
        }
        self.last.clone()
    }

    /// Adds a question, with its answers located in the context.
    pub(super) fn add(&mut self, raw: RawQuestion, context: &Arc<str>) {
        let id = raw.id;
        // An empty text is no answer.
        let answers = raw.answers.unwrap_or_default().into_iter().filter(|a| !a.text.trim().is_empty());
        let (mut list, mut is_moved, mut is_lost) = (Vec::new(), false, false);
        for answer in answers {
            match locate(context, &answer) {
                Some((start, text, exact)) => {
                    is_moved |= !exact;
                    list.push(Answer { text: text.to_owned(), start });
                }
                None => {
                    is_lost = true;
                    list.push(Answer { text: answer.text, start: context.len() });
                }
            }
        }
        if list.is_empty() && self.version == Version::One {
            self.unanswered.push(id.clone());
        }
        if is_moved {
            self.moved.push(id.clone());
        }
        if is_lost {
            self.lost.push(id.clone());
        }
        let (question, context) = (raw.question, context.clone());
        self.questions.push(Question { id, question, context, answers: list });
    }

    /// Returns the questions; adds faults that are no errors to `notes`.
    ///
    /// # Errors
    /// Questions without an answer in v1.1, and training answers that do not occur in their context, unless `skip`
    /// leaves them out; a file without a question.
    pub(super) fn finish(mut self, skip: bool, notes: &mut Vec<String>) -> Result<Vec<Question>, Diagnostic> {
        let shown = self.path.display().to_string();
        if !self.moved.is_empty() {
            let questions = counted(self.moved.len(), "question", "questions");
            let have = agreeing(&self.moved.len(), "has", "have");
            let which = listed(&self.moved);
            notes.push(format!(
                "{questions} of `{shown}` {have} an answer that is not at its `answer_start`, found by its text: {which}"
            ));
        }
        if !self.lost.is_empty() && self.split != Split::Train {
            let questions = counted(self.lost.len(), "question", "questions");
            let (has, have) = (
                "has a reference answer that is not in its context",
                "have a reference answer that is not in their context",
            );
            let have = agreeing(&self.lost.len(), has, have);
            let which = listed(&self.lost);
            notes.push(format!("{questions} of `{shown}` {have}: {which}"));
            self.lost.clear();
        }
        // The caller refuses test sets with hidden answers as a whole.
        let all = self.split != Split::Train && self.unanswered.len() == self.questions.len();
        let unanswered = if all { Vec::new() } else { std::mem::take(&mut self.unanswered) };
        let wrong = [
            (
                &unanswered,
                ("has no answer", "have no answer"),
                "SQuAD v1.1 answers every question; for v2.0 say `data: squad_v2`, `--task squad-v2` in `eval`",
            ),
            (
                &self.lost,
                ("has an answer that is not in its context", "have an answer that is not in their context"),
                "was the context cut or cleaned? `answer_start` counts characters from 0",
            ),
        ];
        for (ids, (has, have), help) in wrong.into_iter().filter(|(ids, ..)| !ids.is_empty()) {
            let (count, which) = (ids.len(), listed(ids));
            if !skip {
                let message = match count {
                    1 => format!("{which} of `{shown}` {has}"),
                    _ => format!("{count} questions of `{shown}` {have}: {which}"),
                };
                return Err(Diagnostic::unlocated(Code::RowUnusable, message)
                    .help(format!("{help}; or leave such questions out: `--skip-bad`")));
            }
            let (what, are) = (agreeing(&count, has, have), agreeing(&count, "is", "are"));
            let questions = counted(count, "question", "questions");
            notes.push(format!("{questions} of `{shown}` {what} and {are} left out: {which}"));
            let out: std::collections::HashSet<&String> = ids.iter().collect();
            self.questions.retain(|q| !out.contains(&q.id));
        }
        if self.questions.is_empty() {
            return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{shown}` holds no question"))
                .help("is it the right file?"));
        }
        Ok(self.questions)
    }
}

/// The ids of questions: `questions a, b and more`.
fn listed(ids: &[String]) -> String {
    bad_rows::listed("question", ids.iter().map(|id| format!("`{id}`")))
}

/// Locates an answer: its first byte in the context, its text there, and whether it is at `answer_start`.
fn locate<'a>(context: &str, answer: &'a RawAnswer) -> Option<(usize, &'a str, bool)> {
    let said = usize::try_from(answer.answer_start)
        .ok()
        .and_then(|n| context.char_indices().map(|(i, _)| i).chain([context.len()]).nth(n));
    if let Some(start) = said.filter(|start| context[*start..].starts_with(&answer.text)) {
        return Some((start, &answer.text, true));
    }
    let near = said.unwrap_or(if answer.answer_start < 0 { 0 } else { context.len() });
    let nearest = |text: &'a str| {
        let places = context.match_indices(text).map(|(at, _)| at);
        places.min_by_key(|at| at.abs_diff(near)).map(|at| (at, text, false))
    };
    // White space around an answer is not part of it.
    nearest(&answer.text).or_else(|| nearest(answer.text.trim()))
}
