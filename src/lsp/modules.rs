//! The declarations of a recipe's file and of the files it uses, and the declaration that a name refers to.
//!
//! Names are found in the tree of [`recovery`](super::recovery), so that they are known while a statement is typed. The
//! rules are those of the compiler's name resolution.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::lexer::tokens;
use super::place::Place;
use super::recovery;
use crate::diag::{FileId, Span};
use crate::language::syntax::ast::{Entry, Expr, File, Import, ImportPath, Item, Member, Parameter, Word};
use crate::language::{Loader, STANDARD_LIBRARY};

/// What a name is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `param`, at the top of a file.
    Parameter,
    /// `param`, in a template.
    TemplateParameter,
    /// `let`.
    Value,
    /// `template`.
    Template,
    /// `recipe`.
    Recipe,
    /// `stage` or `branch`.
    Stage,
}

/// A declaration.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The name.
    pub name: String,
    /// What it is declared as.
    pub kind: Kind,
    /// The file.
    pub place: Place,
    /// The bytes of the name.
    pub range: Range<usize>,
    /// The bytes of the statement.
    pub whole: Range<usize>,
    /// The bytes of the statement without a block.
    pub head: Range<usize>,
    /// Its doc comment.
    pub doc: String,
    /// The name of its type, for a parameter.
    pub ty: Option<String>,
    /// Its value or default.
    pub value: Option<Expr>,
    /// The statement without its block as text, or the default of a parameter.
    pub written: String,
    /// The parameters of a template.
    pub parameters: Vec<Arc<Declaration>>,
    /// The template that a template extends.
    pub extends: Option<String>,
}

impl Declaration {
    /// Whether two declarations are the same statement.
    pub fn is(&self, other: &Declaration) -> bool {
        self.place == other.place && self.range == other.range
    }
}

/// A file with its declarations.
#[derive(Debug)]
pub struct Module {
    /// The file.
    pub place: Place,
    /// Its text.
    pub text: Arc<str>,
    /// Its tree.
    pub tree: Arc<File>,
    /// Its declarations, in order.
    pub declarations: Vec<Arc<Declaration>>,
    /// Its `use` statements with the modules they name.
    pub imports: Vec<(Import, Option<usize>)>,
    /// The indices of the declarations by their names.
    named: HashMap<String, Vec<usize>>,
}

impl Module {
    /// The declarations of a name, in order.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Declaration>> {
        self.named.get(name).into_iter().flatten().map(|index| &self.declarations[*index])
    }
}

/// A file and the files it uses.
#[derive(Debug)]
pub struct Modules {
    list: Vec<Module>,
}

/// The trees of the standard library.
static LIBRARY: LazyLock<HashMap<&'static str, Arc<File>>> = LazyLock::new(|| {
    let parsed = STANDARD_LIBRARY.iter().map(|(name, text)| (*name, parse(text)));
    parsed.collect()
});

fn parse(text: &str) -> Arc<File> {
    Arc::new(recovery::parse(FileId(0), text, &tokens(text)).file)
}

impl Modules {
    /// The declarations of the file at `place` and of all files that it uses.
    pub fn load(place: Place, text: Arc<str>, tree: Arc<File>, loader: &dyn Loader) -> Self {
        let mut modules = Modules { list: Vec::new() };
        modules.add(place, text, tree, loader);
        modules
    }

    /// The file itself.
    pub fn own(&self) -> &Module {
        &self.list[0]
    }

