//! Links to files: modules of the standard library and pages of codes are written to the user's cache folder, where any
//! editor can open them.

use std::path::{Path, PathBuf};

use lsp_types::Uri;

use super::documents::Documents;
use super::place::{Links, Place};
use super::uri;
use crate::diag::Code;
use crate::explain::page;
use crate::files::write_whole;
use crate::language::STANDARD_LIBRARY;
use crate::params::cache::folder_variable;

/// Links to files on disk, and to open documents by the URIs of their clients.
pub struct FileLinks<'a> {
    documents: &'a Documents,
    folder: Option<&'a Path>,
}

impl<'a> FileLinks<'a> {
    /// Links with a folder for the library and the pages; without it these have no links.
    pub fn new(documents: &'a Documents, folder: Option<&'a Path>) -> Self {
        FileLinks { documents, folder }
    }
}

impl Links for FileLinks<'_> {
    fn file(&self, place: &Place) -> Option<Uri> {
        match place {
            Place::Standard(name) => {
                let (_, text) = STANDARD_LIBRARY.iter().find(|(known, _)| known == name)?;
                written(self.folder?.join(format!("{}.obert", name.replace('.', "/"))), text)
            }
            Place::File(path) => match self.documents.of_path(path) {
                Some(document) => Some(document.uri.clone()),
                // The place of a document without a file is its URI.
                None => uri::of_path(path).or_else(|| path.to_str()?.parse().ok()),
            },
        }
    }

    fn page(&self, code: Code) -> Option<Uri> {
        written(self.folder?.join(format!("codes/{code}.md")), &markdown(code)?)
    }
}

/// The cache folder of this version: `$XDG_CACHE_HOME/obert`, or the system's folder for caches.
pub fn cache_folder() -> Option<PathBuf> {
    let home = || std::env::home_dir();
    let system = || match std::env::consts::OS {
        "windows" => folder_variable("LOCALAPPDATA"),
        "macos" => Some(home()?.join("Library/Caches")),
        _ => Some(home()?.join(".cache")),
    };
    let root = folder_variable("XDG_CACHE_HOME").or_else(system)?;
    Some(root.join("obert").join(env!("CARGO_PKG_VERSION")))
}

/// The page of a code as Markdown.
pub fn markdown(code: Code) -> Option<String> {
    let page = page(code)?;
    let block = |title: &str, example: &str| format!("\n## {title}\n\n```obert\n{example}\n```\n");
    let (wrong, right) = (block("Wrong", page.wrong.code), block("Right", page.right.code));
    Some(format!("# {code}: {}\n\n{}\n{wrong}{right}", code.title(), page.why))
}

/// Writes a file unless it is there with this text; `None` if it cannot be written.
pub(super) fn written(path: PathBuf, text: &str) -> Option<Uri> {
    if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        std::fs::create_dir_all(path.parent()?).ok()?;
        write_whole(&path, text.as_bytes()).ok()?;
    }
    uri::of_path(&path)
}
