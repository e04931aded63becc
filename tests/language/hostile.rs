//! Input that no person would write: a located diagnostic each time, and an end.

use std::path::{Path, PathBuf};
use std::process::Command;

use obert::internals::diag::Code;
use obert::internals::diag::render::full;
use obert::internals::language::{Compilation, Loader, NoFiles, Options, compile};
use proptest::prelude::*;

/// Compiles, renders what was found, and asserts that it can be shown in little space.
fn findings(text: &str) -> Vec<(Code, usize)> {
    let compiled = compile("hostile.obert", text, &NoFiles, Options::default());
    let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    assert!(shown.len() < 1 << 20, "{} bytes of findings", shown.len());
    places(&compiled)
}

fn places(compiled: &Compilation) -> Vec<(Code, usize)> {
    let line = |d: &obert::internals::diag::Diagnostic| {
        d.primary.as_ref().map_or(0, |label| compiled.sources.line_column(label.span).line)
    };
    compiled.diagnostics.iter().map(|d| (d.code, line(d))).collect()
}

/// A recipe with one statement more.
fn with(statement: &str) -> String {
    format!(
        "edition 2026\nrecipe r for 3 epochs {{\nmodel: \"bert-base-uncased\"\ndata: squad\nlr {{ 0..3 epochs: 5e-5 }}\n{statement}\n}}\n"
    )
}

/// A fifth of a megabyte of a repeated text.
fn much(of: &str) -> String {
    of.repeat(200_000 / of.len())
}

#[test]
fn nesting_ends_at_64_levels() {
    let nested = |levels: usize| with(&format!("seed: {}1{}", "(".repeat(levels), ")".repeat(levels)));
    // The recipe's own brace is the first level.
    assert_eq!(findings(&nested(63)), []);
    assert_eq!(findings(&nested(64)), [(Code::NestingTooDeep, 6)]);
    for bracket in ["(", "[", "{", "seed: (", "a {"] {
        let found = findings(&with(&much(bracket)));
        assert!(found.iter().any(|(code, _)| *code == Code::NestingTooDeep), "{bracket}: {found:?}");
    }
}

#[test]
fn ten_megabytes_are_too_large_and_much_of_anything_is_read_to_the_end() {
    let statement = "hold encoder_linears\n";
    assert_eq!(findings(&with(&statement.repeat(500_000))), [(Code::RecipeTooLarge, 1)]);
    let lines = much("hold encoder_linears\n");
    let found = findings(&with(&lines));
    assert!(!found.is_empty() && found.len() <= 101, "{} findings", found.len());
    assert_eq!(findings(&with(&much("# a comment\n"))), []);
    assert_eq!(findings(&with(&much("\n"))), []);
    for text in ["1", "x", "9 ", "\"", "§", "1 + ", "x.y.", "- ", "\u{0}", "recipe r { }\n", "->"] {
        assert!(!findings(&with(&much(text))).is_empty(), "{text}");
        assert!(!findings(&much(text)).is_empty(), "{text}");
    }
}

#[test]
fn a_list_of_a_hundred_thousand_is_read() {
    let selectors = "params(\"bert.**\"), ".repeat(100_000);
    let found = findings(&with(&format!("freeze [{selectors}]")));
    assert!(found.len() <= 101, "{} findings", found.len());
    let numbers = "1, ".repeat(100_000);
    let found = findings(&with(&format!("distill from teacher {{ match: [{numbers}] }}")));
    assert!(!found.is_empty() && found.len() <= 101, "{} findings", found.len());
}

