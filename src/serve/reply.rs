//! Errors as JSON: `{"error": "…", "error_type": "…"}`, as text-embeddings-inference writes them.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::model::About;
use super::queue::Refused;

/// Why a request is not answered.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Failure {
    /// A request that is understood and cannot be answered, with status 422.
    pub fn invalid(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "Validation", message: message.into() }
    }

    /// A request that is too large, with status 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "Validation", message: message.into() }
    }

    /// A text of more tokens than the model reads, with status 413.
    pub fn too_long(most: usize) -> Self {
        Self::too_large(format!("a text is longer than {most} tokens; `\"truncate\": true` truncates it"))
    }

    /// An endpoint that the model's head does not support, with status 422.
    pub fn other_head(about: &About) -> Self {
        let paths: Vec<String> = about.paths().iter().map(|path| format!("`{path}`")).collect();
        Self::invalid(format!("the model {}: ask {}", about.head.task(), paths.join(" or ")))
    }

    /// A path or a model that does not exist, with status 404.
    pub fn unknown(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::NOT_FOUND, kind: "NotFound", message: message.into() }
    }

    /// A request without the right key, with status 401.
    pub fn unauthorized() -> Self {
        let message = "send the key as `Authorization: Bearer KEY`".to_owned();
        Failure { status: StatusCode::UNAUTHORIZED, kind: "Unauthorized", message }
    }

    /// A body with a `Content-Encoding`, with status 415.
    pub fn encoded() -> Self {
        let message = "the body is compressed; send it without `Content-Encoding`".to_owned();
        Failure { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, kind: "Validation", message }
    }

    /// A request that took too long, with status 504.
    pub fn late() -> Self {
        let message = "the request took too long".to_owned();
        Failure { status: StatusCode::GATEWAY_TIMEOUT, kind: "Timeout", message }
    }

    /// The response in the form that OpenAI's clients read.
    pub fn in_openai_form(self) -> Response {
        let body =
            json!({ "error": { "message": self.message, "type": self.kind, "param": null, "code": null } });
        (self.status, Json(body)).into_response()
    }

    /// A method that a path does not have, with status 405.
    pub fn wrong_method() -> Self {
        let message = "the path has another method".to_owned();
        Failure { status: StatusCode::METHOD_NOT_ALLOWED, kind: "Validation", message }
    }
}

impl From<Refused> for Failure {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Overloaded => Failure {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "Overloaded",
                message: "too many texts are waiting; try again".to_owned(),
            },
            Refused::Ended => Failure {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                kind: "Backend",
                message: "the model does not answer".to_owned(),
            },
        }
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large("the body is too large"),
            status => Failure { status, kind: "Validation", message: rejection.body_text() },
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.message, "error_type": self.kind });
        (self.status, Json(body)).into_response()
    }
}
