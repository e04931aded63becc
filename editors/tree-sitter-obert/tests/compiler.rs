//! The tree-sitter parser accepts the texts that the compiler's parser accepts, and no others.

use std::path::{Path, PathBuf};

use obert::{Recipe, RecipeOptions, check};
use proptest::prelude::*;

/// Whether the compiler's parser accepts a text; `None` if the text only exceeds a limit of the compiler: the depth of
/// nesting, the operands of an expression, the size of a number.
fn compiler_accepts(text: &str) -> Option<bool> {
    let report = check(&Recipe::text("x.obert", text), &RecipeOptions::default()).expect("default options");
    let codes = report.diagnostics.iter().map(|d| d.code.to_string());
    let syntax: Vec<String> = codes.filter(|code| code.starts_with("OB01")).collect();
    let only_limits = syntax.iter().all(|code| ["OB0105", "OB0108"].contains(&code.as_str()));
    if syntax.is_empty() {
        return Some(true);
    }
    (!only_limits).then_some(false)
}

fn parser() -> tree_sitter::Parser {
    let mut parser = tree_sitter::Parser::new();
    parser
        .set_language(&tree_sitter_obert::LANGUAGE.into())
        .expect("a supported version of the parser's tables");
    parser
}

fn tree_sitter_accepts(text: &str) -> bool {
    !parser().parse(text, None).expect("no time limit").root_node().has_error()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All `.obert` files of the repository's corpora and its library.
fn corpora() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("stdlib_recipes"), root().join("tests/corpus")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "obert") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_of_the_corpora_is_accepted_or_rejected_as_by_the_compiler() {
    let (mut accepted, mut rejected, mut limits) = (0, 0, 0);
    for (path, text) in corpora() {
        match compiler_accepts(&text) {
            Some(expected) => {
                assert_eq!(tree_sitter_accepts(&text), expected, "{}", path.display());
                if expected { accepted += 1 } else { rejected += 1 }
            }
            None => limits += 1,
        }
    }
    println!("{accepted} accepted, {rejected} rejected, {limits} beyond limits of the compiler");
    assert!(accepted > 180 && rejected > 9 && limits == 2, "{accepted}, {rejected}, {limits}");
}

#[test]
fn keywords_are_keywords_only_where_the_compiler_reads_them_so() {
    for text in [
        "edition 2026 3",
        "edition a",
        "edition",
        "edition -5",
        "edition 2026%",
        "use a b",
        "use",
        "use 5",
        "use f(x)",
        "use \"a\"",
        "use a.b.{c, d,\n}",
        "use a.",
        "use [a]",
        "param x: y",
        "param x",
        "param x: 5",
        "param",
        "param x: y = 3 in 1..2",
        "param x: y = in",
        "param x: y = a + in in 3",
        "param x: y = (in)",
        "param x: y = in.x",
        "param x: y in",
        "let x = 3",
        "let x",
        "let x =",
        "let x.y",
        "let x = a {}",
        "let",
        "a { param x: y }",
        "a { param x: 5 }",
        "a { param x: y(3) }",
        "a { param: 5 }",
        "a { param x.z: 5 }",
        "a { param x: re\"b\" }",
        "a { edition 2026 3 }",
        "a { use a b }",
        "a { let x = 3 }",
        "re\"x\" y",
        "a { re\"x\": 5 }",
        "a { re \"x\" }",
        "a, b",
        "a { b, c,, d }",
        "a { b (c) }",
        "a { b (c: 1) }",
        "a { b (c: 1): 2 }",
        "a { b: c\n }",
        "a { b: \n c }",
        "a\n{ b }",
        "a { b # c: d\n }",
        "a { f(\n x: \n 1,\n ): 3 }",
        "a { f(x y): [a b,\n c] }",
        "a 2e5x",
        "a 2 epochs",
        "a 2 epochs_",
        "a 2.",
        "a 1..2..3",
        "a b - > c",
        "a - -b",
        "a --b",
        "a -> b",
        "a b -> c",
        "a b -> c -> d",
        "a b . c",
        "a b . . c",
        "a \"\\n\"",
        "a \"\\d\"",
        "a re\"\\d\"",
        "a \"b",
        "\u{feff}a",
        "a \u{feff}",
        "a \u{a0}b",
        "ä",
        "a ß",
        "a { b: é }",
        "# é\na",
        "a\r\nb\rc",
        "a }",
        "a { b",
        "a { b ] }",
    ] {
        let expected = compiler_accepts(text).expect("within the limits");
        assert_eq!(tree_sitter_accepts(text), expected, "{text:?}: the compiler says {expected}");
    }
}

/// Pieces of recipes, some of them misplaced almost everywhere.
const PIECES: &[&str] = &[
    "edition", "use", "param", "let", "in", "recipe", "re", "x", "epochs", "steps", "MiB", "2026", "1.5e-4",
    "3", "%", "\"a\"", "\"\\n\"", "\"\\d\"", "re\"a\"", "..", ".", "->", "-", ">", "+", "*", "/", "=", ":",
    ",", "\n", "\r\n", "(", ")", "[", "]", "{", "}", "()", "{}", "[x]", "(x)", "f(x: 1)", " ", "# c: d\n",
    "##", "a.b", "a: b", "\t", ";",
];

