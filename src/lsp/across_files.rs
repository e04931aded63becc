//! References, renaming and symbols in all files of the workspace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsp_types::{Location, Position, SymbolInformation, TextEdit, Uri, WorkspaceEdit};

use super::lexer::tokens;
use super::modules::{Declaration, Modules};
use super::navigation;
use super::place::{Links, Place};
use super::position::Lines;
use super::recovery;
use super::snapshot::Snapshot;
use super::symbols::kind;
use super::uri;
use super::words::{Word, words};
use super::workspace::Workspace;
use crate::api::files::{read_recipe, recipes_in};
use crate::diag::FileId;

/// The most files of the workspace that are read.
const MOST_FILES: usize = 2_000;

/// The most symbols that are listed.
const MOST_SYMBOLS: usize = 500;

/// A file with the meanings of its words.
struct File {
    place: Place,
    text: Arc<str>,
    modules: Modules,
}

impl File {
    fn words(&self) -> Vec<Word> {
        words(&self.modules)
    }
}

/// The recipes of the workspace: open documents, those in its folders, and those beside a document. Only files whose text
/// has `needle` are read further.
fn files(workspace: &Workspace, beside: Option<&Snapshot>, needle: &str) -> Vec<File> {
    let open = workspace.documents.iter().filter_map(|document| uri::path(&document.uri));
    let mut paths: Vec<PathBuf> = open.collect();
    let folder = beside.and_then(|snapshot| Path::new(&snapshot.name).parent());
    for folder in folder.into_iter().chain(workspace.folders.iter().map(PathBuf::as_path)) {
        paths.extend(recipes_in(folder).unwrap_or_default().into_iter().take(MOST_FILES));
    }
    let used = beside.into_iter().flat_map(|snapshot| snapshot.modules.iter()).map(|module| &module.place);
    paths.extend(
        used.filter_map(|place| if let Place::File(path) = place { Some(path.clone()) } else { None }),
    );
    let mut list: Vec<File> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for path in paths {
        let path = path.canonicalize().unwrap_or(path);
        if path.extension().is_none_or(|e| e != "obert") || !seen.insert(path.clone()) {
            continue;
        }
        let open = workspace.documents.of_path(&path).map(|document| document.text.clone());
        let Some(text) = open.or_else(|| read_recipe(&path).ok()) else { continue };
        if text.contains(needle) {
            let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
            let tree = Arc::new(recovery::parse(FileId(0), &text, &tokens(&text)).file);
            let place = Place::File(path);
            let modules = Modules::load(place.clone(), text.clone(), tree, &workspace.documents);
            list.push(File { place, text, modules });
        }
    }
    list
}

/// The ranges of a declaration's name in all files, by the URI of the file.
fn ranges(
    workspace: &Workspace,
    snapshot: &Snapshot,
    declared: &Declaration,
    declarations: bool,
) -> Vec<(Uri, Vec<lsp_types::Range>)> {
    let links = workspace.links();
    let mut list = Vec::new();
    let own = navigation::occurrences(snapshot.words(), declared, declarations);
    let own: Vec<_> = own.into_iter().map(|range| snapshot.span(range)).collect();
    list.extend(links.file(&snapshot.place).map(|uri| (uri, own)));
    for file in files(workspace, Some(snapshot), &declared.name) {
        if file.place == snapshot.place {
            continue;
        }
        let lines = Lines::new(&file.text);
        let found = navigation::occurrences(&file.words(), declared, declarations);
        let found: Vec<_> =
            found.into_iter().map(|range| lines.span(&file.text, range, workspace.encoding)).collect();
        list.extend(links.file(&file.place).map(|uri| (uri, found)));
    }
    // The declaration in a module of the standard library, which is no file of the workspace.
    if let (true, Place::Standard(_)) = (declarations, &declared.place)
        && let Some(module) = snapshot.modules.of(&declared.place)
    {
        let range = Lines::new(&module.text).span(&module.text, declared.range.clone(), workspace.encoding);
        list.extend(links.file(&declared.place).map(|uri| (uri, vec![range])));
    }
    list.retain(|(_, ranges)| !ranges.is_empty());
    list
}

/// All uses of the name at a position, and its declaration if asked for.
pub(super) fn references(
    workspace: &Workspace,
    snapshot: &Snapshot,
    position: Position,
    declarations: bool,
) -> Option<Vec<Location>> {
    let (declared, _) = navigation::declaration(snapshot, snapshot.offset(position))?;
    let found = ranges(workspace, snapshot, &declared, declarations);
    let locations = found
        .into_iter()
        .flat_map(|(uri, ranges)| ranges.into_iter().map(move |range| Location { uri: uri.clone(), range }));
    Some(locations.collect())
}

/// Renames the name at a position in all files.
///
/// # Errors
/// Why it cannot have this name.
pub(super) fn rename(
    workspace: &Workspace,
    snapshot: &Snapshot,
    position: Position,
    name: &str,
) -> Result<WorkspaceEdit, String> {
    let (declared, _) = navigation::renamable(snapshot, snapshot.offset(position))?;
    navigation::check_name(snapshot, &declared, name)?;
    let edits = ranges(workspace, snapshot, &declared, true).into_iter().map(|(uri, ranges)| {
        let edit = |range| TextEdit { range, new_text: name.to_owned() };
        (uri, ranges.into_iter().map(edit).collect())
    });
    #[allow(clippy::mutable_key_type)]
    let changes: HashMap<Uri, Vec<TextEdit>> = edits.collect();
    Ok(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() })
}

/// The declarations in all files whose name contains the query, whatever its case.
#[allow(deprecated)]
pub(super) fn symbols(workspace: &Workspace, query: &str) -> Vec<SymbolInformation> {
    let query = query.to_lowercase();
    let links = workspace.links();
    let mut list = Vec::new();
    for file in files(workspace, None, "") {
        let Some(uri) = links.file(&file.place) else { continue };
        let lines = Lines::new(&file.text);
        let mut container = None;
        for declared in &file.modules.own().declarations {
            if declared.kind == super::modules::Kind::Recipe {
                container = Some(declared.name.clone());
            }
            if !declared.name.to_lowercase().contains(&query) {
                continue;
            }
            let range = lines.span(&file.text, declared.range.clone(), workspace.encoding);
            list.push(SymbolInformation {
                name: declared.name.clone(),
                kind: kind(declared),
                tags: None,
                deprecated: None,
                location: Location { uri: uri.clone(), range },
                container_name: container.clone().filter(|_| declared.kind == super::modules::Kind::Stage),
            });
        }
        if list.len() > MOST_SYMBOLS {
            list.truncate(MOST_SYMBOLS);
            break;
        }
    }
    list
}
