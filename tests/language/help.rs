//! Help that helps: what a finding says to write removes the finding and brings no new error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use obert::internals::diag::{Code, Diagnostic, FileId};
use obert::internals::explain::page;
use obert::internals::language::{Loader, NoFiles, Options, Override, compile};

use crate::docs::recipe;

/// A recipe with the flags that it is compiled with.
struct Case {
    name: String,
    text: String,
    set: Vec<Override>,
}

struct Corpus;

impl Loader for Corpus {
    fn load(&self, _: &Path, path: &str) -> Result<(PathBuf, String), String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
        let text =
            std::fs::read_to_string(folder.join(path)).map_err(|_| "there is no such file".to_owned())?;
        Ok((path.into(), text))
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut cases: Vec<Case> = files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let set = crate::diagnostics::overrides(&text);
            Case { name: path.file_name().unwrap().to_string_lossy().into_owned(), text, set }
        })
        .collect();
    for code in Code::ALL {
        let wrong = page(*code).unwrap().wrong;
        if let Some(text) = recipe(wrong.kind, wrong.code) {
            cases.push(Case { name: format!("the page of {code}"), text, set: Vec::new() });
        }
    }
    cases
}

fn found(case: &Case, text: &str) -> (FileId, Vec<Diagnostic>) {
    let options = Options { overrides: &case.set, ..Options::default() };
    let loader: &dyn Loader = if case.name.ends_with(".obert") { &Corpus } else { &NoFiles };
    let compiled = compile(&case.name, text, loader, options);
    (compiled.main, compiled.diagnostics)
}

/// How often each finding is there, by its code and message.
fn counted(found: &[Diagnostic], errors: bool) -> BTreeMap<(Code, String), usize> {
    let mut counts = BTreeMap::new();
    for d in found.iter().filter(|d| !errors || d.is_error()) {
        *counts.entry((d.code, d.message.clone())).or_insert(0) += 1;
    }
    counts
}

/// Syntax errors hide what is behind them, and patterns that cannot be read what they select.
fn hides(d: &Diagnostic) -> bool {
    (100..200).contains(&d.code.number()) || d.code == Code::BadPattern
}

#[test]
fn every_replacement_removes_its_finding_and_brings_no_new_error() {
    let mut followed = 0;
    let mut failures = Vec::new();
    for case in cases() {
        let (main, before) = found(&case, &case.text);
        for d in &before {
            let Some(fix) = d.fix.as_ref().filter(|f| f.span.file == main) else { continue };
            followed += 1;
            let mut text = case.text.clone();
            text.replace_range(fix.span.range(), &fix.replacement);
            let (_, after) = found(&case, &text);
            let key = (d.code, d.message.clone());
            let (all, left) = (counted(&before, false), counted(&after, false));
            if left.get(&key).copied().unwrap_or(0) >= all[&key] {
                failures.push(format!("{}: {:?} stays after\n{text}", case.name, d));
            }
            let errors = counted(&before, true);
            for (error, count) in counted(&after, true) {
                let known = errors.get(&error).copied().unwrap_or(0);
                if count > known && !before.iter().any(hides) {
                    failures.push(format!("{}: {:?} leads to {error:?} in\n{text}", case.name, d));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {followed}:\n{}", failures.len(), failures.join("\n"));
    assert!(followed > 150, "{followed}");
}

/// What helps tell that no replacement of one place can do: it is elsewhere, a choice, or the user's to know.
const TOLD: &[&str] = &[
    // A name, a value or a place that only the author knows.
    "settings belong in a recipe",
    "its settings are written in parentheses",
    "write the interval that it must be in",
    "bring names in with",
    "the flag `--device`",
    "give its folder with",
    "name a set with",
    "the path is relative",
    "move it into a file of its own",
    "give the file a name that ends",
    "close it with",
    "add the missing `}`",
    "remove this one, which selects nothing else",
    "remove `distill`",
    "remove one `extends`",
    "learning rates have a block of their own",
    // Another place of the recipe.
    "it belongs in parentheses",
    "it belongs in the block of",
    "belongs in the recipe",
    "the length comes after the name",
    "is a verb, without a colon",
    "here it is `weights: int8` or",
    "here it is `activations: ",
    "write `every ",
    "write `sparsity: ",
    "a setting has one value",
    "leave `for ",
    // What can be chosen.
    "its parameters are",
    "expected ",
    "the stages before this one",
    "no stage is before this one",
    "the templates here are",
    "the settings of",
    "its settings are",
    "in a glob",
    "these can",
    "write `squad`, `mnli`",
    "rates look like",
    "a warmup is",
    "the shape comes after",
    "a line gives a window",
    "prune more often",
    "let the window last",
    "is an exponent missing",
];

#[test]
fn a_help_that_writes_something_is_a_replacement_an_example_or_told_why_not() {
    let mut missing = BTreeMap::new();
    for case in cases() {
        let (main, list) = found(&case, &case.text);
        for d in list.iter().filter(|d| d.primary.as_ref().is_some_and(|l| l.span.file == main)) {
            let help = d.help.clone().unwrap_or_default();
            // A form with a blank, or an example that is called so.
            let blank = ["…", "NAME", "PARAMS", "FILE", "STAGE", "DIR"].iter().any(|b| help.contains(b));
            let example =
                ["as `", "such as `", "write it as `", "the form is `"].iter().any(|e| help.contains(e));
            // What is brought in by a template is mended there, or by what it is given.
            let brought = d.secondary.iter().any(|l| l.span.file != main);
            let told = brought || TOLD.iter().any(|t| help.contains(t));
            if d.fix.is_none() && help.contains('`') && !blank && !example && !told {
                missing.insert(help, (d.code.to_string(), case.name.clone()));
            }
        }
    }
    let list: Vec<String> = missing.iter().map(|(help, at)| format!("{at:?}: {help}")).collect();
    assert!(missing.is_empty(), "no replacement for\n{}", list.join("\n"));
}

#[test]
fn an_exception_takes_what_the_statement_prunes_of_its_pattern() {
    let recipe = |exception: &str| {
        format!(
            "edition 2026\nuse std.bert.{{encoder_linears}}\nrecipe r for 10 epochs {{\n  model: \"bert-base-uncased\"\n  \
             data: squad\n  lr {{ 0..10 epochs: 5e-5 -> 0 linear }}\n  prune encoder_linears over 2..8 epochs every \
             2 epochs {{\n    by: magnitude\n    sparsity: 20% -> 80% cubic\n    target params(\"{exception}\"): \
             60%\n  }}\n}}\n"
        )
    };
    // Its layer normalizations are no matter of the statement.
    let text = recipe("bert.encoder.layer.0.**.weight");
    let compiled = compile("r", &text, &NoFiles, Options::default());
    assert!(compiled.diagnostics.is_empty(), "{:?}", compiled.diagnostics);
    assert_eq!(compiled.schedule.unwrap().stages[0].prune[0].exceptions.len(), 1);
    let text = recipe("bert.encoder.layer.0.**.LayerNorm.weight");
    let codes: Vec<Code> =
        compile("r", &text, &NoFiles, Options::default()).diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::MatchesNothing]);
}