    /// The file and the files it uses.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.list.iter()
    }

    /// A module by its index, as in [`Module::imports`].
    pub fn get(&self, index: usize) -> &Module {
        &self.list[index]
    }

    /// The module of a file.
    pub fn of(&self, place: &Place) -> Option<&Module> {
        self.list.iter().find(|module| module.place == *place)
    }

    fn add(&mut self, place: Place, text: Arc<str>, tree: Arc<File>, loader: &dyn Loader) -> usize {
        let index = self.list.len();
        let declarations = declarations(&place, &text, &tree);
        let used: Vec<Import> = tree
            .items
            .iter()
            .filter_map(|item| if let Item::Import(import) = item { Some(import.clone()) } else { None })
            .collect();
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, declared) in declarations.iter().enumerate() {
            named.entry(declared.name.clone()).or_default().push(index);
        }
        self.list.push(Module { place: place.clone(), text, tree, declarations, imports: Vec::new(), named });
        let imports: Vec<_> = used
            .into_iter()
            .map(|import| {
                let module = self.import(&import, &place, loader);
                (import, module)
            })
            .collect();
        self.list[index].imports = imports;
        index
    }

    fn import(&mut self, import: &Import, from: &Place, loader: &dyn Loader) -> Option<usize> {
        match &import.from {
            ImportPath::Dotted(path) => {
                let (name, text) = standard(path, import.names.is_some())?;
                let place = Place::Standard(name);
                let known = self.list.iter().position(|m| m.place == place);
                known.or_else(|| {
                    let tree = LIBRARY.get(name)?.clone();
                    Some(self.add(place, text.into(), tree, loader))
                })
            }
            ImportPath::File(file) => {
                let Place::File(base) = from else { return None };
                let (path, text) = loader.load(Path::new(base), &file.value).ok()?;
                let place = Place::File(path);
                let known = self.list.iter().position(|m| m.place == place);
                Some(known.unwrap_or_else(|| {
                    let tree = parse(&text);
                    self.add(place, text.into(), tree, loader)
                }))
            }
        }
    }

    /// The declaration of a name of a value (a parameter or a `let`) or of a template in a module, or in the modules
    /// that it uses.
    pub fn find(&self, module: usize, name: &str, template: bool) -> Option<Arc<Declaration>> {
        self.search(module, name, template, 0)
    }

    fn search(&self, module: usize, name: &str, template: bool, depth: usize) -> Option<Arc<Declaration>> {
        let wanted = |kind: Kind| match template {
            true => kind == Kind::Template,
            false => matches!(kind, Kind::Parameter | Kind::Value),
        };
        let module = &self.list[module];
        let own = module.named(name).find(|declared| wanted(declared.kind));
        if own.is_some() || depth > self.list.len() {
            return own.cloned();
        }
        module.imports.iter().find_map(|(import, target)| {
            let target = (*target)?;
            let is_listed = match imported(import, &self.list[target]) {
                Imported::All => self.list[target].named(name).next().is_some(),
                Imported::Names(names) => names.iter().any(|n| n.value == name),
            };
            is_listed.then(|| self.search(target, name, template, depth + 1)).flatten()
        })
    }

    /// All names of values and templates in the file: its own, and those that it imports.
    pub fn visible(&self) -> Vec<Arc<Declaration>> {
        let own = self.own();
        let mut list: Vec<Arc<Declaration>> = own.declarations.clone();
        for (import, target) in &own.imports {
            let Some(target) = *target else { continue };
            match imported(import, &self.list[target]) {
                Imported::All => list.extend(exports(&self.list[target]).cloned()),
                Imported::Names(names) => {
                    for name in names {
                        list.extend(self.find(target, &name.value, false));
                        list.extend(self.find(target, &name.value, true));
                    }
                }
            }
        }
        list
    }

    /// The template parameter of this name that a statement extending the template sets: one of the template or of a
    /// template that it extends.
    pub fn template_parameter(&self, template: &Declaration, name: &str) -> Option<Arc<Declaration>> {
        self.template_parameters(template).into_iter().find(|parameter| parameter.name == name)
    }

    /// The parameters of a template and of the templates that it extends.
    pub fn template_parameters(&self, template: &Declaration) -> Vec<Arc<Declaration>> {
        let mut list = template.parameters.clone();
        let mut current = template.clone();
        for _ in 0..self.list.len() + 64 {
            let home = self.list.iter().position(|m| m.place == current.place);
            let Some((home, parent)) = home.zip(current.extends.as_deref()) else { break };
            let Some(next) = self.find(home, parent, true) else { break };
            list.extend(next.parameters.iter().cloned());
            current = (*next).clone();
        }
        list
    }
}

/// The names that a `use` imports.
pub enum Imported<'a> {
    /// All declarations of the module.
    All,
    /// The listed ones, or the last word of a dotted path.
    Names(&'a [Word]),
}

/// The names that a `use` of a module imports.
pub fn imported<'a>(import: &'a Import, module: &Module) -> Imported<'a> {
    match (&import.names, &import.from) {
        (Some(names), _) => Imported::Names(names),
        (None, ImportPath::Dotted(path)) if !matches!(module.place, Place::Standard(n) if n == joined(path)) => {
            Imported::Names(&path[path.len().saturating_sub(1)..])
        }
        (None, _) => Imported::All,
    }
}

