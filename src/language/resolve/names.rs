//! Scopes: the values and templates that names stand for.

use std::collections::{BTreeMap, HashSet};

use crate::diag::{Code, Diagnostic, Findings, Sources, Span, nearest};
use crate::language::syntax::ast::{Entry, Expr, ImportPath, Item, Parameter, Word};
use crate::language::syntax::parse_phrase;
use crate::language::vocab::Type;
use crate::language::vocab::parameter_types::{PARAMETER_TYPES, parameter_type};

use super::Override;
use super::modules::{FailedImport, Module, ResolvedImport};

/// A scope: of a module, or of a use of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeId(usize);

/// A declared name with its value.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// The name.
    pub name: String,
    /// The span of the declaration.
    pub span: Span,
    /// The declared type; `None` for a `let`, which has the type required by its use.
    pub ty: Option<Type>,
    /// The value and the scope of the names in it; `None` for a parameter without a value.
    pub value: Option<(Expr, ScopeId)>,
    /// The allowed range of a parameter.
    pub range: Option<Expr>,
    /// For a parameter of the recipe's file: whether `--set` gave its value.
    pub parameter: Option<bool>,
}

/// The scopes of a compilation.
#[derive(Clone, Debug)]
pub struct Names {
    modules: Vec<Module>,
    scopes: Vec<Scope>,
    failed_imports: HashSet<FailedImport>,
    used: HashSet<Span>,
    nested: usize,
}

#[derive(Clone, Debug, Default)]
struct Scope {
    symbols: BTreeMap<String, Symbol>,
    templates: BTreeMap<String, (Entry, ScopeId)>,
}

impl Names {
    /// Declares the names of every module. The main module's scope is [`Names::main`].
    pub fn declare(modules: Vec<Module>, findings: &mut Findings) -> Self {
        let scopes = vec![Scope::default(); modules.len()];
        let failed_imports = modules.iter().flat_map(|m| &m.failed_imports).cloned().collect();
        let mut names = Names { modules, scopes, failed_imports, used: HashSet::new(), nested: 0 };
        for index in 0..names.modules.len() {
            names.declare_module(index, findings);
        }
        // Imports come after all declarations, because files may be used before they use others.
        for index in (0..names.modules.len()).rev() {
            names.declare_imports(index, findings);
        }
        names
    }

    /// The scope of the recipe's file.
    pub fn main(&self) -> ScopeId {
        ScopeId(0)
    }

    /// The recipe's own file.
    pub fn main_module(&self) -> &Module {
        &self.modules[0]
    }

    /// Counts a use of a name in the value of another, and returns the number of such uses so far.
    pub fn nested_use(&mut self) -> usize {
        self.nested += 1;
        self.nested
    }

    /// The symbol of a name in a scope.
    pub fn look_up(&mut self, name: &str, scope: ScopeId) -> Option<Symbol> {
        let symbol = self.scopes[scope.0].symbols.get(name)?.clone();
        self.used.insert(symbol.span);
        Some(symbol)
    }

    /// The template of a name, with the scope of its declaration.
    pub fn template(&mut self, name: &str, scope: ScopeId) -> Option<(Entry, ScopeId)> {
        let found = self.scopes[scope.0].templates.get(name)?.clone();
        self.used.insert(found.0.head);
        Some(found)
    }

    /// Whether `name` may belong to a failed import, which was reported.
    pub fn may_be_failed_import(&self, name: &str) -> bool {
        self.failed_imports.contains(&FailedImport::All)
            || self.failed_imports.contains(&FailedImport::Name(name.to_owned()))
    }

    /// The names in a scope, for suggestions.
    pub fn visible(&self, scope: ScopeId) -> Vec<&str> {
        self.scopes[scope.0].symbols.keys().map(String::as_str).collect()
    }

    /// The names of the templates in a scope, for suggestions.
    pub fn visible_templates(&self, scope: ScopeId) -> Vec<&str> {
        self.scopes[scope.0].templates.keys().map(String::as_str).collect()
    }

    /// Creates a scope inside `parent` with further names, which hide those of the parent.
    pub fn nested(&mut self, parent: ScopeId, symbols: Vec<Symbol>) -> ScopeId {
        let mut scope = self.scopes[parent.0].clone();
        for symbol in symbols {
            scope.symbols.insert(symbol.name.clone(), symbol);
        }
        self.scopes.push(scope);
        ScopeId(self.scopes.len() - 1)
    }

