//! The state of the server: open documents, their snapshots, and what the client can do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use lsp_types::{
    DidChangeTextDocumentParams, DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, InitializeParams, InitializeResult, PublishDiagnosticsParams,
    ResourceOperationKind, ServerInfo, Uri,
};
use serde_json::{Value, json};

use super::capabilities;
use super::diagnostics;
use super::documents::Documents;
use super::links::{FileLinks, cache_folder};
use super::position::Encoding;
use super::snapshot::Snapshot;
use super::uri;
use crate::api::recipe::Compiler;
use crate::diag::Code;

/// Open documents with their snapshots.
pub struct Workspace {
    /// What positions of the protocol count.
    pub encoding: Encoding,
    /// Whether the client asks for diagnostics; otherwise they are pushed.
    pub pulls: bool,
    /// Whether the client can be asked to pull diagnostics again.
    pub refreshes: bool,
    /// Whether the client inserts snippets.
    pub snippets: bool,
    /// Whether the client shows a file when it is asked to.
    pub shows_documents: bool,
    /// Whether the client can create files in an edit.
    pub creates_files: bool,
    /// Requests to send to the client: their methods and parameters.
    pub asks: Vec<(String, Value)>,
    /// The folders that the client has opened.
    pub folders: Vec<PathBuf>,
    /// The open documents.
    pub documents: Documents,
    watches: bool,
    compiler: Compiler,
    cache: Option<PathBuf>,
    /// The snapshots of open documents by their URI.
    snapshots: HashMap<String, Arc<Snapshot>>,
}

/// What a notification has changed.
pub struct Changed {
    /// The URIs of documents whose diagnostics may have changed.
    pub documents: Vec<String>,
    /// Whether these may be those of other documents too.
    pub others: bool,
}

impl Workspace {
    /// An empty workspace for a client.
    pub fn new(params: &InitializeParams) -> Self {
        let capabilities = &params.capabilities;
        let text = capabilities.text_document.as_ref();
        let general = capabilities.general.as_ref();
        let workspace = capabilities.workspace.as_ref();
        let snippets = text.and_then(|t| t.completion.as_ref()?.completion_item.as_ref()?.snippet_support);
        let refreshes = workspace.and_then(|w| w.diagnostic.as_ref()?.refresh_support);
        let watches = workspace.and_then(|w| w.did_change_watched_files?.dynamic_registration);
        let shows = capabilities.window.as_ref().and_then(|w| Some(w.show_document.as_ref()?.support));
        let edits = workspace.and_then(|w| w.workspace_edit.as_ref());
        let creates = edits.and_then(|edits| edits.resource_operations.as_ref());
        let creates = creates.is_some_and(|kinds| kinds.contains(&ResourceOperationKind::Create));
        #[allow(deprecated)]
        let root = params.root_uri.iter().filter_map(uri::path);
        let folders = match &params.workspace_folders {
            Some(folders) => folders.iter().filter_map(|folder| uri::path(&folder.uri)).collect(),
            None => root.collect(),
        };
        Workspace {
            encoding: Encoding::negotiate(general.and_then(|g| g.position_encodings.as_deref())),
            pulls: text.is_some_and(|text| text.diagnostic.is_some()),
            refreshes: refreshes == Some(true),
            snippets: snippets == Some(true),
            shows_documents: shows == Some(true),
            creates_files: creates && edits.is_some_and(|edits| edits.document_changes == Some(true)),
            asks: Vec::new(),
            folders,
            documents: Documents::default(),
            watches: watches == Some(true),
            compiler: Compiler::plain(),
            cache: cache_folder(),
            snapshots: HashMap::new(),
        }
    }