/// The declarations that a module exports.
pub fn exports(module: &Module) -> impl Iterator<Item = &Arc<Declaration>> {
    module.declarations.iter().filter(|d| matches!(d.kind, Kind::Value | Kind::Template))
}

fn joined(path: &[Word]) -> String {
    path.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(".")
}

/// The module of the standard library that a path names, as a whole or without its last word.
fn standard(path: &[Word], names: bool) -> Option<(&'static str, &'static str)> {
    let find = |name: &str| STANDARD_LIBRARY.iter().copied().find(|(known, _)| *known == name);
    let parent = || find(&joined(path.split_last().filter(|_| !names)?.1));
    find(&joined(path)).or_else(parent)
}

/// The declarations of a file, with the stages of its recipe.
fn declarations(place: &Place, text: &str, tree: &File) -> Vec<Arc<Declaration>> {
    let mut list = Vec::new();
    for item in &tree.items {
        match item {
            Item::Parameter(p) => list.push(Arc::new(parameter(place, text, p, Kind::Parameter))),
            Item::Binding(binding) => list.push(Arc::new(Declaration {
                value: Some(binding.value.clone()),
                written: slice(text, binding.value.span),
                ..declaration(place, &binding.name, Kind::Value, binding.span, binding.span, &binding.doc)
            })),
            Item::Entry(entry) => entries(place, text, entry, &mut list),
            Item::Edition(_) | Item::Import(_) => {}
        }
    }
    list
}

fn entries(place: &Place, text: &str, entry: &Entry, list: &mut Vec<Arc<Declaration>>) {
    let kind = match entry.verb.value.as_str() {
        "template" => Kind::Template,
        "recipe" => Kind::Recipe,
        "stage" | "branch" => Kind::Stage,
        _ => return,
    };
    let members = entry.body.as_ref().map_or(&[][..], |body| &body.members);
    if let Some(name) = entry.operands.first().and_then(Expr::as_word) {
        let parameters = members.iter().filter_map(|member| match member {
            Member::Parameter(p) => Some(Arc::new(parameter(place, text, p, Kind::TemplateParameter))),
            _ => None,
        });
        list.push(Arc::new(Declaration {
            written: slice(text, entry.head),
            parameters: parameters.collect(),
            extends: extended(entry).map(|w| w.value.clone()),
            ..declaration(place, name, kind, entry.span, entry.head, &entry.doc)
        }));
    }
    for member in members {
        if let Member::Entry(inner) = member {
            entries(place, text, inner, list);
        }
    }
}

/// The name after `extends`.
pub fn extended(entry: &Entry) -> Option<&Word> {
    let at = entry.operands.iter().position(|o| o.is_word("extends"))?;
    entry.operands.get(at + 1)?.as_word()
}

fn parameter(place: &Place, text: &str, parameter: &Parameter, kind: Kind) -> Declaration {
    Declaration {
        ty: Some(parameter.ty.value.clone()),
        value: parameter.default.clone(),
        written: parameter.default.as_ref().map_or(String::new(), |d| slice(text, d.span)),
        ..declaration(place, &parameter.name, kind, parameter.span, parameter.span, &parameter.doc)
    }
}

fn declaration(place: &Place, name: &Word, kind: Kind, whole: Span, head: Span, doc: &str) -> Declaration {
    Declaration {
        name: name.value.clone(),
        kind,
        place: place.clone(),
        range: name.span.range(),
        whole: whole.range(),
        head: head.range(),
        doc: doc.to_owned(),
        ty: None,
        value: None,
        written: String::new(),
        parameters: Vec::new(),
        extends: None,
    }
}

fn slice(text: &str, span: Span) -> String {
    text.get(span.range()).unwrap_or("").to_owned()
}

/// The names that a module of the standard library exports.
pub fn standard_exports(name: &'static str) -> Vec<Arc<Declaration>> {
    let text = STANDARD_LIBRARY.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    let Some(tree) = LIBRARY.get(name) else { return Vec::new() };
    declarations(&Place::Standard(name), text, tree)
        .into_iter()
        .filter(|d| matches!(d.kind, Kind::Value | Kind::Template))
        .collect()
}
