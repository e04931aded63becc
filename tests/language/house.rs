//! The rules of the house: who may import whom. Data walks one way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may import.
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
    ("method", &[]),
    ("task", &["method", "text", "files", "schedule", "params", "diag"]),
    ("engine", &["task", "method", "runlog", "schedule", "params", "diag"]),
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
            "output", "infer", "engine", "task", "files", "plan", "yaml", "language", "runlog", "schedule",
            "params", "text", "diag",
        ],
    ),
    (
        "cli",
        &[
            "api", "output", "infer", "engine", "task", "explain", "files", "plan", "yaml", "language",
            "runlog", "schedule", "params", "diag",
        ],
    ),
];

/// The same inside the language: text, then names, then meaning.
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

/// What leaves the house is made from files and asked through the runtime, without the engine.
const IN_EXPORT: &[&str] = &["output", "infer", "text", "files", "params", "diag"];

/// The record of a run is made from its files, without the engine that wrote them.
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
fn room(path: &Path) -> String {
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
fn no_room_imports_one_further_down_the_way() {
    for (path, text) in sources() {
        let room = room(&path);
        if matches!(room.as_str(), "lib" | "main" | "internals") {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{} stands in a room without rules: {room}", path.display()));
        for imported in after(&code(&text), "crate::") {
            assert!(
                imported == room || allowed.contains(&imported),
                "{} imports `{imported}`; `{room}` may import {allowed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn the_report_of_a_run_knows_its_files_and_not_the_engine() {
    let mut seen = 0;
    for (path, text) in sources() {
        let alone = path == Path::new("output/figures.rs");
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
                ["figures", "report", "sizes"].contains(&imported),
                "{} imports `{imported}`",
                path.display()
            );
        }
        assert!(!code.contains("burn::") && !code.contains("feature = \"engine\""), "{}", path.display());
    }
    assert!(seen > 5, "{seen} files");
}

#[test]
fn what_leaves_the_house_knows_the_runtime_and_not_the_engine() {
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
fn inside_the_language_text_comes_before_names_and_names_before_meaning() {
    for (path, text) in sources() {
        let Ok(inner) = path.strip_prefix("language") else { continue };
        let part = room(inner);
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
fn only_the_engine_side_knows_burn_and_only_one_renderer_knows_miette() {
    for (path, text) in sources() {
        let code = code(&text);
        let room = room(&path);
        let engine_side = ["engine", "task", "method", "output"].contains(&room.as_str())
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
        if ["cli", "main"].contains(&room(&path).as_str()) {
            continue;
        }
        for call in forbidden {
            assert!(!code(&text).contains(call), "{} uses {call}", path.display());
        }
    }
}

#[test]
fn mathematics_knows_no_file_and_no_recipe() {
    for (path, text) in sources().into_iter().filter(|(p, _)| room(p) == "method") {
        assert!(!code(&text).contains("std::fs"), "{} touches files", path.display());
    }
}

#[test]
fn the_library_shows_a_few_modules_and_hides_one_door_to_all_others() {
    let (_, text) = sources().into_iter().find(|(path, _)| path == Path::new("lib.rs")).unwrap();
    let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    let names: Vec<&str> = shown.iter().map(|line| line.trim_end_matches([';', '{', ' '])).collect();
    assert_eq!(names, ["runlog", "internals", "diagnostics", "runtime", "custom"]);
    assert!(text.contains("#[doc(hidden)]\npub mod internals;"), "the door is not documented");
    // The command line is reached by the binary alone, and calls the library for what the library does.
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("cli")) {
        let code = code(&text);
        for inner in ["Interpreter", "prepare::prepare", "RunLog", "Keeper"] {
            let trials = path == Path::new("cli/trials.rs") && inner == "prepare::prepare";
            assert!(trials || !code.contains(inner), "{} does by itself what `api` does", path.display());
        }
    }
}
