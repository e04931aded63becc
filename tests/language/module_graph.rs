//! Rules of the module graph: which modules each module may import.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module of the crate with the modules that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("settings", &[]),
    ("files", &["diag"]),
    ("params", &["files", "diag"]),
    ("schedule", &["settings", "params", "diag"]),
    ("plan", &["schedule", "params", "diag"]),
    ("language", &["schedule", "settings", "params", "diag"]),
    ("explain", &["language", "diag"]),
    ("yaml", &["language", "schedule", "params", "diag"]),
    ("text", &["files", "params", "diag"]),
    ("infer", &["text", "files", "params", "diag"]),
    ("runlog", &[]),
    ("ranks", &[]),
    ("method", &["ranks"]),
    ("task", &["method", "ranks", "text", "files", "schedule", "params", "diag"]),
    ("engine", &["task", "method", "ranks", "runlog", "schedule", "params", "diag"]),
    (
        "output",
        &[
            "infer", "engine", "task", "method", "text", "files", "plan", "runlog", "schedule", "params",
            "diag",
        ],
    ),
    (
        "api",
        &[
            "output", "infer", "engine", "task", "ranks", "files", "plan", "yaml", "language", "runlog",
            "schedule", "params", "text", "diag",
        ],
    ),
    ("serve", &["api", "infer", "text", "params", "diag"]),
    ("lsp", &["api", "explain", "files", "plan", "yaml", "language", "schedule", "params", "diag"]),
    (
        "cli",
        &[
            "lsp", "serve", "api", "output", "infer", "engine", "task", "ranks", "explain", "files", "plan",
            "yaml", "language", "runlog", "schedule", "params", "diag",
        ],
    ),
];

/// The same inside the language: parsing, then name resolution, then checking.
const IN_LANGUAGE: &[(&str, &[&str])] = &[
    ("syntax", &[]),
    ("vocab", &["syntax"]),
    ("stdlib", &[]),
    ("resolve", &["syntax", "vocab", "stdlib"]),
    ("check", &["resolve", "syntax", "vocab"]),
    ("library", &["syntax"]),
    ("lower", &["check"]),
    ("tuning", &["check", "resolve", "syntax", "vocab"]),
];

/// Exports are made from files and verified with the runtime, without the engine.
const IN_EXPORT: &[&str] = &["output", "infer", "text", "files", "params", "diag"];

/// The report of a run is made from its files, without the engine that wrote them.
const IN_REPORT: &[&str] = &["output", "plan", "runlog", "schedule", "diag"];

/// All files of `src` by their path in it, with their text.
pub fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, list: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, list);
            } else if path.extension().is_some_and(|e| e == "rs") {
                list.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut list = Vec::new();
    walk(&root, &mut list);
    list.sort();
    list.into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// The first segment of a file's path, without `.rs`.
fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file, without comments and without its unit tests.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or("");
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow a path such as `crate::`.
fn after<'a>(code: &'a str, path: &str) -> BTreeSet<&'a str> {
    code.split(path)
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn no_module_imports_a_later_stage() {
    for (path, text) in sources() {
        let module = module(&path);
        if matches!(module.as_str(), "lib" | "main" | "internals") {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{} is in a module without rules: {module}", path.display()));
        for imported in after(&code(&text), "crate::") {
            assert!(
                imported == module || allowed.contains(&imported),
                "{} imports `{imported}`; `{module}` may import {allowed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn the_report_of_a_run_does_not_import_the_engine() {
    let mut seen = 0;
    for (path, text) in sources() {
        let alone = path == Path::new("output/numbers.rs");
        if !alone && !path.starts_with("output/report") {
            continue;
        }
        seen += 1;
        let code = code(&text);
        for imported in after(&code, "crate::") {
            assert!(IN_REPORT.contains(&imported), "{} imports `{imported}`", path.display());
        }
        for imported in after(&code, "crate::output::") {
            assert!(
                ["numbers", "report", "sizes"].contains(&imported),
                "{} imports `{imported}`",
                path.display()
            );
        }
        assert!(!code.contains("burn::") && !code.contains("feature = \"engine\""), "{}", path.display());
    }
    assert!(seen > 5, "{seen} files");
}

#[test]
fn exports_import_the_runtime_and_not_the_engine() {
    let mut seen = 0;
    for (path, text) in sources() {
        if path != Path::new("output/sizes.rs") && !path.starts_with("output/export") {
            continue;
        }
        seen += 1;
        let code = code(&text);
        for imported in after(&code, "crate::") {
            assert!(IN_EXPORT.contains(&imported), "{} imports `{imported}`", path.display());
        }
        for imported in after(&code, "crate::output::") {
            assert!(["export", "sizes"].contains(&imported), "{} imports `{imported}`", path.display());
        }
    }
    assert!(seen > 10, "{seen} files");
}

#[test]
fn inside_the_language_parsing_comes_before_resolution_and_resolution_before_checking() {
    for (path, text) in sources() {
        let Ok(inner) = path.strip_prefix("language") else { continue };
        let part = module(inner);
        if part == "mod" {
            continue;
        }
        let (_, allowed) = IN_LANGUAGE
            .iter()
            .find(|(name, _)| *name == part)
            .unwrap_or_else(|| panic!("{} has no rule", path.display()));
        for imported in after(&code(&text), "crate::language::") {
            let known = IN_LANGUAGE.iter().any(|(name, _)| *name == imported);
            assert!(
                !known || imported == part || allowed.contains(&imported),
                "{} imports `{imported}`",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_engine_imports_burn_and_only_one_renderer_imports_miette() {
    for (path, text) in sources() {
        let code = code(&text);
        let engine_side = ["engine", "task", "method", "output"].contains(&module(&path).as_str())
            || path == Path::new("api/custom.rs");
        assert!(engine_side || !code.contains("burn::"), "{} imports Burn", path.display());
        let renderer = ["full.rs", "snippet.rs"].iter().any(|f| path == Path::new("diag/render").join(f));
        assert!(renderer || !code.contains("miette::"), "{} imports miette", path.display());
    }
}

#[test]
fn only_the_command_line_prints_or_exits() {
    let forbidden = ["println!(", "eprintln!(", "print!(", "process::exit"];
    for (path, text) in sources() {
        if ["cli", "main"].contains(&module(&path).as_str()) {
            continue;
        }
        for call in forbidden {
            assert!(!code(&text).contains(call), "{} uses {call}", path.display());
        }
    }
}

#[test]
fn the_methods_use_no_files() {
    for (path, text) in sources().into_iter().filter(|(p, _)| module(p) == "method") {
        assert!(!code(&text).contains("std::fs"), "{} touches files", path.display());
    }
}

#[test]
fn the_library_has_few_public_modules_and_one_hidden_that_opens_all_others() {
    let (_, text) = sources().into_iter().find(|(path, _)| path == Path::new("lib.rs")).unwrap();
    let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    let names: Vec<&str> = shown.iter().map(|line| line.trim_end_matches([';', '{', ' '])).collect();
    assert_eq!(names, ["runlog", "internals", "diagnostics", "runtime", "custom"]);
    assert!(text.contains("#[doc(hidden)]\npub mod internals;"), "`internals` is not documented");
    // The command line calls the library for what the library does.
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("cli")) {
        let code = code(&text);
        for inner in ["Interpreter", "prepare::prepare", "RunLog", "Keeper"] {
            let trials = path == Path::new("cli/trials.rs") && inner == "prepare::prepare";
            assert!(trials || !code.contains(inner), "{} does by itself what `api` does", path.display());
        }
    }
}