    /// The parameters of the recipe's file, in order of their names.
    pub fn parameters(&self) -> impl Iterator<Item = &Symbol> {
        self.scopes[0].symbols.values().filter(|s| s.parameter.is_some())
    }

    /// The names that the recipe's file declares or imports and does not use.
    pub fn unused(&self) -> Vec<(String, Span)> {
        let main = self.modules[0].id;
        let listed = self.modules[0].imports.iter().filter(|i| !is_whole(i)).flat_map(|i| &i.names);
        let imported = listed.filter(|name| !self.is_used(&name.value)).map(|n| (n.value.clone(), n.span));
        let symbols = self.scopes[0].symbols.values().map(|s| (s.name.clone(), s.span));
        let templates = self.scopes[0].templates.iter().map(|(name, (entry, _))| (name.clone(), entry.head));
        let mut list: Vec<_> = symbols
            .chain(templates)
            .filter(|(_, span)| span.file == main && !self.used.contains(span))
            .chain(imported)
            .collect();
        list.sort_by_key(|(_, span)| span.start);
        list
    }

    /// The modules whose names are all imported by the recipe's file, none of which is used.
    pub fn unused_modules(&self) -> Vec<(String, Span)> {
        let main = &self.modules[0];
        let unused =
            main.imports.iter().filter(|i| is_whole(i) && !i.names.iter().any(|n| self.is_used(&n.value)));
        let path = |span: Span| {
            main.file.items.iter().find_map(|item| match item {
                Item::Import(import) if import.span == span => Some(match &import.from {
                    ImportPath::Dotted(words) => {
                        words.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(".")
                    }
                    ImportPath::File(file) => file.value.clone(),
                }),
                _ => None,
            })
        };
        unused.filter_map(|i| Some((path(i.span)?, i.span))).collect()
    }

    /// Whether a name of the recipe's file is used.
    fn is_used(&self, name: &str) -> bool {
        let scope = &self.scopes[0];
        let symbol = scope.symbols.get(name).map(|s| s.span);
        let template = scope.templates.get(name).map(|(entry, _)| entry.head);
        // An import of a name that does not exist was reported.
        [symbol, template].iter().all(Option::is_none)
            || [symbol, template].iter().flatten().any(|span| self.used.contains(span))
    }

    /// Sets parameters to the values of `--set`.
    pub fn apply_overrides(
        &mut self,
        overrides: &[Override],
        sources: &mut Sources,
        findings: &mut Findings,
    ) {
        for (index, given) in overrides.iter().enumerate() {
            let file = sources.add(format!("--set {}", given.name), given.value.clone());
            let whole = Span::new(file, 0..given.value.len());
            if let Some(first) = overrides[..index].iter().find(|o| o.name == given.name) {
                let message = format!("`--set` gives `{}` twice", given.name);
                findings.push(
                    Diagnostic::error(Code::SetTwice, message, whole, "again")
                        .help(format!("it was set to `{}` before; keep one of them", first.value)),
                );
                continue;
            }
            let parameters: Vec<String> = self.parameters().map(|p| p.name.clone()).collect();
            let value = parse_phrase(file, &given.value, findings);
            match self.scopes[0].symbols.get_mut(&given.name).filter(|s| s.parameter.is_some()) {
                Some(symbol) => {
                    symbol.value = value.map(|v| (v, ScopeId(0)));
                    symbol.parameter = Some(true);
                }
                None => {
                    let near = nearest(&given.name, parameters.iter().map(String::as_str));
                    let help = match (near, parameters.as_slice()) {
                        (Some(near), _) => format!("did you mean `{near}`?"),
                        (None, []) => "this recipe declares no `param`".to_owned(),
                        (None, all) => format!("its parameters are `{}`", all.join("`, `")),
                    };
                    let message = format!("the recipe has no parameter `{}`", given.name);
                    findings.push(
                        Diagnostic::error(Code::UnknownParameter, message, whole, "cannot be set").help(help),
                    );
                }
            }
        }
    }

