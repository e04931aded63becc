//! The requests of the protocol, each answered by a function of a snapshot.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use lsp_server::ErrorCode;
use lsp_types::request::{
    CodeActionRequest, CodeLensRequest, Completion, DocumentDiagnosticRequest, DocumentHighlightRequest,
    DocumentSymbolRequest, ExecuteCommand, FoldingRangeRequest, Formatting, GotoDefinition, HoverRequest,
    InlayHintRequest, PrepareRenameRequest, References, Rename, Request, SemanticTokensFullRequest,
    SemanticTokensRangeRequest, ShowDocument, WorkspaceSymbolRequest,
};
use lsp_types::{
    DocumentDiagnosticParams, DocumentDiagnosticReport, DocumentSymbolResponse, ExecuteCommandParams,
    FullDocumentDiagnosticReport, RelatedFullDocumentDiagnosticReport,
    RelatedUnchangedDocumentDiagnosticReport, SemanticTokens, UnchangedDocumentDiagnosticReport, Uri,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::capabilities::PLAN;
use super::snapshot::Snapshot;
use super::workspace::Workspace;
use super::{
    across_files, diagnostics, folding, formatting, highlighting, lens, links, navigation, replies, symbols,
};

/// The code of an error and its message.
pub(super) type Failure = (ErrorCode, String);

/// Answers a request.
pub(super) fn answer(workspace: &mut Workspace, method: &str, value: Value) -> Result<Value, Failure> {
    match method {
        DocumentDiagnosticRequest::METHOD => {
            pull_diagnostics(workspace, read::<DocumentDiagnosticRequest>(value)?)
        }
        Formatting::METHOD => {
            let uri = read::<Formatting>(value)?.text_document.uri;
            of(workspace, &uri, |snapshot| json!(formatting::edits(snapshot)))
        }
        DocumentSymbolRequest::METHOD => {
            let uri = read::<DocumentSymbolRequest>(value)?.text_document.uri;
            let nested = |snapshot: &Snapshot| DocumentSymbolResponse::Nested(symbols::outline(snapshot));
            of(workspace, &uri, |snapshot| json!(nested(snapshot)))
        }
        FoldingRangeRequest::METHOD => {
            let uri = read::<FoldingRangeRequest>(value)?.text_document.uri;
            of(workspace, &uri, |snapshot| json!(folding::ranges(snapshot)))
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
        HoverRequest::METHOD => {
            let params = read::<HoverRequest>(value)?.text_document_position_params;
            of(workspace, &params.text_document.uri, |snapshot| {
                json!(replies::hover(snapshot, params.position))
            })
        }
        Completion::METHOD => {
            let params = read::<Completion>(value)?.text_document_position;
            let snippets = workspace.snippets;
            of(workspace, &params.text_document.uri, |snapshot| {
                json!(replies::completion(snapshot, params.position, snippets))
            })
        }
        GotoDefinition::METHOD => {
            let params = read::<GotoDefinition>(value)?.text_document_position_params;
            let snapshot = opened(workspace, &params.text_document.uri)?;
            let target = navigation::definition(&snapshot, snapshot.offset(params.position));
            let location =
                target.and_then(|target| replies::location(&snapshot, &target, &workspace.links()));
            Ok(json!(location))
        }
        DocumentHighlightRequest::METHOD => {
            let params = read::<DocumentHighlightRequest>(value)?.text_document_position_params;
            of(workspace, &params.text_document.uri, |snapshot| {
                json!(replies::highlights(snapshot, params.position))
            })
        }
        References::METHOD => {
            let params = read::<References>(value)?;
            let (at, declarations) = (params.text_document_position, params.context.include_declaration);
            let snapshot = opened(workspace, &at.text_document.uri)?;
            Ok(json!(across_files::references(workspace, &snapshot, at.position, declarations)))
        }
        PrepareRenameRequest::METHOD => {
            let params = read::<PrepareRenameRequest>(value)?;
            let snapshot = opened(workspace, &params.text_document.uri)?;
            let found = navigation::renamable(&snapshot, snapshot.offset(params.position));
            let (declared, range) = found.map_err(|why| (ErrorCode::RequestFailed, why))?;
            Ok(json!({ "range": snapshot.span(range), "placeholder": declared.name }))
        }
        Rename::METHOD => {
            let params = read::<Rename>(value)?;
            let at = params.text_document_position;
            let snapshot = opened(workspace, &at.text_document.uri)?;
            let edit = across_files::rename(workspace, &snapshot, at.position, &params.new_name);
            edit.map(|edit| json!(edit)).map_err(|why| (ErrorCode::RequestFailed, why))
        }
        WorkspaceSymbolRequest::METHOD => {
            let query = read::<WorkspaceSymbolRequest>(value)?.query;
            Ok(json!(across_files::symbols(workspace, &query)))
        }
        InlayHintRequest::METHOD => {
            let params = read::<InlayHintRequest>(value)?;
            of(workspace, &params.text_document.uri, |snapshot| json!(replies::hints(snapshot, params.range)))
        }
        CodeLensRequest::METHOD => {
            let uri = read::<CodeLensRequest>(value)?.text_document.uri;
            of(workspace, &uri.clone(), |snapshot| json!(replies::lenses(snapshot, &uri)))
        }
        CodeActionRequest::METHOD => {
            let params = read::<CodeActionRequest>(value)?;
            let snapshot = opened(workspace, &params.text_document.uri)?;
            Ok(json!(replies::actions(workspace, &snapshot, &params)))
        }
        ExecuteCommand::METHOD => command(workspace, read::<ExecuteCommand>(value)?),
        _ => Err((ErrorCode::MethodNotFound, format!("`{method}` is not supported"))),
    }
}

/// Runs the command of the code lens: returns the plan, and asks the client to show it.
fn command(workspace: &mut Workspace, params: ExecuteCommandParams) -> Result<Value, Failure> {
    if params.command != PLAN {
        return Err((ErrorCode::InvalidParams, format!("there is no command `{}`", params.command)));
    }
    let uri = params.arguments.first().and_then(|value| serde_json::from_value::<Uri>(value.clone()).ok());
    let Some(uri) = uri else {
        return Err((ErrorCode::InvalidParams, format!("`{PLAN}` takes the URI of a document")));
    };
    let snapshot = opened(workspace, &uri)?;
    let Some(plan) = lens::plan(&snapshot) else {
        return Err((ErrorCode::RequestFailed, "a recipe with errors has no plan".to_owned()));
    };
    let shown = workspace.cache().filter(|_| workspace.shows_documents).and_then(|cache| {
        let name = PathBuf::from(&snapshot.name);
        let name = name.file_stem().map_or("recipe".into(), |stem| stem.to_string_lossy());
        links::written(cache.join(format!("plans/{name}.txt")), &plan)
    });
    if let Some(shown) = shown {
        workspace.asks.push((ShowDocument::METHOD.to_owned(), json!({ "uri": shown })));
    }
    Ok(json!(plan))
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
