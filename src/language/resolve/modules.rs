//! Loading of the recipe's file and of the files it uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, FileId, Findings, Sources, Span, nearest};
use crate::language::stdlib;
use crate::language::syntax::ast::{File, Import, ImportPath, Item, Word};
use crate::language::syntax::parse_file;

/// Reads the files of `use "…"`.
pub trait Loader {
    /// Returns the resolved path and the text of `path`, which is relative to the file at `from`.
    ///
    /// # Errors
    /// A message of one sentence that says why the file cannot be read.
    fn load(&self, from: &Path, path: &str) -> Result<(PathBuf, String), String>;
}

/// A loader without files, for texts that import nothing but the standard library.
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _: &Path, path: &str) -> Result<(PathBuf, String), String> {
        Err(format!("`{path}` cannot be read from here"))
    }
}

/// A parsed file; the first of a compilation is the recipe's.
#[derive(Clone, Debug)]
pub struct Module {
    /// The syntax tree.
    pub file: Arc<File>,
    /// The file's text.
    pub id: FileId,
    /// The resolved imports.
    pub imports: Vec<ResolvedImport>,
    /// The names of imports that failed.
    pub failed_imports: Vec<FailedImport>,
    identity: String,
}

impl Module {
    /// Whether the file declares its edition.
    pub fn has_edition(&self) -> bool {
        self.file.items.iter().any(|item| matches!(item, Item::Edition(_)))
    }
}

/// A name of a failed import. Its uses are not reported again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FailedImport {
    /// One name.
    Name(String),
    /// All names of a file.
    All,
}

/// An import whose module was found.
#[derive(Clone, Debug)]
pub struct ResolvedImport {
    /// The span of the statement.
    pub span: Span,
    /// The index of the module.
    pub module: usize,
    /// The imported names.
    pub names: Vec<Word>,
}

/// Parses the main file and, depth first, the files it uses.
pub fn load(
    main: FileId,
    loader: &dyn Loader,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Vec<Module> {
    let identity = sources.get(main).name.clone();
    let mut reader = Reader { loader, sources, findings, modules: Vec::new(), open: Vec::new() };
    let text = reader.sources.get(main).text.clone();
    let file = reader.parse(main, &text);
    reader.module(main, file, identity);
    reader.modules
}

struct Reader<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut Sources,
    findings: &'a mut Findings,
    modules: Vec<Module>,
    open: Vec<(String, Span)>,
}

