//! Predictions from texts: answers to questions, labels, entities, scores or embeddings.

use std::sync::Arc;

use thiserror::Error;

pub use super::entities::Entity;
use super::entities::entities;
use super::file::layout::Head;
use super::model::session::Logits;
use super::model::{Limits, Model, Sequence, Session};
use crate::text::Encoded;
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
    /// For all other tasks.
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
        /// All labels with their probabilities, the most probable first; in multi-label classification the
        /// probabilities are independent.
        labels: Vec<(String, f32)>,
        /// Whether the labels exclude each other (single-label); otherwise the text can have any number of them
        /// (multi-label).
        single: bool,
        /// Whether the text was truncated.
        truncated: bool,
    },
    /// The score of a text, by regression.
    Score {
        /// The score.
        score: f32,
        /// Whether the text was truncated.
        truncated: bool,
    },
    /// Entities of a text, in its order.
    Entities {
        /// The entities.
        entities: Vec<Entity>,
        /// Whether the text was truncated.
        truncated: bool,
    },
    /// The embedding of a text.
    Embedding {
        /// Its values.
        embedding: Vec<f32>,
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

/// Why there is no predictor for a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It was packed without a tokenizer, or with one that cannot be read.
    #[error("{0}")]
    Tokenizer(String),
    /// Threads cannot be started.
    #[error("{0}")]
    Threads(String),
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
    /// The sequence, and the first text without special tokens.
    Joined(Joined, Encoded),
}

impl Predictor {
    /// Creates a session and a tokenizer for a model.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn new(model: Arc<Model>, limits: Limits, answering: Answering) -> Result<Self, NotReady> {
        let without = || NotReady::Tokenizer("the model was packed without a tokenizer".into());
        let json = model.tokenizer().ok_or_else(without)?;
        let tokenizer = Arc::new(Tokenizer::from_json(json).map_err(NotReady::Tokenizer)?);
        let session = Session::new(model, limits).map_err(|e| NotReady::Threads(e.to_string()))?;
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

    /// The settings of pre- and postprocessing.
    pub fn answering(&mut self) -> &mut Answering {
        &mut self.answering
    }

    /// Computes the predictions of several requests, in their order; one sentence for a request that is refused.
    pub fn answer(&mut self, requests: &[Request]) -> Vec<Result<Response, String>> {
        let prepared: Vec<Result<Prepared, String>> = requests.iter().map(|r| self.prepare(r)).collect();
        let mut sequences: Vec<(usize, Sequence<'_>)> = Vec::new();
        for (i, prepared) in prepared.iter().enumerate() {
            match prepared {
                Err(_) => {}
                Ok(Prepared::Joined(Joined { ids, types, .. }, _)) => {
                    sequences.push((i, Sequence { ids, types }))
                }
                Ok(Prepared::Windows(windows)) => {
                    sequences.extend(windows.iter().map(|w| (i, Sequence { ids: &w.ids, types: &w.types })))
                }
            }
        }
        let model = Arc::clone(self.session.model());
        let head = model.head();
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
                            Ok(Prepared::Joined(_, text)) => {
                                let request = &requests[*i];
                                found[*i].response = Some(of_text(&logits, place, head, request, text));
                            }
                            Err(_) => {}
                        }
                    }
                }
            }
            rest = &rest[count..];
        }
        let said = requests.iter().zip(prepared).zip(found);
        said.map(|((request, prepared), found)| {
            let is_truncated = matches!(prepared?, Prepared::Joined(joined, _) if joined.is_truncated());
            match (found.refused.clone(), request, found.response.clone()) {
                (Some(why), ..) => Err(why),
                (None, Request::Question { context, .. }, _) => {
                    Ok(found.answers(context, self.answering.top))
                }
                (None, _, Some(response)) => Ok(response.truncated(is_truncated)),
                (None, _, None) => Err("there is no answer".into()),
            }
        })
        .collect()
    }

    /// Tokenizes a request.
    fn prepare(&self, request: &Request) -> Result<Prepared, String> {
        let head = self.session.model().head();
        let finds_answers = *head == Head::Answers;
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
                         {}: raise the maximum length (`--max-length`), or lower the overlap (`--doc-stride`)",
                        no.question, no.room, no.windows.doc_stride
                    )
                })?;
                Ok(Prepared::Windows(cut))
            }
            Request::Text { text, pair } if !finds_answers => {
                if pair.is_some() && matches!(head, Head::Tokens(_)) {
                    return Err("the model classifies the tokens of one text; leave `pair` out".into());
                }
                let first = self.tokenizer.encode(text)?;
                let second = pair.as_ref().map(|pair| self.tokenizer.encode(pair)).transpose()?;
                let joined = join(first.ids.clone(), second.map(|second| second.ids), &self.tokenizer, most);
                if joined.is_truncated() && !self.answering.truncate {
                    return Err(format!(
                        "the text has {} tokens, and at most {most} are read; `--truncate` leaves the rest out",
                        joined.length
                    ));
                }
                Ok(Prepared::Joined(joined, first))
            }
            Request::Question { .. } => Err(format!("the model {}; ask with `text`", head.task())),
            Request::Text { .. } => {
                Err("the model answers questions; ask with `question` and `context`".into())
            }
        }
    }
}

