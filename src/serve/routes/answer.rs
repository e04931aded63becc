//! `POST /answer`: answers to questions, from their contexts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{Body, OneOrMany, Reply, Shared};
use crate::infer::predictor::Answer;
use crate::infer::{Request, Response};
use crate::serve::reply::Failure;

/// A request. `inputs` is a question with its context, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    inputs: OneOrMany<Question>,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    question: String,
    context: String,
}

/// The answers to one question.
#[derive(Debug, Serialize)]
pub struct Answers {
    /// Distinct spans of the context, the best first.
    answers: Vec<Span>,
    /// The null score: the sum of the start and end logit of `[CLS]`.
    no_answer: f32,
}

#[derive(Debug, Serialize)]
struct Span {
    text: String,
    /// The start logit of the first token plus the end logit of the last.
    score: f32,
    /// The offset of the first character in the context.
    start: usize,
    /// The offset after the last character.
    end: usize,
}

/// Handles a request: an object for one question, a list for a list.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<AnswerRequest>,
) -> Reply<serde_json::Value> {
    let model = shared.model(body.model.as_deref())?;
    let (questions, is_list) = body.inputs.into_list();
    let request = |Question { question, context }| Request::Question { question, context };
    let requests = questions.into_iter().map(request).collect();
    let mut all = Vec::new();
    for prediction in shared.predictions(model, requests).await? {
        match prediction.map_err(Failure::invalid)? {
            Response::Answers { answers, no_answer } => {
                let span = |a: Answer| Span { text: a.text, score: a.score, start: a.start, end: a.end };
                all.push(Answers { answers: answers.into_iter().map(span).collect(), no_answer });
            }
            Response::Labels { .. } => return Err(Failure::invalid("the model gives labels: `/predict`")),
            Response::Score { .. } | Response::Entities { .. } | Response::Embedding { .. } => {
                return Err(Failure::invalid("the model answers no questions"));
            }
        }
    }
    let value = if is_list { serde_json::to_value(all) } else { serde_json::to_value(all.pop()) };
    Ok(Json(value.unwrap_or_default()))
}
