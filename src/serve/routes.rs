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
mod tokenize;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::access;
use super::config::{RequestLimits, ServeConfig};
use super::metrics::Metrics;
use super::model::ServedModel;
use super::queue::Predictions;
use super::reply::Failure;
use crate::infer;

use about::{Health, Info, ModelList};
use answer::{AnswerRequest, Answers};
use body::{Body, Object, OneOrMany};
use embed::{EmbedRequest, SimilarityRequest};
use entities::{EntitiesRequest, Entity};
use openai::{EmbeddingsRequest, EmbeddingsResponse};
use openapi::Endpoint;
use pipeline::PipelineRequest;
use predict::{Label, PredictRequest};
use rerank::{Rank, RankRequest, Ranking, RerankRequest};
use tokenize::{Token, TokenizeRequest};

/// What handlers share.
pub struct Shared {
    /// The models; the first is the default.
    pub models: Vec<Arc<ServedModel>>,
    /// The limits of requests.
    pub limits: RequestLimits,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
}

/// A handler's result.
type Reply<T> = Result<Json<T>, Failure>;

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
            get(openapi::document),
        ),
        Endpoint::gets::<String>("/docs", "This description as a page", get(openapi::page)).of("text/html"),
    ]
}

/// The router with all paths and layers.
pub fn router(models: Vec<Arc<ServedModel>>, config: &ServeConfig, metrics: Arc<Metrics>) -> Router {
    let shared = Arc::new(Shared { models, limits: config.limits, metrics });
    let key = Arc::new(config.api_key.clone());
    let all = endpoints().into_iter().fold(Router::new(), |all, e| all.route(e.path, e.route));
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

impl Shared {
    /// The model of this name; without a name the first.
    fn model(&self, name: Option<&str>) -> Result<&Arc<ServedModel>, Failure> {
        let found = match name {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            Failure::unknown(format!("there is no such model; there are {}", names.join(", ")))
        })
    }

    /// The model of this name, or the only one: clients of OpenAI's interface must name a model.
    fn named_or_only(&self, name: Option<&str>) -> Result<&Arc<ServedModel>, Failure> {
        self.model(name.filter(|_| self.models.len() > 1))
    }

    /// Counts tokens on another thread, since that takes as long as the texts are.
    fn count_tokens(&self, model: &ServedModel, texts: Vec<String>) -> impl Future<Output = usize> + use<> {
        let about = model.about();
        let count = tokio::task::spawn_blocking(move || about.count_tokens(&texts));
        async { count.await.unwrap_or_default() }
    }

    /// Refuses a field without texts or with too many.
    fn check_count(&self, field: &str, count: usize) -> Result<(), Failure> {
        let most = self.limits.texts;
        match count {
            0 => Err(Failure::invalid(format!("`{field}` is empty"))),
            n if n > most => {
                Err(Failure::too_large(format!("`{field}` has {n} texts; at most {most} are allowed")))
            }
            _ => Ok(()),
        }
    }

    /// The predictions of a model for some texts. A model with a head that `path` does not answer from is refused.
    async fn predictions(
        &self,
        model: &ServedModel,
        path: &str,
        texts: Vec<infer::Request>,
    ) -> Result<Predictions, Failure> {
        let about = model.about();
        if !about.paths().contains(&path) {
            return Err(Failure::other_head(&about));
        }
        Ok(model.queue.predict(texts).await?)
    }
}
