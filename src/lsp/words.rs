//! The meaning of each word of a recipe: a verb, a setting, a value, a name. Hover, definitions, references, renaming
//! and highlighting are made from it.
//!
//! A value is read by the type that its setting requires, as in the compiler.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::modules::{Declaration, Kind, Module, Modules, extended};
use crate::diag::{Code, Span};
use crate::explain::{block_of, values_of};
use crate::language::syntax::ast::{
    Argument, Entry, Expr, ExprKind, Import, ImportPath, Item, Member, Setting as Line, Word as Written,
};
use crate::language::vocab::parameter_types::{PARAMETER_TYPES, parameter_type};
use crate::language::vocab::{Body, Choice, KEYWORDS, SHAPES, Setting, Type, Verb, verb};
use crate::schedule::ir::START;

/// A word with its meaning.
#[derive(Clone, Debug)]
pub struct Word {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it means.
    pub role: Role,
}

/// The meaning of a word.
#[derive(Clone, Debug)]
pub enum Role {
    /// A verb that begins a statement.
    Verb(&'static Verb),
    /// A word that joins the parts of a value or of a statement.
    Keyword,
    /// A clause, the setting of a block or an argument, with the verb or value that has it and the bytes of its value.
    Setting(Setting, &'static str, Range<usize>),
    /// One of the values of a setting.
    Value(Choice),
    /// The shape of a ramp.
    Shape(Choice),
    /// A type of `param`.
    Type(&'static str),
    /// The unit of a number.
    Unit,
    /// The declaration of a name.
    Declares(Arc<Declaration>),
    /// A use of a declared name.
    Refers(Arc<Declaration>),
    /// A module of the standard library.
    Module(&'static str),
    /// The file of a `use`.
    File(usize),
    /// A pattern of parameters' names.
    Pattern(Pattern),
    /// A code of `allow`.
    Code(Code),
    /// A metric or an output of the task.
    Output,
    /// A word without a meaning.
    Unknown,
}

/// A pattern of parameters' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `params("…")`
    Glob(String),
    /// `re"…"`
    Regex(String),
}

/// The words of the recipe's own file, in order.
pub fn words(modules: &Modules) -> Vec<Word> {
    let own = modules.own();
    let all = own.declarations.iter().flat_map(|d| std::iter::once(d).chain(&d.parameters));
    let declared = all.map(|declared| (declared.range.start, declared.clone())).collect();
    let mut reader = Reader { modules, own, declared, template: None, list: Vec::new() };
    for item in &own.tree.items {
        reader.item(item);
    }
    reader.list.sort_by_key(|word| (word.range.start, word.range.end));
    reader.list
}

struct Reader<'a> {
    modules: &'a Modules,
    own: &'a Module,
    /// The declarations of the file by the offset of their names.
    declared: HashMap<usize, Arc<Declaration>>,
    /// The template in which names are looked up first.
    template: Option<Arc<Declaration>>,
    list: Vec<Word>,
}

impl Reader<'_> {
    fn add(&mut self, span: Span, role: Role) {
        self.list.push(Word { range: span.range(), role });
    }

    fn declares(&mut self, name: &Written) {
        let found = self.declared.get(&name.span.range().start).cloned();
        self.add(name.span, found.map_or(Role::Unknown, Role::Declares));
    }

    fn refers(&mut self, word: &Written, found: Option<Arc<Declaration>>) {
        self.add(word.span, found.map_or(Role::Unknown, Role::Refers));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Edition(_) => {}
            Item::Import(import) => self.import(import),
            Item::Parameter(parameter) => {
                self.declares(&parameter.name);
                self.ty(&parameter.ty);
                let ty = parameter_type(&parameter.ty.value);
                parameter.default.iter().chain(&parameter.range).for_each(|expr| self.value(expr, ty));
            }
            Item::Binding(binding) => {
                self.declares(&binding.name);
                self.value(&binding.value, type_of(&binding.value));
            }
            Item::Entry(entry) => self.entry(entry),
        }
    }

    fn ty(&mut self, word: &Written) {
        let known = PARAMETER_TYPES.iter().find(|(name, _)| *name == word.value);
        self.add(word.span, known.map_or(Role::Unknown, |(name, _)| Role::Type(name)));
    }

