//! Every mistake in the bad corpus, as a user sees it.

use std::path::{Path, PathBuf};

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Diagnostic};
use obert::internals::language::{Loader, Options, compile};

fn bad_recipes() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    list.sort();
    assert!(!list.is_empty());
    list
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A file's first line may hold flags: `#: --set target=80`.
pub fn overrides(text: &str) -> Vec<obert::internals::language::Override> {
    let flags = text.lines().next().and_then(|l| l.strip_prefix("#: ")).unwrap_or("");
    flags
        .split("--set ")
        .filter_map(|set| set.trim().split_once('='))
        .map(|(name, value)| obert::internals::language::Override { name: name.into(), value: value.into() })
        .collect()
}

/// Reads files of the corpus, whatever folder they are in.
struct Corpus;

impl Loader for Corpus {
    fn load(&self, _: &Path, path: &str) -> Result<(PathBuf, String), String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
        let text =
            std::fs::read_to_string(folder.join(path)).map_err(|_| "there is no such file".to_owned())?;
        Ok((path.into(), text))
    }
}

fn diagnostics(path: &Path) -> (Vec<Diagnostic>, String) {
    let text = std::fs::read_to_string(path).unwrap();
    let set = overrides(&text);
    let options = Options { overrides: &set, ..Options::default() };
    let compiled = compile(path.file_name().unwrap().to_str().unwrap(), &text, &Corpus, options);
    let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    (compiled.diagnostics, shown)
}

#[test]
fn every_bad_recipe_is_explained_as_recorded() {
    for path in bad_recipes() {
        let (found, shown) = diagnostics(&path);
        let name = stem(&path);
        let code = name.split('_').next().unwrap();
        assert!(found.iter().any(|d| d.code.to_string() == code), "{name} gives\n{shown}");
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/bad", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, shown);
        });
    }
}

#[test]
fn every_finding_has_a_place_and_says_what_to_do() {
    for path in bad_recipes() {
        for d in diagnostics(&path).0 {
            assert!(d.primary.is_some(), "{}: {} has no place", stem(&path), d.code);
            assert!(d.help.is_some(), "{}: {} has no help", stem(&path), d.code);
            assert!(!d.message.ends_with('.'), "{}", d.message);
        }
    }
}

#[test]
fn every_code_of_the_language_has_a_file() {
    let files: Vec<String> = bad_recipes().iter().map(|p| stem(p)).collect();
    // Codes below 100 are about files that cannot be read, those from 800 on about SparseML's recipes (see
    // yaml.rs), those from 900 on about models and runs.
    let missing: Vec<String> = Code::ALL
        .iter()
        .filter(|code| (100..800).contains(&code.number()))
        .map(ToString::to_string)
        .filter(|code| !files.iter().any(|f| f.starts_with(code.as_str())))
        .collect();
    assert!(missing.is_empty(), "no file in tests/corpus/bad for {missing:?}");
}