impl Reader<'_> {
    fn parse(&mut self, id: FileId, text: &str) -> Arc<File> {
        Arc::new(parse_file(id, text, self.findings).file)
    }

    fn module(&mut self, id: FileId, file: Arc<File>, identity: String) -> usize {
        let index = self.modules.len();
        let imports: Vec<Import> = file
            .items
            .iter()
            .filter_map(|item| if let Item::Import(import) = item { Some(import.clone()) } else { None })
            .collect();
        let failed_imports = file.failed_imports.iter().cloned().map(FailedImport::Name).collect();
        self.modules.push(Module {
            file,
            id,
            imports: Vec::new(),
            failed_imports,
            identity: identity.clone(),
        });
        for import in imports {
            self.open.push((identity.clone(), import.span));
            match self.import(&import, &identity) {
                Some(resolved) => self.modules[index].imports.push(resolved),
                None => self.modules[index].failed_imports.extend(expected(&import)),
            }
            self.open.pop();
        }
        index
    }

    fn import(&mut self, import: &Import, from: &str) -> Option<ResolvedImport> {
        match &import.from {
            ImportPath::Dotted(path) => self.dotted(import, path),
            ImportPath::File(file) => {
                let loaded = self.loader.load(Path::new(from), &file.value);
                match loaded {
                    Ok((path, text)) => {
                        let identity = path.display().to_string();
                        let module = self.open_module(&identity, import.span, |reader| {
                            let id = reader.sources.add(&identity, text.as_str());
                            (id, reader.parse(id, &text))
                        })?;
                        let names = match &import.names {
                            Some(names) => names.clone(),
                            None => self.all_names(module, import.span),
                        };
                        Some(ResolvedImport { span: import.span, module, names })
                    }
                    Err(why) => {
                        self.findings.push(
                            Diagnostic::error(
                                Code::UnknownModule,
                                format!("cannot use `{}`: {why}", file.value),
                                file.span,
                                "this file",
                            )
                            .help("the path is relative to the file that says `use`"),
                        );
                        None
                    }
                }
            }
        }
    }

    /// Resolves `std.bert.{a, b}`, `std.bert` (all names), or `std.obert.gradual` (one name).
    fn dotted(&mut self, import: &Import, path: &[Word]) -> Option<ResolvedImport> {
        let words: Vec<&str> = path.iter().map(|w| w.value.as_str()).collect();
        let whole = words.join(".");
        if let Some(standard) = stdlib::module(&whole) {
            let module = self.open_module(&whole, import.span, |_| standard)?;
            let names = match &import.names {
                Some(names) => names.clone(),
                None => self.all_names(module, import.span),
            };
            return Some(ResolvedImport { span: import.span, module, names });
        }
        if let (Some((last, parents)), None) = (path.split_last(), &import.names) {
            let parent = parents.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(".");
            if let Some(standard) = stdlib::module(&parent) {
                let module = self.open_module(&parent, import.span, |_| standard)?;
                return Some(ResolvedImport { span: import.span, module, names: vec![last.clone()] });
            }
        }
        let span = path.first()?.span.to(path.last()?.span);
        let known = stdlib::MODULES.iter().map(|(name, _)| *name);
        // The last word may be a name in the module.
        let of_parent = || {
            let (parent, last) = whole.rsplit_once('.').filter(|_| import.names.is_none())?;
            Some(format!("{}.{last}", nearest(parent, known.clone())?))
        };
        let near = nearest(&whole, known.clone()).map(str::to_owned).or_else(of_parent);
        let all = format!(
            "the standard library has {}",
            known.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
        );
        let diagnostic =
            Diagnostic::error(Code::UnknownModule, format!("there is no module `{whole}`"), span, "unknown");
        self.findings.push(diagnostic.did_you_mean(span, near.as_deref(), || all));
        None
    }

    fn open_module(
        &mut self,
        identity: &str,
        at: Span,
        read: impl FnOnce(&mut Self) -> (FileId, Arc<File>),
    ) -> Option<usize> {
        if let Some(position) = self.open.iter().position(|(open, _)| open == identity) {
            let cycle: Vec<&str> = self.open[position..].iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("files use each other in a cycle: {} → {identity}", cycle.join(" → "));
            let diagnostic = Diagnostic::error(Code::UseCycle, message, at, "closes the cycle");
            self.findings.push(diagnostic.help("move what both need into a third file"));
            return None;
        }
        if let Some(known) = self.modules.iter().position(|m| m.identity == identity) {
            return Some(known);
        }
        let (id, file) = read(self);
        Some(self.module(id, file, identity.to_owned()))
    }

    fn all_names(&self, module: usize, at: Span) -> Vec<Word> {
        let names = self.modules[module].file.items.iter().filter_map(|item| match item {
            Item::Binding(binding) => Some(&binding.name.value),
            Item::Entry(entry) if entry.verb.value == "template" => {
                entry.operands.first().and_then(|o| o.as_word()).map(|w| &w.value)
            }
            _ => None,
        });
        names.map(|name| Word::new(name.clone(), at)).collect()
    }
}

/// The names that an import lists.
fn expected(import: &Import) -> Vec<FailedImport> {
    let names = |names: &[Word]| names.iter().map(|name| FailedImport::Name(name.value.clone())).collect();
    match (&import.names, &import.from) {
        (Some(listed), _) => names(listed),
        // The last word may be a name, or a module whose names are all imported.
        (None, ImportPath::Dotted(path)) if path.len() > 2 => names(&path[path.len() - 1..]),
        (None, _) => vec![FailedImport::All],
    }
}
