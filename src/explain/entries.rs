//! The words of the recipe language as a flat list of entries, each with its path.

use crate::language::vocab::choices::{DataSets, Models, Teachers};
use crate::language::vocab::parameter_types::PARAMETER_TYPES;
use crate::language::vocab::{Body, Choice, KEYWORDS, Keyword, SHAPES, Setting, Type, UNITS, VERBS, Verb};

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Verb(&'static str),
    /// A setting, and how it is written.
    Setting(Setting, Role),
    Value(Choice),
    Shape(Choice),
    Type(&'static str, Type),
    Keyword(&'static str),
    Unit(&'static str, &'static str),
}

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// After the verb: `over 2..26 epochs`.
    Clause,
    /// In the block: `pattern: unstructured`.
    Setting,
    /// In parentheses: `obs(damp: 1e-7)`.
    Argument,
}

/// A word of the recipe language with its path, such as `prune by obs damp`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<&'static str>,
    pub(crate) kind: Kind,
}

impl Entry {
    /// The last word of the path.
    pub(crate) fn name(&self) -> &'static str {
        self.path.last().copied().unwrap_or("")
    }
}

/// All words of the recipe language, verbs first.
pub(crate) fn entries() -> Vec<Entry> {
    let mut list = Vec::new();
    for verb in VERBS {
        list.push(Entry { path: vec![verb.name], kind: Kind::Verb(verb.name) });
    }
    for verb in VERBS {
        settings(&mut list, &[verb.name], verb.clauses, Role::Clause);
        settings(&mut list, &[verb.name], block_of(verb), Role::Setting);
    }
    let alone = |name: &'static str, kind| Entry { path: vec![name], kind };
    list.extend(SHAPES.iter().map(|shape| alone(shape.name, Kind::Shape(*shape))));
    for shape in SHAPES {
        settings(&mut list, &[shape.name], shape.arguments, Role::Argument);
    }
    list.extend(KEYWORDS.iter().map(|word| alone(word.name, Kind::Keyword(word.name))));
    list.extend(PARAMETER_TYPES.iter().map(|(name, ty)| alone(name, Kind::Type(name, *ty))));
    list.extend(UNITS.iter().map(|(name, doc)| alone(name, Kind::Unit(name, doc))));
    list
}

/// The settings of a verb's block.
pub(crate) fn block_of(verb: &Verb) -> &'static [Setting] {
    match verb.body {
        Body::Settings(settings) | Body::PruneSettings(settings) | Body::Statements(settings) => settings,
        Body::None | Body::LrPieces | Body::Metrics => &[],
    }
}

/// The choices of a type.
pub(crate) fn values_of(ty: Type) -> &'static [Choice] {
    match ty {
        Type::Choice(choices) => choices,
        Type::Data => DataSets::CHOICES,
        Type::Model => Models::CHOICES,
        Type::Teacher => Teachers::CHOICES,
        Type::Sparsity | Type::Rates => SHAPES,
        _ => &[],
    }
}

/// The keyword with this name.
pub(crate) fn keyword(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|word| word.name == name)
}

fn settings(list: &mut Vec<Entry>, to: &[&'static str], settings: &'static [Setting], role: Role) {
    for setting in settings {
        let path = [to, &[setting.name]].concat();
        list.push(Entry { path: path.clone(), kind: Kind::Setting(*setting, role) });
        // Shapes have entries of their own.
        if !matches!(setting.ty, Type::Sparsity | Type::Rates) {
            values(list, &path, values_of(setting.ty));
        }
    }
}

fn values(list: &mut Vec<Entry>, to: &[&'static str], choices: &'static [Choice]) {
    for choice in choices {
        let path = [to, &[choice.name]].concat();
        list.push(Entry { path: path.clone(), kind: Kind::Value(*choice) });
        settings(list, &path, choice.arguments, Role::Argument);
    }
}
