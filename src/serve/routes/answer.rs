//! `POST /answer`: answers to questions, from their contexts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{Body, Object, OneOrMany};
use super::shared::{Reply, Shared};
use crate::infer::predictor::Answer;
use crate::infer::{Request, Response};
use crate::serve::model::BEST_ANSWERS;
use crate::serve::reply::Failure;

/// A request. `inputs` is a question with its context, or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    inputs: OneOrMany<Object<Question>>,
    /// The number of answers to each question, at most 20; there are fewer if the context has fewer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    top: usize,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

fn one() -> usize {
    1
}

/// A question and the text that contains its answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    question: String,
    context: String,
}

/// The answers to one question.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answers {
    /// Distinct spans of the context, the best first.
    pub answers: Vec<Span>,
    /// The null score: the sum of the start and end logit of `[CLS]`.
    pub no_answer: f32,
}

/// A part of the context.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Span {
    /// The text.
    pub text: String,
    /// The start logit of the first token plus the end logit of the last.
    pub score: f32,
    /// The offset of the first character in the context.
    pub start: usize,
    /// The offset after the last character.
    pub end: usize,
}

/// Handles a request: an object for one question, a list for a list.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<AnswerRequest>,
) -> Reply<OneOrMany<Answers>> {
    if !(1..=BEST_ANSWERS).contains(&body.top) {
        return Err(Failure::invalid(format!("`top` is {}; it must be in 1..={BEST_ANSWERS}", body.top)));
    }
    let (questions, is_list) = body.inputs.into_list();
    let mut all = answers(&shared, body.model.as_deref(), questions).await?;
    all.iter_mut().for_each(|found| found.answers.truncate(body.top));
    Ok(Json(OneOrMany::of(all, is_list)))
}

/// The best answers to each question.
pub async fn answers(
    shared: &Shared,
    model: Option<&str>,
    questions: Vec<Object<Question>>,
) -> Result<Vec<Answers>, Failure> {
    let model = shared.model(model)?;
    shared.check_count("inputs", questions.len())?;
    let request = |Object(Question { question, context })| Request::Question { question, context };
    let requests = questions.into_iter().map(request).collect();
    let span = |a: Answer| Span { text: a.text, score: a.score, start: a.start, end: a.end };
    let one = |prediction: Result<Response, String>| match prediction.map_err(Failure::invalid)? {
        Response::Answers { answers, no_answer } => {
            Ok(Answers { answers: answers.into_iter().map(span).collect(), no_answer })
        }
        _ => Err(Failure::other_head(&model.about())),
    };
    shared.predictions(model, "/answer", requests).await?.into_iter().map(one).collect()
}
