//! `POST /predict`: the probabilities of a classifier's labels.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{Body, OneOrMany};
use super::shared::{Reply, Shared};
use crate::infer::{Request, Response};
use crate::serve::reply::Failure;

/// A request. `inputs` is a text, a pair of texts, or a list of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    inputs: Inputs,
    /// Whether a text that is longer than the maximum sequence length is truncated; else it is refused.
    #[serde(default)]
    truncate: bool,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

/// One input or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`inputs` must be a text, a pair [text, text], or a list of texts and pairs")]
pub enum Inputs {
    /// A text or a pair.
    One(Texts),
    /// Several inputs. At least one must be a list, because a list of two plain texts is read as one pair.
    #[schemars(extend("contains" = { "type": "array" }))]
    Many(Vec<Texts>),
}

/// A text, or the texts of a pair.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Texts {
    /// A text.
    Text(String),
    /// The texts of a pair, or one text.
    Pair(#[schemars(length(min = 1, max = 2))] Vec<String>),
}

/// A label and its probability, or score.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Label {
    label: String,
    score: f32,
}

impl Inputs {
    /// The inputs, and whether they were a list.
    pub fn into_list(self) -> (Vec<Texts>, bool) {
        match self {
            Inputs::One(one) => (vec![one], false),
            Inputs::Many(many) => (many, true),
        }
    }
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

/// Handles a request: the labels of one input, or a list of them for a list of inputs.
pub async fn predict(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<PredictRequest>,
) -> Reply<OneOrMany<Vec<Label>>> {
    let (inputs, is_list) = body.inputs.into_list();
    let all = labels(&shared, body.model.as_deref(), inputs, body.truncate).await?;
    Ok(Json(OneOrMany::of(all, is_list)))
}

/// The labels of each input, the most probable first.
pub async fn labels(
    shared: &Shared,
    model: Option<&str>,
    inputs: Vec<Texts>,
    truncate: bool,
) -> Result<Vec<Vec<Label>>, Failure> {
    let model = shared.model(model)?;
    shared.check_count("inputs", inputs.len())?;
    let requests = inputs.into_iter().map(Texts::request).collect::<Result<Vec<_>, _>>()?;
    let one = |prediction: Result<Response, String>| match prediction.map_err(Failure::invalid)? {
        Response::Labels { truncated: true, .. } | Response::Score { truncated: true, .. } if !truncate => {
            Err(Failure::too_long(model.about().max_length))
        }
        Response::Labels { labels, .. } => {
            Ok(labels.into_iter().map(|(label, score)| Label { label, score }).collect())
        }
        // As `transformers` names a single output.
        Response::Score { score, .. } => Ok(vec![Label { label: "LABEL_0".to_owned(), score }]),
        _ => Err(Failure::other_head(&model.about())),
    };
    shared.predictions(model, "/predict", requests).await?.into_iter().map(one).collect()
}
