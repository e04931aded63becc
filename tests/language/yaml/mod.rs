//! Tests of importing and exporting SparseML recipes.

mod cases;
mod corpus;
mod export;
mod followed;
mod hostile;
mod nodes;
mod paper;

use std::path::{Path, PathBuf};

use obert::internals::diag::Code;
use obert::internals::diag::render::full;
use obert::internals::language::{self, NoFiles, Override};
use obert::internals::schedule::Schedule;
use obert::internals::yaml::{Imported, Options, export, import};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The SparseML recipes of a folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            obert::internals::yaml::is_yaml(path) && path.file_name().is_some_and(|n| n != "README.md")
        })
        .collect();
    list.sort();
    assert!(!list.is_empty(), "{}", folder.display());
    list
}

fn tricky() -> Vec<PathBuf> {
    files_in(&root().join("tests/corpus/yaml/tricky"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A file's first line may hold flags: `#: --set epochs=5`.
fn overrides(text: &str) -> Vec<Override> {
    let flags = text.lines().next().and_then(|l| l.strip_prefix("#: ")).unwrap_or("");
    let sets = flags.split("--set ").filter_map(|set| set.trim().split_once('='));
    sets.map(|(name, value)| Override { name: name.into(), value: value.into() }).collect()
}

fn imported(path: &Path) -> Imported {
    let text = std::fs::read_to_string(path).unwrap();
    let overrides = overrides(&text);
    import(
        path.file_name().unwrap().to_str().unwrap(),
        &text,
        Options { overrides: &overrides, ..Options::default() },
    )
}

fn shown(imported: &Imported) -> String {
    full::render_all(&imported.compilation.diagnostics, &imported.compilation.sources, false)
}

/// An imported recipe compiles as a file of its own, and is in canonical form.
fn assert_sound(path: &Path, imported: &Imported) {
    let errors: Vec<_> = imported.compilation.diagnostics.iter().filter(|d| d.is_error()).collect();
    let Some(text) = &imported.text else {
        assert!(!errors.is_empty(), "{}: neither recipe nor error", path.display());
        for error in errors {
            let Some(place) = &error.primary else { panic!("{}: {error:?} has no place", path.display()) };
            let source = imported.compilation.sources.get(place.span.file);
            assert!(place.span.end as usize <= source.text.len(), "{}: {error:?}", path.display());
            assert!(error.help.is_some(), "{}: {error:?} has no help", path.display());
        }
        return;
    };
    let compiled = language::compile("imported.obert", text, &NoFiles, language::Options::default());
    let found = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    assert!(compiled.schedule.is_some(), "{}:\n{text}\n{found}", path.display());
    assert_eq!(compiled.schedule, imported.compilation.schedule, "{}", path.display());
    let mut sources = obert::internals::diag::Sources::new();
    let mut findings = obert::internals::diag::Findings::new();
    let file = sources.add("", text.clone());
    let parsed = obert::internals::language::syntax::parse_file(file, text, &mut findings);
    assert_eq!(language::format(text, &parsed), *text, "{} is not formatted", path.display());
}

/// Import, export, import: the same schedule.
fn assert_round_trip(path: &Path, imported: &Imported) -> bool {
    let Some(schedule) = &imported.compilation.schedule else { return false };
    let exported = match export(schedule, imported.compilation.parameters.as_ref()) {
        Ok(exported) => exported,
        Err(refused) => {
            assert!(refused.iter().all(|d| d.code == Code::NotExportable && d.help.is_some()), "{refused:?}");
            return false;
        }
    };
    let name = path.with_extension("yaml");
    let again = import(name.file_name().unwrap().to_str().unwrap(), &exported, Options::default());
    let found = shown(&again);
    let back =
        again.compilation.schedule.unwrap_or_else(|| panic!("{}:\n{exported}\n{found}", path.display()));
    assert_eq!(comparable(&back), comparable(schedule), "{}:\n{exported}\n{found}", path.display());
    true
}

/// What a schedule does, without its words.
fn comparable(schedule: &Schedule) -> Schedule {
    let mut plain = Schedule { doc: String::new(), parameters: Vec::new(), ..schedule.clone() };
    plain.stages.iter_mut().for_each(|s| s.doc = String::new());
    plain
}
