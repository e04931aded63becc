//! The open documents, whose texts replace those of their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::position::{Encoding, Lines};
use super::uri;
use crate::api::files::Disk;
use crate::language::Loader;

/// An open document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its URI as the client writes it.
    pub uri: Uri,
    /// Its version, which the client counts.
    pub version: i32,
    /// Its text.
    pub text: String,
}

/// All open documents, by their URI.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    open: BTreeMap<String, Document>,
}

impl Documents {
    /// Opens a document, or replaces one that is open.
    pub fn open(&mut self, uri: Uri, version: i32, text: String) {
        self.open.insert(uri.as_str().to_owned(), Document { uri, version, text });
    }

    /// Closes a document; later its file is read.
    pub fn close(&mut self, uri: &Uri) {
        self.open.remove(uri.as_str());
    }

    /// The open document of a URI.
    pub fn get(&self, uri: &Uri) -> Option<&Document> {
        self.open.get(uri.as_str())
    }

    /// All open documents.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.open.values()
    }

    /// Applies changes in their order; each is a range with its new text, or a whole text. A document that is not open
    /// stays closed.
    pub fn change(
        &mut self,
        uri: &Uri,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) {
        let Some(document) = self.open.get_mut(uri.as_str()) else { return };
        document.version = version;
        for change in changes {
            apply(&mut document.text, change, encoding);
        }
    }

    /// The open document of a file, whatever the notation of its URI.
    pub fn of_path(&self, wanted: &Path) -> Option<&Document> {
        self.iter().find(|document| {
            let path = uri::path(&document.uri);
            path.is_some_and(|path| path == wanted || path.canonicalize().is_ok_and(|path| path == wanted))
        })
    }
}

fn apply(text: &mut String, change: TextDocumentContentChangeEvent, encoding: Encoding) {
    let Some(range) = change.range else {
        *text = change.text;
        return;
    };
    let lines = Lines::new(text);
    let start = lines.offset(text, range.start, encoding);
    let end = lines.offset(text, range.end, encoding);
    text.replace_range(start..end.max(start), &change.text);
}

/// Reads the files of `use "…"`: an open document, or the file on disk.
impl Loader for Documents {
    fn load(&self, from: &Path, path: &str) -> Result<(PathBuf, String), String> {
        let full = from.parent().unwrap_or(Path::new("")).join(path);
        let identity = full.canonicalize().unwrap_or(full);
        match self.of_path(&identity) {
            Some(document) => Ok((identity, document.text.clone())),
            None => Disk.load(from, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use lsp_types::{Position, Range};

    use super::*;

    #[test]
    fn changes_are_applied_one_after_the_other() {
        let uri = Uri::from_str("file:///a.obert").unwrap();
        let mut documents = Documents::default();
        documents.open(uri.clone(), 1, "ß one\ntwo\n".to_owned());
        let at = |line, character| Position { line, character };
        let change = |start, end, text: &str| TextDocumentContentChangeEvent {
            range: Some(Range { start, end }),
            range_length: None,
            text: text.to_owned(),
        };
        let changes = vec![change(at(0, 2), at(0, 5), "1"), change(at(1, 0), at(9, 9), "")];
        documents.change(&uri, 2, changes, Encoding::Utf16);
        let document = documents.get(&uri).unwrap();
        assert_eq!((document.text.as_str(), document.version), ("ß 1\n", 2));
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "x".to_owned() };
        documents.change(&uri, 3, vec![whole], Encoding::Utf16);
        assert_eq!(documents.get(&uri).unwrap().text, "x");
        documents.close(&uri);
        assert!(documents.get(&uri).is_none());
    }
}
