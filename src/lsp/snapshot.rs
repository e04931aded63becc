//! A document at one version, compiled: the input of every answer.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;

use lsp_types::{Position, Range as LineRange};

use super::lexer::{Token, tokens};
use super::modules::Modules;
use super::place::Place;
use super::position::{Encoding, Lines};
use super::recovery;
use super::words::{Word, words};
use crate::api::check::compile_whole;
use crate::api::files::Disk;
use crate::api::recipe::Compiler;
use crate::diag::FileId;
use crate::language::library::Parts;
use crate::language::{Compilation, Loader, STANDARD_LIBRARY};
use crate::yaml;

/// The kind of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A recipe, or definitions that recipes use.
    Recipe,
    /// A SparseML recipe.
    SparseMl,
    /// Another YAML or Markdown file, of which nothing is said.
    Other,
}

/// A document at one version.
pub struct Snapshot {
    /// Its name: a path, or a URI.
    pub name: String,
    /// The file that it is.
    pub place: Place,
    /// Its kind.
    pub kind: Kind,
    /// What positions of the protocol count.
    pub encoding: Encoding,
    /// The diagnostics, and what the compiler knows of it: of a text whose brackets do not match, the tree, the
    /// typed recipe and the model's parameters are those of the text with repaired brackets.
    pub compiled: Compilation,
    /// The definitions of a file without a recipe.
    pub parts: Option<Parts>,
    /// The tokens of its text.
    pub tokens: Vec<Token>,
    /// The declarations of the file and of those that it uses.
    pub modules: Modules,
    text: Arc<str>,
    /// The bytes of a byte order mark, which the compiler does not count.
    mark: usize,
    lines: Lines,
    words: OnceLock<Vec<Word>>,
}

impl Snapshot {
    /// Compiles a document. `loader` reads the files that it uses.
    pub(crate) fn new(
        name: &str,
        document: &str,
        encoding: Encoding,
        compiler: &Compiler,
        loader: &dyn Loader,
    ) -> Self {
        let text = document.strip_prefix('\u{feff}').unwrap_or(document);
        let kind = match yaml::is_yaml(Path::new(name)) {
            false => Kind::Recipe,
            true if is_sparseml(text) => Kind::SparseMl,
            true => Kind::Other,
        };
        // Nothing is said of a file that is no recipe.
        let compiled_text = if kind == Kind::Other { "" } else { text };
        let (mut compiled, parts) = compile_whole(compiler, name, compiled_text, loader);
        let tokens = if kind == Kind::Recipe { tokens(text) } else { Vec::new() };
        if let Some(repaired) = recovery::repaired(text, &tokens) {
            // If brackets do not match, the compiler reports only that; everything else is taken from the repaired
            // text.
            let known = compiler.text_with(name, &repaired, loader);
            (compiled.recipe, compiled.parameters) = (known.recipe, known.parameters);
            compiled.tree = known.tree;
        }
        let path = PathBuf::from(name);
        let place = Place::File(path.canonicalize().unwrap_or(path));
        let shared: Arc<str> = text.into();
        let tree = compiled.tree.clone();
        Snapshot {
            name: name.to_owned(),
            modules: Modules::load(place.clone(), shared.clone(), tree, loader),
            place,
            kind,
            encoding,
            compiled,
            parts,
            tokens,
            text: shared,
            mark: document.len() - text.len(),
            lines: Lines::new(document),
            words: OnceLock::new(),
        }
    }

    /// Compiles a document that uses files on disk, if any.
    pub fn of_text(name: &str, document: &str, encoding: Encoding) -> Self {
        Self::new(name, document, encoding, &Compiler::plain(), &Disk)
    }

    /// The text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text.
    pub fn lines(&self) -> Lines {
        Lines::new(&self.text)
    }

    /// The words of the text with their meanings.
    pub fn words(&self) -> &[Word] {
        self.words.get_or_init(|| words(&self.modules))
    }

    /// The innermost word at an offset, which may end at the offset.
    pub fn word_at(&self, offset: usize) -> Option<&Word> {
        let touches = |word: &&Word| word.range.start <= offset && offset <= word.range.end;
        let among = self.words().iter().filter(touches);
        // Of two words that touch, the one that begins at the offset.
        among.min_by_key(|word| (word.range.end == offset, word.range.len()))
    }

    /// The position of an offset in the text.
    pub fn position(&self, offset: usize) -> Position {
        let mut position = self.lines.position(&self.marked(), offset + self.mark, self.encoding);
        if self.mark > 0 && position.line == 0 && offset == 0 {
            position.character = 0;
        }
        position
    }

    /// The positions of a range of bytes.
    pub fn span(&self, range: Range<usize>) -> LineRange {
        LineRange { start: self.position(range.start), end: self.position(range.end.max(range.start)) }
    }

    /// The offset in the text of a position.
    pub fn offset(&self, position: Position) -> usize {
        self.lines.offset(&self.marked(), position, self.encoding).saturating_sub(self.mark)
    }

    /// The document's text with its byte order mark.
    fn marked(&self) -> std::borrow::Cow<'_, str> {
        match self.mark {
            0 => (&*self.text).into(),
            _ => format!("\u{feff}{}", self.text).into(),
        }
    }

    /// The file of a text of the compilation; `None` for one without a file, such as the text of a default.
    pub fn place_of(&self, file: FileId) -> Option<Place> {
        if file == self.compiled.main {
            return Some(self.place.clone());
        }
        let source = self.compiled.sources.get(file);
        if let Some((name, _)) = STANDARD_LIBRARY.iter().find(|(name, _)| *name == source.name) {
            return Some(Place::Standard(name));
        }
        let path = PathBuf::from(&source.name);
        path.is_absolute().then_some(Place::File(path))
    }

    /// The files that the compilation read besides the document.
    pub fn used_files(&self) -> Vec<PathBuf> {
        let files = self.compiled.sources.files().filter_map(|(id, _)| self.place_of(id));
        let files = files.filter_map(|place| match place {
            Place::File(path) if Place::File(path.clone()) != self.place => Some(path),
            _ => None,
        });
        files.collect()
    }
}

/// Whether a YAML file is a SparseML recipe: it has a list of modifiers.
fn is_sparseml(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        let tag = line.strip_prefix('-').is_some_and(|rest| rest.trim_start().starts_with('!'));
        line.ends_with("modifiers:") || tag && line.contains("Modifier")
    })
}
