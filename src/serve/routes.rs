//! The paths of the server: requests as JSON, responses as JSON.

mod about;
mod answer;
mod predict;
mod tokenize;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, FromRequest, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
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
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values, and whether they were a list.
    fn into_list(self) -> (Vec<T>, bool) {
        match self {
            OneOrMany::One(value) => (vec![value], false),
            OneOrMany::Many(values) => (values, true),
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

    /// Refuses a request without texts or with too many.
    fn check_count(&self, count: usize) -> Result<(), Failure> {
        let most = self.limits.texts;
        match count {
            0 => Err(Failure::invalid("`inputs` is empty")),
            n if n > most => {
                Err(Failure::too_large(format!("`inputs` has {n} texts; at most {most} are allowed")))
            }
            _ => Ok(()),
        }
    }

    /// The predictions of a model for some texts.
    async fn predictions(
        &self,
        model: &ServedModel,
        texts: Vec<infer::Request>,
    ) -> Result<Predictions, Failure> {
        self.check_count(texts.len())?;
        Ok(model.queue.predict(texts).await?)
    }
}
