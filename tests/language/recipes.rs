//! Good recipes: they check without a finding, and their plans read well.

use std::path::{Path, PathBuf};

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Severity};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::plan::{table, terminal_chart};

/// The recipes of some folders.
pub fn recipes_in(folders: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "obert"))
        .collect();
    list.sort();
    assert!(list.len() >= 3, "{list:?}");
    list
}

/// Every recipe we ship.
pub fn shipped_recipes() -> Vec<PathBuf> {
    recipes_in(&[
        "stdlib_recipes",
        "stdlib_recipes/paper",
        "stdlib_recipes/paper/compound",
        "stdlib_recipes/results",
    ])
}

/// Recipes that must check.
fn good_recipes() -> Vec<PathBuf> {
    [shipped_recipes(), recipes_in(&["tests/corpus/good"])].concat()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn what_we_ship_checks_without_a_finding_and_the_good_corpus_with_advice_at_most() {
    for path in good_recipes() {
        let shipped = path.components().any(|c| c.as_os_str() == "stdlib_recipes");
        let text = std::fs::read_to_string(&path).unwrap();
        let compiled = compile(&path.display().to_string(), &text, &NoFiles, Options::default());
        let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
        let advice = compiled.diagnostics.iter().all(|d| d.severity == Severity::Advice);
        // What is fine-tuned or pruned first is a folder of the user's.
        let elsewhere = compiled.diagnostics.iter().all(|d| d.code == Code::ModelNotAtHand);
        let fine = elsewhere || (advice && !shipped);
        assert!(fine, "{}:\n{shown}", path.display());
        assert!(compiled.schedule.is_some());
    }
}

#[test]
fn the_plan_of_every_good_recipe_is_as_recorded() {
    for path in good_recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        let compiled = compile("recipe.obert", &text, &NoFiles, Options::default());
        let plan =
            table::render(&compiled.schedule.unwrap(), Some(1000), compiled.parameters.as_ref(), |stage| {
                terminal_chart::render(stage, Some(1000))
            });
        let name = stem(&path);
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/plans", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, plan);
        });
    }
}

#[test]
fn the_paper_has_its_21_published_recipes_and_24_of_table_3() {
    assert_eq!(recipes_in(&["stdlib_recipes/paper"]).len(), 21);
    assert_eq!(recipes_in(&["stdlib_recipes/paper/compound"]).len(), 24);
}

#[test]
fn the_schedule_and_the_text_of_every_shipped_recipe_are_as_recorded() {
    for path in shipped_recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        let compiled = compile("recipe.obert", &text, &NoFiles, Options::default());
        let schedule = serde_json::to_string_pretty(&compiled.schedule.unwrap()).unwrap();
        let name = stem(&path);
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/ir", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name.clone(), schedule);
        });
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/text", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn a_plan_says_how_many_passes_little_memory_costs() {
    let text = "edition 2026
use std.bert.{encoder_linears}
recipe r {
  model: \"bert-base-uncased\"
  data: squad
  stage only { prune encoder_linears { by: obs(gradients: 1024, recompute: 4, memory: MEMORY), sparsity: 80% } }
}
";
    let plan = |memory: &str| {
        let text = text.replace("MEMORY", memory);
        let compiled = compile("r.obert", &text, &NoFiles, Options::default());
        assert!(compiled.schedule.is_some(), "{:?}", compiled.diagnostics);
        table::render(&compiled.schedule.unwrap(), None, compiled.parameters.as_ref(), |_| String::new())
    };
    assert!(plan("24 GiB").contains(" 4096 gradients in all"), "{}", plan("24 GiB"));
    let tight = plan("4 GiB");
    // All are ranked together: what was estimated first is estimated again for its update.
    assert!(tight.contains(" 20480 gradients in all"), "{tight}");
    assert!(
        tight.contains("in 3 passes to stay within `memory`: every gradient is computed 5 times"),
        "{tight}"
    );
}