    fn declare_module(&mut self, index: usize, findings: &mut Findings) {
        for item in self.modules[index].file.items.clone() {
            match item {
                Item::Parameter(parameter) => {
                    let symbol = parameter_symbol(&parameter, ScopeId(index), findings);
                    self.insert(index, symbol, findings);
                }
                Item::Binding(binding) => {
                    let symbol = Symbol {
                        name: binding.name.value.clone(),
                        span: binding.name.span,
                        ty: None,
                        value: Some((binding.value, ScopeId(index))),
                        range: None,
                        parameter: None,
                    };
                    self.insert(index, symbol, findings);
                }
                Item::Entry(entry) if entry.verb.value == "template" => {
                    let Some(name) = entry.operands.first().and_then(Expr::as_word).cloned() else {
                        continue;
                    };
                    if let Some((other, _)) = self.scopes[index].templates.get(&name.value) {
                        findings.push(declared_twice(&name, other.head));
                        continue;
                    }
                    self.scopes[index].templates.insert(name.value, (entry, ScopeId(index)));
                }
                _ => {}
            }
        }
    }

    fn insert(&mut self, index: usize, symbol: Symbol, findings: &mut Findings) {
        if let Some(other) = self.scopes[index].symbols.get(&symbol.name) {
            let name = Word::new(symbol.name, symbol.span);
            findings.push(declared_twice(&name, other.span));
            return;
        }
        self.scopes[index].symbols.insert(symbol.name.clone(), symbol);
    }

    fn declare_imports(&mut self, index: usize, findings: &mut Findings) {
        for import in self.modules[index].imports.clone() {
            for name in &import.names {
                let source = &self.scopes[import.module];
                let symbol = source.symbols.get(&name.value).cloned();
                let template = source.templates.get(&name.value).cloned();
                if symbol.is_none() && template.is_none() {
                    let known: Vec<&str> =
                        source.symbols.keys().chain(source.templates.keys()).map(String::as_str).collect();
                    let near = nearest(&name.value, known.iter().copied());
                    let otherwise = || match known.as_slice() {
                        [] => "it declares nothing that could be used".to_owned(),
                        known => format!("it has `{}`", known.join("`, `")),
                    };
                    let message = format!("the module has no `{}`", name.value);
                    let diagnostic = Diagnostic::error(Code::UnknownImport, message, name.span, "unknown");
                    findings.push(diagnostic.did_you_mean(name.span, near, otherwise));
                    self.failed_imports.insert(FailedImport::Name(name.value.clone()));
                }
                let scope = &mut self.scopes[index];
                if let Some(symbol) = symbol {
                    scope.symbols.entry(name.value.clone()).or_insert(symbol);
                }
                if let Some(template) = template {
                    scope.templates.entry(name.value.clone()).or_insert(template);
                }
            }
        }
    }
}

/// The symbol of a `param` declaration. One of an unknown type has the type required by its use.
pub fn parameter_symbol(parameter: &Parameter, scope: ScopeId, findings: &mut Findings) -> Symbol {
    let ty = parameter_type(&parameter.ty.value);
    if ty.is_none() {
        let names = PARAMETER_TYPES.iter().map(|(name, _)| *name);
        let near = nearest(&parameter.ty.value, names.clone());
        let otherwise = || format!("the types are {}", names.collect::<Vec<_>>().join(", "));
        let message = format!("there is no type `{}`", parameter.ty.value);
        let diagnostic = Diagnostic::error(Code::UnknownType, message, parameter.ty.span, "unknown type");
        findings.push(diagnostic.did_you_mean(parameter.ty.span, near, otherwise));
    }
    Symbol {
        name: parameter.name.value.clone(),
        span: parameter.name.span,
        ty,
        value: parameter.default.clone().map(|value| (value, scope)),
        range: parameter.range.clone(),
        parameter: Some(false),
    }
}

/// Whether an import lists no names and so imports all of its module. Its names have the statement's span.
fn is_whole(import: &ResolvedImport) -> bool {
    !import.names.is_empty() && import.names.iter().all(|name| name.span == import.span)
}

fn declared_twice(name: &Word, other: Span) -> Diagnostic {
    Diagnostic::error(
        Code::DuplicateName,
        format!("`{}` is declared twice", name.value),
        name.span,
        "declared again",
    )
    .and_at(other, "first declared here")
    .help("rename one of them")
}
