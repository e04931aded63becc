//! The words of the language are known to every definition of its colours.

use std::path::Path;

use obert::internals::explain::view::items;
use regex::Regex;

/// The definitions, each with the kinds of words that it must list. All find verbs and settings by their places, and
/// highlight.js verbs by their names.
const DEFINITIONS: &[(&str, &[&str])] = &[
    ("editors/vscode/syntaxes/obert.tmLanguage.json", &["clause", "shape", "unit"]),
    ("docs/highlight/obert.js", &["verb", "clause", "shape", "type", "keyword", "unit"]),
    ("editors/pygments/pygments_obert.py", &["clause", "shape", "unit"]),
    ("playground/page/language.js", &["clause", "shape", "unit"]),
    ("editors/tree-sitter-obert/grammar.js", &["unit"]),
    ("editors/tree-sitter-obert/queries/highlights.scm", &["clause"]),
];

/// Whether a definition lists a word: alone, in an alternative, or as `epochs?`.
fn lists(definition: &str, word: &str) -> bool {
    let plural =
        word.strip_suffix('s').map_or(String::new(), |stem| format!(r"|\b{}s\?", regex::escape(stem)));
    let bytes = if word.ends_with('B') { r"|\[KMGT\]i\?B" } else { "" };
    let edge = if word.starts_with(char::is_alphanumeric) { r"\b" } else { "" };
    let pattern = format!("{edge}{}{edge}{plural}{bytes}", regex::escape(word));
    Regex::new(&pattern).unwrap().is_match(definition)
}

#[test]
fn every_definition_of_colours_lists_the_words_of_the_language() {
    let mut missing = Vec::new();
    let mut found = 0;
    for (file, kinds) in DEFINITIONS {
        let definition = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for item in items().iter().filter(|item| kinds.contains(&item.kind)) {
            let word = *item.path.last().unwrap();
            if lists(&definition, word) { found += 1 } else { missing.push(format!("{file}: {word}")) }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 100, "{found}");
    assert!(!lists("linear cubic", "inverse_cubic") && lists("epochs?|steps?", "epochs"));
}
