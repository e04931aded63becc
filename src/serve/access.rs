//! The API key.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::reply::Failure;

/// The paths that need no key: they reveal nothing about the models.
const OPEN: [&str; 3] = ["/health", "/docs", "/openapi.json"];

/// Refuses requests without the key.
pub async fn check(State(key): State<Arc<Option<String>>>, request: Request, next: Next) -> Response {
    let Some(key) = key.as_deref() else { return next.run(request).await };
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // The time of the comparison does not depend on the place of the first difference.
    if OPEN.contains(&request.uri().path()) || bool::from(sent.as_bytes().ct_eq(key.as_bytes())) {
        return next.run(request).await;
    }
    Failure::unauthorized().into_response()
}
