//! `GET /info`, `/v1/models`, `/metrics`, `/health`, `/openapi.json` and `/docs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Html;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::shared::Shared;
use crate::infer::file::encoder::Pooling;
use crate::infer::file::layout::Head;
use crate::serve::model::ServedModel;

/// The server, with the first model's description at the top as text-embeddings-inference has it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Info {
    #[serde(flatten)]
    first: ModelInfo,
    models: Vec<ModelInfo>,
    /// Texts of a request, at most.
    max_client_batch_size: usize,
    /// Texts that wait for a model, at most.
    max_waiting_texts: usize,
    /// Bytes of a request's body, at most.
    max_body_bytes: usize,
    version: &'static str,
}

/// A served model.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ModelInfo {
    /// The name by which requests choose it.
    model_id: String,
    /// `model_type` of its configuration.
    architecture: String,
    /// What the model is, with its labels or its pooling; keys are text-embeddings-inference's where it has them.
    model_type: Map<String, Value>,
    /// What the model does.
    task: &'static str,
    /// The endpoints that it supports.
    paths: &'static [&'static str],
    /// Tokens of a text, at most.
    max_input_length: usize,
    /// Tokens of a batch, at most.
    max_batch_tokens: usize,
    /// The number of values of an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

/// The models as OpenAI's interface lists them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModelList {
    object: &'static str,
    data: Vec<ListedModel>,
}

/// A model of the list.
#[derive(Debug, Serialize, JsonSchema)]
struct ListedModel {
    id: String,
    object: &'static str,
    owned_by: &'static str,
}

/// The state of the server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
}

/// The models and limits of the server; paths of the machine are not in it.
pub async fn info(State(shared): State<Arc<Shared>>) -> Json<Info> {
    let limits = shared.limits;
    let models: Vec<ModelInfo> = shared.models.iter().map(|model| describe(model)).collect();
    Json(Info {
        first: models.first().cloned().unwrap_or_default(),
        models,
        max_client_batch_size: limits.texts,
        max_waiting_texts: limits.waiting,
        max_body_bytes: limits.body,
        version: env!("CARGO_PKG_VERSION"),
    })
}

fn describe(model: &ServedModel) -> ModelInfo {
    let about = model.about();
    let labels = |names: &[String]| {
        let by_id = names.iter().enumerate().map(|(i, name)| (i.to_string(), name.clone().into()));
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), i.into()));
        json!({ "id2label": by_id.collect::<Map<_, _>>(), "label2id": by_name.collect::<Map<_, _>>() })
    };
    // The first three are text-embeddings-inference's.
    let (kind, what) = match &about.head {
        Head::Embedding { pooling, .. } => ("embedding", json!({ "pooling": pooling_name(*pooling) })),
        Head::Labels(names) => ("classifier", labels(names)),
        Head::Score => ("reranker", labels(&["LABEL_0".to_owned()])),
        Head::Multilabel(names) => ("multi_label_classifier", labels(names)),
        Head::Tokens(names) => ("token_classifier", labels(names)),
        Head::Answers => ("question_answering", json!({})),
    };
    ModelInfo {
        model_id: model.name.clone(),
        architecture: about.model_type.clone(),
        model_type: Map::from_iter([(kind.to_owned(), what)]),
        task: about.head.task(),
        paths: about.paths(),
        max_input_length: about.max_length,
        max_batch_tokens: about.max_length * about.batch,
        dimensions: matches!(about.head, Head::Embedding { .. }).then_some(about.width),
    }
}

/// The name of a pooling mode in text-embeddings-inference, which has no max pooling (here `max`).
fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::First => "cls",
        Pooling::Last => "last_token",
        Pooling::Mean => "mean",
        Pooling::Max => "max",
    }
}

/// The models as OpenAI's interface lists them.
pub async fn models(State(shared): State<Arc<Shared>>) -> Json<ModelList> {
    let listed =
        |model: &Arc<ServedModel>| ListedModel { id: model.name.clone(), object: "model", owned_by: "obert" };
    Json(ModelList { object: "list", data: shared.models.iter().map(listed).collect() })
}

/// Metrics for Prometheus.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    shared.metrics.text(shared.models.iter().map(|model| (model.name.as_str(), model.queue.waiting())))
}

/// That the server answers.
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The description of the paths, as OpenAPI 3.1.
pub async fn document(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.document.clone())
}

/// The description of the paths as a page.
pub async fn page(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(shared.page.clone())
}
