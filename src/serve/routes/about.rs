//! `GET /info`, `/v1/models`, `/metrics` and `/health`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Shared;
use crate::infer::file::encoder::Pooling;
use crate::infer::file::layout::Head;
use crate::serve::model::ServedModel;

/// The models and limits of the server; paths of the machine are not in it.
pub async fn info(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let limits = shared.limits;
    let mut document = shared.models.first().map_or(json!({}), |model| describe(model));
    document["models"] = shared.models.iter().map(|model| describe(model)).collect();
    document["max_client_batch_size"] = limits.texts.into();
    document["max_waiting_texts"] = limits.waiting.into();
    document["max_body_bytes"] = limits.body.into();
    document["version"] = env!("CARGO_PKG_VERSION").into();
    Json(document)
}

fn describe(model: &ServedModel) -> Value {
    let about = model.about();
    let labels = |names: &[String]| {
        let by_id = names.iter().enumerate().map(|(i, name)| (i.to_string(), name.clone().into()));
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), i.into()));
        json!({ "id2label": by_id.collect::<Map<_, _>>(), "label2id": by_name.collect::<Map<_, _>>() })
    };
    // The first three are text-embeddings-inference's.
    let kind = match &about.head {
        Head::Embedding { pooling, .. } => json!({ "embedding": { "pooling": pooling_name(*pooling) } }),
        Head::Labels(names) => json!({ "classifier": labels(names) }),
        Head::Score => json!({ "reranker": labels(&["LABEL_0".to_owned()]) }),
        Head::Multilabel(names) => json!({ "multi_label_classifier": labels(names) }),
        Head::Tokens(names) => json!({ "token_classifier": labels(names) }),
        Head::Answers => json!({ "question_answering": {} }),
    };
    let mut document = json!({
        "model_id": model.name,
        "architecture": about.model_type,
        "model_type": kind,
        "task": about.head.task(),
        "paths": about.paths(),
        "max_input_length": about.max_length,
        "max_batch_tokens": about.max_length * about.batch,
    });
    if let Head::Embedding { .. } = about.head {
        document["dimensions"] = about.width.into();
    }
    document
}

/// The name of a pooling in text-embeddings-inference; that has none for the maximum.
fn pooling_name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::First => "cls",
        Pooling::Last => "last_token",
        Pooling::Mean => "mean",
        Pooling::Max => "max",
    }
}

/// The models as OpenAI's interface lists them.
pub async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let list: Vec<Value> = shared
        .models
        .iter()
        .map(|model| json!({ "id": model.name, "object": "model", "owned_by": "obert" }))
        .collect();
    Json(json!({ "object": "list", "data": list }))
}

/// Metrics for Prometheus.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    shared.metrics.text(shared.models.iter().map(|model| (model.name.as_str(), model.queue.waiting())))
}

/// That the server answers.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
