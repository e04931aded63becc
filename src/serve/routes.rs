//! The paths of the server: requests as JSON, responses as JSON.

mod about;
mod answer;
mod body;
mod embed;
mod entities;
mod openai;
mod openapi;
mod pipeline;
mod predict;
mod rerank;
mod shared;
mod tokenize;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::access;
use super::config::ServeConfig;
use super::metrics::Metrics;
use super::model::ServedModel;
use super::reply::Failure;

use about::{Health, Info, ModelList};
use answer::{AnswerRequest, Answers};
use body::OneOrMany;
use embed::{EmbedRequest, SimilarityRequest};
use entities::{EntitiesRequest, Entity};
use openai::{EmbeddingsRequest, EmbeddingsResponse};
use openapi::Endpoint;
use pipeline::PipelineRequest;
use predict::{Label, PredictRequest};
use rerank::{Rank, RankRequest, Ranking, RerankRequest};
use shared::Shared;
use tokenize::{Token, TokenizeRequest};

/// The paths.
fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::posts::<EmbedRequest, Vec<Vec<f32>>>("/embed", "Embeddings of texts", post(embed::embed)),
        Endpoint::posts::<SimilarityRequest, Vec<f32>>(
            "/similarity",
            "Cosine similarities to a text",
            post(embed::similarity),
        ),
        Endpoint::posts::<RerankRequest, Vec<Rank>>(
            "/rerank",
            "Texts by falling score for a query",
            post(rerank::rerank),
        ),
        Endpoint::posts::<PredictRequest, OneOrMany<Vec<Label>>>(
            "/predict",
            "Labels with their probabilities",
            post(predict::predict),
        ),
        Endpoint::posts::<EntitiesRequest, OneOrMany<Vec<Entity>>>(
            "/entities",
            "Entities of texts",
            post(entities::entities),
        ),
        Endpoint::posts::<AnswerRequest, OneOrMany<Answers>>(
            "/answer",
            "Answers to questions, from their contexts",
            post(answer::answer),
        ),
        Endpoint::posts::<TokenizeRequest, Vec<Vec<Token>>>(
            "/tokenize",
            "Tokens of texts",
            post(tokenize::tokenize),
        ),
        Endpoint::posts::<EmbeddingsRequest, EmbeddingsResponse>(
            "/v1/embeddings",
            "Embeddings in OpenAI's form",
            post(openai::create),
        ),
        Endpoint::posts::<RankRequest, Ranking>(
            "/v1/rerank",
            "A ranking in Cohere's and Jina's form",
            post(rerank::rank_documents),
        ),
        Endpoint::posts::<PipelineRequest, Value>(
            "/",
            "What InferenceClient sends for the task of the model",
            post(pipeline::answer),
        ),
        Endpoint::gets::<ModelList>("/v1/models", "The models in OpenAI's form", get(about::models)),
        Endpoint::gets::<Info>("/info", "The models and the limits", get(about::info)),
        Endpoint::gets::<Health>("/health", "Whether the server answers", get(about::health)),
        Endpoint::gets::<String>("/metrics", "Metrics for Prometheus", get(about::metrics)).of("text/plain"),
        Endpoint::gets::<Map<String, Value>>(
            "/openapi.json",
            "This description as OpenAPI 3.1",
            get(about::document),
        ),
        Endpoint::gets::<String>("/docs", "This description as a page", get(about::page)).of("text/html"),
    ]
}

/// The router with all paths and layers.
pub fn router(models: Vec<Arc<ServedModel>>, config: &ServeConfig, metrics: Arc<Metrics>) -> Router {
    let endpoints = endpoints();
    let document = openapi::document(&endpoints);
    let page = openapi::page(&document);
    let shared = Arc::new(Shared { models, limits: config.limits, metrics, document, page });
    let key = Arc::new(config.api_key.clone());
    let all = endpoints.into_iter().fold(Router::new(), |all, e| all.route(e.path, e.route));
    all.fallback(|| async { Failure::unknown("there is no such path; `/info` describes the server") })
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(DefaultBodyLimit::max(config.limits.body))
        .layer(from_fn_with_state(key, access::check))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(Arc::clone(&shared), observe))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(shared)
}

/// Limits the time of a request, counts it, and writes it to the log.
async fn observe(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let clock = Instant::now();
    let (method, id) = (request.method().clone(), header(request.headers(), "x-request-id"));
    // Paths of requests that match no route would be unbounded.
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = tokio::time::timeout(shared.limits.timeout, next.run(request)).await;
    let response = response.unwrap_or_else(|_| Failure::late().into_response());
    let (status, took) = (response.status().as_u16(), clock.elapsed());
    shared.metrics.request(&path, status, took);
    tracing::info!(%method, path, status, milliseconds = took.as_secs_f64() * 1e3, request_id = id, "request");
    response
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