    fn import(&mut self, import: &Import) {
        let resolved = self.own.imports.iter().find(|(known, _)| known.span == import.span);
        let module = resolved.and_then(|(_, module)| *module);
        let mut names = import.names.clone().unwrap_or_default();
        match (&import.from, module) {
            (ImportPath::File(file), Some(module)) => self.add(file.span, Role::File(module)),
            (ImportPath::Dotted(path), Some(module)) => {
                let super::place::Place::Standard(name) = self.modules.get(module).place else { return };
                let parts = name.split('.').count();
                path.iter().take(parts).for_each(|word| self.add(word.span, Role::Module(name)));
                names.extend(path.iter().skip(parts).cloned());
            }
            _ => {}
        }
        for name in &names {
            let find = |template| self.modules.find(module?, &name.value, template);
            let found = find(false).or_else(|| find(true));
            self.refers(name, found);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let Some(known) = verb(&entry.verb.value) else {
            self.add(entry.verb.span, Role::Unknown);
            return;
        };
        self.add(entry.verb.span, Role::Verb(known));
        self.head(entry, known);
        let outer = self.template.clone();
        if known.name == "template" {
            let name = entry.operands.first().and_then(Expr::as_word);
            self.template = name.and_then(|name| self.declared.get(&name.span.range().start).cloned());
        }
        for member in entry.body.as_ref().map_or(&[][..], |body| &body.members) {
            match member {
                Member::Parameter(parameter) => self.item(&Item::Parameter(parameter.clone())),
                Member::Entry(inner) => self.entry(inner),
                Member::Setting(line) => self.line(line, known, entry),
            }
        }
        self.template = outer;
    }

    /// The operand and the clauses.
    fn head(&mut self, entry: &Entry, known: &'static Verb) {
        let clause = |expr: &Expr| known.clauses.iter().find(|clause| expr.is_word(clause.name));
        let mut current = known.operand;
        let mut rest = entry.operands.as_slice();
        while let Some((operand, others)) = rest.split_first() {
            rest = others;
            let Some(found) = clause(operand) else {
                let ty = current.map(|setting| setting.ty);
                match (ty, operand.as_word()) {
                    (Some(Type::NewName), Some(name)) => self.declares(name),
                    _ => self.value(operand, ty),
                }
                continue;
            };
            current = Some(*found);
            let end = others.iter().take_while(|o| clause(o).is_none()).last();
            let value =
                others.first().zip(end).map_or(operand.span.range(), |(a, b)| a.span.to(b.span).range());
            self.add(operand.span, Role::Setting(*found, known.name, value));
        }
    }

    /// A `key: value` line.
    fn line(&mut self, line: &Line, known: &'static Verb, entry: &Entry) {
        let items = line.key.items();
        if let [first, targets @ ..] = items
            && !targets.is_empty()
            && (first.is_word("target") || first.is_word("factor"))
        {
            self.add(first.span, Role::Keyword);
            targets.iter().for_each(|target| self.value(target, Some(Type::Params)));
            let ty = if first.is_word("target") { Type::Ratio } else { Type::Number };
            return self.value(&line.value, Some(ty));
        }
        match known.body {
            Body::LrPieces => {
                self.value(&line.key, Some(Type::Span));
                return self.value(&line.value, Some(Type::Rates));
            }
            Body::Metrics => {
                self.add(line.key.span, Role::Output);
                return self.value(&line.value, Some(Type::Interval));
            }
            _ => {}
        }
        let Some(word) = line.key.as_word() else { return self.value(&line.value, None) };
        let parameter = extended(entry).and_then(|template| {
            let template = self.modules.find(0, &template.value, true)?;
            self.modules.template_parameter(&template, &word.value)
        });
        if let Some(parameter) = parameter {
            let ty = parameter.ty.as_deref().and_then(parameter_type);
            self.add(word.span, Role::Refers(parameter));
            return self.value(&line.value, ty);
        }
        let setting = block_of(known).iter().find(|setting| setting.name == word.value);
        let role = setting.map(|s| Role::Setting(*s, known.name, line.value.span.range()));
        self.add(word.span, role.unwrap_or(Role::Unknown));
        self.value(&line.value, setting.map(|setting| setting.ty));
    }

    fn value(&mut self, expr: &Expr, ty: Option<Type>) {
        match &expr.kind {
            ExprKind::Quantity(_, unit) => unit.iter().for_each(|unit| self.add(unit.span, Role::Unit)),
            ExprKind::Text(text) if ty == Some(Type::Params) => {
                self.add(expr.span, Role::Pattern(Pattern::Glob(text.clone())));
            }
            ExprKind::Text(_) => {}
            ExprKind::Regex(regex) => self.add(expr.span, Role::Pattern(Pattern::Regex(regex.clone()))),
            ExprKind::Name(path) => path.iter().for_each(|word| self.name(word, ty)),
            ExprKind::Call(word, arguments) => self.call(word, arguments, ty),
            ExprKind::List(items) => items.iter().for_each(|item| self.value(item, ty)),
            ExprKind::Range(a, b) | ExprKind::Ramp(a, b) | ExprKind::Binary(_, a, b) => {
                self.value(a, ty);
                self.value(b, ty);
            }
            ExprKind::Negate(inner) | ExprKind::Paren(inner) => self.value(inner, ty),
            ExprKind::Phrase(items) => items.iter().for_each(|item| self.value(item, ty)),
        }
    }

    fn name(&mut self, word: &Written, ty: Option<Type>) {
        let name = word.value.as_str();
        if let Some(choice) = ty.and_then(|ty| values_of(ty).iter().find(|choice| choice.name == name)) {
            let shape = matches!(ty, Some(Type::Sparsity | Type::Rates));
            // Words of the language take precedence, so that no `let` can hide `linear`.
            return self.add(word.span, if shape { Role::Shape(*choice) } else { Role::Value(*choice) });
        }
        match ty {
            Some(Type::Stage | Type::Teacher) => {
                let stage = self.own.named(name).find(|declared| declared.kind == Kind::Stage);
                let role = stage.cloned().map(Role::Refers);
                let start = name == START && ty == Some(Type::Stage);
                return self
                    .add(word.span, role.unwrap_or(if start { Role::Keyword } else { Role::Unknown }));
            }
            Some(Type::Template) => return self.refers(word, self.modules.find(0, name, true)),
            Some(Type::NewName) => return self.add(word.span, Role::Output),
            Some(Type::Names) => {
                let declared = self.declared(name);
                let role = Code::named(name).map_or(Role::Output, Role::Code);
                return self.add(word.span, declared.map_or(role, Role::Refers));
            }
            Some(Type::Bool) if matches!(name, "true" | "false") => {
                return self.add(word.span, Role::Keyword);
            }
            _ => {}
        }
        if let Some(declared) = self.declared(name) {
            return self.add(word.span, Role::Refers(declared));
        }
        let shape = SHAPES.iter().find(|shape| shape.name == name);
        self.add(
            word.span,
            match shape {
                Some(shape) => Role::Shape(*shape),
                None if is_keyword(name) => Role::Keyword,
                None => Role::Unknown,
            },
        );
    }

    fn declared(&self, name: &str) -> Option<Arc<Declaration>> {
        let parameters = self.template.as_ref().map_or(&[][..], |template| &template.parameters);
        let own = parameters.iter().find(|parameter| parameter.name == name);
        own.cloned().or_else(|| self.modules.find(0, name, false))
    }

    fn call(&mut self, word: &Written, arguments: &[Argument], ty: Option<Type>) {
        if word.value == "params" {
            self.add(word.span, Role::Keyword);
            return arguments.iter().for_each(|argument| self.value(&argument.value, Some(Type::Params)));
        }
        let choice = ty.and_then(|ty| values_of(ty).iter().find(|choice| choice.name == word.value));
        let shape = matches!(ty, Some(Type::Sparsity | Type::Rates) | None);
        let choice = choice.or_else(|| SHAPES.iter().find(|s| shape && s.name == word.value));
        let Some(choice) = choice else {
            self.add(word.span, Role::Unknown);
            return arguments.iter().for_each(|argument| self.value(&argument.value, None));
        };
        self.add(word.span, if shape { Role::Shape(*choice) } else { Role::Value(*choice) });
        for (index, argument) in arguments.iter().enumerate() {
            let setting = match &argument.name {
                Some(name) => {
                    let setting = choice.arguments.iter().find(|setting| setting.name == name.value);
                    let value = argument.value.span.range();
                    let role = setting.map(|s| Role::Setting(*s, choice.name, value));
                    self.add(name.span, role.unwrap_or(Role::Unknown));
                    setting
                }
                None => choice.arguments.get(index),
            };
            self.value(&argument.value, setting.map(|setting| setting.ty));
        }
    }
}

/// The type of the value of a `let`, as far as its notation says.
fn type_of(value: &Expr) -> Option<Type> {
    match &value.items()[0].kind {
        ExprKind::Regex(_) | ExprKind::List(_) => Some(Type::Params),
        ExprKind::Call(word, _) if word.value == "params" => Some(Type::Params),
        ExprKind::Ramp(..) => Some(Type::Sparsity),
        _ => None,
    }
}

/// Whether a word joins the parts of a value.
pub fn is_keyword(name: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.name == name)
        || matches!(name, "in" | "of" | "run" | "after" | "or" | "raise" | "params" | "re")
}
