//! The paths of the server: requests as JSON, responses as JSON.

mod about;
mod answer;
mod embed;
mod entities;
mod openai;
mod pipeline;
mod predict;
mod rerank;
mod tokenize;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use super::access;
use super::config::{RequestLimits, ServeConfig};
use super::metrics::Metrics;
use super::model::ServedModel;
use super::queue::Predictions;
use super::reply::Failure;
use crate::infer;

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

/// The router with all paths and layers.
pub fn router(models: Vec<Arc<ServedModel>>, config: &ServeConfig, metrics: Arc<Metrics>) -> Router {
    let shared = Arc::new(Shared { models, limits: config.limits, metrics });
    let key = Arc::new(config.api_key.clone());
    Router::new()
        .route("/predict", post(predict::predict))
        .route("/answer", post(answer::answer))
        .route("/embed", post(embed::embed))
        .route("/similarity", post(embed::similarity))
        .route("/rerank", post(rerank::rerank))
        .route("/entities", post(entities::entities))
        .route("/v1/embeddings", post(openai::create))
        .route("/v1/rerank", post(rerank::rank_documents))
        .route("/", post(pipeline::answer))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/info", get(about::info))
        .route("/v1/models", get(about::models))
        .route("/metrics", get(about::metrics))
        .route("/health", get(about::health))
        .fallback(|| async { Failure::unknown("there is no such path; `/info` describes the server") })
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

/// A request's body as JSON; a body that cannot be read becomes a [`Failure`].
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Json(body) = Json::<T>::from_request(request, state).await?;
        Ok(Body(body))
    }
}

/// One value or a list of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// Read by hand, since the message of an untagged enum would not say what is wrong.
impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Array(list) => {
                list.into_iter().map(T::deserialize).collect::<Result<_, _>>().map(Self::Many)
            }
            one => T::deserialize(one).map(Self::One),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl<T> OneOrMany<T> {
    /// The values, and whether they were a list.
    fn into_list(self) -> (Vec<T>, bool) {
        match self {
            OneOrMany::One(value) => (vec![value], false),
            OneOrMany::Many(values) => (values, true),
        }
    }

    /// A list as a list, and the only value of another.
    fn of(mut values: Vec<T>, is_list: bool) -> Self {
        match values.pop() {
            Some(one) if !is_list && values.is_empty() => OneOrMany::One(one),
            last => {
                values.extend(last);
                OneOrMany::Many(values)
            }
        }
    }
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
