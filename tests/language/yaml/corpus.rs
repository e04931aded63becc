//! The corpus of files that go wrong, and the pages of the codes.

use obert::internals::diag::Code;
use obert::internals::language::{self, NoFiles};
use obert::internals::params::builtin::{Head, bert, well_known};
use obert::internals::yaml::{Options, export, import};

use super::{assert_round_trip, assert_sound, files_in, imported, root, shown, stem, tricky};

#[test]
fn every_tricky_file_comes_out_as_recorded() {
    for path in tricky() {
        let imported = imported(&path);
        let text = imported.text.clone().unwrap_or_else(|| "(no recipe)\n".to_owned());
        let outcome = format!("{text}\n{}", shown(&imported));
        insta::with_settings!({ omit_expression => true, snapshot_path => "../snapshots/yaml", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(stem(&path), outcome);
        });
    }
}

#[test]
fn an_import_is_a_checked_recipe_or_a_located_error() {
    for path in tricky() {
        assert_sound(&path, &imported(&path));
    }
}

#[test]
fn import_after_export_is_the_same_schedule() {
    let count = tricky().iter().filter(|path| assert_round_trip(path, &imported(path))).count();
    assert!(count > 30, "only {count} files were exported");
}

#[test]
#[ignore = "reads ../shared, which is not part of the project"]
fn the_recipes_of_others_import_as_soundly() {
    let shared = root().join("../shared");
    let mut recipes = 0;
    for folder in ["yaml/paper", "yaml/tricky", "cases/yaml"] {
        for path in files_in(&shared.join(folder)) {
            let imported = imported(&path);
            assert_sound(&path, &imported);
            assert_round_trip(&path, &imported);
            recipes += usize::from(imported.text.is_some());
        }
    }
    assert!(recipes > 40, "only {recipes} recipes");
}

#[test]
fn every_code_about_sparseml_has_a_file() {
    let mut found: Vec<Code> =
        tricky().iter().flat_map(|path| imported(path).compilation.diagnostics).map(|d| d.code).collect();
    // This one is about recipes that are exported.
    found.push(Code::NotExportable);
    let codes = Code::ALL.iter().filter(|code| (800..900).contains(&code.number()));
    let missing: Vec<String> = codes.filter(|c| !found.contains(c)).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "no file in tests/corpus/yaml/tricky gives {missing:?}");
}

#[test]
fn every_finding_points_into_the_yaml_and_says_what_to_do() {
    for path in tricky() {
        let imported = imported(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        for diagnostic in &imported.compilation.diagnostics {
            let place = diagnostic.primary.as_ref().unwrap_or_else(|| panic!("{name}: {diagnostic:?}"));
            let source = &imported.compilation.sources.get(place.span.file);
            assert!(
                source.name.ends_with(name) || source.name.starts_with("--set"),
                "{name}: {}",
                source.name
            );
            assert!(!source.text.contains("edition 2026"), "{name}: {diagnostic:?}");
            assert!(diagnostic.help.is_some(), "{name}: {diagnostic:?}");
            assert!(!diagnostic.message.ends_with('.'), "{}", diagnostic.message);
        }
    }
}

#[test]
fn a_model_at_hand_decides_what_patterns_select() {
    let shape = well_known("bert-tiny").unwrap();
    let parameters = Some(bert(&shape, Head::QuestionAnswering));
    let path = root().join("tests/corpus/yaml/tricky/layers_dropped.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let imported = import("small.yaml", &text, Options { parameters, ..Options::default() });
    assert!(shown(&imported).contains("matches none"), "{}", shown(&imported));
}

/// What the page of a code calls wrong, or right, with what stands behind its fence.
fn example(page: &str, title: &str) -> (String, String) {
    let section = page.split(&format!("## {title}\n\n```")).nth(1).unwrap();
    let (kind, rest) = section.split_once('\n').unwrap();
    (kind.to_owned(), rest.split("\n```").next().unwrap().to_owned())
}

/// The codes that an example gives; `None` for commands, which are shown and not run.
fn codes_of(kind: &str, code: &str) -> Option<Vec<(Code, bool)>> {
    let diagnostics = match kind {
        "yaml" => import("page.yaml", code, Options::default()).compilation.diagnostics,
        "markdown" => import("page.md", code, Options::default()).compilation.diagnostics,
        "obert" => {
            let compiled = language::compile("page", code, &NoFiles, language::Options::default());
            export(&compiled.schedule.unwrap(), compiled.parameters.as_ref()).err().unwrap_or_default()
        }
        _ => return None,
    };
    Some(diagnostics.iter().map(|d| (d.code, d.is_error())).collect())
}

#[test]
fn the_pages_of_sparsemls_codes_show_what_they_say() {
    for code in Code::ALL.iter().filter(|code| (800..900).contains(&code.number())) {
        let path = root().join(format!("src/explain/pages/{code}.md"));
        let page = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{code}: {e}"));
        let (kind, wrong) = example(&page, "Wrong");
        if let Some(found) = codes_of(&kind, &wrong) {
            assert!(found.iter().any(|(c, _)| c == code), "{code} calls this wrong: {found:?}\n{wrong}");
        }
        let (kind, right) = example(&page, "Right");
        if let Some(found) = codes_of(&kind, &right) {
            let again =
                found.iter().any(|(c, error)| *error || (c == code && *code != Code::OtherwiseInSparseml));
            assert!(!again, "{code} calls this right: {found:?}\n{right}");
        }
    }
}
