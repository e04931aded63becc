//! Answers about one document in the types of the protocol.

use std::collections::HashMap;
use std::path::Path;

use lsp_types::{
    CodeAction, CodeActionKind, CodeActionParams, CodeLens, Command, CompletionItem, CompletionItemKind,
    CompletionTextEdit, CreateFile, CreateFileOptions, DocumentChangeOperation, DocumentChanges,
    DocumentHighlight, DocumentHighlightKind, Documentation, Hover, HoverContents, InlayHint, InlayHintLabel,
    InlayHintTooltip, InsertTextFormat, Location, MarkupContent, MarkupKind, OneOf,
    OptionalVersionedTextDocumentIdentifier, Position, Range, ResourceOp, TextDocumentEdit, TextEdit, Uri,
    WorkspaceEdit,
};
use serde_json::json;

use super::capabilities::PLAN;
use super::completion_item::{Item, ItemKind};
use super::navigation::{self, Target};
use super::place::Links;
use super::position::Lines;
use super::snapshot::Snapshot;
use super::words::Role;
use super::workspace::Workspace;
use super::{actions, completion, diagnostics, hints as inlay, hover as hovering, lens, uri};

fn markdown(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

pub(super) fn hover(snapshot: &Snapshot, position: Position) -> Option<Hover> {
    let shown = hovering::hover(snapshot, snapshot.offset(position))?;
    Some(Hover {
        contents: HoverContents::Markup(markdown(shown.markdown)),
        range: Some(snapshot.span(shown.range)),
    })
}

pub(super) fn completion(snapshot: &Snapshot, position: Position, snippets: bool) -> Vec<CompletionItem> {
    let items = completion::complete(snapshot, snapshot.offset(position));
    items.into_iter().enumerate().map(|(index, item)| of_item(snapshot, index, item, snippets)).collect()
}

fn of_item(snapshot: &Snapshot, index: usize, item: Item, snippets: bool) -> CompletionItem {
    let kind = match item.kind {
        ItemKind::Keyword => CompletionItemKind::KEYWORD,
        ItemKind::Setting => CompletionItemKind::PROPERTY,
        ItemKind::Value => CompletionItemKind::ENUM_MEMBER,
        ItemKind::Name => CompletionItemKind::VARIABLE,
        ItemKind::Template => CompletionItemKind::CLASS,
        ItemKind::Stage => CompletionItemKind::STRUCT,
        ItemKind::Module => CompletionItemKind::MODULE,
        ItemKind::Unit => CompletionItemKind::UNIT,
        ItemKind::Parameter => CompletionItemKind::FIELD,
    };
    let snippet = item.snippet.filter(|_| snippets);
    let format = if snippet.is_some() { InsertTextFormat::SNIPPET } else { InsertTextFormat::PLAIN_TEXT };
    let new_text = snippet.unwrap_or(item.insert);
    let text = |text: String| (!text.is_empty()).then_some(text);
    CompletionItem {
        label: item.label,
        kind: Some(kind),
        detail: text(item.detail),
        documentation: text(item.doc).map(|doc| Documentation::MarkupContent(markdown(doc))),
        // In the order of their declaration.
        sort_text: Some(format!("{index:04}")),
        insert_text_format: Some(format),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit { range: snapshot.span(item.range), new_text })),
        ..CompletionItem::default()
    }
}

/// A range of the document or of a file that it uses.
pub(super) fn location(snapshot: &Snapshot, target: &Target, links: &dyn Links) -> Option<Location> {
    let range = match target.place == snapshot.place {
        true => snapshot.span(target.range.clone()),
        false => {
            let module = snapshot.modules.of(&target.place)?;
            Lines::new(&module.text).span(&module.text, target.range.clone(), snapshot.encoding)
        }
    };
    diagnostics::location(&target.place, range, links)
}

pub(super) fn highlights(snapshot: &Snapshot, position: Position) -> Option<Vec<DocumentHighlight>> {
    let (declared, _) = navigation::declaration(snapshot, snapshot.offset(position))?;
    let words = snapshot.words().iter().filter_map(|word| match &word.role {
        Role::Declares(found) if found.is(&declared) => Some((word, DocumentHighlightKind::WRITE)),
        Role::Refers(found) if found.is(&declared) => Some((word, DocumentHighlightKind::READ)),
        _ => None,
    });
    let shown = words
        .map(|(word, kind)| DocumentHighlight { range: snapshot.span(word.range.clone()), kind: Some(kind) });
    Some(shown.collect())
}

