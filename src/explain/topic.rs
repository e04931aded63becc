//! Lookup of the pages for a word.

use crate::diag::{Code, nearest};
use crate::language::vocab::{KEYWORDS, MODIFIERS, SHAPES, UNITS, VERBS, parameter_types::PARAMETER_TYPES};

use super::concepts::{self, CONCEPTS, concept};
use super::describe;
use super::entries::{Entry, Kind, entries};
use super::library;
use super::text::Text;

/// A word without a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The most similar word that has one.
    pub nearest: Option<String>,
}

/// The names of pages that list others.
const LISTS: [&str; 5] = ["verbs", "shapes", "types", "units", "codes"];

/// The page of a code (`OB0402`, `402`), a verb (`prune`), a setting (`damp`, `prune.damp`), a value
/// (`obs`), a name of the standard library, or a word of the field (`warmup`, `weight decay`), as text for
/// a terminal.
///
/// # Errors
/// A word that is none of these.
pub fn explain(word: &str, color: bool) -> Result<String, Unknown> {
    let word = word.trim();
    let mut text = Text::new(color);
    if let Some(code) = code(word) {
        describe::code(&mut text, code);
        return Ok(text.finish());
    }
    if LISTS.contains(&word) {
        describe::list(&mut text, word);
        return Ok(text.finish());
    }
    let all = entries();
    let mut found = grouped(all.iter().filter(|entry| leads_to(entry, word)));
    if let Some(verb) = modifier(word) {
        describe::modifier(&mut text, word, verb);
        found = grouped(all.iter().filter(|entry| entry.kind == Kind::Verb(verb)));
    }
    if found.is_empty() {
        found = grouped(all.iter().filter(|entry| formerly(entry, word)));
        if let Some((kind, _)) = found.first() {
            describe::formerly(&mut text, word, kind);
        }
    }
    for (i, (kind, paths)) in found.iter().enumerate() {
        if i > 0 {
            text.rule();
        }
        describe::entry(&mut text, kind, paths);
    }
    let mut known = !found.is_empty();
    for module in library::modules() {
        let short = word.strip_prefix(module.name).and_then(|rest| rest.strip_prefix('.')).unwrap_or(word);
        for name in module.names.iter().filter(|name| name.name == short) {
            describe::library_name(&mut text, module.name, name);
            known = true;
        }
        if module.name == word {
            describe::library_module(&mut text, &module);
            known = true;
        }
    }
    if !known {
        let takes = |name: &library::Name| name.parameters.iter().flatten().any(|p| p.name == word);
        for module in library::modules() {
            for name in module.names.iter().filter(|name| takes(name)) {
                describe::library_name(&mut text, module.name, name);
                known = true;
            }
        }
    }
    if let Some(concept) = concept(word) {
        if known {
            text.rule();
        }
        concepts::describe(&mut text, concept);
        known = true;
    }
    if known { Ok(text.finish()) } else { Err(Unknown { nearest: nearest_topic(word, &all) }) }
}

/// All words that have a page, by group.
pub fn topics() -> Vec<(&'static str, Vec<String>)> {
    let all = entries();
    let among = |wanted: fn(&Kind) -> bool| {
        let mut names: Vec<String> =
            all.iter().filter(|e| wanted(&e.kind)).map(|e| e.name().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    };
    let owned = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect();
    let library = library::modules();
    let names = library.iter().flat_map(|m| m.names.iter().map(move |n| format!("{}.{}", m.name, n.name)));
    vec![
        ("Verbs", owned(&mut VERBS.iter().map(|v| v.name))),
        ("Settings", among(|kind| matches!(kind, Kind::Setting(..)))),
        ("Values", among(|kind| matches!(kind, Kind::Value(_)))),
        ("Shapes", owned(&mut SHAPES.iter().map(|s| s.name))),
        ("Keywords", owned(&mut KEYWORDS.iter().map(|k| k.name))),
        ("Types", owned(&mut PARAMETER_TYPES.iter().map(|(name, _)| *name))),
        ("Units", owned(&mut UNITS.iter().map(|(name, _)| *name))),
        ("Words of the field", CONCEPTS.iter().map(|c| c.names[0].to_owned()).collect()),
        ("Standard library", names.collect()),
        ("Lists", owned(&mut LISTS.into_iter())),
        ("Codes", Code::ALL.iter().map(Code::to_string).collect()),
    ]
}

/// The verb of one of SparseML's modifiers: `OBSPruningModifier`, with or without its YAML tag.
fn modifier(word: &str) -> Option<&'static str> {
    let name = word.trim_start_matches('!').strip_suffix("Modifier")?;
    MODIFIERS.iter().find(|(theirs, _)| *theirs == name).map(|(_, verb)| *verb)
}