/// The response to a text, of the sequence at `place` of a batch.
fn of_text(logits: &Logits, place: usize, head: &Head, request: &Request, encoded: &Encoded) -> Response {
    let truncated = false;
    let probable = |probabilities: Vec<f32>, names: &[String]| {
        let mut list: Vec<(String, f32)> = names.iter().cloned().zip(probabilities).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list
    };
    let all: Vec<f32> = logits.labels(place).collect();
    match (head, request) {
        (Head::Tokens(names), Request::Text { text, .. }) => {
            // Without the tokens around the text.
            let inside = |row: &'_ [f32]| row[1..row.len() - 1].to_vec();
            let rows: Vec<Vec<f32>> = logits.tokens(place).map(inside).collect();
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            Response::Entities { entities: entities(text, encoded, &rows, names), truncated }
        }
        (Head::Embedding { .. }, _) => {
            Response::Embedding { embedding: logits.embedding(place).collect(), truncated }
        }
        (Head::Score, _) => Response::Score { score: all.first().copied().unwrap_or(0.0), truncated },
        (Head::Multilabel(names), _) => {
            let each = all.iter().map(|l| 1.0 / (1.0 + (-l).exp())).collect();
            Response::Labels { labels: probable(each, names), single: false, truncated }
        }
        _ => {
            let most = all.iter().copied().fold(f32::MIN, f32::max);
            let parts: Vec<f32> = all.iter().map(|l| (l - most).exp()).collect();
            let total: f32 = parts.iter().sum();
            let each = parts.iter().map(|p| p / total).collect();
            let names = match head {
                Head::Labels(names) => names.as_slice(),
                _ => &[],
            };
            Response::Labels { labels: probable(each, names), single: true, truncated }
        }
    }
}

impl Response {
    /// Whether its text was truncated.
    pub fn is_truncated(&self) -> bool {
        match self {
            Response::Answers { .. } => false,
            Response::Labels { truncated, .. }
            | Response::Score { truncated, .. }
            | Response::Entities { truncated, .. }
            | Response::Embedding { truncated, .. } => *truncated,
        }
    }

    /// The response, with the note whether its text was truncated.
    fn truncated(mut self, is_truncated: bool) -> Response {
        match &mut self {
            Response::Answers { .. } => {}
            Response::Labels { truncated, .. }
            | Response::Score { truncated, .. }
            | Response::Entities { truncated, .. }
            | Response::Embedding { truncated, .. } => *truncated = is_truncated,
        }
        self
    }
}

/// The model's outputs for one request.
struct Found {
    spans: Vec<Span>,
    nothing: f32,
    response: Option<Response>,
    refused: Option<String>,
}

impl Default for Found {
    fn default() -> Self {
        Found { spans: Vec::new(), nothing: f32::INFINITY, response: None, refused: None }
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
}
