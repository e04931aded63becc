//! `POST /embed` and `/similarity`: embeddings of texts, and cosine similarities of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::body::{Body, Object, OneOrMany};
use super::shared::{Reply, Shared};
use crate::infer::{Request, Response};
use crate::serve::model::ServedModel;
use crate::serve::reply::Failure;

/// A request. `inputs` is a text or a list of texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    inputs: OneOrMany<String>,
    /// Whether a text that is longer than the maximum sequence length is truncated; else it is refused.
    #[serde(default)]
    truncate: bool,
    /// Whether embeddings are divided by their L2 norm. Whole embeddings of a model that normalizes have the norm 1 in
    /// either case.
    #[serde(default = "yes")]
    normalize: bool,
    /// The number of leading values that are returned (Matryoshka embeddings; the model must be trained for this); if
    /// absent, all.
    #[schemars(range(min = 1))]
    dimensions: Option<usize>,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

fn yes() -> bool {
    true
}

/// How embeddings are computed from a model's.
#[derive(Clone, Copy, Debug)]
pub struct EmbedOptions {
    /// Whether long texts are truncated; else they are refused.
    pub truncate: bool,
    /// Whether embeddings have the L2 norm 1.
    pub normalize: bool,
    /// The number of leading values.
    pub dimensions: Option<usize>,
}

/// The embeddings of some texts, in their order. `path` is the path of the request.
pub async fn embeddings(
    shared: &Shared,
    model: &ServedModel,
    path: &str,
    texts: Vec<String>,
    options: EmbedOptions,
) -> Result<Vec<Vec<f32>>, Failure> {
    let requests = texts.into_iter().map(|text| Request::Text { text, pair: None }).collect();
    let one = |prediction: Result<Response, String>| match prediction.map_err(Failure::invalid)? {
        Response::Embedding { truncated: true, .. } if !options.truncate => {
            Err(Failure::too_long(model.about().max_length))
        }
        Response::Embedding { embedding, .. } => finished(embedding, options),
        _ => Err(Failure::other_head(&model.about())),
    };
    shared.predictions(model, path, requests).await?.into_iter().map(one).collect()
}

/// The leading values of an embedding, divided by their L2 norm if that is asked for.
fn finished(mut embedding: Vec<f32>, options: EmbedOptions) -> Result<Vec<f32>, Failure> {
    if let Some(dimensions) = options.dimensions {
        let all = embedding.len();
        if dimensions == 0 || dimensions > all {
            return Err(Failure::invalid(format!("`dimensions` is {dimensions}; it must be in 1..={all}")));
        }
        embedding.truncate(dimensions);
    }
    if options.normalize {
        let norm = embedding.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        embedding.iter_mut().for_each(|v| *v /= norm);
    }
    Ok(embedding)
}

/// Handles `/embed`: a list of embeddings, also for one text.
pub async fn embed(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<EmbedRequest>,
) -> Reply<Vec<Vec<f32>>> {
    let model = shared.model(body.model.as_deref())?;
    let (texts, _) = body.inputs.into_list();
    shared.check_count("inputs", texts.len())?;
    let EmbedRequest { truncate, normalize, dimensions, .. } = body;
    let options = EmbedOptions { truncate, normalize, dimensions };
    Ok(Json(embeddings(&shared, model, "/embed", texts, options).await?))
}

/// A request for similarities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarityRequest {
    inputs: Object<Compared>,
    #[serde(default)]
    parameters: Object<SimilarityParameters>,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

/// The texts of a request for similarities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    source_sentence: String,
    /// The texts that are compared with it.
    #[schemars(length(min = 1))]
    sentences: Vec<String>,
}

/// How similarities are computed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimilarityParameters {
    /// Whether a text that is longer than the maximum sequence length is truncated; else it is refused.
    truncate: bool,
}

/// Handles `/similarity`: the cosine similarity of each sentence to the source sentence.
pub async fn similarity(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<SimilarityRequest>,
) -> Reply<Vec<f32>> {
    let model = shared.model(body.model.as_deref())?;
    let Object(Compared { source_sentence, sentences: mut texts }) = body.inputs;
    shared.check_count("sentences", texts.len())?;
    texts.push(source_sentence);
    let options = EmbedOptions { truncate: body.parameters.0.truncate, normalize: true, dimensions: None };
    let mut all = embeddings(&shared, model, "/similarity", texts, options).await?;
    let source = all.pop().unwrap_or_default();
    let cosine = |other: &Vec<f32>| source.iter().zip(other).map(|(a, b)| a * b).sum();
    Ok(Json(all.iter().map(cosine).collect()))
}
