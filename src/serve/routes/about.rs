//! `GET /info`, `/v1/models`, `/metrics` and `/health`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::Shared;
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
    let kind = match &about.labels {
        None => json!({ "question_answering": {} }),
        Some(labels) => {
            let id2label: Map<String, Value> =
                labels.iter().enumerate().map(|(i, name)| (i.to_string(), name.clone().into())).collect();
            let label2id: Map<String, Value> =
                labels.iter().enumerate().map(|(i, name)| (name.clone(), i.into())).collect();
            json!({ "classifier": { "id2label": id2label, "label2id": label2id } })
        }
    };
    json!({
        "model_id": model.name,
        "architecture": about.model_type,
        "model_type": kind,
        "max_input_length": about.max_length,
        "max_batch_tokens": about.max_length * about.batch,
    })
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