fn pieces() -> impl Strategy<Value = String> {
    let piece = (prop::sample::select(PIECES), any::<bool>());
    prop::collection::vec(piece, 1..14).prop_map(|list| {
        list.iter().map(|(piece, spaced)| format!("{piece}{}", if *spaced { " " } else { "" })).collect()
    })
}

/// A part of a file of the corpora with some bytes replaced by pieces.
fn edited() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES));
    (prop::sample::select(corpora()), prop::collection::vec(edit, 1..3)).prop_map(|((_, mut text), edits)| {
        for (at, removed, inserted) in edits {
            let boundary = |mut i: usize, text: &str| {
                while !text.is_char_boundary(i) {
                    i += 1;
                }
                i
            };
            let start = boundary(at.index(text.len() + 1), &text);
            let end = boundary((start + removed).min(text.len()), &text);
            text.replace_range(start..end, inserted);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_in_any_order_are_judged_as_by_the_compiler(text in pieces()) {
        if let Some(expected) = compiler_accepts(&text) {
            prop_assert_eq!(tree_sitter_accepts(&text), expected);
        }
        // Within a block other statements are allowed.
        let block = format!("recipe x {{\n{text}\n}}\n");
        if let Some(expected) = compiler_accepts(&block) {
            prop_assert_eq!(tree_sitter_accepts(&block), expected);
        }
    }

    #[test]
    fn edited_files_are_judged_as_by_the_compiler(text in edited()) {
        if let Some(expected) = compiler_accepts(&text) {
            prop_assert_eq!(tree_sitter_accepts(&text), expected);
        }
    }
}

/// The row and the column in bytes of an offset.
fn point(text: &str, at: usize) -> tree_sitter::Point {
    let before = &text[..at];
    let line = before.rfind('\n').map_or(0, |i| i + 1);
    tree_sitter::Point { row: before.matches('\n').count(), column: at - line }
}

#[test]
fn a_change_of_a_text_gives_the_tree_of_the_new_text() {
    let text = include_str!("../../../tests/corpus/good/squad90.obert");
    let mut parser = parser();
    let old = parser.parse(text, None).expect("no time limit");
    let mut compared = 0;
    for start in (0..text.len()).filter(|i| text.is_char_boundary(*i)).step_by(3) {
        for inserted in [":", "{", "\n", "\"", "param x: "] {
            let new = format!("{}{inserted}{}", &text[..start], &text[start..]);
            let end = start + inserted.len();
            let mut edited = old.clone();
            edited.edit(&tree_sitter::InputEdit {
                start_byte: start,
                old_end_byte: start,
                new_end_byte: end,
                start_position: point(text, start),
                old_end_position: point(text, start),
                new_end_position: point(&new, end),
            });
            let again = parser.parse(&new, Some(&edited)).expect("no time limit");
            let whole = parser.parse(&new, None).expect("no time limit");
            // Recovery from errors may differ, the verdict may not.
            assert_eq!(
                again.root_node().has_error(),
                whole.root_node().has_error(),
                "{inserted:?} at {start}"
            );
            if !whole.root_node().has_error() {
                assert_eq!(
                    again.root_node().to_sexp(),
                    whole.root_node().to_sexp(),
                    "{inserted:?} at {start}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn the_queries_are_valid_and_every_verb_is_highlighted() {
    use tree_sitter::{Query, QueryCursor, StreamingIterator};
    let language = tree_sitter_obert::LANGUAGE.into();
    for query in [tree_sitter_obert::FOLDS, tree_sitter_obert::INDENTS] {
        Query::new(&language, query).expect("a valid query");
    }
    let query = Query::new(&language, tree_sitter_obert::HIGHLIGHTS).expect("a valid query");
    let text = "edition 2026\n## A recipe.\nrecipe a for 2 epochs {\n  prune b over 0..1 epochs { by: obs(damp: 1e-7) }\n}\n";
    let tree = parser().parse(text, None).expect("no time limit");
    let mut cursor = QueryCursor::new();
    let mut found = Vec::new();
    let mut captures = cursor.captures(&query, tree.root_node(), text.as_bytes());
    while let Some((found_match, index)) = captures.next() {
        let capture = found_match.captures()[*index];
        found.push((query.capture_names()[capture.index as usize], &text[capture.node.byte_range()]));
    }
    for expected in [
        ("keyword", "edition"),
        ("comment.documentation", "## A recipe."),
        ("keyword", "recipe"),
        ("keyword", "for"),
        ("keyword", "prune"),
        ("property", "by"),
        ("function.call", "obs"),
        ("variable.parameter", "damp"),
        ("number", "1e-7"),
        ("type", "epochs"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
}
