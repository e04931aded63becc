//! `POST /entities`: the named entities of texts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{Body, OneOrMany};
use super::shared::{Reply, Shared};
use crate::infer::predictor::Entity as Found;
use crate::infer::{Request, Response};
use crate::serve::reply::Failure;

/// A request. `inputs` is a text or a list of texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitiesRequest {
    /// The texts.
    pub inputs: OneOrMany<String>,
    /// Whether a text that is longer than the maximum sequence length is truncated; else it is refused.
    #[serde(default)]
    pub truncate: bool,
    /// The name of the model; if absent, the first.
    pub model: Option<String>,
}

/// An entity, with the keys of `transformers`' token classification pipeline.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Entity {
    /// The label, without `B-` or `I-`.
    pub entity_group: String,
    /// The mean probability of the label over the words.
    score: f32,
    /// The text.
    word: String,
    /// The offset of its first character.
    start: usize,
    /// The offset after its last character.
    end: usize,
}

/// Handles a request: the entities of one text, or a list of them for a list of texts.
pub async fn entities(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<EntitiesRequest>,
) -> Reply<OneOrMany<Vec<Entity>>> {
    let model = shared.model(body.model.as_deref())?;
    let (texts, is_list) = body.inputs.into_list();
    shared.check_count("inputs", texts.len())?;
    let requests = texts.into_iter().map(|text| Request::Text { text, pair: None }).collect();
    let one = |prediction: Result<Response, String>| match prediction.map_err(Failure::invalid)? {
        Response::Entities { truncated: true, .. } if !body.truncate => {
            Err(Failure::too_long(model.about().max_length))
        }
        Response::Entities { entities, .. } => Ok(entities.into_iter().map(Entity::from).collect()),
        _ => Err(Failure::other_head(&model.about())),
    };
    let found = shared.predictions(model, "/entities", requests).await?;
    let all = found.into_iter().map(one).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Json(OneOrMany::of(all, is_list)))
}

impl From<Found> for Entity {
    fn from(e: Found) -> Self {
        Entity { entity_group: e.label, score: e.score, word: e.text, start: e.start, end: e.end }
    }
}
