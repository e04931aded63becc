//! `POST /v1/embeddings`, as OpenAI's clients call it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{Body, OneOrMany};
use super::embed::{EmbedOptions, embeddings};
use super::shared::Shared;
use crate::serve::reply::Failure;

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsRequest {
    /// A text or a list of texts; lists of tokens are not read.
    input: OneOrMany<String>,
    /// The name of the model; where there is only one, it does not matter.
    model: Option<String>,
    #[serde(default)]
    encoding_format: EncodingFormat,
    /// The number of leading values that are returned (Matryoshka embeddings; the model must be trained for this); if
    /// absent, all.
    #[schemars(range(min = 1))]
    dimensions: Option<usize>,
    /// Has no effect.
    #[serde(rename = "user")]
    _user: Option<String>,
}

/// How an embedding is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum EncodingFormat {
    /// A list of numbers.
    #[default]
    Float,
    /// The little-endian float32 values in base64.
    Base64,
}

/// The response.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EmbeddingsResponse {
    object: &'static str,
    data: Vec<EmbeddingObject>,
    model: String,
    usage: Usage,
}

/// An embedding.
#[derive(Debug, Serialize, JsonSchema)]
struct EmbeddingObject {
    object: &'static str,
    index: usize,
    embedding: Written,
}

/// The values of an embedding as they are written.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Numbers(Vec<f32>),
    Base64(String),
}

/// The number of tokens of a request, with `[CLS]` and `[SEP]`.
#[derive(Debug, Serialize, JsonSchema)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl EncodingFormat {
    fn write(self, embedding: Vec<f32>) -> Written {
        match self {
            EncodingFormat::Float => Written::Numbers(embedding),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = embedding.iter().flat_map(|v| v.to_le_bytes()).collect();
                Written::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

/// Handles a request; errors have OpenAI's form.
pub async fn create(
    State(shared): State<Arc<Shared>>,
    body: Result<Body<EmbeddingsRequest>, Failure>,
) -> Response {
    match answer(&shared, body).await {
        Ok(response) => Json(response).into_response(),
        Err(failure) => failure.in_openai_form(),
    }
}

async fn answer(
    shared: &Shared,
    body: Result<Body<EmbeddingsRequest>, Failure>,
) -> Result<EmbeddingsResponse, Failure> {
    let Body(body) = body?;
    let model = shared.named_or_only(body.model.as_deref())?;
    let (texts, _) = body.input.into_list();
    shared.check_count("input", texts.len())?;
    let tokens = shared.count_tokens(model, texts.clone());
    // As with OpenAI, embeddings are normalized, and long texts are refused.
    let options = EmbedOptions { truncate: false, normalize: true, dimensions: body.dimensions };
    let all = embeddings(shared, model, "/v1/embeddings", texts, options).await?;
    let tokens = tokens.await;
    let object = |(index, embedding)| EmbeddingObject {
        object: "embedding",
        index,
        embedding: body.encoding_format.write(embedding),
    };
    Ok(EmbeddingsResponse {
        object: "list",
        data: all.into_iter().enumerate().map(object).collect(),
        model: model.name.clone(),
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
    })
}
