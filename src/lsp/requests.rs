//! The requests of the protocol, each answered by a function of a snapshot.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use lsp_server::ErrorCode;
use lsp_types::request::{
    DocumentDiagnosticRequest, DocumentSymbolRequest, FoldingRangeRequest, Formatting, Request,
    SemanticTokensFullRequest, SemanticTokensRangeRequest,
};
use lsp_types::{
    DocumentDiagnosticParams, DocumentDiagnosticReport, DocumentSymbolResponse, FullDocumentDiagnosticReport,
    RelatedFullDocumentDiagnosticReport, RelatedUnchangedDocumentDiagnosticReport, SemanticTokens,
    UnchangedDocumentDiagnosticReport, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::snapshot::Snapshot;
use super::workspace::Workspace;
use super::{diagnostics, folding, formatting, highlighting, symbols};

/// The code of an error and its message.
pub(super) type Failure = (ErrorCode, String);

/// Answers a request.
pub(super) fn answer(workspace: &mut Workspace, method: &str, value: Value) -> Result<Value, Failure> {
    match method {
        DocumentDiagnosticRequest::METHOD => {
            pull_diagnostics(workspace, read::<DocumentDiagnosticRequest>(value)?)
        }
        Formatting::METHOD => of(workspace, &read::<Formatting>(value)?.text_document.uri, |snapshot| {
            json!(formatting::edits(snapshot))
        }),
        DocumentSymbolRequest::METHOD => {
            of(workspace, &read::<DocumentSymbolRequest>(value)?.text_document.uri, |snapshot| {
                json!(DocumentSymbolResponse::Nested(symbols::outline(snapshot)))
            })
        }
        FoldingRangeRequest::METHOD => {
            of(workspace, &read::<FoldingRangeRequest>(value)?.text_document.uri, |snapshot| {
                json!(folding::ranges(snapshot))
            })
        }
        SemanticTokensFullRequest::METHOD => {
            let params = read::<SemanticTokensFullRequest>(value)?;
            of(workspace, &params.text_document.uri, |snapshot| tokens(snapshot, None))
        }
        SemanticTokensRangeRequest::METHOD => {
            let params = read::<SemanticTokensRangeRequest>(value)?;
            let among = (params.range.start.line, params.range.end.line);
            of(workspace, &params.text_document.uri, |snapshot| tokens(snapshot, Some(among)))
        }
        _ => Err((ErrorCode::MethodNotFound, format!("`{method}` is not supported"))),
    }
}

/// The parameters of a request.
fn read<R: Request>(value: Value) -> Result<R::Params, Failure> {
    let wrong = || (ErrorCode::InvalidParams, format!("`{}` has other parameters", R::METHOD));
    params::<R::Params>(&value).ok_or_else(wrong)
}

/// The answer for an open document.
fn of(
    workspace: &mut Workspace,
    uri: &Uri,
    answer: impl FnOnce(&Snapshot) -> Value,
) -> Result<Value, Failure> {
    opened(workspace, uri).map(|snapshot| answer(&snapshot))
}

/// The snapshot of an open document.
fn opened(workspace: &mut Workspace, uri: &Uri) -> Result<Arc<Snapshot>, Failure> {
    let closed = || (ErrorCode::InvalidParams, format!("`{}` is not open", uri.as_str()));
    workspace.snapshot(uri).ok_or_else(closed)
}

fn tokens(snapshot: &Snapshot, among: Option<(u32, u32)>) -> Value {
    json!(SemanticTokens { result_id: None, data: highlighting::tokens(snapshot, among) })
}

fn pull_diagnostics(workspace: &mut Workspace, params: DocumentDiagnosticParams) -> Result<Value, Failure> {
    let snapshot = opened(workspace, &params.text_document.uri)?;
    let items = diagnostics::all(&snapshot, &workspace.links());
    let mut hasher = DefaultHasher::new();
    json!(items).to_string().hash(&mut hasher);
    let result_id = format!("{:016x}", hasher.finish());
    if params.previous_result_id.as_ref() == Some(&result_id) {
        let unchanged = UnchangedDocumentDiagnosticReport { result_id };
        return Ok(json!(DocumentDiagnosticReport::Unchanged(RelatedUnchangedDocumentDiagnosticReport {
            related_documents: None,
            unchanged_document_diagnostic_report: unchanged,
        })));
    }
    let full = FullDocumentDiagnosticReport { result_id: Some(result_id), items };
    Ok(json!(DocumentDiagnosticReport::Full(RelatedFullDocumentDiagnosticReport {
        related_documents: None,
        full_document_diagnostic_report: full,
    })))
}

/// The parameters of a message, if they have the type that its method requires.
pub(super) fn params<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}
