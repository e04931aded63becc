//! Predictions from texts: answers to questions, or labels.

use std::sync::Arc;

use super::model::{Limits, Model, Sequence, Session};
use crate::text::Tokenizer;
use crate::text::spans::{Span, spans};
use crate::text::windows::{Joined, Window, Windows, join};

/// An input of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// For question answering.
    Question {
        /// The question.
        question: String,
        /// The text that contains the answer.
        context: String,
    },
    /// For sequence classification.
    Text {
        /// The text.
        text: String,
        /// The second text of a pair.
        pair: Option<String>,
    },
}

/// A prediction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Response {
    /// Answers to a question.
    Answers {
        /// Distinct spans of the context, the best first.
        answers: Vec<Answer>,
        /// The null score: the least sum of start and end logit of `[CLS]` over the windows.
        no_answer: f32,
    },
    /// Labels of a text.
    Labels {
        /// All labels with their probabilities, the most probable first.
        labels: Vec<(String, f32)>,
        /// Whether the text was truncated.
        truncated: bool,
    },
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The start logit of its first token plus the end logit of its last.
    pub score: f32,
    /// The offset of its first character in the context.
    pub start: usize,
    /// The offset after its last character.
    pub end: usize,
}

/// Settings of pre- and postprocessing.
#[derive(Clone, Copy, Debug)]
pub struct Answering {
    /// The number of tokens by which neighbouring windows of a long context overlap.
    pub doc_stride: usize,
    /// The largest number of tokens in an answer.
    pub max_answer_length: usize,
    /// The number of answers for each question.
    pub top: usize,
    /// Whether texts longer than [`Limits::length`] are truncated; otherwise they are refused.
    pub truncate: bool,
}

/// A session with a tokenizer.
#[derive(Debug)]
pub struct Predictor {
    session: Session,
    tokenizer: Arc<Tokenizer>,
    answering: Answering,
}

/// A tokenized request.
enum Prepared {
    Windows(Vec<Window>),
    Joined(Joined),
}

impl Predictor {
    /// Creates a session and a tokenizer for a model.
    ///
    /// # Errors
    /// One sentence if the model was packed without a tokenizer, or threads cannot be started.
    pub fn new(model: Arc<Model>, limits: Limits, answering: Answering) -> Result<Self, String> {
        let json = model.tokenizer().ok_or("the model was packed without a tokenizer")?;
        let tokenizer = Arc::new(Tokenizer::from_json(json)?);
        let session = Session::new(model, limits).map_err(|e| e.to_string())?;
        Ok(Predictor { session, tokenizer, answering })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        self.session.model()
    }

