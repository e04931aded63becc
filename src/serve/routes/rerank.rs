//! `POST /rerank` and `/v1/rerank`: the scores of texts for a query, by a cross-encoder.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::Body;
use super::shared::{Reply, Shared};
use crate::infer::{Request, Response};
use crate::serve::model::ServedModel;
use crate::serve::reply::Failure;

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankRequest {
    query: String,
    #[schemars(length(min = 1))]
    texts: Vec<String>,
    /// Whether pairs that are longer than the maximum sequence length are truncated; else they are refused.
    #[serde(default)]
    truncate: bool,
    /// Whether scores are the model's logits; else the logistic function of them, in 0..1.
    #[serde(default)]
    raw_scores: bool,
    /// Whether the texts are returned with their scores.
    #[serde(default)]
    return_text: bool,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

/// The rank of a text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Rank {
    /// Its index in the request.
    index: usize,
    /// The text, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    score: f32,
}

/// Handles `/rerank`: the texts by falling score.
pub async fn rerank(State(shared): State<Arc<Shared>>, Body(body): Body<RerankRequest>) -> Reply<Vec<Rank>> {
    let model = shared.model(body.model.as_deref())?;
    shared.check_count("texts", body.texts.len())?;
    let scores = scores(&shared, model, "/rerank", (&body.query, &body.texts), body.truncate).await?;
    let rank = |(index, score)| Rank {
        index,
        text: body.return_text.then(|| body.texts[index].clone()),
        score: if body.raw_scores { score } else { logistic(score) },
    };
    Ok(Json(ranked(scores).into_iter().map(rank).collect()))
}

/// A request in the form of Cohere's and Jina's interfaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankRequest {
    query: String,
    #[schemars(length(min = 1))]
    documents: Vec<String>,
    /// The number of documents that are returned, the best; if absent, all.
    #[schemars(range(min = 1))]
    top_n: Option<usize>,
    /// Whether the documents are returned with their scores.
    #[serde(default)]
    return_documents: bool,
    /// The name of the model; where there is only one, it does not matter.
    model: Option<String>,
}

/// A ranking in the form of Cohere's and Jina's interfaces.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ranking {
    model: String,
    results: Vec<RankedDocument>,
    usage: RankUsage,
}

/// The rank of a document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RankedDocument {
    /// Its index in the request.
    index: usize,
    /// The logistic function of the model's logit, in 0..1.
    relevance_score: f32,
    /// The document, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
}

/// A document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document {
    text: String,
}

/// The number of tokens of the documents, without the query.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RankUsage {
    total_tokens: usize,
}

/// Handles `/v1/rerank`. Long documents are truncated, as Cohere's and Jina's services do.
pub async fn rank_documents(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<RankRequest>,
) -> Reply<Ranking> {
    let model = shared.named_or_only(body.model.as_deref())?;
    shared.check_count("documents", body.documents.len())?;
    if body.top_n == Some(0) {
        return Err(Failure::invalid("`top_n` is 0; it must be at least 1"));
    }
    let total_tokens = shared.count_tokens(model, body.documents.clone());
    let scores = scores(&shared, model, "/v1/rerank", (&body.query, &body.documents), true).await?;
    let ranked = ranked(scores).into_iter().take(body.top_n.unwrap_or(usize::MAX));
    let results = ranked.map(|(index, score)| RankedDocument {
        index,
        relevance_score: logistic(score),
        document: body.return_documents.then(|| Document { text: body.documents[index].clone() }),
    });
    let results = results.collect();
    Ok(Json(Ranking {
        model: model.name.clone(),
        results,
        usage: RankUsage { total_tokens: total_tokens.await },
    }))
}

/// The logit of each text for a query, in their order.
async fn scores(
    shared: &Shared,
    model: &ServedModel,
    path: &str,
    (query, texts): (&str, &[String]),
    truncate: bool,
) -> Result<Vec<f32>, Failure> {
    let pair = |text: &String| Request::Text { text: query.to_owned(), pair: Some(text.clone()) };
    let one = |prediction: Result<Response, String>| match prediction.map_err(Failure::invalid)? {
        Response::Score { truncated: true, .. } if !truncate => {
            Err(Failure::too_long(model.about().max_length))
        }
        Response::Score { score, .. } => Ok(score),
        _ => Err(Failure::other_head(&model.about())),
    };
    shared.predictions(model, path, texts.iter().map(pair).collect()).await?.into_iter().map(one).collect()
}

/// Scores with their indices, by falling score.
fn ranked(scores: Vec<f32>) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

fn logistic(score: f32) -> f32 {
    1.0 / (1.0 + (-score).exp())
}