    /// The answer to `initialize`.
    pub fn initialize_result(&self) -> InitializeResult {
        InitializeResult {
            capabilities: capabilities::of(self.encoding, self.pulls),
            server_info: Some(ServerInfo {
                name: "obertc".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
        }
    }

    /// The registration of watched files, if the client takes it.
    pub fn watchers(&self) -> Option<Value> {
        let pattern = json!({ "globPattern": "**/*.obert" });
        let options = json!({ "watchers": [pattern] });
        let method = "workspace/didChangeWatchedFiles";
        let registration = json!({ "id": "recipes", "method": method, "registerOptions": options });
        self.watches.then(|| json!({ "registrations": [registration] }))
    }

    /// Opens a document.
    pub fn open(&mut self, params: DidOpenTextDocumentParams) -> Changed {
        let document = params.text_document;
        let uri = document.uri.clone();
        self.documents.open(document.uri, document.version, document.text);
        self.changed(&uri)
    }

    /// Changes an open document.
    pub fn change(&mut self, params: DidChangeTextDocumentParams) -> Changed {
        let (uri, version) = (params.text_document.uri, params.text_document.version);
        self.documents.change(&uri, version, params.content_changes, self.encoding);
        self.changed(&uri)
    }

    /// Closes a document.
    pub fn close(&mut self, params: DidCloseTextDocumentParams) -> Changed {
        let uri = params.text_document.uri;
        let changed = self.changed(&uri);
        self.documents.close(&uri);
        changed
    }

    /// Files on disk have changed, which documents may use.
    pub fn files_changed(&mut self) -> Changed {
        self.snapshots.clear();
        let documents = self.documents.iter().map(|document| document.uri.as_str().to_owned());
        Changed { documents: documents.collect(), others: true }
    }

    /// Adds and removes folders.
    pub fn change_folders(&mut self, params: DidChangeWorkspaceFoldersParams) {
        let paths = |folders: Vec<lsp_types::WorkspaceFolder>| -> Vec<PathBuf> {
            folders.iter().filter_map(|folder| uri::path(&folder.uri)).collect()
        };
        let removed = paths(params.event.removed);
        self.folders.retain(|folder| !removed.contains(folder));
        self.folders.extend(paths(params.event.added));
    }

    /// Forgets the snapshots of a document and of the documents that use it.
    fn changed(&mut self, uri: &Uri) -> Changed {
        let path = uri::path(uri).map(|path| path.canonicalize().unwrap_or(path));
        let uses = |snapshot: &Snapshot| {
            // A file that could not be read has no name there.
            let failed = snapshot.compiled.diagnostics.iter().any(|d| d.code == Code::UnknownModule);
            failed || path.as_ref().is_some_and(|path| snapshot.used_files().contains(path))
        };
        let using = self.snapshots.iter().filter(|(_, snapshot)| uses(snapshot)).map(|(uri, _)| uri.clone());
        let mut documents: Vec<String> = using.filter(|other| other != uri.as_str()).collect();
        let others = !documents.is_empty();
        documents.push(uri.as_str().to_owned());
        for uri in &documents {
            self.snapshots.remove(uri);
        }
        Changed { documents, others }
    }

    /// The snapshot of an open document.
    pub fn snapshot(&mut self, uri: &Uri) -> Option<Arc<Snapshot>> {
        if let Some(snapshot) = self.snapshots.get(uri.as_str()) {
            return Some(snapshot.clone());
        }
        let document = self.documents.get(uri)?;
        let snapshot = Arc::new(self.compiled(&uri::name(uri), &document.text));
        self.snapshots.insert(uri.as_str().to_owned(), snapshot.clone());
        Some(snapshot)
    }

    /// The snapshot of a text.
    pub fn compiled(&self, name: &str, text: &str) -> Snapshot {
        Snapshot::new(name, text, self.encoding, &self.compiler, &self.documents)
    }

    /// The cache folder of the server, for files that the client is asked to show.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// Links to the client's documents, and to files.
    pub fn links(&self) -> FileLinks<'_> {
        FileLinks::new(&self.documents, self.cache.as_deref())
    }

    /// The diagnostics of a document with its version; none for one that was closed.
    pub fn published(&mut self, uri: &str) -> Option<PublishDiagnosticsParams> {
        let uri = Uri::from_str(uri).ok()?;
        let version = self.documents.get(&uri).map(|document| document.version);
        let found = self.snapshot(&uri).map(|snapshot| diagnostics::all(&snapshot, &self.links()));
        Some(PublishDiagnosticsParams { uri, diagnostics: found.unwrap_or_default(), version })
    }
}
