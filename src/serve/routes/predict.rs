//! `POST /predict`: the probabilities of a classifier's labels.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{Body, Reply, Shared};
use crate::infer::{Request, Response};
use crate::serve::reply::Failure;

/// A request. `inputs` is a text, a pair of texts, or a list of both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    inputs: Inputs,
    /// Whether a text that is longer than the maximum sequence length is truncated; else it is refused.
    #[serde(default)]
    truncate: bool,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`inputs` must be a text, a pair [text, text], or a list of texts and pairs")]
enum Inputs {
    One(Texts),
    Many(Vec<Texts>),
}

/// A text, or the texts of a pair.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    Text(String),
    Pair(Vec<String>),
}

/// A label and its probability, or score.
#[derive(Debug, PartialEq, Serialize)]
pub struct Label {
    label: String,
    score: f32,
}

/// The labels of one input, or a list of them for a list of inputs.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Labels {
    One(Vec<Label>),
    Many(Vec<Vec<Label>>),
}

impl Texts {
    fn request(self) -> Result<Request, Failure> {
        let mut texts = match self {
            Texts::Text(text) => return Ok(Request::Text { text, pair: None }),
            Texts::Pair(texts) => texts.into_iter(),
        };
        match (texts.next(), texts.next(), texts.next()) {
            (None, ..) => Err(Failure::invalid("`inputs` is empty")),
            (Some(text), pair, None) => Ok(Request::Text { text, pair }),
            _ => Err(Failure::invalid("an input has one text or two, the texts of a pair")),
        }
    }
}

/// Handles a request.
pub async fn predict(State(shared): State<Arc<Shared>>, Body(body): Body<PredictRequest>) -> Reply<Labels> {
    let model = shared.model(body.model.as_deref())?;
    let (inputs, is_list) = match body.inputs {
        Inputs::One(one) => (vec![one], false),
        Inputs::Many(many) => (many, true),
    };
    shared.check_count(inputs.len())?;
    let requests = inputs.into_iter().map(Texts::request).collect::<Result<Vec<_>, _>>()?;
    let most = model.about().max_length;
    let mut all = Vec::new();
    for prediction in shared.predictions(model, requests).await? {
        match prediction.map_err(Failure::invalid)? {
            Response::Labels { truncated: true, .. } if !body.truncate => {
                let message =
                    format!("a text is longer than {most} tokens; `\"truncate\": true` truncates it");
                return Err(Failure::too_large(message));
            }
            Response::Labels { labels, .. } => {
                all.push(labels.into_iter().map(|(label, score)| Label { label, score }).collect());
            }
            Response::Answers { .. } => {
                return Err(Failure::invalid("the model answers questions: `/answer`"));
            }
            Response::Score { .. } | Response::Entities { .. } | Response::Embedding { .. } => {
                return Err(Failure::invalid(
                    "the model gives texts no labels; `obertc predict` computes its outputs",
                ));
            }
        }
    }
    Ok(Json(match is_list {
        false => Labels::One(all.pop().unwrap_or_default()),
        true => Labels::Many(all),
    }))
}
