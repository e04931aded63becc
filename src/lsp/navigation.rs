//! Definitions, references and renaming of parameters, names, templates and stages.

use std::ops::Range;
use std::sync::Arc;

use super::modules::{Declaration, Kind};
use super::place::Place;
use super::snapshot::Snapshot;
use super::words::{Role, Word, is_keyword};
use crate::language::vocab::{Body, SHAPES, VERBS};

/// A range of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The file.
    pub place: Place,
    /// The bytes.
    pub range: Range<usize>,
}

/// The declaration that the word at an offset declares or refers to.
pub fn declaration(snapshot: &Snapshot, offset: usize) -> Option<(Arc<Declaration>, &Word)> {
    let word = snapshot.word_at(offset)?;
    match &word.role {
        Role::Declares(declared) | Role::Refers(declared) => Some((declared.clone(), word)),
        _ => None,
    }
}

/// Where the word at an offset is declared; for a file or a module of a `use`, its beginning.
pub fn definition(snapshot: &Snapshot, offset: usize) -> Option<Target> {
    let word = snapshot.word_at(offset)?;
    match &word.role {
        Role::Declares(declared) | Role::Refers(declared) => {
            Some(Target { place: declared.place.clone(), range: declared.range.clone() })
        }
        Role::Module(name) => Some(Target { place: Place::Standard(name), range: 0..0 }),
        Role::File(module) => {
            Some(Target { place: snapshot.modules.get(*module).place.clone(), range: 0..0 })
        }
        _ => None,
    }
}

/// The bytes of the words of a file that declare or refer to a declaration, in order.
pub fn occurrences(words: &[Word], declared: &Declaration, declarations: bool) -> Vec<Range<usize>> {
    let among = words.iter().filter(|word| match &word.role {
        Role::Refers(found) => found.is(declared),
        Role::Declares(found) => declarations && found.is(declared),
        _ => false,
    });
    among.map(|word| word.range.clone()).collect()
}

/// The word that would be renamed, and its declaration.
///
/// # Errors
/// Why the word at an offset cannot be renamed.
pub fn renamable(snapshot: &Snapshot, offset: usize) -> Result<(Arc<Declaration>, Range<usize>), String> {
    let Some((declared, word)) = declaration(snapshot, offset) else {
        return Err("only parameters, names, templates, stages and recipes can be renamed".to_owned());
    };
    match &declared.place {
        Place::Standard(module) => {
            Err(format!("`{}` belongs to the standard library: {module}", declared.name))
        }
        Place::File(_) => Ok((declared, word.range.clone())),
    }
}

/// Checks a new name for a declaration.
///
/// # Errors
/// Why the declaration cannot have this name.
pub fn check_name(snapshot: &Snapshot, declared: &Declaration, name: &str) -> Result<(), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(word) {
        return Err(format!("`{name}` is no name: a name is letters, digits and `_`"));
    }
    let clauses = VERBS.iter().flat_map(|verb| verb.clauses).map(|clause| clause.name);
    let mut words = VERBS.iter().map(|verb| verb.name).chain(clauses).chain(SHAPES.iter().map(|s| s.name));
    if is_keyword(name)
        || matches!(name, "let" | "use" | "param" | "true" | "false")
        || words.any(|w| w == name)
    {
        return Err(format!("`{name}` is a word of the language"));
    }
    if declared.kind == Kind::Stage && matches!(name, "start" | "teacher" | "self") {
        return Err(format!("`{name}` is a word of the language"));
    }
    // A parameter of a template is set like a setting.
    let settings = VERBS.iter().flat_map(|verb| match verb.body {
        Body::Statements(settings) => settings,
        _ => &[],
    });
    if declared.kind == Kind::TemplateParameter && settings.clone().any(|setting| setting.name == name) {
        return Err(format!("`{name}` is a setting of recipes"));
    }
    let visible = snapshot.modules.visible();
    let inner = visible.iter().flat_map(|d| d.parameters.iter());
    let taken = visible.iter().chain(inner).find(|d| d.name == name && shares(d.kind, declared.kind));
    match taken.filter(|taken| !taken.is(declared)) {
        Some(_) => Err(format!("`{name}` is declared already")),
        None => Ok(()),
    }
}

/// Whether names of two kinds must differ.
fn shares(a: Kind, b: Kind) -> bool {
    let value = |kind| matches!(kind, Kind::Parameter | Kind::Value | Kind::TemplateParameter);
    value(a) && value(b) || a == b
}