    /// The limits of its session.
    pub fn limits(&self) -> Limits {
        self.session.limits()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Computes the predictions of several requests, in their order; one sentence for a request that is refused.
    pub fn answer(&mut self, requests: &[Request]) -> Vec<Result<Response, String>> {
        let prepared: Vec<Result<Prepared, String>> = requests.iter().map(|r| self.prepare(r)).collect();
        let mut sequences: Vec<(usize, Sequence<'_>)> = Vec::new();
        for (i, prepared) in prepared.iter().enumerate() {
            match prepared {
                Err(_) => {}
                Ok(Prepared::Joined(Joined { ids, types, .. })) => {
                    sequences.push((i, Sequence { ids, types }))
                }
                Ok(Prepared::Windows(windows)) => {
                    sequences.extend(windows.iter().map(|w| (i, Sequence { ids: &w.ids, types: &w.types })))
                }
            }
        }
        let mut found: Vec<Found> = requests.iter().map(|_| Found::default()).collect();
        let mut windows_seen = vec![0; requests.len()];
        let mut rest = sequences.as_slice();
        while !rest.is_empty() {
            let count = self.session.fits(rest.iter().map(|(_, s)| s.ids.len()));
            let batch: Vec<Sequence<'_>> = rest[..count].iter().map(|(_, s)| *s).collect();
            match self.session.run(&batch) {
                Err(refusal) => {
                    rest[..count].iter().for_each(|(i, _)| found[*i].refused = Some(refusal.to_string()));
                }
                Ok(logits) => {
                    for (place, (i, _)) in rest[..count].iter().enumerate() {
                        match &prepared[*i] {
                            Ok(Prepared::Windows(windows)) => {
                                let (start, end) = logits.answer(place);
                                let window = &windows[windows_seen[*i]];
                                windows_seen[*i] += 1;
                                found[*i].spans.extend(spans(
                                    window,
                                    start,
                                    end,
                                    self.answering.max_answer_length,
                                ));
                                found[*i].nothing = found[*i].nothing.min(start[0] + end[0]);
                            }
                            _ => found[*i].logits = logits.labels(place).collect(),
                        }
                    }
                }
            }
            rest = &rest[count..];
        }
        let labels = self.session.model().labels().map(<[String]>::to_vec);
        let said = requests.iter().zip(prepared).zip(found);
        said.map(|((request, prepared), found)| {
            let truncated = matches!(prepared?, Prepared::Joined(joined) if joined.is_truncated());
            match (found.refused.clone(), request, &labels) {
                (Some(why), ..) => Err(why),
                (None, Request::Question { context, .. }, _) => {
                    Ok(found.answers(context, self.answering.top))
                }
                (None, _, labels) => Ok(found.labels(labels.as_deref().unwrap_or(&[]), truncated)),
            }
        })
        .collect()
    }

    /// Tokenizes a request.
    fn prepare(&self, request: &Request) -> Result<Prepared, String> {
        let finds_answers = self.session.model().labels().is_none();
        let most = self.session.limits().length;
        match request {
            Request::Question { question, context } if finds_answers => {
                let asked = self.tokenizer.encode(question.trim_start())?;
                if asked.ids.is_empty() {
                    return Err("the question is empty".into());
                }
                let context = self.tokenizer.encode(context)?;
                if context.ids.is_empty() {
                    return Err("the context is empty".into());
                }
                let windows = Windows { max_length: most, doc_stride: self.answering.doc_stride };
                let cut = windows.cut(&asked, &context, &self.tokenizer).map_err(|no| {
                    format!(
                        "the question has {} tokens and leaves {} of {most} for its context; windows overlap by \
                         {}: raise `--max-seq-len`, or lower `--doc-stride`",
                        no.question, no.room, no.windows.doc_stride
                    )
                })?;
                Ok(Prepared::Windows(cut))
            }
            Request::Text { text, pair } if !finds_answers => {
                let encode = |text: &String| self.tokenizer.encode(text).map(|encoded| encoded.ids);
                let joined =
                    join(encode(text)?, pair.as_ref().map(encode).transpose()?, &self.tokenizer, most);
                if joined.is_truncated() && !self.answering.truncate {
                    return Err(format!(
                        "the text has {} tokens, and at most {most} are read; `--truncate` leaves the rest out",
                        joined.length
                    ));
                }
                Ok(Prepared::Joined(joined))
            }
            Request::Question { .. } => Err("the model gives labels; ask with `text` and `pair`".into()),
            Request::Text { .. } => {
                Err("the model answers questions; ask with `question` and `context`".into())
            }
        }
    }
}

/// The model's outputs for one request.
struct Found {
    spans: Vec<Span>,
    nothing: f32,
    logits: Vec<f32>,
    refused: Option<String>,
}

impl Default for Found {
    fn default() -> Self {
        Found { spans: Vec::new(), nothing: f32::INFINITY, logits: Vec::new(), refused: None }
    }
}

impl Found {
    fn answers(mut self, context: &str, top: usize) -> Response {
        self.spans.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut answers: Vec<Answer> = Vec::new();
        let mut seen: Vec<(usize, usize)> = Vec::new();
        for span in self.spans {
            if answers.len() == top {
                break;
            }
            // Windows overlap, so that the same answer may occur twice.
            let text = context.get(span.from..span.to);
            if let (Some(text), false) = (text, seen.contains(&(span.from, span.to))) {
                seen.push((span.from, span.to));
                let start = context[..span.from].chars().count();
                let end = start + text.chars().count();
                answers.push(Answer { text: text.to_owned(), score: span.score, start, end });
            }
        }
        Response::Answers { answers, no_answer: self.nothing }
    }

    fn labels(self, names: &[String], truncated: bool) -> Response {
        let most = self.logits.iter().copied().fold(f32::MIN, f32::max);
        let parts: Vec<f32> = self.logits.iter().map(|l| (l - most).exp()).collect();
        let total: f32 = parts.iter().sum();
        let mut list: Vec<(String, f32)> =
            names.iter().cloned().zip(parts.iter().map(|p| p / total)).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        Response::Labels { labels: list, truncated }
    }
}