/// Parses a code written as `OB0402`, `ob402` or `402`; `None` if there is no such code.
fn code(word: &str) -> Option<Code> {
    let digits = word.get(..2).filter(|p| p.eq_ignore_ascii_case("ob")).map_or(word, |_| &word[2..]);
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok())??;
    Code::ALL.iter().copied().find(|code| code.number() == number)
}

/// Whether a word such as `prune.damp` denotes this entry: its last part is the entry's name, the others occur
/// in its path in order.
fn leads_to(entry: &Entry, word: &str) -> bool {
    let Some((name, before)) = word.rsplit_once('.').map(|(b, n)| (n, b)).or(Some((word, ""))) else {
        return false;
    };
    let singular = if let Kind::Unit(..) = entry.kind { entry.name().strip_suffix('s') } else { None };
    let mut way = entry.path.iter();
    (entry.name() == name || singular == Some(name))
        && before.split('.').filter(|w| !w.is_empty()).all(|w| way.any(|step| *step == w))
}

fn formerly(entry: &Entry, word: &str) -> bool {
    matches!(entry.kind, Kind::Setting(setting, _) if setting.formerly.contains(&word))
}

/// Groups equal entries, with all their paths.
fn grouped<'a>(found: impl Iterator<Item = &'a Entry>) -> Vec<(Kind, Vec<Vec<&'static str>>)> {
    let mut groups: Vec<(Kind, Vec<Vec<&'static str>>)> = Vec::new();
    for entry in found {
        match groups.iter_mut().find(|(kind, _)| *kind == entry.kind) {
            Some((_, paths)) => paths.push(entry.path.clone()),
            None => groups.push((entry.kind, vec![entry.path.clone()])),
        }
    }
    groups
}

fn nearest_topic(word: &str, all: &[Entry]) -> Option<String> {
    if word.is_empty() {
        return None;
    }
    let codes: Vec<String> = Code::ALL.iter().map(Code::to_string).collect();
    let library = library::modules();
    let names = library.iter().flat_map(|m| m.names.iter().map(|n| n.name.as_str()));
    let looks_like_code = word.get(..2).is_some_and(|p| p.eq_ignore_ascii_case("ob"))
        && word.bytes().any(|b| b.is_ascii_digit());
    if looks_like_code {
        return nearest(word, codes.iter().map(String::as_str)).map(str::to_owned);
    }
    if word.starts_with("std.") {
        let full: Vec<String> =
            library.iter().flat_map(|m| m.names.iter().map(|n| format!("{}.{}", m.name, n.name))).collect();
        return nearest(word, full.iter().map(String::as_str)).map(str::to_owned);
    }
    let (before, name) = word.rsplit_once('.').unwrap_or(("", word));
    // For a misspelt setting after its verb, only the verb's settings are candidates.
    let own = all.iter().filter(|e| before.is_empty() || e.path.first() == Some(&before));
    let mut words: Vec<&str> = own.map(|entry| entry.name()).collect();
    if before.is_empty() {
        words.extend(names);
        words.extend(LISTS);
        words.extend(CONCEPTS.iter().flat_map(|c| c.names));
    }
    let found = nearest(name, words);
    found.map(|near| if before.is_empty() { near.to_owned() } else { format!("{before}.{near}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_written_in_short() {
        for word in ["OB0402", "ob0402", "OB402", "402", "0402"] {
            assert_eq!(code(word), Some(Code::EmptyWindow), "{word}");
        }
        for word in ["", "OB", "OB9999", "99999999", "obs", "ö1"] {
            assert_eq!(code(word), None, "{word}");
        }
    }
}