#[test]
fn many_statements_and_patterns_end_in_time() {
    let line = |of: &str| with(&much(of));
    for of in [
        "9\n",
        "prune params(\"**\") { by: magnitude, sparsity: 50% }\n",
        "quantize params(\"**.weight\") { weights: int8 }\n",
        "stage s for 3 epochs { lr { 0..3 epochs: 5e-5 } }\n",
        "hold params(\"bert.**\")\n",
    ] {
        let found = findings(&line(of));
        assert!(!found.is_empty() && found.len() <= 101, "{of}: {} findings", found.len());
    }
    // Each regular expression takes a tenth of a millisecond to prepare.
    let found = findings(&with(&format!("freeze [{}]", much("re\"a.*\", "))));
    assert_eq!(found, [(Code::BadPattern, 6)]);
    let found = findings(&with(&format!("freeze [{}]", much("params(\"{a,b}.{c,d}\"), "))));
    assert_eq!(found.last().map(|f| f.0), Some(Code::MatchesNothing));
}

#[test]
fn characters_that_are_no_text_are_found_where_they_stand() {
    assert_eq!(findings("edition 2026\nrecipe\u{0} r {}"), [(Code::StrayCharacter, 2)]);
    let lone_returns = with("seed: 1 2 3").replace('\n', "\r");
    let found = findings(&lone_returns);
    assert_eq!(
        found.iter().map(|f| f.1).collect::<Vec<_>>(),
        [6],
        "lines are counted at a lone CR too: {found:?}"
    );
    assert_eq!(findings(&format!("\u{feff}{}", with(""))), [], "a byte order mark is no mistake");
    let inside = findings(&with("seed: \u{feff}1"));
    assert!(!inside.is_empty(), "in the middle it is one");
}

#[test]
fn numbers_beyond_all_bounds_are_refused() {
    for number in
        ["1e400", "1e-400", "99999999999999999999999999", "1e99999999999999999999", "0.1e309 epochs"]
    {
        let found = findings(&with(&format!("seed: {number}")));
        assert!(!found.is_empty(), "{number} is taken");
        assert!(found.iter().all(|f| f.1 == 6), "{number}: {found:?}");
    }
    let long = "9".repeat(100_000);
    assert!(!findings(&with(&format!("seed: 0.{long}"))).is_empty());
    assert!(!findings(&with(&format!("evaluate every {long} epochs"))).is_empty());
}

/// Two files that use each other.
struct Circle;

impl Loader for Circle {
    fn load(&self, _: &Path, path: &str) -> Result<(PathBuf, String), String> {
        let other = if path == "a.obert" { "b.obert" } else { "a.obert" };
        Ok((path.into(), format!("use \"{other}\".{{x}}\nlet y = x\n")))
    }
}

#[test]
fn files_that_use_each_other_are_told_so() {
    let text = format!("use \"a.obert\".{{y}}\n{}", with("hold y"));
    let compiled = compile("r.obert", &text, &Circle, Options::default());
    assert!(places(&compiled).iter().any(|p| p.0 == Code::UseCycle), "{:?}", compiled.diagnostics);
}

#[test]
fn a_folder_a_device_and_bytes_that_are_no_text_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.obert"), "use \"parts\".{x}\nrecipe r {}").unwrap();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    std::fs::write(folder.path().join("bytes.obert"), b"recipe r \xff\xfe {}").unwrap();
    let check = |name: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .args(["check", name])
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = check("r.obert");
    assert!(code == 1 && err.contains("r.obert:1:5") && err.contains("folder"), "{err}");
    let (code, err) = check("bytes.obert");
    assert!(code == 1 && err.contains("not UTF-8 text: byte 9"), "{err}");
    let (code, err) = check("none.obert");
    assert!(code == 1 && err.contains("cannot read `none.obert`"), "{err}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_brings_the_compiler_down(text in "(?s).{0,200}") {
        findings(&text);
    }

    #[test]
    fn no_damage_to_a_recipe_brings_the_compiler_down(
        cut in 0.0f64..1.0,
        length in 0usize..40,
        insert in "[\\[\\]{}()\"#.,:%>0-9a-z \n-]{0,12}",
    ) {
        let text = include_str!("../corpus/good/three_axes.obert");
        let start = (cut * text.len() as f64) as usize;
        let boundary = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (boundary(start), boundary(start + length));
        findings(&format!("{}{insert}{}", &text[..start], &text[end..]));
    }
}