pub(super) fn hints(snapshot: &Snapshot, range: Range) -> Vec<InlayHint> {
    let range = snapshot.offset(range.start)..snapshot.offset(range.end);
    let hint = |hint: inlay::Hint| InlayHint {
        position: snapshot.position(hint.at),
        label: InlayHintLabel::String(hint.text),
        kind: None,
        text_edits: None,
        tooltip: Some(InlayHintTooltip::MarkupContent(markdown(hint.tooltip))),
        padding_left: Some(true),
        padding_right: None,
        data: None,
    };
    inlay::hints(snapshot, range).into_iter().map(hint).collect()
}

pub(super) fn lenses(snapshot: &Snapshot, uri: &Uri) -> Vec<CodeLens> {
    let lens = lens::lens(snapshot).map(|lens| CodeLens {
        range: snapshot.span(lens.range),
        command: Some(Command {
            title: lens.title,
            command: PLAN.to_owned(),
            arguments: Some(vec![json!(uri)]),
        }),
        data: None,
    });
    lens.into_iter().collect()
}

/// The edit of a document.
fn edit(uri: &Uri, edits: Vec<TextEdit>) -> WorkspaceEdit {
    #[allow(clippy::mutable_key_type)]
    let changes = HashMap::from([(uri.clone(), edits)]);
    WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }
}

pub(super) fn actions(
    workspace: &Workspace,
    snapshot: &Snapshot,
    params: &CodeActionParams,
) -> Vec<CodeAction> {
    let uri = &params.text_document.uri;
    let wanted = |kind: &CodeActionKind| match &params.context.only {
        None => true,
        // `source` asks for `source.fixAll` too.
        Some(only) => only.iter().any(|only| {
            let rest = kind.as_str().strip_prefix(only.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }),
    };
    let mut list = Vec::new();
    if wanted(&CodeActionKind::QUICKFIX) {
        let range = snapshot.offset(params.range.start)..snapshot.offset(params.range.end);
        list.extend(actions::quick_fixes(snapshot, range).into_iter().map(|fix| {
            let change = TextEdit { range: snapshot.span(fix.range), new_text: fix.replacement };
            CodeAction {
                title: fix.title,
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: Some(vec![diagnostics::shown(snapshot, fix.diagnostic, &workspace.links())]),
                edit: Some(edit(uri, vec![change])),
                is_preferred: Some(fix.safe),
                ..CodeAction::default()
            }
        }));
    }
    let only_asked = params.context.only.is_some() && wanted(&CodeActionKind::SOURCE_FIX_ALL);
    if only_asked
        && let Some((text, count)) =
            actions::fix_all(snapshot, |text| workspace.compiled(&snapshot.name, text))
    {
        let whole = TextEdit { range: snapshot.span(0..snapshot.text().len()), new_text: text };
        list.push(CodeAction {
            title: format!("Apply all safe fixes ({count})"),
            kind: Some(CodeActionKind::SOURCE_FIX_ALL),
            edit: Some(edit(uri, vec![whole])),
            ..CodeAction::default()
        });
    }
    if wanted(&CodeActionKind::REFACTOR_REWRITE) && workspace.creates_files {
        list.extend(conversion(snapshot, uri));
    }
    list
}

/// The translation of a SparseML recipe into a new file beside it.
fn conversion(snapshot: &Snapshot, uri: &Uri) -> Option<CodeAction> {
    let text = actions::converted(snapshot)?;
    let path = uri::path(uri)?;
    let free = |path: &Path| !path.exists();
    let stem = path.file_stem()?.to_str()?;
    let names = std::iter::once(stem.to_owned()).chain((2..100).map(|n| format!("{stem}_{n}")));
    let target = names.map(|name| path.with_file_name(format!("{name}.obert"))).find(|path| free(path))?;
    let name = target.file_name()?.to_string_lossy().into_owned();
    let new = uri::of_path(&target)?;
    let options = CreateFileOptions { overwrite: Some(false), ignore_if_exists: Some(false) };
    let create = CreateFile { uri: new.clone(), options: Some(options), annotation_id: None };
    let insert = TextDocumentEdit {
        text_document: OptionalVersionedTextDocumentIdentifier { uri: new, version: None },
        edits: vec![OneOf::Left(TextEdit { range: Range::default(), new_text: text })],
    };
    let operations =
        vec![DocumentChangeOperation::Op(ResourceOp::Create(create)), DocumentChangeOperation::Edit(insert)];
    Some(CodeAction {
        title: format!("Convert to `{name}`"),
        kind: Some(CodeActionKind::REFACTOR_REWRITE),
        edit: Some(WorkspaceEdit {
            document_changes: Some(DocumentChanges::Operations(operations)),
            ..WorkspaceEdit::default()
        }),
        ..CodeAction::default()
    })
}
