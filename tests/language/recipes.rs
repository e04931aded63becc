//! Good recipes: they check without a finding, and their plans read well.

use std::path::{Path, PathBuf};

use obert::diag::render::full;
use obert::language::{NoFiles, Options, compile};
use obert::plan::table;

/// Every recipe we ship, and the good corpus.
pub fn good_recipes() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list: Vec<PathBuf> = ["stdlib_recipes", "tests/corpus/good"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "obert"))
        .collect();
    list.sort();
    assert!(list.len() >= 4, "{list:?}");
    list
}

#[test]
fn every_good_recipe_checks_without_a_finding() {
    for path in good_recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        let compiled = compile(&path.display().to_string(), &text, &NoFiles, Options::default());
        let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
        assert!(compiled.diagnostics.is_empty(), "{}:\n{shown}", path.display());
        assert!(compiled.schedule.is_some());
    }
}

#[test]
fn the_plan_of_every_good_recipe_is_as_recorded() {
    for path in good_recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        let compiled = compile("recipe.obert", &text, &NoFiles, Options::default());
        let plan = table::render(&compiled.schedule.unwrap(), Some(1000), compiled.parameters.as_ref());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/plans", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, plan);
        });
    }
}
